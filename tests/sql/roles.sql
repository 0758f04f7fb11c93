-- Who may do what: workers call their functions, auditors read views, nobody writes a table.
BEGIN;
\ir helpers.psql
SELECT plan(28);

CREATE FUNCTION t.may_execute(p_role text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT DISTINCT p.pronamespace::regnamespace || '.' || p.proname FROM pg_proc p
	WHERE p.pronamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit')
		AND has_schema_privilege(p_role, p.pronamespace, 'USAGE') AND has_function_privilege(p_role, p.oid, 'EXECUTE') $$;
-- Rights on tables, views and sequences.
CREATE FUNCTION t.may_touch(p_role text, p_rights text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT c.relnamespace::regnamespace || '.' || c.relname FROM pg_class c
	WHERE c.relnamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit')
		AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(p_role, c.oid, 'SELECT,UPDATE,USAGE')
			WHEN 'i' THEN false WHEN 'I' THEN false WHEN 'c' THEN false
			ELSE has_table_privilege(p_role, c.oid, p_rights) OR has_any_column_privilege(p_role, c.oid,
				'SELECT,INSERT,UPDATE,REFERENCES') END $$;

-- functions
SELECT set_eq($$ SELECT t.may_execute('onbehalf_worker') $$, ARRAY['gov.schema_version', 'gov.setting',
	'ledger.begin_session', 'ledger.connections', 'ledger.maintain', 'ledger.outcomes', 'ledger.parked_ready', 'ledger.prove',
	'ledger.mark', 'ledger.release', 'ledger.take', 'ledger.tick'], 'a worker executes these functions and no other');
SELECT set_eq($$ SELECT t.may_execute('onbehalf_app') $$, ARRAY['gov.connect', 'gov.disconnect', 'gov.revoke',
	'gov.schema_version', 'gov.setting'], 'an application these');
SELECT set_eq($$ SELECT t.may_execute('onbehalf_governance') $$, ARRAY['gov.connect', 'gov.disconnect',
	'gov.register_integration', 'gov.revoke', 'gov.schema_version', 'gov.setting'], 'governance these');
SELECT is_empty($$ SELECT t.may_execute('onbehalf_auditor') $$, 'an auditor none');
SELECT is_empty($$ SELECT p.oid::regprocedure FROM pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl,
	acldefault('f', p.proowner))) a WHERE a.grantee = 0
	AND p.pronamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit') $$, 'PUBLIC none');

-- tables, views, sequences
SELECT is_empty(format('SELECT t.may_touch(%L, %L)', r, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER'),
	r || ' has no right on any table, view or sequence') FROM unnest(ARRAY['onbehalf_worker', 'onbehalf_app', 'public']) r;
SELECT set_eq(format($$ SELECT t.may_touch(%L, 'SELECT') $$, r), ARRAY['audit.lead', 'audit.connection_history',
	'audit.conservation', 'audit.permit_after_fence', 'audit.reason', 'audit.unknown_reason'], r || ' reads the views and nothing else')
	FROM unnest(ARRAY['onbehalf_auditor', 'onbehalf_governance']) r;
SELECT is_empty(format($$ SELECT c.oid::regclass FROM pg_class c
	WHERE c.relnamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit') AND c.relkind IN ('r', 'p', 'v')
	AND has_table_privilege(%L, c.oid, 'INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER') $$, r), r || ' writes nothing')
	FROM unnest(ARRAY['onbehalf_auditor', 'onbehalf_governance']) r;

-- the owner
SELECT is_empty($$ SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit')
	AND relowner <> 'onbehalf_owner'::regrole $$, 'all tables belong to the owner');
SELECT is_empty($$ SELECT proname FROM pg_proc WHERE pronamespace::regnamespace::text IN ('gov', 'ledger', 'vault', 'audit')
	AND proowner <> 'onbehalf_owner'::regrole $$, 'and all functions');
SELECT is((SELECT rolcanlogin OR rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'onbehalf_owner'), false,
	'the owner cannot log in and is no superuser');
SELECT is_empty($$ SELECT r.rolname FROM pg_roles r WHERE r.rolname IN ('onbehalf_worker', 'onbehalf_app',
	'onbehalf_governance', 'onbehalf_auditor') AND (r.rolcanlogin OR pg_has_role(r.oid, 'onbehalf_owner', 'MEMBER')) $$,
	'the groups do not log in and are not the owner');
SELECT is_empty($$ SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace::regnamespace::text
	IN ('gov', 'ledger', 'vault', 'audit') AND p.prosecdef
	AND NOT coalesce(p.proconfig, '{}') @> ARRAY['search_path=pg_catalog, pg_temp'] $$,
	'what runs with the owner''s rights has a fixed search_path, pg_temp last');
SELECT is_empty($$ SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'audit'::regnamespace AND c.relkind = 'v'
	AND NOT coalesce(c.reloptions, '{}') @> ARRAY['security_barrier=true']
	AND NOT coalesce(c.reloptions, '{}') @> ARRAY['security_barrier'] $$, 'the auditors'' views are security barriers');

-- in use
SELECT t.connect('anna') AS anna \gset
GRANT USAGE ON SCHEMA t TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA t TO PUBLIC;
GRANT ALL ON t.worker TO PUBLIC;
SET LOCAL ROLE onbehalf_worker;
SELECT lives_ok($$ SELECT t.take('w', 0) $$, 'a worker begins a session and takes partitions');
SELECT lives_ok($$ SELECT t.tick('w', ARRAY[t.event(1, 'a', 'bob')]) $$, 'ticks');
SELECT lives_ok($$ SELECT * FROM ledger.outcomes('{0}', '{0}', 10), ledger.parked_ready('{0}', '{}', 10),
	ledger.connections('{}') $$, 'and reads what it needs');
SELECT lives_ok($$ SELECT ledger.prove(session, '{0}', '{1}'), ledger.release(session, '{0}'), ledger.maintain(),
	gov.schema_version() FROM t.worker $$, 'and proves, releases, maintains');
SELECT throws_ok(format($$ SELECT gov.revoke(%L) $$, :'anna'), '42501', NULL, 'it revokes nothing');
SELECT throws_ok($$ SELECT 1 FROM gov.connection $$, '42501', NULL, 'and reads no table');
RESET ROLE;

-- A worker reports what it sees of a connection; it cannot give authority, nor speak for others.
SELECT t.take('w2', 1);
SELECT throws_ok(format($$ SELECT t.tick('w2', signals => ARRAY[t.signal(%L, %L)]) $$, :'anna', e), '42501', NULL,
	'a worker does not bring ' || e) FROM unnest(ARRAY['consented', 'admin_revoked', 'user_disconnected']) e;

-- A caller's own type of a known name is not used in our functions.
CREATE FUNCTION pg_temp.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'ran as %', current_user; END $$;
CREATE DOMAIN pg_temp.uuid AS pg_catalog.uuid CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.bytea AS pg_catalog.bytea CHECK (pg_temp.trap());
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (pg_temp.trap());
SELECT lives_ok(format($$ SELECT gov.disconnect(%L) $$, :'anna'), 'a caller''s type called bytea is not taken for ours');
SELECT * FROM finish();
ROLLBACK;
