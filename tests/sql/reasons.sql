-- The list of reasons: loaded, readable for auditors, and what a worker brings is on it.
BEGIN;
\ir helpers.psql
SELECT plan(14);

SELECT cmp_ok((SELECT count(*) FROM gov.reason), '>', 80::bigint, 'migrate has loaded the list');
SELECT is_empty($$ SELECT e FROM unnest(ARRAY['deadline_passed', 'not_connected', 'unknown_source', 'conflict', 'too_old',
	'connected', 'consented', 'bound']) e WHERE NOT EXISTS (SELECT FROM gov.reason r WHERE r.code = e) $$,
	'what the functions themselves give as a reason is on it');
SELECT is_empty($$ SELECT r.event FROM gov.transition_rule r JOIN gov.state s ON s.state = r.to_state
	WHERE s.ends AND NOT EXISTS (SELECT FROM gov.reason x WHERE x.code = r.event) $$,
	'and every event that ends a connection: it is the reason of lead.revoked');
SELECT throws_ok($$ INSERT INTO gov.reason VALUES ('Free text', 'x', 'user', 'none') $$, '23514', NULL, 'a code is a word');

SELECT t.connect('anna') AS anna, t.connect('ben') AS ben, t.connect('carl') AS carl, t.connect('dora') AS dora \gset
SELECT t.take('w', 0);
SELECT is_empty($$ SELECT * FROM audit.unknown_reason $$, 'connections are made for reasons of the list');

-- on the list
SELECT t.tick('w', signals => ARRAY[t.signal(:'anna', 'reauthorization_needed', 'consent_needed')]);
SELECT is((SELECT reason FROM gov.connection WHERE connection_id = :'anna'), 'consent_needed', 'a listed reason is recorded');
SELECT is_empty($$ SELECT * FROM audit.unknown_reason $$, 'and is known');

-- not on the list: a stop is never refused for a word, all else is
SELECT t.tick('w', signals => ARRAY[t.signal(:'ben', 'reauthorization_needed', 'reason_of_tomorrow'),
	t.signal(:'carl', 'bound', 'reason_of_tomorrow', '00D000000000001', '005000000000001', 'new.my.salesforce.com'),
	t.signal(:'dora', 'reauthorization_needed', 'Bearer 00D!xyz')]);
SELECT is((SELECT state || ' ' || reason FROM gov.connection WHERE connection_id = :'ben'),
	'reauth_required reason_of_tomorrow', 'what takes authority away is recorded for a reason of a later release, too');
SELECT is((SELECT host || ' ' || epoch FROM gov.connection WHERE connection_id = :'carl'), 'acme.my.salesforce.com 1',
	'what does not is ignored');
SELECT is((SELECT state || ' ' || epoch FROM gov.connection WHERE connection_id = :'dora'), 'connected 1',
	'text that is no word never gets into the history');
SELECT is((SELECT count(*) FROM gov.connection_transition WHERE session IS NOT NULL), 2::bigint, 'the others of the tick count');

-- others may give a reason of their own; it is shown
SELECT gov.disconnect(:'carl', 'moved to another CRM');
SELECT set_eq($$ SELECT recorded_in, reason, times FROM audit.unknown_reason $$,
	$$ VALUES ('connection', 'reason_of_tomorrow', 1::bigint), ('connection', 'moved to another CRM', 1) $$,
	'audit.unknown_reason shows what is not on the list');
SELECT t.tick('w', ARRAY[t.event(1, 'x', 'nobody', p_verdict => 1, p_reason => 'no_such_reason')]);
SELECT is((SELECT times FROM audit.unknown_reason WHERE recorded_in = 'outcome' AND reason = 'no_such_reason'), 1::bigint,
	'of outcomes as well');
SELECT is((SELECT repair FROM audit.reason WHERE code = 'consent_needed'), 'consent', 'audit.reason says what repairs it');
SELECT * FROM finish();
ROLLBACK;
