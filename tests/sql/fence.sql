-- A tick is refused unless session, partitions and chain are those of its worker.
BEGIN;
\ir helpers.psql
SELECT plan(21);

SELECT t.take('a', 0, 1);
SELECT lives_ok($$ SELECT t.tick('a') $$, 'a first tick with nothing in it');
SELECT lives_ok($$ SELECT t.tick('a', ARRAY[t.event(1, 'a1', 'bob')]) $$, 'a tick with an event');
CREATE FUNCTION t.fails(p_change text, p_name text) RETURNS text LANGUAGE sql AS $$
	SELECT throws_ok(p_change, 'OB001', NULL, p_name) $$;

-- the chain
UPDATE t.worker SET hash = sha256('x');
SELECT t.fails($$ SELECT t.tick('a') $$, 'another hash than that of the tick before');
UPDATE t.worker SET hash = (SELECT hash FROM ledger.tick WHERE tick = 1), tick = 1;
SELECT t.fails($$ SELECT t.tick('a') $$, 'the same tick again');
UPDATE t.worker SET hash = (SELECT hash FROM ledger.tick WHERE tick = 2), tick = 3;
SELECT t.fails($$ SELECT t.tick('a') $$, 'a tick left out');
UPDATE t.worker SET hash = '\x', tick = 0;
SELECT t.fails($$ SELECT t.tick('a') $$, 'a second first tick');
UPDATE t.worker SET hash = (SELECT hash FROM ledger.tick WHERE tick = 2), tick = 2;
SELECT lives_ok($$ SELECT t.tick('a') $$, 'the next one');

-- the partitions
UPDATE t.worker SET epochs = '{1,2}';
SELECT t.fails($$ SELECT t.tick('a') $$, 'another epoch');
UPDATE t.worker SET epochs = '{1,1}', partitions = '{0,2}';
SELECT t.fails($$ SELECT t.tick('a') $$, 'a partition that was not taken');
UPDATE t.worker SET epochs = '{1}', partitions = '{0}';
SELECT t.fails($$ SELECT t.tick('a') $$, 'a partition of its own left out');
UPDATE t.worker SET epochs = '{1,1}', partitions = '{0,1}';
SELECT t.fails(format($$ SELECT ledger.tick(%L, 4, %L, NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}') $$, session, hash),
	'no progress at all') FROM t.worker;
SELECT t.fails(format($$ SELECT ledger.tick(gen_random_uuid(), 1, '\x',
	ARRAY[ROW(0, 1, true, -1, -1, 0, NULL)]::ledger.progress_in[], '{}', '{}', '{}', '{}', '{}', '{}', '{}') $$),
	'another session');
SELECT t.take('b', 2);
SELECT t.fails($$ SELECT t.tick('a', ARRAY[t.event(1, 'b1', 'bob', 2)]) $$, 'an event of a partition of another''s');
SELECT is_empty($$ SELECT FROM ledger.event WHERE partition = 2 $$, 'of which nothing stays');

-- taken by another
SELECT lives_ok($$ SELECT t.take('b', 1) $$, 'another session takes one of the partitions');
SELECT t.fails($$ SELECT t.tick('a') $$, 'the whole tick of the first one is refused');
SELECT lives_ok($$ SELECT t.tick('b') $$, 'the other one ticks');
SELECT is((SELECT succeeds FROM ledger.tick ORDER BY at DESC LIMIT 1),
	(SELECT ARRAY[hash] FROM t.worker WHERE name = 'a'), 'its first tick names the head it succeeds');

-- a proof while ticking: the epoch is new, the counters go on
SELECT ledger.prove(session, partitions, epochs) AS epochs FROM t.worker WHERE name = 'b' \gset
SELECT t.fails($$ SELECT t.tick('b') $$, 'after a proof the old epoch is refused');
UPDATE t.worker SET epochs = :'epochs' WHERE name = 'b';
SELECT t.tick('b', ARRAY[t.event(2, 'b2', 'bob', 2), t.event(3, 'b3', 'bob', 2, 2)]);
SELECT t.tick('b');
SELECT results_eq($$ SELECT consumed, terminal, last_outcome FROM ledger.tick ORDER BY at DESC LIMIT 1 $$,
	$$ VALUES ('{0,2}'::bigint[], '{0,1}'::bigint[], '{0,1}'::bigint[]) $$, 'with the new one the counters go on');
SELECT t.is_conserved('after takes and proofs');
SELECT * FROM finish();
ROLLBACK;
