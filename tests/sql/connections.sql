-- Integrations and connections: registering, connecting, ending, connecting again.
BEGIN;
\ir helpers.psql
SELECT plan(41);

-- integrations
SELECT row_eq($$ SELECT client, purpose, business_owner = session_user, environment, scope_baseline, fields, review_period
	FROM gov.integration WHERE name = 'shop' $$,
	ROW('main'::text, 'create leads'::text, true, 'production'::text, '{api,refresh_token}'::text[], NULL::text[],
	interval '90 days'), 'an integration needs a name, a source and a client only');
SELECT throws_ok($$ SELECT gov.register_integration('other', 'shop.example/web', 'main') $$, '23505', NULL,
	'a source belongs to one integration');
SELECT throws_ok($$ SELECT gov.register_integration('shop', 'new', 'main') $$, '23505', NULL, 'a name is taken once');
SELECT throws_ok($$ SELECT gov.register_integration('Shop!', 'new', 'main') $$, '23514', NULL, 'a name is plain');
SELECT is((SELECT count(*) FROM gov.integration), 1::bigint, 'a refused registration leaves nothing behind');

-- 18-character ids
SELECT is(gov.sf_id18('00D1F0000009Gpn'), '00D1F0000009GpnUAE', 'the suffix of a published org id');
SELECT is(gov.sf_id18('0031i000013x2TE'), '0031i000013x2TEAAY', 'the suffix of a published contact id');
SELECT is(gov.sf_id18('00D1F0000009GpnUAE'), '00D1F0000009GpnUAE', 'an 18-character id stays');
SELECT is(gov.sf_id18(NULL), NULL, 'no id stays no id');
SELECT throws_ok($$ SELECT gov.sf_id18('00D1F0000009GpnUAA') $$, '23514', NULL, 'a wrong suffix is refused');
SELECT throws_ok($$ SELECT gov.sf_id18('00D1F0000009Gp') $$, '23514', NULL, 'a short id is refused');
SELECT throws_ok($$ SELECT gov.sf_id18(E'00D1F0000009Gpn\n') $$, '23514', NULL, 'a line break is refused');
SELECT isnt(gov.sf_id18('00D1F0000009GPN'), gov.sf_id18('00D1F0000009Gpn'), 'case makes another org');

-- connecting
SELECT t.connect('anna', 'org_acme') AS anna \gset
SELECT row_eq($$ SELECT state, epoch, event, org_id, sf_user_id, host, token_source, write_mode, external_id_field
	FROM gov.connection $$, ROW('connected'::text, 1, 'connected'::text, '00D000000000001EAA'::text,
	'005000000000001AAA'::text, 'acme.my.salesforce.com'::text, 'pipes'::text, 'upsert'::text,
	'OnBehalf_Event_Id__c'::text), 'connect: connected, epoch 1, ids in their long form');
SELECT isnt(t.connect('anna'), :'anna', 'without an organization it is another connection');
SELECT throws_ok($$ SELECT gov.connect(gen_random_uuid(), 'anna') $$, 'P0002', NULL, 'an unknown integration is refused');
SELECT throws_ok(format($$ SELECT gov.connect(%L, 'x', org_id => '005000000000001') $$, :'shop'), '23514', NULL,
	'a user''s id is no org id');
SELECT throws_ok(format($$ SELECT gov.connect(%L, '') $$, :'shop'), '23514', NULL, 'a user has an id');
SELECT is(gov.connect(:'shop', 'carl', ''), gov.connect(:'shop', 'carl'), 'an empty organization is none');

-- ending and coming back
SELECT is(gov.disconnect(:'anna'), ROW('disconnected', 2, true)::gov.transitioned, 'disconnect');
SELECT is(gov.disconnect(:'anna'), ROW('disconnected', 2, false)::gov.transitioned, 'again: already there, no new epoch');
SELECT row_eq($$ SELECT state, event, reason, ended_by FROM gov.connection WHERE organization_id = 'org_acme' $$,
	ROW('disconnected'::text, 'user_disconnected'::text, 'user_disconnected'::text, 'user'::text), 'who ended it and why');
SELECT throws_ok(format($$ SELECT gov.connect(%L, 'anna', 'org_acme', org_id => '00D000000000002') $$, :'shop'), '23514',
	NULL, 'another org on the way back is refused');
SELECT throws_ok(format($$ SELECT gov.connect(%L, 'anna', 'org_acme', sf_user_id => '005000000000002') $$, :'shop'), '23514',
	NULL, 'and so is another Salesforce user');
SELECT is(gov.connect(:'shop', 'anna', 'org_acme', grant_ref => 'g2'), :'anna', 'the same connection comes back by a consent');
SELECT row_eq($$ SELECT state, epoch, event, grant_ref, ended_by, org_id FROM gov.connection
	WHERE organization_id = 'org_acme' $$, ROW('connected'::text, 3, 'consented'::text, 'g2'::text, NULL::text,
	'00D000000000001EAA'::text), 'connected, the epoch higher, the org as before');
SELECT is((gov.revoke(:'anna')).epoch, 4, 'revoke');
SELECT throws_ok(format($$ SELECT gov.connect(%L, 'anna', 'org_acme') $$, :'shop'), '23514', NULL,
	'revoked does not come back by a consent');
SELECT throws_ok(format($$ SELECT gov.disconnect(%L) $$, :'anna'), '23514', NULL, 'what is revoked is not disconnected');
SELECT throws_ok($$ SELECT gov.revoke(gen_random_uuid()) $$, 'P0002', NULL, 'an unknown connection is an error');

-- a signal about an older epoch
SELECT t.connect('dora') AS dora \gset
SELECT is(gov.transition(:'dora', 'reauthorization_needed', 'x', 'system', 0), ROW('connected', 1, false)::gov.transitioned,
	'a stale signal is ignored');
SELECT is(gov.transition(:'dora', 'reauthorization_needed', 'x', 'system', 1),
	ROW('reauth_required', 2, true)::gov.transitioned, 'a signal about this epoch is not');

-- binding, once
SELECT gov.connect(:'shop', 'emil') AS emil \gset
SELECT throws_ok(format($$ SELECT gov.transition(%L, 'bound', 'bound', 'system') $$, :'emil'), '23514', NULL,
	'bound to nothing is refused');
SELECT is((gov.transition(:'emil', 'bound', 'bound', 'system', NULL, '00D000000000003', '005000000000003',
	'Emil.my.salesforce.com')).done, true, 'the first identity answer binds it');
SELECT row_eq($$ SELECT org_id, sf_user_id, host FROM gov.connection WHERE user_id = 'emil' $$,
	ROW('00D000000000003EAA'::text, '005000000000003AAA'::text, 'emil.my.salesforce.com'::text), 'to that org, user, host');
SELECT throws_ok(format($$ SELECT gov.transition(%L, 'bound', 'bound', 'system', NULL, '00D000000000004', '005000000000003',
	'h.my.salesforce.com') $$, :'emil'), '23514', NULL, 'another org is refused');
SELECT throws_ok(format($$ SELECT gov.transition(%L, 'bound', 'bound', 'system', NULL, NULL, '005000000000003',
	'h.my.salesforce.com') $$, :'emil'), '23514', NULL, 'no org does not unbind');
SELECT is((gov.transition(:'emil', 'bound', 'bound', 'system', NULL, '00D000000000003', '005000000000003',
	'new.my.salesforce.com')).epoch, 3, 'a new host of the same org is recorded');

-- history
SELECT is_empty($$ SELECT c.connection_id FROM gov.connection c WHERE c.epoch <> (SELECT count(*)
	FROM gov.connection_transition h WHERE h.connection_id = c.connection_id AND h.epoch BETWEEN 1 AND c.epoch) $$,
	'epochs are dense, from 1 to the connection''s own');
SELECT is_empty($$
	SELECT h.connection_id, h.epoch FROM (SELECT *, coalesce(lag(hash) OVER w, '\x') AS before FROM gov.connection_transition
		WINDOW w AS (PARTITION BY connection_id ORDER BY epoch)) h
	WHERE h.prev_hash <> h.before OR h.hash <> sha256('onbehalf.transition.1'::bytea || gov.lp(h.before)
		|| uuid_send(h.connection_id) || int4send(h.epoch) || gov.lp(h.event) || gov.lp(h.from_state) || gov.lp(h.to_state)
		|| gov.lp(h.reason) || gov.lp(h.initiating_entity) || gov.lp(h.initiator) || gov.lp(uuid_send(h.session))
		|| gov.lp(h.org_id) || gov.lp(h.sf_user_id) || gov.lp(h.host) || timestamptz_send(h.at)) $$,
	'each row of history is hashed with the one before');
SELECT is_empty($$ SELECT c.connection_id FROM gov.connection c JOIN gov.connection_transition h USING (connection_id, epoch)
	WHERE c.head <> h.hash OR c.state <> h.to_state $$, 'the connection is at the end of its history');
SELECT * FROM finish();
ROLLBACK;
