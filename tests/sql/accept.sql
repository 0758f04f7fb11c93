-- New records: what a tick makes of each.
BEGIN;
\ir helpers.psql
SELECT plan(22);
SELECT t.connect('anna') AS anna \gset
SELECT t.connect('rita') AS rita, t.connect('dave') AS dave, t.connect('rose') AS rose, t.connect('quinn') AS quinn,
	t.connect('anna', 'org_acme') AS acme \gset
SELECT gov.transition(:'rita', 'reauthorization_needed', 'grant_dead', 'system');
SELECT gov.transition(:'quinn', 'binding_failed', 'wrong_org', 'system');
SELECT gov.disconnect(:'dave'), gov.revoke(:'rose');
SELECT t.take('w', 0, 1);

SELECT * FROM t.tick('w', ARRAY[
	t.event(1, 'go'),
	t.event(2, 'none', 'nobody'),
	t.event(3, 'reauth', 'rita'),
	t.event(4, 'quarantined', 'quinn'),
	t.event(5, 'disconnected', 'dave'),
	t.event(6, 'revoked', 'rose'),
	t.event(7, 'source', p_source => 'who'),
	t.event(8, 'decoder', p_verdict => 1, p_reason => 'field_name'),
	t.event(9, 'invalid', p_verdict => 2, p_reason => 'not_json'),
	t.event(10, 'late', p_deadline => now() - interval '1 s'),
	t.event(11, 'soon', p_deadline => now() + interval '1 h'),
	t.event(12, 'org', p_organization => 'org_acme'),
	t.event(13, 'other org', p_organization => 'org_other'),
	t.event(1, 'p1', p_partition => 1),
	t.event(14, 'late and ended', 'dave', p_deadline => now() - interval '1 s')]) \gset d_
SELECT is(:'d_events'::int[], '{0,1,1,1,2,2,2,2,5,2,0,0,1,0,2}', 'a verdict for each, in their order');
SELECT is(:'d_event_connections'::uuid[], ARRAY[:'anna', NULL, :'rita', :'quinn', :'dave', :'rose', NULL, :'anna', NULL,
	:'anna', :'anna', :'acme', NULL, :'anna', :'dave']::uuid[], 'and the connection of exactly that subject');
SELECT is(:'d_event_attempts'::int[] || :'d_event_unanswered'::int[], array_fill(0, ARRAY[30]), 'nothing was tried yet');
SELECT is(:'d_last_outcome'::int[], '{7,0}', 'the last sequence of each partition');
SELECT results_eq('SELECT t.outcomes()', ARRAY[
	'1 revoked @5 user_disconnected written no terminal',
	'2 revoked @6 admin_revoked written no terminal',
	'3 result rejected @7 unknown_source written no terminal',
	'4 result rejected @8 field_name written no terminal',
	'5 invalid @9 not_json written no terminal',
	'6 result expired @10 deadline_passed written no terminal',
	'7 revoked @14 user_disconnected written no terminal'], 'those that end here have their outcomes, in their order');
SELECT row_eq($$ SELECT connection_state, ended_by, ended_at IS NOT NULL FROM ledger.outcome WHERE sequence = 2 $$,
	ROW('revoked'::text, 'admin'::text, true), 'lead.revoked tells the state, by whom and when');
SELECT row_eq($$ SELECT fields, detail, connection_id FROM ledger.outcome WHERE sequence = 3 $$,
	ROW(NULL::text, NULL::text, NULL::uuid), 'an unknown source tells nothing of a lead');
SELECT is((SELECT detail FROM ledger.outcome WHERE sequence = 4), '$.x', 'the decoder''s path is kept');
SELECT is((SELECT count(*) FROM ledger.event WHERE tick = 1), 15::bigint, 'each record has its row');
SELECT is((SELECT deadline::text FROM ledger.event WHERE key = t.k('soon')), (now() + interval '1 h')::text,
	'an event''s own deadline is kept');
SELECT ok((SELECT deadline > now() + interval '6 days 23 h' FROM ledger.event WHERE key = t.k('go')), 'else the policy''s');
SELECT t.is_conserved('the first tick');

-- behind others
SELECT * FROM t.tick('w', parks => ARRAY[t.park('go', 'share'), t.park('none')], events => ARRAY[t.event(20, 'while parking')])
	\gset d_
SELECT is(:'d_events'::int[], '{10}', 'a lead goes behind those of its connection that are parked in the same tick');
SELECT is((t.tick('w', ARRAY[t.event(21, 'p1 too', p_partition => 1), t.event(22, 'acme too', p_organization => 'org_acme')])).events::int[],
	'{0,0}', 'but not behind those of another partition or connection');
SELECT is((t.tick('w', ended => ARRAY[t.ended('go')], events => ARRAY[t.event(23, 'after')])).events::int[], '{0}',
	'none is parked any more: go');
SELECT t.tick('w', parks => ARRAY[t.park('after', 'retry', p_attempts => 1)]);
SELECT is((t.tick('w', ARRAY[t.event(24, 'after a retry')])).events::int[], '{0}', 'one that was tried does not keep others');
SELECT t.connect('nobody');
SELECT is((t.tick('w', ARRAY[t.event(25, 'nobody', 'nobody'), t.event(26, 'nobody at acme', 'nobody',
	p_organization => 'org_acme'), t.event(26, 'nobody p1', 'nobody', 1)])).events::int[], '{10,1,0}',
	'a lead goes behind those parked before there was a connection');
SELECT t.is_conserved('parked ones');

-- an input as others may send it
SELECT is((t.tick('w', ARRAY[t.event(30, 'quote '' " \ {} , ()', E'u"\\,{}', p_source => 'shop.example/web')])).events::int[],
	'{1}', 'any text is only text');
SELECT throws_ok($$ SELECT t.tick('w', ARRAY[t.event(31, 'x', p_partition => 7)]) $$, 'P0004', NULL,
	'a partition nobody knows is refused');
SELECT results_eq($$ SELECT sequence FROM ledger.outcome WHERE partition = 0 ORDER BY 1 $$,
	$$ SELECT generate_series(1, (SELECT last_outcome[1] FROM ledger.tick ORDER BY tick DESC LIMIT 1)) $$,
	'the sequence has no gaps');
SELECT t.is_conserved('at the end');
SELECT * FROM finish();
ROLLBACK;
