-- The state machine: every pair of event and state, also those that are not in its table.
BEGIN;
\ir helpers.psql
SELECT plan(7);

-- What gov.transition() makes of each event in each state.
CREATE TABLE t.tried (event text, from_state text, to_state text, epochs integer, done boolean, refused boolean);
CREATE FUNCTION t.try_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r record;
	x gov.transitioned;
	c uuid := t.connect('anna');
BEGIN
	FOR r IN SELECT DISTINCT e.event, s.state FROM gov.transition_rule e CROSS JOIN gov.state s
		UNION SELECT 'no_such_event', state FROM gov.state LOOP
		BEGIN
			UPDATE gov.connection SET state = r.state WHERE connection_id = c;
			x := gov.transition(c, r.event, 'test', 'system', NULL, '00D000000000001', '005000000000001',
				'acme.my.salesforce.com');
			INSERT INTO t.tried SELECT r.event, r.state, x.state, h.n, x.done, false
			FROM (SELECT count(*) - 1 AS n FROM gov.connection_transition WHERE connection_id = c) h;
			DELETE FROM gov.connection_transition WHERE connection_id = c AND epoch > 1;
			UPDATE gov.connection SET epoch = 1 WHERE connection_id = c;
		EXCEPTION WHEN check_violation THEN
			INSERT INTO t.tried VALUES (r.event, r.state, r.state, 0, false, true);
		END;
	END LOOP;
END $$;
SELECT t.try_all();

SELECT is((SELECT count(*) FROM t.tried), (SELECT (count(DISTINCT event) + 1) * 6 FROM gov.transition_rule),
	'every event was tried in every state');
SELECT set_eq($$ SELECT event, from_state, to_state FROM t.tried WHERE done AND epochs = 1 $$,
	$$ SELECT event, from_state, to_state FROM gov.transition_rule $$, 'what the table allows happens, with one epoch more');
SELECT is_empty($$ SELECT * FROM t.tried WHERE NOT done AND epochs > 0 $$, 'nothing else makes an epoch');
SELECT is_empty($$ SELECT * FROM t.tried WHERE NOT done AND NOT refused AND NOT EXISTS (SELECT FROM gov.transition_rule r
	WHERE r.event = tried.event AND r.to_state = tried.from_state) $$, 'it is ignored only where the event''s state is reached');
SELECT is_empty($$ SELECT * FROM t.tried WHERE from_state = 'revoked' AND done $$, 'nothing leads out of revoked');
SELECT is_empty($$ SELECT * FROM gov.transition_rule r JOIN gov.state f ON f.state = from_state
	JOIN gov.state s ON s.state = to_state WHERE stops <> (f.writes AND NOT s.writes) $$,
	'a rule is marked as stopping exactly where it takes authority away');
SELECT is((SELECT array_agg(DISTINCT to_state ORDER BY to_state) FROM gov.transition_rule WHERE event IN
	(SELECT event FROM gov.transition_rule GROUP BY event HAVING bool_or(stops) AND bool_or(to_state = 'connected'))), NULL,
	'no event both stops and connects');
SELECT * FROM finish();
ROLLBACK;
