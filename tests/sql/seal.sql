-- Settling, and the chain of ticks: recomputed here from the rows, and wrong as soon as one is forged.
BEGIN;
\ir helpers.psql
SELECT plan(27);
SELECT t.connect('anna') AS anna, t.connect('dave') AS dave \gset
SELECT t.take('w', 0, 1, 2), t.take('v', 3);

-- The hash of a tick's rows and of the tick, out of what is stored.
CREATE FUNCTION t.rows_hash(x ledger.tick) RETURNS bytea LANGUAGE sql STABLE AS $$
	SELECT sha256(
		coalesce((SELECT string_agg(ledger.digest(a), '' ORDER BY a.tick, a.n) FROM ledger.answer a
			WHERE a.session = x.session AND a.answered_in = x.tick), '')
		|| coalesce((SELECT string_agg(ledger.digest(d), '' ORDER BY d.partition, d.kafka_offset) FROM ledger.duplicate d
			WHERE d.session = x.session AND d.tick = x.tick), '')
		|| coalesce((SELECT string_agg(ledger.digest(e), '' ORDER BY e.key) FROM ledger.event e
			WHERE e.session = x.session AND e.tick = x.tick), '')
		|| coalesce((SELECT string_agg(ledger.digest(o), '' ORDER BY o.partition, o.sequence) FROM ledger.outcome o
			WHERE o.session = x.session AND o.tick = x.tick), '')
		|| coalesce((SELECT string_agg(ledger.digest(p), '' ORDER BY p.n) FROM ledger.permit p
			WHERE p.session = x.session AND p.tick = x.tick), '')) $$;
CREATE FUNCTION t.tick_hash(x ledger.tick) RETURNS bytea LANGUAGE sql STABLE AS $$
	SELECT sha256('onbehalf.tick.1'::bytea || uuid_send(x.session) || int8send(x.tick) || timestamptz_send(x.at)
		|| gov.lp(x.prev_hash) || array_send(x.succeeds) || x.rows_hash || int4send(x.rows_count) || array_send(x.partitions)
		|| array_send(x.epochs) || array_send(x.positions) || array_send(x.accepted) || array_send(x.last_outcome)
		|| array_send(x.confirmed) || array_send(x.consumed) || array_send(x.terminal) || array_send(x.duplicate)
		|| array_send(x.parked)) $$;
CREATE FUNCTION t.forged() RETURNS TABLE (worker text, tick bigint) LANGUAGE sql AS $$
	SELECT w.name, x.tick FROM ledger.tick x JOIN t.worker w USING (session)
	WHERE x.rows_hash <> t.rows_hash(x) OR x.hash <> t.tick_hash(x)
		OR x.prev_hash <> coalesce((SELECT y.hash FROM ledger.tick y WHERE y.session = x.session AND y.tick = x.tick - 1), '\x')
	$$;

-- something of everything
SELECT t.tick('w', ARRAY[t.event(1, 'a1'), t.event(2, 'a2'), t.event(3, 'a3'), t.event(1, 'b1', p_partition => 1),
	t.event(4, 'a1'), t.event(2, 'a1', p_partition => 1, p_content => 'x'), t.event(1, 'inv', p_partition => 2, p_verdict => 2),
	t.event(5, 'd1', 'dave')], ARRAY[t.call(:'anna', t.ks('a1', 'a2', 'a3', 'b1'), '{1,2,3,4}')]);
SELECT row_eq('SELECT rows_count, consumed, terminal, duplicate, parked, last_outcome FROM ledger.tick',
	ROW(10, '{5,2,1}'::bigint[], '{0,1,1}'::bigint[], '{1,0,0}'::bigint[], '{0,0,0}'::bigint[], '{0,1,1}'::bigint[]),
	'five rows a lead or record, two outcomes, a duplicate and a permit');
SELECT t.is_conserved('accepted');
SELECT t.tick('w', ended => ARRAY[t.ended('a1'), t.ended('a2', 3, 0)], answers => ARRAY[t.answer(1, t.ks('a3', 'b1'))],
	parks => ARRAY[t.park('b1', 'retry', 60000, 1)], calls => ARRAY[t.call(:'anna', t.ks('a3'))]);
SELECT results_eq('SELECT t.outcomes()', ARRAY['1 result created @1 written yes terminal',
	'2 result rejected @2 written no terminal'], 'settled: outcomes in the order of the answers');
SELECT row_eq($$ SELECT lead_id, org_id, attempts, permit_tick, permit_n, sent_at IS NOT NULL, event_key, event_id
	FROM ledger.outcome WHERE partition = 0 AND sequence = 1 $$, ROW('00Q000000000001'::text, '00D000000000001EAA'::text, 1,
	1::bigint, 1, true, 'key'::bytea, 'a1'::text), 'with all that its event is made of');
SELECT row_eq($$ SELECT tick, n, answered_in, open FROM ledger.answer $$, ROW(1::bigint, 1, 2::bigint, t.ks('a3', 'b1')),
	'an answer that left leads open is kept');
SELECT t.is_conserved('settled');
SELECT t.tick('v', ARRAY[t.event(1, 'v1', p_partition => 3), t.event(2, 'a1', p_partition => 3)]);
SELECT t.tick('w');
SELECT is((SELECT rows_count FROM ledger.tick WHERE tick = 3), 0, 'a tick without rows');
SELECT gov.disconnect(:'dave');
SELECT t.tick('w', calls => ARRAY[t.call(:'dave', t.ks('d1')), t.call(:'anna', t.ks('a3'))]);
SELECT throws_ok($$ SELECT t.tick('w', answers => ARRAY[t.answer(1, t.ks('a3'))]) $$, '23505', NULL,
	'a call is answered once');
SELECT t.is_conserved('several workers');
SELECT is_empty('SELECT * FROM t.forged()', 'every tick''s hashes fit its rows and the tick before');

-- forgeries
CREATE FUNCTION t.notices(p_forgery text, p_found text, p_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	BEGIN
		EXECUTE p_forgery;
		found := (SELECT string_agg(worker || tick, ',' ORDER BY worker, tick) FROM t.forged());
		RAISE division_by_zero;
	EXCEPTION WHEN division_by_zero THEN
		RETURN is(found, p_found, p_name);
	END;
END $$;
SELECT t.notices($$ UPDATE ledger.outcome SET lead_id = '00Q000000000002' WHERE lead_id IS NOT NULL AND sequence = 1 $$, 'w2',
	'another lead id');
SELECT t.notices($$ UPDATE ledger.outcome SET written = 0 WHERE partition = 0 AND sequence = 1 $$, 'w2', 'written: no');
SELECT t.notices($$ DELETE FROM ledger.outcome WHERE partition = 1 $$, 'w1', 'an outcome is gone');
SELECT t.notices($$ UPDATE ledger.permit SET at = at - interval '1 s' WHERE tick = 2 $$, 'w2', 'another time of a permit');
SELECT t.notices($$ UPDATE ledger.permit SET leads = leads[1:1] WHERE tick = 1 $$, 'w1', 'a lead less in a permit');
SELECT t.notices($$ UPDATE ledger.event SET digest = sha256('y') WHERE key = t.k('a2') $$, 'w1', 'another content');
SELECT t.notices($$ DELETE FROM ledger.duplicate WHERE partition = 3 $$, 'v1', 'a duplicate is gone');
SELECT t.notices($$ UPDATE ledger.answer SET open = '{}' $$, 'w2', 'another answer');
SELECT t.notices($$ INSERT INTO ledger.duplicate SELECT 0, 77, 1, t.k('a1'), session, 3 FROM t.worker WHERE name = 'w' $$, 'w3',
	'an invented duplicate');
SELECT t.notices($$ UPDATE ledger.tick SET at = at + interval '1 s' WHERE tick = 3 $$, 'w3', 'another time of a tick');
SELECT t.notices($$ UPDATE ledger.tick SET consumed = '{4,2,1}' WHERE tick = 3 $$, 'w3', 'another counter');
SELECT t.notices($$ DELETE FROM ledger.tick WHERE tick = 3 $$, 'w4', 'a tick is gone');
SELECT t.notices($$ UPDATE ledger.outcome SET event_id = NULL, source = NULL, event_key = NULL, detail = NULL $$, NULL,
	'what callers chose may be erased');
SELECT t.notices($$ UPDATE ledger.event SET event_id = NULL, user_id = NULL, event_key = NULL, organization_id = NULL,
	traceparent = NULL, source = NULL $$, NULL, 'of events too');

-- what auditors see
SELECT results_eq($$ SELECT event_id, outcome, status, written, lead_id, sf_user_id, host FROM audit.lead
	WHERE partition = 0 ORDER BY kafka_offset $$, $$ VALUES
	('a1', 'lead.result', 'created', 'yes', '00Q000000000001', '005000000000001AAA', 'acme.my.salesforce.com'),
	('a2', 'lead.result', 'rejected', 'no', '00Q000000000001', '005000000000001AAA', 'acme.my.salesforce.com'),
	('a3', 'in flight', NULL, NULL, NULL, NULL, NULL), ('d1', 'lead.revoked', NULL, 'no', NULL, NULL, NULL) $$,
	'one row an event: on whose behalf, where, what became of it');
SELECT results_eq('SELECT outcome FROM audit.lead WHERE partition = 1 AND kafka_offset = 1', ARRAY['parked'], 'or that it waits');
SELECT is_empty('SELECT * FROM audit.permit_after_fence', 'no permit after the fence');
SELECT * FROM finish();
ROLLBACK;
