-- Parking: leads that wait in PostgreSQL, and how they go on or end.
BEGIN;
\ir helpers.psql
SELECT plan(38);
SELECT t.connect('anna') AS anna, t.connect('rita') AS rita, t.connect('sue') AS sue, t.connect('quinn') AS quinn \gset
SELECT t.take('w', 0, 1);
SELECT t.tick('w', ARRAY[t.event(1, 'a1'), t.event(2, 'r1', 'rita'), t.event(3, 's1', 'sue'), t.event(4, 'q1', 'quinn'),
	t.event(5, 'n1', 'nobody'), t.event(6, 'a2'), t.event(7, 'a3'), t.event(8, 'r2', 'rita')]);
ALTER TABLE gov.connection DISABLE TRIGGER USER;
SELECT gov.transition(:'rita', 'reauthorization_needed', 'grant_dead', 'system');
UPDATE gov.connection SET state = 'suspended', reason = 'preflight_failed' WHERE connection_id = :'sue';
SELECT gov.transition(:'quinn', 'binding_failed', 'wrong_org', 'system');

SELECT * FROM t.tick('w', parks => ARRAY[t.park('a1'), t.park('r1'), t.park('s1'), t.park('q1'), t.park('n1'),
	t.park('a2', 'retry', 600000, 1, 1), t.park('a3', 'behind'), t.park('r2', p_unanswered => 1)]) \gset d_
SELECT is(:'d_parks'::int[], '{1,0,0,0,0,0,0,0}', 'parked, but for the one whose connection can be used');
SELECT is(:'d_park_connections'::uuid[], ARRAY[:'anna', :'rita', :'sue', :'quinn', NULL, :'anna', :'anna', :'rita']::uuid[],
	'with their connections');
SELECT results_eq('SELECT t.outcomes()', ARRAY['1 reauth-required @2 grant_dead written no parked',
	'2 reauth-required @5 not_connected written no parked', '3 reauth-required @8 grant_dead written unknown parked'],
	'where the user can repair it he is asked, and nobody else');
SELECT is((SELECT count(*) FROM ledger.parked), 7::bigint, 'seven wait');
SELECT t.is_conserved('parked');
SELECT row_eq($$ SELECT tried, attempts, unanswered, parkings, next_attempt_at > now() + interval '9 min' FROM ledger.parked
	WHERE key = t.k('a2') $$, ROW(true, 1, 1, 1, true), 'what was tried is kept');

-- parked again
SELECT is((t.tick('w', parks => ARRAY[t.park('r1', p_attempts => 2)])).parks::int[], '{0}', 'parked again');
SELECT is((SELECT count(DISTINCT outcome_id) FROM ledger.outcome WHERE key = t.k('r1')), 2::bigint,
	'tells it again, under another id');
SELECT is((SELECT parkings FROM ledger.parked WHERE key = t.k('r1')), 2, 'and counts it');
SELECT t.is_conserved('parked again');

-- ready
SELECT results_eq($$ SELECT what::int, event_id FROM ledger.parked_ready('{0,1}', '{}', 10) $$, $$ VALUES (1, 'a3') $$,
	'ready: only those whose connection can be used and whose time has come');
SELECT is_empty($$ SELECT * FROM ledger.parked_ready('{1}', '{}', 10) $$, 'of the partitions asked');
SELECT is_empty($$ SELECT * FROM ledger.parked_ready('{0}', t.ks('a3'), 10) $$, 'without those already in memory');
SELECT t.connect('nobody') AS nobody, t.connect('rita') \gset
SELECT results_eq($$ SELECT what::int, event_id, connection_id FROM ledger.parked_ready('{0}', t.ks('a3'), 10)
	ORDER BY kafka_offset $$, format($$ VALUES (1, 'r1', %L::uuid), (1, 'n1', %L), (1, 'r2', %L) $$, :'rita', :'nobody', :'rita'),
	'ready when their user connects, for the first time too');
SELECT is((SELECT count(*) FROM ledger.parked_ready('{0}', '{}', 2)), 2::bigint, 'no more than asked for');
SELECT row_eq($$ SELECT payload, event_key, source, attempts, unanswered, parkings FROM ledger.parked_ready('{0}', '{}', 10)
	WHERE event_id = 'r1' $$, ROW('sealed'::bytea, 'key'::bytea, 'shop.example/web'::text, 2, 0, 2), 'with all it takes to go on');
SELECT is((t.tick('w', parks => ARRAY[t.park('n1')])).parks::int[], '{1}', 'to be parked by a state that is over: go on');
SELECT t.is_conserved('ready');

-- a check of deadlines
SELECT gov.revoke(:'sue');
UPDATE ledger.parked SET deadline = now() - interval '1 s' WHERE key = t.k('a2');
UPDATE ledger.event SET deadline = now() - interval '1 s' WHERE key = t.k('a2');
SELECT results_eq($$ SELECT what::int, event_id FROM ledger.parked_ready('{0}', '{}', 10) WHERE what > 1 ORDER BY 1 $$,
	$$ VALUES (2, 'a2'), (3, 's1') $$, 'past their deadline, or their connection has ended');
SELECT is((t.tick('w', checks => t.ks('a2', 's1', 'q1', 'unknown', 'a1'))).checks::int[], '{0,0,1,2,2}',
	'checked: ended, ended, not yet, not parked, not parked');
SELECT set_eq($$ SELECT o FROM t.outcomes() o WHERE o ~ 'terminal' $$, ARRAY[
	'5 result expired @6 deadline_passed written unknown terminal', '6 revoked @3 admin_revoked written no terminal'],
	'with their outcomes');
SELECT is((t.tick('w', checks => t.ks('a2'))).checks::int[], '{2}', 'checked again: nothing');
SELECT t.is_conserved('checked');

-- parking what is over
SELECT gov.disconnect(:'rita');
SELECT is((t.tick('w', parks => ARRAY[t.park('r1'), t.park('r2', p_unanswered => 1)])).parks::int[], '{2,2}',
	'parked when the connection has ended: ended');
SELECT is((SELECT array_agg(o) FROM t.outcomes() o WHERE o ~ 'user_dis'), ARRAY[
	'7 revoked @2 user_disconnected written no terminal', '8 revoked @8 user_disconnected written unknown terminal'],
	'as lead.revoked, truthful about what may have been written');
SELECT t.tick('w', ARRAY[t.event(20, 'late', p_deadline => clock_timestamp() + interval '50 ms')]);
SELECT pg_sleep(0.06);
SELECT is((t.tick('w', parks => ARRAY[t.park('late', 'retry', 100)])).parks::int[], '{2}', 'parked past its deadline: ended');
SELECT is((SELECT o FROM t.outcomes() o WHERE o ~ '@20'), '9 result expired @20 deadline_passed written no terminal', 'as expired');
SELECT t.is_conserved('ended instead of parked');

-- settled while parked
SELECT is((t.tick('w', ended => ARRAY[t.ended('a3')])).last_outcome[1], 10::bigint, 'a parked lead is created');
SELECT is_empty($$ SELECT FROM ledger.parked WHERE key = t.k('a3') $$, 'its payload is gone');
SELECT t.is_conserved('created');

-- parking off
UPDATE gov.setting SET value = 'false' WHERE name = 'park.enabled';
SELECT t.tick('w', ARRAY[t.event(30, 'x1', 'xavier'), t.event(31, 'a4')]);
SELECT is((t.tick('w', parks => ARRAY[t.park('x1'), t.park('a4', 'retry', 100000, 1), t.park('q1')])).parks::int[], '{3,0,3}',
	'parking off: refused for a state, not for a retry');
SELECT is((SELECT array_agg(o) FROM t.outcomes() o WHERE o ~ '@(30|4) '), ARRAY[
	'11 reauth-required @30 not_connected written no terminal', '12 reauth-required @4 wrong_org written no terminal'],
	'which ends it');
SELECT is_empty($$ SELECT FROM ledger.parked WHERE key IN (t.k('x1'), t.k('q1')) $$, 'nothing of them waits');
SELECT t.is_conserved('parking off');
SELECT throws_ok($$ SELECT t.tick('w', parks => ARRAY[t.park('a1'), t.park('never seen')]) $$, 'P0004', NULL,
	'a lead the ledger does not know is refused');
SELECT results_eq($$ SELECT sequence FROM ledger.outcome WHERE partition = 0 ORDER BY 1 $$,
	$$ SELECT generate_series(1::bigint, 12) $$, 'the sequence has no gaps');
SELECT is((SELECT parked[1] FROM ledger.tick ORDER BY tick DESC LIMIT 1), (SELECT count(*) FROM ledger.parked), 'as many as wait');
SELECT * FROM finish();
ROLLBACK;
