-- Taking, proving, releasing; reading outcomes to publish.
BEGIN;
\ir helpers.psql
SELECT plan(31);

CREATE FUNCTION t.unfenced(p_partition integer DEFAULT 0) RETURNS text LANGUAGE sql AS $$
	SELECT array_to_string(unfenced, ',') FROM ledger.partition WHERE partition = p_partition $$;
SELECT results_eq($$ SELECT partition, incarnation, epoch, unfenced, position, accepted, last_outcome, confirmed, consumed
	FROM t.take('a', 1, 0) $$, $$ VALUES (0, 1, 1::bigint, '{}'::text[], -1::bigint, -1::bigint, 0::bigint, 0::bigint, 0::bigint),
	(1, 1, 1, '{}', -1, -1, 0, 0, 0) $$, 'new partitions start with nothing');
SELECT is((SELECT backend_pid FROM ledger.session), pg_backend_pid(), 'the session knows its backend');

-- progress goes along
SELECT t.tick('a', ARRAY[t.event(1, 'a'), t.event(2, 'a'), t.event(3, 'b', 'x', p_verdict => 2), t.event(9, 'p1', p_partition => 1)]);
SELECT t.tick('a');
SELECT results_eq($$ SELECT partition, epoch, unfenced, last_outcome, consumed, terminal, duplicate, parked, head
	FROM t.take('b', 0) $$, format($$ VALUES (0, 2::bigint, '{tid-a}'::text[], 1::bigint, 3::bigint, 1::bigint, 1::bigint,
	0::bigint, %L::bytea) $$, hash), 'a take copies the progress out of the owner''s last tick') FROM t.worker WHERE name = 'a';
SELECT is((SELECT owner FROM ledger.partition WHERE partition = 1), (SELECT session FROM t.worker WHERE name = 'a'),
	'only of what was taken');
SELECT is((SELECT consumed FROM t.take('c', 0)), 3::bigint, 'the progress stays when the next owner never ticked');
SELECT is(t.unfenced(), 'tid-a,tid-b', 'those who may still be writing are listed');
SELECT is((SELECT array_to_string(unfenced, ',') FROM t.take('c', 0)), 'tid-a,tid-b', 'taken again by its owner: the same list');
SELECT t.tick('c', ARRAY[t.event(4, 'c')]);
SELECT is((SELECT succeeds FROM ledger.tick WHERE session = (SELECT session FROM t.worker WHERE name = 'c')),
	(SELECT ARRAY[hash] FROM t.worker WHERE name = 'a'), 'the first tick names the head it succeeds');
SELECT is((SELECT array_to_string(unfenced, ',') FROM t.take('d', 0)), 'tid-c',
	'after a tick of an owner that fenced them all the list starts anew');
SELECT is((SELECT consumed FROM ledger.partition WHERE partition = 0), 4::bigint, 'with its progress');
SELECT t.is_conserved('taken over');

-- proofs
SELECT t.take('d', 1);
SELECT session AS d FROM t.worker WHERE name = 'd' \gset
SELECT is(ledger.prove(:'d', '{1,0}', '{2,4}'), NULL, 'no proof with an old epoch');
SELECT results_eq('SELECT epoch FROM ledger.partition ORDER BY partition', 'VALUES (5::bigint), (2)', 'all or nothing');
SELECT is(ledger.prove(:'d', '{1,0}', '{2,5}'), '{3,6}'::bigint[], 'a proof gives new epochs, in the order asked');
SELECT is(ledger.prove(:'d', '{1,0}', '{2,5}'), NULL, 'the old ones prove nothing more');
SELECT is(ledger.prove(gen_random_uuid(), '{0}', '{6}'), NULL, 'nor does another session');
SELECT is(ledger.prove(:'d', '{5}', '{1}'), NULL, 'nor a partition that is not there');
SELECT is(t.unfenced(), 'tid-c', 'a proof alone fences nobody');
UPDATE t.worker SET partitions = '{0,1}', epochs = '{6,3}', joined = '{}' WHERE name = 'd';
SELECT t.tick('d', ARRAY[t.event(5, 'd')]);
SELECT is(ledger.prove(:'d', '{0,1}', '{6,3}'), '{7,4}'::bigint[], 'a proof after a tick');
SELECT is((SELECT consumed FROM ledger.partition WHERE partition = 0), 5::bigint, 'copies the progress');
SELECT is(t.unfenced(), '', 'and knows that all were fenced');
SELECT t.is_conserved('proven');

-- releases
SELECT is(ledger.release(:'d', '{0,7}'), 1, 'released: what is its own');
SELECT is(ledger.release(:'d', '{0}'), 0, 'once');
SELECT is((SELECT array_to_string(unfenced, ',') FROM t.take('e', 0)), '', 'what was released leaves nobody to fence');
SELECT is((SELECT consumed FROM ledger.partition WHERE partition = 0), 5::bigint, 'the progress is there');
SELECT is((SELECT array_to_string(unfenced, ',') FROM t.take('f', 1)), 'tid-d', 'what was not does');

-- outcomes
SELECT t.tick('e', (SELECT array_agg(t.event(n, 'i' || n, p_verdict => 2)) FROM generate_series(11, 20) n));
SELECT t.tick('f', (SELECT array_agg(t.event(n, 'j' || n, p_verdict => 2, p_partition => 1)) FROM generate_series(11, 13) n));
SELECT results_eq($$ SELECT partition, sequence FROM ledger.outcomes('{0,1}', '{0,0}', 100) ORDER BY 1, 2 $$,
	$$ SELECT 0, n FROM generate_series(1::bigint, 11) n UNION ALL SELECT 1, generate_series(1::bigint, 3) $$, 'outcomes');
SELECT results_eq($$ SELECT partition, sequence FROM ledger.outcomes('{1,0}', '{1,4}', 5) $$,
	$$ VALUES (0, 5::bigint), (1, 2), (0, 6), (1, 3), (0, 7) $$, 'after those given, by sequence and in turns, no more than asked for');
SELECT is_empty($$ SELECT * FROM ledger.outcomes('{0,1,2}', '{11,3,0}', 3) $$, 'none are left');
SELECT is_empty($$ SELECT FROM ledger.outcomes('{0,1}', '{0,0}', 100) o JOIN ledger.tick t USING (session, tick)
	WHERE o.tick_hash <> t.hash OR o.tick_hash IS NULL $$, 'each with the hash of its tick');
SELECT * FROM finish();
ROLLBACK;
