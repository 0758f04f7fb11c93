-- With five filled periods no statement of the tick reads one of the large tables from end to end, nor does
-- what workers ask besides.
BEGIN;
\ir helpers.psql
SELECT plan(4);
SELECT t.connect('anna') AS anna \gset
SELECT count(t.connect('u' || n)) FROM generate_series(1, 200) n;
SELECT ledger.period_of(now()) AS period \gset
SELECT format('CREATE TABLE ledger.%I PARTITION OF ledger.%I FOR VALUES FROM (%s) TO (%s)', x || '_' || p, x, p, p + 1)
	FROM generate_series(:period - 4, :period - 1) p, unnest(ARRAY['event', 'outcome', 'permit', 'tick']) x \gexec
\set rows 20000
INSERT INTO ledger.event SELECT p, gen_random_uuid(), 9, p * :rows::bigint + n, 1, 0, '\x00', 'k1', :'shop', NULL, now(), now(),
	'00000000-0000-0000-0000-000000000000', 1, NULL, 's', 'e', 'u', NULL, NULL
	FROM generate_series(:period - 4, :period) p, generate_series(1, :rows) n;
INSERT INTO ledger.outcome (period, partition, sequence, type, status, written, terminal, outcome_id, key, kafka_offset,
	incarnation, parked, attempts, recorded_at, session, tick)
	SELECT period, partition, kafka_offset, 1, 1, 1, true, key, key, kafka_offset, 1, false, 1, now(), session, tick FROM ledger.event;
INSERT INTO ledger.permit SELECT p, gen_random_uuid(), n, 1, 1, gen_random_uuid(), 1, '', '', '', '{}', now()
	FROM generate_series(:period - 4, :period) p, generate_series(1, :rows) n;
INSERT INTO ledger.tick SELECT p, '00000000-0000-0000-0000-000000000000', n, now(), '', '{}', '', 0, '', '{}', '{}', '{}', '{}',
	'{}', '{}', '{}', '{}', '{}', '{}', '{}' FROM generate_series(:period - 4, :period) p, generate_series(1, :rows) n
	ON CONFLICT DO NOTHING;
ANALYZE ledger.event, ledger.outcome, ledger.permit, ledger.tick;
SELECT t.take('w', 0);

-- Sequential scans of the tables that were filled.
CREATE TABLE t.before AS SELECT c.oid, pg_stat_get_xact_numscans(c.oid) AS n FROM pg_class c
	WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND c.reltuples > 1000;
CREATE FUNCTION t.no_scans(p_name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text := is_empty('SELECT b.oid::regclass FROM t.before b WHERE pg_stat_get_xact_numscans(b.oid) > b.n', p_name);
BEGIN
	UPDATE t.before SET n = pg_stat_get_xact_numscans(oid);
	RETURN r;
END $$;
CREATE FUNCTION t.load(p_first integer, p_count integer) RETURNS ledger.event_in[] LANGUAGE sql AS $$
	SELECT array_agg(t.event(n, 'e' || n, 'u' || 1 + n % 200)) FROM generate_series(p_first, p_first + p_count - 1) n $$;
CREATE FUNCTION t.calls(p_first integer, p_count integer) RETURNS ledger.call_in[] LANGUAGE sql AS $$
	SELECT array_agg(t.call(t.c('u' || 1 + k), x.keys)) FROM (SELECT n % 200 AS k, array_agg(t.k('e' || n)) AS keys
		FROM generate_series(p_first, p_first + p_count - 1) n GROUP BY 1) x $$;
CREATE FUNCTION t.go(p_first integer, p_count integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM t.tick('w', t.load(p_first, p_count), t.calls(p_first, p_count));
	PERFORM t.tick('w', t.load(p_first, p_count), ended => (SELECT array_agg(t.ended('e' || n))
			FROM generate_series(p_first, p_first + p_count - 3) n),
		answers => ARRAY[t.answer((SELECT tick FROM t.worker), t.ks('e' || p_first + p_count - 1))],
		parks => ARRAY[t.park('e' || p_first + p_count - 1, 'retry')], checks => t.ks('e' || p_first + p_count - 2));
END $$;
SET LOCAL plan_cache_mode = force_custom_plan;
SELECT t.go(1, 100);
SELECT t.no_scans('custom plans');
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT t.go(1001, 1);
SELECT t.go(2001, 300);
SELECT t.no_scans('generic plans');
SELECT count(*) FROM ledger.outcomes('{0,9}', '{0,0}', 100);
SELECT t.no_scans('outcomes()');
SELECT t.take('v', 0);
SELECT t.no_scans('take()');
SELECT * FROM finish();
ROLLBACK;
