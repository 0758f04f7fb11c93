-- Two workers and a revocation at once.  The sessions here are others than the script's, and commit: the database they
-- leave behind is the script's own copy.
CREATE EXTENSION dblink;
SET client_min_messages = warning;
CREATE SCHEMA r;
SET search_path = r, public;
-- A session and its tick, in terms that another database session can send.
CREATE TABLE r.worker (name text PRIMARY KEY, session uuid DEFAULT gen_random_uuid(), tick bigint DEFAULT 0, partition integer);
INSERT INTO r.worker VALUES ('a', DEFAULT, DEFAULT, 0), ('b', DEFAULT, DEFAULT, 1);
CREATE FUNCTION r.tick(p_name text, p_ids text[], p_offset bigint, p_calls ledger.call_in[] DEFAULT '{}',
	p_signals ledger.signal_in[] DEFAULT '{}', OUT events text, OUT calls text, OUT signals text) LANGUAGE plpgsql AS $$
DECLARE
	w r.worker;
BEGIN
	UPDATE r.worker SET tick = tick + 1 WHERE name = p_name RETURNING * INTO w;
	SELECT d.events::text, d.calls::text, d.signals::text INTO events, calls, signals FROM ledger.tick(w.session, w.tick,
		coalesce((SELECT t.hash FROM ledger.tick t WHERE t.session = w.session ORDER BY t.tick DESC LIMIT 1), '\x'),
		ARRAY[ROW(w.partition, 1, w.tick = 1, -1, -1, 0, NULL)]::ledger.progress_in[], p_signals, '{}', '{}', '{}', '{}',
		(SELECT coalesce(array_agg(ROW(w.partition, p_offset + n, md5(id)::uuid, 0, sha256('x'), 'k1', NULL, NULL, NULL, 'k',
			'shop.example/web', id, 'anna', NULL, NULL, NULL, now())::ledger.event_in ORDER BY n), '{}')
			FROM unnest(p_ids) WITH ORDINALITY u (id, n)), p_calls) d;
END $$;
CREATE FUNCTION r.call() RETURNS ledger.call_in[] LANGUAGE sql AS $$ SELECT ARRAY[ROW(1, connection_id, epoch, org_id, sf_user_id,
	host, ARRAY[gen_random_uuid()], '{0}', '{NULL}', '{0}', '{0}')]::ledger.call_in[] FROM gov.connection $$;
SELECT gov.connect(gov.register_integration('shop', 'shop.example/web', 'main'), 'anna', org_id => '00D000000000001',
	sf_user_id => '005000000000001', host => 'acme.my.salesforce.com') AS anna \gset
SELECT ledger.begin_session(session, 'g', 'tid-' || name, 'b', 'h', 'k1', '\x00', now()) FROM r.worker;
SELECT ledger.take(session, ARRAY[partition]) FROM r.worker;
-- Other database sessions: run a statement there, or send it and see whether it waits.
CREATE FUNCTION r.run(p_name text, p_statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF NOT p_name = ANY (coalesce(dblink_get_connections(), '{}')) THEN
		PERFORM dblink_connect(p_name, format('host=127.0.0.1 port=%s dbname=%s user=%s application_name=%s options=%L',
			current_setting('port'), current_database(), session_user, p_name, '-c statement_timeout=10s -c search_path=r,public'));
	END IF;
	IF p_statement ~ '^ *SELECT' THEN
		RETURN (SELECT v FROM dblink(p_name, format('SELECT (%s)::text', p_statement)) x (v text));
	END IF;
	RETURN dblink_exec(p_name, p_statement);
END $$;
CREATE FUNCTION r.send(p_name text, p_statement text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM r.run(p_name, 'SELECT 1');
	PERFORM dblink_send_query(p_name, format('SELECT (%s)::text', p_statement));
END $$;
CREATE FUNCTION r.waits(p_name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..100 LOOP
		PERFORM pg_stat_clear_snapshot();
		IF EXISTS (SELECT FROM pg_stat_activity WHERE application_name = p_name AND wait_event_type = 'Lock') THEN
			RETURN true;
		END IF;
		EXIT WHEN i > 3 AND dblink_is_busy(p_name) = 0;
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN false;
END $$;
CREATE FUNCTION r.got(p_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v text := (SELECT x.v FROM dblink_get_result(p_name) x (v text));
BEGIN
	PERFORM * FROM dblink_get_result(p_name) x (v text); -- the end of it
	RETURN v;
END $$;

SELECT plan(20);

-- one event on two partitions, at the same time
SELECT r.run('a', 'BEGIN');
SELECT is(r.run('a', $$ SELECT events FROM r.tick('a', '{e1,e2}', 0) $$), '{0,0}', 'the first worker has both events');
SELECT r.send('b', $$ SELECT events FROM r.tick('b', '{e3,e2,e1}', 0) $$);
SELECT ok(r.waits('b'), 'the second one waits for it');
SELECT r.run('a', 'COMMIT');
SELECT is(r.got('b'), '{0,3,3}', 'and finds them to be duplicates');
SELECT r.run('a', 'BEGIN');
SELECT r.run('a', $$ SELECT events FROM r.tick('a', '{e4}', 10) $$);
SELECT r.send('b', $$ SELECT events FROM r.tick('b', '{e4}', 10) $$);
SELECT ok(r.waits('b'), 'again it waits');
SELECT r.run('a', 'ROLLBACK');
SELECT is(r.got('b'), '{0}', 'and has the event when the first one failed');

-- many events in opposite orders: no deadlock, each accepted once
SELECT r.send('a', $$ SELECT events FROM r.tick('a', ARRAY(SELECT 'n' || n FROM generate_series(1, 3000) n), 1000) $$);
SELECT r.send('b', $$ SELECT events FROM r.tick('b', ARRAY(SELECT 'n' || n FROM generate_series(3000, 1, -1) n), 1000) $$);
SELECT is((SELECT array_agg(x ORDER BY x) FROM unnest(r.got('a')::integer[] || r.got('b')::integer[]) x),
	array_fill(0, ARRAY[3000]) || array_fill(3, ARRAY[3000]), 'two ticks with the same events in opposite orders');

-- a revocation waits for the permits under way, and none is given while it waits
SELECT r.run('a', 'BEGIN');
SELECT is(r.run('a', $$ SELECT calls FROM r.tick('a', '{}', 0, r.call()) $$), '{0}', 'a permit is given');
SELECT r.send('revoke', format($$ SELECT gov.revoke(%L) $$, :'anna'));
SELECT ok(r.waits('revoke'), 'a revocation waits for its commit');
SELECT is(r.run('b', $$ SELECT calls FROM r.tick('b', '{}', 0, r.call()) $$), '{1}', 'meanwhile there is no permit for others');
SELECT r.run('a', 'COMMIT');
SELECT is(r.got('revoke'), '(revoked,2,t)', 'then it happens');
SELECT is(r.run('b', $$ SELECT calls FROM r.tick('b', '{}', 0, r.call()) $$), '{4}', 'and no permit is given any more');
SELECT is_empty('SELECT * FROM audit.permit_after_fence', 'as the auditor sees');
SELECT ok(max(p.at) < max(t.at), 'the permit is older than the revocation') FROM ledger.permit p, gov.connection_transition t;

-- a tick does not wait for a transition that is under way
SELECT gov.connect((SELECT integration_id FROM gov.integration), 'bea', org_id => '00D000000000001',
	sf_user_id => '005000000000001', host => 'acme.my.salesforce.com') AS bea \gset
SELECT r.run('revoke', 'BEGIN');
SELECT r.run('revoke', format($$ SELECT gov.disconnect(%L) $$, :'bea'));
SELECT is(r.run('b', $$ SELECT array[events, calls] FROM r.tick('b', '{f1}', 5000, r.call()) $$), '{"{2}","{1}"}',
	'events are accepted, permits are given later');
SELECT is(r.run('b', format($$ SELECT signals FROM r.tick('b', '{}', 0, '{}', ARRAY[ROW(%L, 1, 'removed_at_source',
	'removed_at_source', NULL, NULL, NULL, NULL)]::ledger.signal_in[]) $$, :'bea')), '{1}', 'signals later too');
SELECT r.run('revoke', 'ROLLBACK');

-- a take waits for the tick under way and sees its progress
SELECT r.run('a', 'BEGIN');
SELECT r.run('a', $$ SELECT events FROM r.tick('a', '{t1}', 9000) $$);
SELECT consumed AS before FROM audit.conservation WHERE partition = 0 \gset
SELECT r.send('b', $$ SELECT (SELECT consumed FROM ledger.take((SELECT session FROM r.worker WHERE name = 'b'), '{0}')) $$);
SELECT ok(r.waits('b'), 'a take waits for the tick under way');
SELECT r.run('a', 'COMMIT');
SELECT is(r.got('b')::bigint, (:before + 1)::bigint, 'and has its progress');
SELECT throws_ok($$ SELECT r.run('a', $q$ SELECT events FROM r.tick('a', '{t2}', 9001) $q$) $$, 'OB001', NULL,
	'the owner before cannot tick any more');

-- new periods are made while ticks are under way
SELECT r.run('b', 'BEGIN');
UPDATE r.worker SET session = gen_random_uuid(), tick = 0, partition = 5;
SELECT ledger.begin_session(session, 'g', 'tid-3', 'b', 'h', 'k1', '\x00', now()) FROM r.worker WHERE name = 'b';
SELECT ledger.take(session, '{5}') FROM r.worker WHERE name = 'b';
SELECT r.run('b', $$ SELECT events FROM r.tick('b', '{p1}', 1) $$);
UPDATE gov.setting SET value = '8' WHERE name = 'period_days';
SELECT is(r.run('a', 'SELECT ledger.maintain()'), '12', 'periods are made without waiting for a tick');
SELECT r.run('b', 'COMMIT');
SELECT set_eq('SELECT partition, in_flight FROM audit.conservation WHERE in_flight < 0', 'SELECT 0, 0::bigint LIMIT 0',
	'nothing is counted twice');
SELECT * FROM finish();
