-- Records whose event is known: repeated by the producer, in conflict, or read again by us.
BEGIN;
\ir helpers.psql
SELECT plan(30);
SELECT t.connect('anna') AS anna \gset
SELECT t.take('w', 0, 1);
UPDATE gov.setting SET value = '30' WHERE name = 'dedupe_days';

-- within a batch
SELECT is((t.tick('w', ARRAY[t.event(1, 'a'), t.event(2, 'a'), t.event(3, 'a', p_content => 'other'), t.event(4, 'b'),
	t.event(5, 'a'), t.event(1, 'a', p_partition => 1)])).events::int[], '{0,3,4,0,3,3}', 'the first one goes, others are repeated');
SELECT results_eq('SELECT t.outcomes()', ARRAY['1 invalid @3 conflict written no terminal'], 'another content is a conflict');
SELECT is((SELECT detail FROM ledger.outcome), '$.id', 'told by its path');
SELECT set_eq('SELECT partition, kafka_offset FROM ledger.duplicate', 'VALUES (0, 2::bigint), (0, 5), (1, 1)',
	'duplicates have their rows');
SELECT t.is_conserved('repeated in a batch');

-- in later batches
SELECT is((t.tick('w', ARRAY[t.event(6, 'a'), t.event(7, 'a', p_content => 'third'), t.event(8, 'a', p_digest_key => 'k2',
	p_content => 'incomparable'), t.event(9, 'c'), t.event(9, 'a', p_verdict => 1, p_partition => 1)])).events::int[],
	'{3,4,3,0,3}', 'in a later batch the same; with another key contents cannot be compared');
SELECT is((SELECT count(DISTINCT outcome_id) FROM ledger.outcome), 2::bigint, 'each conflict has an id of its own');
SELECT t.is_conserved('repeated in a later batch');

-- read again by us, as after a crash
SELECT is((t.tick('w', ARRAY[t.event(2, 'a'), t.event(3, 'a', p_content => 'other'), t.event(4, 'b')])).events::int[],
	'{3,7,9}', 'read again: still a duplicate, a conflict not yet seen by the confirmer, and a lead that is open');
UPDATE t.worker SET confirmed = 1;
SELECT is((t.tick('w', ARRAY[t.event(3, 'a', p_content => 'other'), t.event(7, 'a', p_content => 'third')])).events::int[],
	'{6,7}', 'a confirmed lead.invalid needs its bytes no longer');
SELECT t.tick('w', ended => ARRAY[t.ended('a')]);
SELECT is((t.tick('w', ARRAY[t.event(1, 'a')])).events::int[], '{6}', 'a lead that ended');
SELECT is((t.tick('w', ARRAY[t.event(10, 'a')])).events::int[], '{3}', 'repeated after its end: a duplicate');
SELECT t.tick('w', parks => ARRAY[t.park('c', 'retry', p_attempts => 1)]);
SELECT is((t.tick('w', ARRAY[t.event(9, 'c')])).events::int[], '{8}', 'a lead that is parked');
SELECT is((t.tick('w', ARRAY[t.event(11, 'bob', 'bob')])).events::int[], '{1}', 'without a connection: park');
SELECT is((t.tick('w', ARRAY[t.event(11, 'bob', 'bob')])).events::int[], '{1}', 'read again before it was parked: park');
SELECT t.tick('w', ARRAY[t.event(12, 'bytes', p_verdict => 2, p_reason => 'not_json')]);
SELECT is((t.tick('w', ARRAY[t.event(12, 'bytes', p_verdict => 2)])).events::int[], '{7}', 'an invalid one');
SELECT t.is_conserved('read again');

-- what was tried
SELECT t.tick('w', calls => ARRAY[t.call(:'anna', t.ks('b')), t.call(:'anna', t.ks('b'), p_kind => 2),
	t.call(:'anna', t.ks('b')), t.call(:'anna', t.ks('b')), t.call(:'anna', t.ks('b'))]);
SELECT tick AS tried FROM t.worker \gset
SELECT t.tick('w', answers => ARRAY[t.answer(:tried, t.ks('b')), t.answer(:tried, t.ks('b'), 2, 3), t.answer(:tried, t.ks('b'), 3, 4)]);
SELECT row_eq($$ SELECT (d).events::int[], (d).event_attempts, (d).event_unanswered
	FROM (SELECT t.tick('w', ARRAY[t.event(40, 'new'), t.event(4, 'b'), t.event(41, 'new too')]) AS d) x $$,
	ROW('{0,9,0}'::int[], '{0,4,0}'::int[], '{0,2,0}'::int[]),
	'attempts were sent; unanswered are those without an answer or with an unknown one, not lookups');
SELECT row_eq(format($$ SELECT (d).calls::int[], (d).call_leads::int[] FROM (SELECT t.tick('w', ARRAY[t.event(4, 'b'),
	t.event(42, 'newer'), t.event(40, 'new')], ARRAY[t.call(%L, t.ks('b', 'newer', 'new'), '{1,2,3}')]) AS d) x $$, :'anna'),
	ROW('{0}'::int[], '{1,0,0}'::int[]), 'a lead with an unanswered permit is not sent before it is looked up');

-- older periods
SELECT ledger.period_of(now()) AS period \gset
SELECT format('CREATE TABLE ledger.event_%s PARTITION OF ledger.event FOR VALUES FROM (%s) TO (%s)', p, p, p + 1)
	FROM generate_series(:period - 6, :period - 1) p \gexec
CREATE FUNCTION t.age(p_id text, p_periods integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO ledger.event SELECT ledger.period_of(now()) - p_periods, t.k(p_id), 0, 1000 + p_periods, 1, 0,
		sha256('content'), 'k1', i.integration_id, NULL, now() + interval '1 day', now(), gen_random_uuid(), 1, 'key',
		'shop.example/web', p_id, 'anna', NULL, NULL FROM gov.integration i $$;
SELECT t.age('old1', 1), t.age('old4', 4), t.age('old6', 6);
SELECT is((t.tick('w', ARRAY[t.event(50, 'old1'), t.event(51, 'old4'), t.event(52, 'old4', p_content => 'x')])).events::int[],
	'{3,3,4}', 'events of the periods that are looked through are known');
SELECT is((t.tick('w', ARRAY[t.event(53, 'old6')])).events::int[], '{0}', 'one before them is not');
SELECT is((t.tick('w', ARRAY[t.event(54, 'old6')])).events::int[], '{3}', 'but it is from then on');
SELECT is((t.tick('w', ARRAY[t.event(53, 'old6')])).events::int[], '{9}', 'read again it is open');
UPDATE gov.setting SET value = '60' WHERE name = 'dedupe_days';
SELECT is((t.tick('w', ARRAY[t.event(53, 'old6')])).events::int[], '{9}', 'also when both its rows are looked through');
SELECT is((t.tick('w', parks => ARRAY[t.park('old6', 'retry')])).parks::int[], '{0}', 'its newest row is the one that is parked');
SELECT results_eq($$ SELECT kafka_offset FROM ledger.parked WHERE key = t.k('old6') $$, ARRAY[53::bigint], 'once');
SELECT results_eq($$ SELECT kafka_offset, event_id FROM ledger.parked_ready('{0}', t.ks('c'), 10) $$,
	$$ VALUES (53::bigint, 'old6') $$, 'and is ready once');
SELECT gov.disconnect(:'anna');
SELECT is((t.tick('w', checks => t.ks('old6'))).checks::int[], '{0}', 'and ends');
SELECT is((SELECT array_agg(kafka_offset) FROM ledger.outcome WHERE key = t.k('old6')), '{53}', 'with one outcome');
DELETE FROM ledger.event WHERE session NOT IN (SELECT session FROM ledger.session);
SELECT t.is_conserved('older periods');
SELECT * FROM finish();
ROLLBACK;
