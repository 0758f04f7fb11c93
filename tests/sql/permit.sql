-- Permits: no call without one, none without authority.
BEGIN;
\ir helpers.psql
CREATE EXTENSION dblink;
SELECT plan(40);
SELECT t.connect('anna') AS anna, t.connect('rita') AS rita, t.connect('dave') AS dave, t.connect('org', 'org_acme') AS org,
	gov.connect(:'shop', 'unbound') AS unbound \gset
SELECT t.take('w', 0);

-- the fence is busy (first: once this transaction holds it, no other session gets it alone)
SELECT dblink_connect('other', format('host=127.0.0.1 port=%s dbname=%s user=%s', current_setting('port'),
	current_database(), session_user));
SELECT dblink_exec('other', 'BEGIN');
SELECT * FROM dblink('other', 'SELECT pg_advisory_xact_lock(gov.fence_key())') x (v text);
SELECT row_eq(format($$ SELECT (d).calls::int[], (d).call_leads, (d).events::int[] FROM (SELECT t.tick('w',
	ARRAY[t.event(100, 'f1')], ARRAY[t.call(%1$L, t.ks('f1'), '{1}'), t.call(%1$L, t.ks('f1'))]) AS d) x $$, :'anna'),
	ROW('{1,1}'::int[], NULL::smallint[], '{0}'::int[]), 'a transition is under way: no permits now, all else goes on');
SELECT is((t.tick('w', signals => ARRAY[t.signal(:'anna', 'reauthorization_needed')])).signals::int[], '{1}',
	'nor a signal that takes authority away: later');
SELECT is((SELECT state FROM gov.connection WHERE connection_id = :'anna'), 'connected', 'nothing changed');
SELECT dblink_exec('other', 'ROLLBACK');

-- granted in the tick that accepts
SELECT * FROM t.tick('w', ARRAY[t.event(1, 'a1'), t.event(2, 'bad', p_verdict => 2), t.event(3, 'a2'), t.event(4, 'd1', 'dave'),
	t.event(5, 'n1', 'nobody')], ARRAY[t.call(:'anna', t.ks('a1', 'bad', 'a2', 'd1', 'n1'), '{1,2,3,4,5}')]) \gset d_
SELECT is(:'d_calls'::int[], '{0}', 'granted');
SELECT is(:'d_call_leads'::int[], '{0,1,0,1,1}', 'for those that go and are this connection''s');
SELECT row_eq($$ SELECT n, kind::int, connection_id, epoch, org_id, sf_user_id, host, leads FROM ledger.permit $$,
	ROW(1, 1, :'anna'::uuid, 1, '00D000000000001EAA'::text, '005000000000001AAA'::text, 'acme.my.salesforce.com'::text,
	t.ks('a1', 'a2')), 'the permit names connection, epoch, org, user, host and leads');

-- later calls; nothing left
SELECT is((t.tick('w', calls => ARRAY[t.call(:'anna', t.ks('a1'), p_kind => 2), t.call(:'dave', t.ks('d1'))])).calls::int[],
	'{0,0}', 'two calls');
SELECT is((SELECT array_agg(n ORDER BY n) FROM ledger.permit WHERE tick = 4), '{1,2}', 'are two permits, numbered in their order');
SELECT row_eq(format($$ SELECT (d).calls::int[], (d).call_leads::int[] FROM (SELECT t.tick('w', ARRAY[t.event(6, 'a1')],
	ARRAY[t.call(%L, t.ks('a1'), '{1}')]) AS d) x $$, :'anna'), ROW('{5}'::int[], '{1}'::int[]), 'a duplicate: no lead is left');

-- what the worker knows is old
SELECT is((t.tick('w', calls => ARRAY[t.call(:'anna', t.ks('a1'), p_epoch => 0)])).calls::int[], '{2}', 'an older epoch: stale');
CREATE FUNCTION t.call_with(c uuid, org text, usr text, host text) RETURNS ledger.call_in LANGUAGE sql AS $$
	SELECT ROW(1, c, 1, org, usr, host, t.ks('a1'), '{0}', '{NULL}', '{0}', '{0}')::ledger.call_in $$;
SELECT is((t.tick('w', calls => ARRAY[
	t.call_with(:'anna', '00D000000000002EAQ', '005000000000001AAA', 'acme.my.salesforce.com'),
	t.call_with(:'anna', '00D000000000001EAA', '005000000000002AAQ', 'acme.my.salesforce.com'),
	t.call_with(:'anna', '00D000000000001EAA', '005000000000001AAA', 'evil.my.salesforce.com'),
	t.call_with(:'anna', NULL, '005000000000001AAA', 'acme.my.salesforce.com'),
	t.call_with(:'unbound', NULL, NULL, NULL),
	t.call_with(:'unbound', '00D000000000001EAA', '005000000000001AAA', 'acme.my.salesforce.com'),
	t.call_with('00000000-0000-0000-0000-000000000000', '00D000000000001EAA', '005000000000001AAA', 'acme.my.salesforce.com')
	])).calls::int[], '{2,2,2,2,2,2,2}', 'another org, user or host, none, or no connection: no permit');
SELECT is((SELECT count(*) FROM ledger.permit WHERE tick > 4), 0::bigint, 'and no row');
SELECT is((t.tick('w', ARRAY[t.event(7, 'a3')], ARRAY[t.call(:'anna', t.ks('a3'), '{1}', p_epoch => 0)])).call_leads::int[],
	'{3}', 'its leads are left out, to be asked for again');

-- holds
CREATE FUNCTION t.held(p_level text, p_scope text, p_connection uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
	verdict integer;
BEGIN
	INSERT INTO gov.hold (level, scope, reason) VALUES (p_level, p_scope, 'test');
	verdict := (t.tick('w', calls => ARRAY[t.call(p_connection, t.ks('a1'))])).calls[1];
	UPDATE gov.hold SET released_at = now();
	RETURN verdict;
END $$;
SELECT is(t.held('everything', '', :'anna'), 6, 'everything is held');
SELECT is(t.held('integration', :'shop', :'anna'), 6, 'its integration is held');
SELECT is(t.held('organization', 'org_acme', :'org'), 6, 'its organization is held');
SELECT is(t.held('salesforce_org', '00D000000000001EAA', :'anna'), 6, 'its org is held');
SELECT is(t.held('organization', 'org_acme', :'anna'), 0, 'somebody else''s organization is held');
SELECT is(t.held('salesforce_org', '00D000000000002EAQ', :'anna'), 0, 'another org is held');
SELECT is(t.held('integration', gen_random_uuid()::text, :'anna'), 0, 'another integration is held');
SELECT is((t.tick('w', calls => ARRAY[t.call(:'anna', t.ks('a1'))])).calls::int[], '{0}', 'released: granted');

-- deadlines
SELECT t.tick('w', ARRAY[t.event(10, 'l1', p_deadline => now() + interval '1 h'), t.event(11, 'l2')]);
SELECT row_eq(format($$ SELECT (d).calls::int[], (d).call_leads::int[] FROM (SELECT t.tick('w', calls => ARRAY[
	t.call(%1$L, t.ks('l1'), p_deadline => now() - interval '1 s', p_unanswered => 1), t.call(%1$L, t.ks('l2'))]) AS d) x $$,
	:'anna'), ROW('{5,0}'::int[], '{2,0}'::int[]), 'a lead past its deadline ends, its call is empty');
SELECT results_eq('SELECT t.outcomes()', ARRAY['1 invalid @2 written no terminal',
	'2 result expired @10 deadline_passed written unknown terminal'], 'as expired, written unknown');
SELECT t.is_conserved('deadlines');

-- states
SELECT * FROM t.tick('w', signals => ARRAY[t.signal(:'rita', 'reauthorization_needed')],
	calls => ARRAY[t.call(:'rita', t.ks('f1')), t.call(:'anna', t.ks('f1'))]) \gset d_
SELECT is(:'d_signals'::int[], '{0}', 'a signal is brought');
SELECT is(:'d_calls'::int[], '{3,0}', 'no permit in the same tick for what it stopped, others are given');
SELECT row_eq($$ SELECT event, initiating_entity, session = (SELECT session FROM t.worker) FROM gov.connection_transition
	WHERE epoch = 2 $$, ROW('reauthorization_needed'::text, 'system'::text, true), 'it is in the history with its session');
SELECT dblink_exec('other', 'BEGIN');
SELECT is((SELECT v FROM dblink('other', 'SELECT pg_try_advisory_xact_lock_shared(gov.fence_key())') x (v boolean)), false,
	'this transaction holds the fence alone now');
SELECT dblink_exec('other', 'ROLLBACK');
SELECT is((t.tick('w', signals => ARRAY[t.signal(:'rita', 'binding_failed'), t.signal(:'rita', 'binding_failed'),
	t.signal(:'anna', 'bound', 'bound', '00D000000000009'), t.signal(:'dave', 'removed_at_source')])).signals::int[],
	'{0,0,0,0}', 'several, one of them repeated, one impossible');
SELECT results_eq($$ SELECT state, epoch FROM gov.connection WHERE user_id IN ('anna', 'dave', 'rita') ORDER BY user_id $$,
	$$ VALUES ('connected', 1), ('disconnected', 2), ('quarantined', 3) $$, 'each did what it could');
SELECT is((SELECT ended_by FROM gov.connection WHERE user_id = 'dave'), 'user', 'removed at the source: by the user');

-- ended
SELECT t.tick('w', ARRAY[t.event(20, 'a4'), t.event(21, 'a5'), t.event(22, 'p1', 'parker')]);
SELECT t.tick('w', parks => ARRAY[t.park('a4', 'retry', p_attempts => 1)]);
SELECT gov.disconnect(:'anna', 'user_disconnected');
SELECT * FROM t.tick('w', ARRAY[t.event(23, 'a6'), t.event(20, 'a4')], ARRAY[
	t.call(:'anna', t.ks('a4', 'a5', 'a6'), '{0,0,1}', p_unanswered => 1), t.call(:'dave', t.ks('d1'))]) \gset d_
SELECT is(:'d_calls'::int[], '{4,4}', 'the connection has ended');
SELECT is(:'d_call_leads'::int[], '{2,2,1,2}', 'and so have its leads, but for the one that ended by itself');
SELECT is((SELECT array_agg(o ORDER BY o) FROM t.outcomes() o WHERE o ~ ' revoked '), ARRAY[
	'3 revoked @23 user_disconnected written no terminal', '4 revoked @20 user_disconnected written unknown terminal',
	'5 revoked @21 user_disconnected written unknown terminal', '6 revoked @4 removed_at_source written no terminal'],
	'with an outcome each');
SELECT is_empty('SELECT FROM ledger.parked', 'the parked one waits no more');
SELECT t.is_conserved('ended');
SELECT is_empty('SELECT * FROM audit.permit_after_fence', 'no permit was given after the fence');
SELECT is((t.tick('w', calls => '{}')).calls, NULL, 'no calls, no answers');
SELECT is((SELECT array_agg(DISTINCT cardinality(leads)) FROM ledger.permit WHERE cardinality(leads) = 0), NULL,
	'no permit is for nothing');
SELECT t.is_conserved('at the end');
SELECT * FROM finish();
ROLLBACK;
