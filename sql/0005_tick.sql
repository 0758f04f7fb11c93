-- The tick: the only place where the ledger changes.
--
-- One call, one transaction, set-based over arrays of rows.  In this order:
-- fence, signals, settle, park, accept, permit, seal.

SET ROLE onbehalf_owner;

-- ---- what a worker brings ----

-- Progress of a partition it owns.
CREATE TYPE ledger.progress_in AS (
	partition integer, epoch bigint, joins boolean, -- joins: the first tick of this session with it
	position bigint, accepted bigint, confirmed bigint, read_positions bigint[]);

-- What it learnt of a connection.  epoch: what it knew then; an older one is stale.
CREATE TYPE ledger.signal_in AS (
	connection_id uuid, epoch integer, event text, reason text, org_id text, sf_user_id text, host text,
	login_host text);

-- An answered call that left leads open.
CREATE TYPE ledger.answer_in AS (
	tick bigint, n integer, result smallint, class text, http_status integer, code text, open uuid[],
	sent_at timestamptz, answered_at timestamptz);

-- A lead that ended by an answer, or by a decision of the worker.
CREATE TYPE ledger.ended_in AS (
	key uuid, partition integer, kafka_offset bigint, incarnation integer, status smallint, written smallint,
	connection_id uuid, epoch integer, org_id text, lead_id text, code text, reason text, fields text,
	attempts integer, permit_tick bigint, permit_n integer, accepted_at timestamptz, permitted_at timestamptz,
	sent_at timestamptz, answered_at timestamptz, parked boolean,
	event_key bytea, source text, event_id text, traceparent text);

-- A lead to be parked.  cause: 'state' its connection cannot be used, or there is none; 'retry', 'share', 'behind'.
CREATE TYPE ledger.park_in AS (
	key uuid, cause text, wait_ms bigint, attempts integer, unanswered integer, payload bytea);


-- A record read from Kafka.
CREATE TYPE ledger.event_in AS (
	partition integer, kafka_offset bigint, key uuid, verdict smallint, digest bytea, digest_key text, reason text,
	detail text, fields text, event_key bytea, source text, event_id text, user_id text, organization_id text,
	traceparent text, deadline timestamptz, record_time timestamptz);

-- A call it wants to make now.  events: for each lead, its place in the events of this tick, or 0.
CREATE TYPE ledger.call_in AS (
	kind smallint, connection_id uuid, epoch integer, org_id text, sf_user_id text, host text, leads uuid[],
	events integer[], deadlines timestamptz[], attempts integer[], unanswered integer[]);

-- ---- inside ----

CREATE TYPE ledger.outcome_new AS (
	partition integer, kafka_offset bigint, incarnation integer, key uuid, type smallint, status smallint,
	written smallint, terminal boolean, number integer, connection_id uuid, connection_epoch integer, org_id text,
	lead_id text, code text, reason text, fields text, connection_state text, ended_by text, ended_at timestamptz,
	parked boolean, deadline timestamptz, attempts integer, permit_tick bigint, permit_n integer,
	accepted_at timestamptz, permitted_at timestamptz, sent_at timestamptz, answered_at timestamptz,
	detail text, event_key bytea, source text, event_id text, traceparent text);

-- A UUID that is a function of what happened.
CREATE FUNCTION ledger.outcome_id(p_key uuid, p_type smallint, p_number integer) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT encode(substr(sha256('onbehalf.outcome.1'::bytea || uuid_send(p_key) || int2send(p_type)
	|| int4send(p_number)), 1, 16), 'hex')::uuid $$;

-- Why a lead that was accepted ends without a call, built from its own rows:
-- expired when p_expired, else by its connection's state.
CREATE FUNCTION ledger.ended_unsent(e ledger.event, c gov.connection, p_expired boolean, p_written smallint,
	p_attempts integer) RETURNS ledger.outcome_new
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
	SELECT ROW(e.partition, e.kafka_offset, e.incarnation, e.key, CASE WHEN p_expired THEN 1 ELSE 3 END::smallint,
		CASE WHEN p_expired THEN 4 ELSE 0 END::smallint, p_written, true, 0, c.connection_id, c.epoch, c.org_id,
		NULL, NULL, CASE WHEN p_expired THEN 'deadline_passed' ELSE c.event END, NULL,
		CASE WHEN NOT p_expired THEN c.state END, CASE WHEN NOT p_expired THEN c.ended_by END,
		CASE WHEN NOT p_expired THEN c.changed_at END, false, CASE WHEN p_expired THEN e.deadline END, p_attempts,
		NULL, NULL,
		coalesce((SELECT t.at FROM ledger.tick t WHERE t.session = e.session AND t.tick = e.tick
			AND t.period = e.period), clock_timestamp()),
		NULL, NULL, NULL, NULL, e.event_key, e.source, e.event_id, e.traceparent)::ledger.outcome_new
$$;

-- Digests of audited rows: canonical, length-prefixed; the verifier has the same in C.  STABLE as gov.lp() is.
CREATE FUNCTION ledger.digest(e ledger.event) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT sha256('E'::bytea || uuid_send(e.key) || int4send(e.partition) || int8send(e.kafka_offset)
	|| int4send(e.incarnation) || int2send(e.verdict) || gov.lp(e.digest) || gov.lp(e.digest_key)
	|| gov.lp(uuid_send(e.integration_id)) || gov.lp(uuid_send(e.connection_id)) || timestamptz_send(e.deadline)
	|| gov.lp(timestamptz_send(e.record_time))) $$;
CREATE FUNCTION ledger.digest(o ledger.outcome) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT sha256('O'::bytea || int4send(o.partition) || int8send(o.sequence) || int2send(o.type)
	|| int2send(o.status) || int2send(o.written) || boolsend(o.terminal) || uuid_send(o.outcome_id) || uuid_send(o.key)
	|| int8send(o.kafka_offset) || int4send(o.incarnation) || gov.lp(uuid_send(o.connection_id))
	|| gov.lp(int4send(o.connection_epoch)) || gov.lp(o.org_id) || gov.lp(o.lead_id) || gov.lp(o.code)
	|| gov.lp(o.reason) || gov.lp(o.fields) || gov.lp(o.connection_state) || gov.lp(o.ended_by)
	|| gov.lp(timestamptz_send(o.ended_at)) || boolsend(o.parked) || gov.lp(timestamptz_send(o.deadline))
	|| int4send(o.attempts) || gov.lp(int8send(o.permit_tick)) || gov.lp(int4send(o.permit_n))
	|| gov.lp(timestamptz_send(o.accepted_at)) || gov.lp(timestamptz_send(o.permitted_at))
	|| gov.lp(timestamptz_send(o.sent_at)) || gov.lp(timestamptz_send(o.answered_at))
	|| timestamptz_send(o.recorded_at)) $$;
CREATE FUNCTION ledger.digest(p ledger.permit) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT sha256('P'::bytea || int4send(p.n) || int2send(p.kind) || uuid_send(p.connection_id)
	|| int4send(p.epoch) || gov.lp(p.org_id) || gov.lp(p.sf_user_id) || gov.lp(p.host) || timestamptz_send(p.at)
	|| array_send(p.leads)) $$;
CREATE FUNCTION ledger.digest(a ledger.answer) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT sha256('A'::bytea || uuid_send(a.session) || int8send(a.tick) || int4send(a.n) || int2send(a.result)
	|| gov.lp(a.class) || int4send(a.http_status) || gov.lp(a.code) || array_send(a.open)
	|| gov.lp(timestamptz_send(a.sent_at)) || gov.lp(timestamptz_send(a.answered_at))) $$;
CREATE FUNCTION ledger.digest(d ledger.duplicate) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT sha256('D'::bytea || int4send(d.partition) || int8send(d.kafka_offset) || int4send(d.incarnation)
	|| uuid_send(d.key)) $$;

-- ---- the steps ----

-- What a step did: answers in the order of what it was given, rows for the
-- outcomes, digests for the seal, and one partition number for each record it counts.
CREATE TYPE ledger.step AS (
	ords integer[], verdicts smallint[], connections uuid[], attempts integer[], unanswered integer[],
	outcomes ledger.outcome_new[], digests bytea, rows integer,
	consumed integer[], duplicates integer[], parked integer[], unparked integer[]);

-- Signals: transitions the worker saw the need for.
-- 0 done or stale, 1 not now (a lock is busy): bring it again.
CREATE FUNCTION ledger.tick_signals(p_session uuid, p_signals ledger.signal_in[]) RETURNS smallint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms'
AS $$
DECLARE
	s ledger.signal_in;
BEGIN
	-- A worker reports; it neither gives authority nor speaks for the user or an administrator.
	IF EXISTS (SELECT FROM unnest(p_signals) u WHERE u.event NOT IN ('bound', 'reauthorization_needed', 'binding_failed',
		'removed_at_source')) THEN
		RAISE EXCEPTION 'a worker may not bring this signal' USING ERRCODE = 'insufficient_privilege';
	END IF;
	-- The fence before any connection's row, so that two ticks cannot deadlock.
	IF EXISTS (SELECT FROM unnest(p_signals) u JOIN gov.transition_rule r ON r.event = u.event AND r.stops) THEN
		PERFORM pg_advisory_xact_lock(gov.fence_key());
	END IF;
	FOR s IN SELECT * FROM unnest(p_signals) u ORDER BY u.connection_id LOOP
		BEGIN
			PERFORM gov.transition(s.connection_id, s.event, s.reason,
				CASE s.event WHEN 'removed_at_source' THEN 'user' ELSE 'system' END, s.epoch, s.org_id, s.sf_user_id,
				s.host, s.login_host, p_session);
		EXCEPTION WHEN check_violation OR no_data_found THEN
			NULL; -- not possible from where the connection is by now: nothing to do
		END;
	END LOOP;
	RETURN array_fill(0::smallint, ARRAY[cardinality(p_signals)]);
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
	RETURN array_fill(1::smallint, ARRAY[cardinality(p_signals)]);
END $$;

-- Settles: leads that ended, and the answers of calls that left some open.
CREATE FUNCTION ledger.tick_settle(p_session uuid, p_tick bigint, p_ended ledger.ended_in[],
	p_answers ledger.answer_in[]) RETURNS ledger.step
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r ledger.step;
BEGIN
	SELECT array_agg(ROW(e.partition, e.kafka_offset, e.incarnation, e.key, 1, e.status, e.written, true, 0,
		e.connection_id, e.epoch, e.org_id, e.lead_id, e.code, e.reason, e.fields, NULL, NULL, NULL, false, NULL,
		e.attempts, e.permit_tick, e.permit_n, e.accepted_at, e.permitted_at, e.sent_at, e.answered_at, NULL,
		e.event_key, e.source, e.event_id, e.traceparent)::ledger.outcome_new)
	INTO r.outcomes FROM unnest(p_ended) e;
	WITH gone AS (
		DELETE FROM ledger.parked p WHERE p.key IN (SELECT e.key FROM unnest(p_ended) e WHERE e.parked)
		RETURNING p.partition
	) SELECT array_agg(partition) INTO r.unparked FROM gone;
	IF cardinality(p_answers) > 0 THEN
		WITH ins AS (
			INSERT INTO ledger.answer AS x (session, tick, n, answered_in, result, class, http_status, code, open,
				sent_at, answered_at)
			SELECT p_session, a.tick, a.n, p_tick, a.result, a.class, a.http_status, a.code, a.open, a.sent_at,
				a.answered_at
			FROM unnest(p_answers) a
			RETURNING x.tick, x.n, ledger.digest(x) AS digest
		) SELECT string_agg(digest, '' ORDER BY tick, n), count(*) INTO r.digests, r.rows FROM ins;
	END IF;
	RETURN r;
END $$;

-- Parks.  0 parked, 1 the connection can be used: go on, 2 ended, 3 refused (parking is off).
CREATE FUNCTION ledger.tick_park(p_parks ledger.park_in[]) RETURNS ledger.step
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r     ledger.step;
	t     timestamptz := clock_timestamp();
	allow boolean := gov.setting('park.enabled')::boolean;
BEGIN
	WITH p AS MATERIALIZED (
		SELECT q.ord, q.key, q.cause, q.wait_ms, q.attempts, q.unanswered, q.payload, z.ev, c AS con,
			CASE WHEN q.unanswered > 0 THEN 2 ELSE 0 END::smallint AS written, old.key IS NOT NULL AS was,
			coalesce(old.parkings, 0) AS parkings, coalesce(s.ends, false) AS ends,
			CASE WHEN s.ends OR (z.ev).deadline <= t THEN 2
				WHEN q.cause = 'state' AND s.writes THEN 1
				WHEN NOT allow AND q.cause = 'state' THEN 3
				ELSE 0 END::smallint AS verdict
		FROM unnest(p_parks) WITH ORDINALITY q (key, cause, wait_ms, attempts, unanswered, payload, ord)
		CROSS JOIN LATERAL (SELECT y AS ev FROM ledger.event y WHERE y.key = q.key ORDER BY y.period DESC LIMIT 1) z
		LEFT JOIN gov.connection c ON c.integration_id = (z.ev).integration_id AND c.user_id = (z.ev).user_id
			AND coalesce(c.organization_id, '') = coalesce((z.ev).organization_id, '')
		LEFT JOIN gov.state s ON s.state = c.state
		LEFT JOIN ledger.parked old ON old.key = q.key
	), ins AS (
		INSERT INTO ledger.parked AS x (key, partition, kafka_offset, connection_id, integration_id, user_id,
			organization_id, reason, deadline, parked_at, parkings, attempts, tried, unanswered, next_attempt_at, payload)
		SELECT p.key, (p.ev).partition, (p.ev).kafka_offset, (p.con).connection_id, (p.ev).integration_id,
			(p.ev).user_id, (p.ev).organization_id, p.cause, (p.ev).deadline, t, 1, p.attempts, p.attempts > 0,
			p.unanswered, t + p.wait_ms * interval '1 millisecond', p.payload
		FROM p WHERE p.verdict = 0
		ON CONFLICT (key) DO UPDATE SET connection_id = excluded.connection_id, reason = excluded.reason,
			parkings = x.parkings + 1, attempts = excluded.attempts, tried = excluded.tried,
			unanswered = excluded.unanswered, next_attempt_at = excluded.next_attempt_at
	), del AS (
		DELETE FROM ledger.parked x USING p WHERE x.key = p.key AND p.verdict IN (2, 3)
	)
	SELECT array_agg(p.verdict ORDER BY ord), array_agg((p.con).connection_id ORDER BY ord),
		array_agg(CASE
			WHEN p.verdict = 2 THEN ledger.ended_unsent(p.ev, p.con, NOT p.ends, p.written, p.attempts)
			ELSE ROW((p.ev).partition, (p.ev).kafka_offset, (p.ev).incarnation, p.key, 2, 0, p.written, p.verdict = 3,
				p.parkings + 1, (p.con).connection_id, (p.con).epoch, (p.con).org_id, NULL, NULL,
				CASE WHEN (p.con).connection_id IS NULL THEN 'not_connected' ELSE (p.con).reason END, NULL, NULL,
				NULL, NULL, p.verdict = 0, (p.ev).deadline, p.attempts, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
				(p.ev).event_key, (p.ev).source, (p.ev).event_id, (p.ev).traceparent)::ledger.outcome_new
			END ORDER BY ord)
			FILTER (WHERE p.verdict IN (2, 3) OR p.verdict = 0 AND p.cause = 'state'
				AND coalesce((p.con).state, 'reauth_required') = 'reauth_required'),
		array_agg((p.ev).partition) FILTER (WHERE p.verdict = 0 AND NOT p.was),
		array_agg((p.ev).partition) FILTER (WHERE p.verdict IN (2, 3) AND p.was)
	INTO r.verdicts, r.connections, r.outcomes, r.parked, r.unparked FROM p;
	RETURN r;
END $$;

-- Parked leads whose time may be over.  0 ended, 1 not yet, 2 not parked.
CREATE FUNCTION ledger.tick_check(p_checks uuid[]) RETURNS ledger.step
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r ledger.step;
	t timestamptz := clock_timestamp();
BEGIN
	WITH p AS MATERIALIZED (
		SELECT q.ord, q.key, z.ev, c AS con, x.attempts, x.unanswered, x.key IS NOT NULL AS was,
			coalesce(s.ends, false) AS ends, coalesce(x.deadline <= t OR s.ends, false) AS over
		FROM unnest(p_checks) WITH ORDINALITY q (key, ord)
		LEFT JOIN ledger.parked x ON x.key = q.key
		LEFT JOIN LATERAL (SELECT y AS ev FROM ledger.event y WHERE y.key = x.key ORDER BY y.period DESC LIMIT 1) z ON true
		LEFT JOIN gov.connection c ON c.integration_id = x.integration_id AND c.user_id = x.user_id
			AND coalesce(c.organization_id, '') = coalesce(x.organization_id, '')
		LEFT JOIN gov.state s ON s.state = c.state
	), del AS (
		DELETE FROM ledger.parked x USING p WHERE x.key = p.key AND p.over
	)
	SELECT array_agg(CASE WHEN p.over THEN 0 WHEN p.was THEN 1 ELSE 2 END::smallint ORDER BY ord),
		array_agg(ledger.ended_unsent(p.ev, p.con, NOT p.ends, CASE WHEN p.unanswered > 0 THEN 2 ELSE 0 END::smallint,
			p.attempts) ORDER BY ord) FILTER (WHERE p.over),
		array_agg((p.ev).partition) FILTER (WHERE p.over)
	INTO r.verdicts, r.outcomes, r.unparked FROM p;
	RETURN r;
END $$;

-- Accepts records that are new.  0 go, 1 park (its connection cannot be used, or there is none), 2 ended,
-- 5 invalid (a lead.invalid: keep the bytes), 10 park behind others of its connection.
CREATE FUNCTION ledger.tick_accept(p_session uuid, p_tick bigint, p_period integer, p_oldest integer,
	p_events ledger.event_in[]) RETURNS ledger.step
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r    ledger.step;
	t    timestamptz := clock_timestamp();
	wait interval := gov.setting('park.deadline')::interval;
BEGIN
	WITH e AS MATERIALIZED (
		SELECT q.*, p.incarnation, row_number() OVER (PARTITION BY q.key ORDER BY q.ord) = 1 AS first
		FROM unnest(p_events) WITH ORDINALITY q (partition, kafka_offset, key, verdict, digest, digest_key, reason,
			detail, fields, event_key, source, event_id, user_id, organization_id, traceparent, deadline, record_time, ord)
		JOIN ledger.partition p ON p.partition = q.partition
	), n AS MATERIALIZED (
		SELECT e.*, i.integration_id, c AS con, coalesce(s.ends, false) AS ends,
			CASE
				WHEN e.verdict = 2 THEN 5
				WHEN i.integration_id IS NULL OR e.verdict = 1 OR e.deadline <= t OR s.ends THEN 2
				WHEN s.writes IS NOT TRUE THEN 1
				WHEN EXISTS (SELECT FROM ledger.parked w
					WHERE w.connection_id = c.connection_id AND w.partition = e.partition AND NOT w.tried)
					OR EXISTS (SELECT FROM ledger.parked w -- parked before there was a connection
					WHERE w.connection_id IS NULL AND w.integration_id = i.integration_id AND w.user_id = e.user_id
						AND coalesce(w.organization_id, '') = coalesce(e.organization_id, '')
						AND w.partition = e.partition AND NOT w.tried) THEN 10
				ELSE 0
			END::smallint AS answer
		FROM e
		LEFT JOIN gov.integration_source i ON i.source = e.source AND e.verdict <> 2
		LEFT JOIN gov.connection c ON c.integration_id = i.integration_id AND c.user_id = e.user_id
			AND coalesce(c.organization_id, '') = coalesce(e.organization_id, '')
		LEFT JOIN gov.state s ON s.state = c.state
		WHERE e.first AND NOT EXISTS (SELECT FROM ledger.event x WHERE x.key = e.key AND x.period >= p_oldest)
	), ins AS (
		INSERT INTO ledger.event AS x (period, key, partition, kafka_offset, incarnation, verdict, digest, digest_key,
			integration_id, connection_id, deadline, record_time, session, tick, event_key, source, event_id, user_id,
			organization_id, traceparent)
		SELECT p_period, n.key, n.partition, n.kafka_offset, n.incarnation, n.verdict, n.digest, n.digest_key,
			n.integration_id, (n.con).connection_id, coalesce(n.deadline, t + wait), n.record_time, p_session, p_tick,
			n.event_key, n.source, n.event_id, n.user_id, n.organization_id, n.traceparent
		FROM n ORDER BY n.key -- so that two ticks cannot deadlock
		ON CONFLICT DO NOTHING
		RETURNING x.key, ledger.digest(x) AS digest
	)
	SELECT array_agg(n.ord::integer ORDER BY ord), array_agg(n.answer ORDER BY ord),
		array_agg((n.con).connection_id ORDER BY ord),
		array_agg(ROW(n.partition, n.kafka_offset, n.incarnation, n.key,
			CASE w.why WHEN 'invalid' THEN 4 WHEN 'ends' THEN 3 ELSE 1 END,
			CASE w.why WHEN 'invalid' THEN 0 WHEN 'ends' THEN 0 WHEN 'late' THEN 4 ELSE 3 END,
			0, true, 0, (n.con).connection_id, (n.con).epoch, (n.con).org_id, NULL, NULL,
			CASE w.why WHEN 'source' THEN 'unknown_source' WHEN 'ends' THEN (n.con).event
				WHEN 'late' THEN 'deadline_passed' ELSE n.reason END,
			CASE WHEN w.why = 'lead' THEN n.fields END,
			CASE WHEN w.why = 'ends' THEN (n.con).state END, CASE WHEN w.why = 'ends' THEN (n.con).ended_by END,
			CASE WHEN w.why = 'ends' THEN (n.con).changed_at END, false, n.deadline, 0, NULL, NULL, t, NULL, NULL, NULL,
			CASE WHEN w.why IN ('invalid', 'lead') THEN n.detail END, n.event_key, n.source, n.event_id,
			n.traceparent)::ledger.outcome_new ORDER BY ord) FILTER (WHERE n.answer IN (2, 5)),
		(SELECT string_agg(ins.digest, '' ORDER BY ins.key) FROM ins), count(*), array_agg(n.partition)
	INTO r.ords, r.verdicts, r.connections, r.outcomes, r.digests, r.rows, r.consumed
	FROM n
	CROSS JOIN LATERAL (SELECT CASE WHEN n.verdict = 2 THEN 'invalid' WHEN n.integration_id IS NULL THEN 'source'
		WHEN n.verdict = 1 THEN 'lead' WHEN n.ends THEN 'ends' ELSE 'late' END AS why) w
	WHERE (n.key IN (SELECT ins.key FROM ins)) IS TRUE; -- hashed; as a join it would be a loop in a loop
	r.attempts := array_fill(0, ARRAY[coalesce(r.rows, 0)]);
	r.unanswered := r.attempts;
	RETURN r;
END $$;

-- Accepts records whose event is known: repeated by its producer, or read again by us.
-- 1 park, 3 duplicate, 4 conflict (a lead.invalid: keep the bytes), 6 over: its outcome is in the ledger,
-- 7 over, but its lead.invalid may still need the bytes, 8 parked, 9 open since before: go on with it.
CREATE FUNCTION ledger.tick_accept_known(p_session uuid, p_tick bigint, p_oldest integer, p_events ledger.event_in[],
	p_new integer[], p_progress ledger.progress_in[]) RETURNS ledger.step
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r ledger.step;
	t timestamptz := clock_timestamp();
BEGIN
	WITH q AS MATERIALIZED (
		SELECT q.*, p.incarnation, g.confirmed
		FROM unnest(p_events) WITH ORDINALITY q (partition, kafka_offset, key, verdict, digest, digest_key, reason,
			detail, fields, event_key, source, event_id, user_id, organization_id, traceparent, deadline, record_time, ord)
		JOIN ledger.partition p ON p.partition = q.partition
		JOIN unnest(p_progress) g ON g.partition = q.partition
		WHERE NOT q.ord = ANY (p_new)
	), k AS MATERIALIZED (
		SELECT q.ord, q.partition, q.kafka_offset, q.key, q.event_key, q.source, q.event_id, q.traceparent, q.incarnation,
			c.connection_id AS con, dup.key IS NULL AS undup,
			(SELECT e.at FROM ledger.tick e WHERE e.session = x.session AND e.tick = x.tick AND e.period = x.period) AS since,
			CASE
				WHEN NOT m.same AND dup.key IS NOT NULL THEN 3
				WHEN o.type = 4 AND o.sequence > q.confirmed THEN 7
				WHEN o.type IS NOT NULL THEN 6
				WHEN NOT m.same AND q.digest_key = x.digest_key AND q.digest <> x.digest THEN 4
				WHEN NOT m.same THEN 3
				WHEN w.key IS NOT NULL THEN 8
				WHEN c.connection_id IS NULL THEN 1
				ELSE 9
			END::smallint AS answer
		FROM q
		JOIN LATERAL (SELECT * FROM ledger.event y WHERE y.key = q.key AND y.period >= p_oldest
			ORDER BY y.period DESC LIMIT 1) x ON true
		CROSS JOIN LATERAL (SELECT x.partition = q.partition AND x.kafka_offset = q.kafka_offset
			AND x.incarnation = q.incarnation AS same) m
		LEFT JOIN ledger.duplicate dup ON dup.partition = q.partition AND dup.kafka_offset = q.kafka_offset
			AND dup.incarnation = q.incarnation
		LEFT JOIN LATERAL (SELECT y.type, y.sequence FROM ledger.outcome y WHERE y.partition = q.partition
			AND y.kafka_offset = q.kafka_offset AND y.incarnation = q.incarnation AND y.terminal LIMIT 1) o ON true
		LEFT JOIN ledger.parked w ON w.key = q.key
		LEFT JOIN gov.connection c ON c.integration_id = x.integration_id AND c.user_id = x.user_id
			AND coalesce(c.organization_id, '') = coalesce(x.organization_id, '')
	), dups AS (
		INSERT INTO ledger.duplicate AS d (partition, kafka_offset, incarnation, key, session, tick)
		SELECT k.partition, k.kafka_offset, k.incarnation, k.key, p_session, p_tick FROM k
		WHERE k.answer = 3 AND k.undup
		RETURNING d.partition, d.kafka_offset, ledger.digest(d) AS digest
	)
	SELECT array_agg(k.ord::integer ORDER BY k.ord), array_agg(k.answer ORDER BY k.ord), array_agg(k.con ORDER BY k.ord),
		array_agg(tries.attempts ORDER BY k.ord), array_agg(tries.unanswered ORDER BY k.ord),
		array_agg(ROW(k.partition, k.kafka_offset, k.incarnation, k.key, 4, 0, 0, true,
			-- a conflict is named by its own record
			1 + ('x' || encode(substr(sha256(int4send(k.incarnation) || int4send(k.partition) || int8send(k.kafka_offset)),
				1, 3), 'hex'))::bit(24)::integer,
			NULL, NULL, NULL, NULL, NULL, 'conflict', NULL, NULL, NULL, NULL, false, NULL, 0, NULL, NULL, t, NULL, NULL,
			NULL, '$.id', k.event_key, k.source, k.event_id, k.traceparent)::ledger.outcome_new
			ORDER BY k.ord) FILTER (WHERE k.answer = 4),
		(SELECT string_agg(dups.digest, '' ORDER BY dups.partition, dups.kafka_offset) FROM dups),
		(SELECT count(*) FROM dups), array_agg(k.partition) FILTER (WHERE k.answer = 4 OR k.answer = 3 AND k.undup),
		(SELECT array_agg(dups.partition) FROM dups)
	INTO r.ords, r.verdicts, r.connections, r.attempts, r.unanswered, r.outcomes, r.digests, r.rows, r.consumed,
		r.duplicates
	FROM k CROSS JOIN LATERAL ( -- permits since the event was accepted; for each by itself, so that the time bounds the index
		SELECT count(*) FILTER (WHERE a.result IS DISTINCT FROM 2)::integer AS attempts,
			count(*) FILTER (WHERE p.kind <> 2 AND (a.n IS NULL OR a.result = 3))::integer AS unanswered
		FROM ledger.permit p
		LEFT JOIN ledger.answer a ON a.session = p.session AND a.tick = p.tick AND a.n = p.n
		WHERE k.answer = 9 AND p.connection_id = k.con AND p.at >= k.since AND k.key = ANY (p.leads)) tries;
	RETURN r;
END $$;

-- Permits.  A call: 0 granted, 1 later (the fence is busy), 2 what the worker knows of the connection is old,
-- 3 its state does not allow it: park, 4 the connection has ended: so have its leads, 5 no lead is left, 6 held: park.
-- A lead (in verdicts of leads): 0 in, 1 not of this call, 2 ended, 3 left out with its call.
CREATE FUNCTION ledger.tick_permit(p_session uuid, p_tick bigint, p_period integer, p_calls ledger.call_in[],
	p_verdicts smallint[], p_connections uuid[], OUT calls smallint[], OUT leads smallint[], OUT permitted_at timestamptz, OUT step ledger.step)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t timestamptz;
BEGIN
	IF NOT pg_try_advisory_xact_lock_shared(gov.fence_key()) THEN
		calls := array_fill(1::smallint, ARRAY[cardinality(p_calls)]);
		RETURN;
	END IF;
	t := clock_timestamp();
	WITH c AS MATERIALIZED ( -- a new snapshot, taken behind the lock
		SELECT q.ord, q.kind, q.connection_id, q.epoch, q.org_id, q.sf_user_id, q.host, q.leads, q.events, q.deadlines,
			q.attempts, q.unanswered, g AS con,
			CASE WHEN g.connection_id IS NULL THEN 2
				WHEN s.ends THEN 4
				WHEN NOT s.writes THEN 3
				WHEN (g.epoch, g.org_id, g.sf_user_id, g.host) = (q.epoch, q.org_id, q.sf_user_id, q.host) IS NOT TRUE THEN 2
				WHEN EXISTS (SELECT FROM gov.hold h WHERE h.released_at IS NULL AND (h.level = 'everything'
					OR h.level = 'integration' AND h.scope = g.integration_id::text
					OR h.level = 'organization' AND h.scope = g.organization_id
					OR h.level = 'salesforce_org' AND h.scope = g.org_id)) THEN 6
				ELSE 0 END AS verdict
		FROM unnest(p_calls) WITH ORDINALITY q (kind, connection_id, epoch, org_id, sf_user_id, host, leads, events,
			deadlines, attempts, unanswered, ord)
		LEFT JOIN gov.connection g ON g.connection_id = q.connection_id
		LEFT JOIN gov.state s ON s.state = g.state
	), l AS MATERIALIZED (
		SELECT c.ord, u.n, u.key, u.attempts, u.unanswered,
			CASE WHEN u.event > 0 AND (p_verdicts[u.event] NOT IN (0, 9)
					OR p_connections[u.event] IS DISTINCT FROM c.connection_id) THEN 1
				WHEN c.verdict = 4 OR c.verdict = 0 AND u.deadline <= t THEN 2
				WHEN c.verdict <> 0 THEN 3
				ELSE 0 END AS verdict
		FROM c CROSS JOIN LATERAL unnest(c.leads, c.events, c.deadlines, c.attempts, c.unanswered) WITH ORDINALITY
			u (key, event, deadline, attempts, unanswered, n)
	), ins AS (
		INSERT INTO ledger.permit AS x (period, session, tick, n, kind, connection_id, epoch, org_id, sf_user_id, host,
			leads, at)
		SELECT p_period, p_session, p_tick, c.ord, c.kind, c.connection_id, c.epoch, c.org_id, c.sf_user_id, c.host,
			k.leads, t
		FROM c JOIN (SELECT l.ord, array_agg(l.key ORDER BY l.n) AS leads FROM l WHERE l.verdict = 0 GROUP BY l.ord) k
			USING (ord)
		RETURNING x.n, ledger.digest(x) AS digest
	), over AS MATERIALIZED (
		SELECT l.ord, l.n, ledger.ended_unsent(z.ev, c.con, c.verdict = 0,
			CASE WHEN l.unanswered > 0 THEN 2 ELSE 0 END::smallint, l.attempts) AS outcome, l.key
		FROM l JOIN c USING (ord)
		CROSS JOIN LATERAL (SELECT y AS ev FROM ledger.event y WHERE y.key = l.key ORDER BY y.period DESC LIMIT 1) z
		WHERE l.verdict = 2
	), gone AS (
		DELETE FROM ledger.parked p USING over WHERE p.key = over.key RETURNING p.partition
	)
	SELECT (SELECT array_agg(CASE WHEN c.verdict = 0 AND ins.n IS NULL THEN 5 ELSE c.verdict END::smallint ORDER BY c.ord)
			FROM c LEFT JOIN ins ON ins.n = c.ord),
		(SELECT array_agg(l.verdict::smallint ORDER BY l.ord, l.n) FROM l),
		(SELECT string_agg(ins.digest, '' ORDER BY ins.n) FROM ins), (SELECT count(*) FROM ins),
		(SELECT array_agg(over.outcome ORDER BY over.ord, over.n) FROM over),
		(SELECT array_agg(gone.partition) FROM gone)
	INTO calls, leads, step.digests, step.rows, step.outcomes, step.unparked;
	permitted_at := t;
END $$;

-- The period this tick writes to.  Deduplication looks through committed periods, so nobody may still be writing the
-- one before: ticks hold their period shared, and the first minute of a new one waits for the last of the old.
CREATE FUNCTION ledger.tick_period() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p integer := ledger.period_of(clock_timestamp());
BEGIN
	LOOP
		PERFORM pg_advisory_xact_lock_shared(1869767777, p);
		EXIT WHEN ledger.period_of(clock_timestamp()) = p;
		p := ledger.period_of(clock_timestamp());
	END LOOP;
	IF ledger.period_of(clock_timestamp() - interval '1 minute') < p THEN
		PERFORM pg_advisory_xact_lock(1869767777, p - 1);
	END IF;
	RETURN p;
END $$;

CREATE FUNCTION ledger.tick(p_session uuid, p_tick bigint, p_prev bytea, p_progress ledger.progress_in[],
	p_signals ledger.signal_in[], p_answers ledger.answer_in[], p_ended ledger.ended_in[], p_parks ledger.park_in[],
	p_checks uuid[], p_events ledger.event_in[], p_calls ledger.call_in[],
	OUT hash bytea, OUT at timestamptz, OUT last_outcome bigint[], OUT signals smallint[], OUT parks smallint[],
	OUT park_connections uuid[], OUT checks smallint[], OUT events smallint[], OUT event_connections uuid[],
	OUT event_attempts integer[], OUT event_unanswered integer[], OUT calls smallint[], OUT call_leads smallint[], OUT permitted_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	prev    ledger.tick;
	v       ledger.tick;
	settled ledger.step;
	parked  ledger.step;
	checked ledger.step;
	news    ledger.step;
	known   ledger.step;
	permits record;
	permitted ledger.step;
	may     smallint[];
	outs    ledger.outcome_new[];
	digests bytea;
	n       integer;
	oldest  integer;
	noted   timestamptz;
BEGIN
	-- fence: the partitions are ours, and stay so until the commit
	PERFORM FROM unnest(p_progress) g JOIN ledger.partition p ON p.partition = g.partition
	WHERE p.owner = p_session AND p.epoch = g.epoch ORDER BY p.partition FOR SHARE OF p;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n IS DISTINCT FROM cardinality(p_progress) THEN
		RAISE EXCEPTION 'session % does not own all of its partitions any more', p_session USING ERRCODE = 'OB001';
	END IF;
	SELECT * INTO prev FROM ledger.tick t WHERE t.session = p_session ORDER BY t.tick DESC LIMIT 1;
	IF (p_tick, p_prev) = (coalesce(prev.tick, 0) + 1, coalesce(prev.hash, '\x')) IS NOT TRUE THEN
		RAISE EXCEPTION 'tick % of session % does not follow the one before', p_tick, p_session
			USING ERRCODE = 'OB001';
	END IF;
	v.period := ledger.tick_period();
	at := clock_timestamp();

	-- signals before all else: what takes authority away takes the fence first
	IF cardinality(p_signals) > 0 THEN
		signals := ledger.tick_signals(p_session, p_signals);
	END IF;

	-- settle, park, check
	IF cardinality(p_ended) > 0 OR cardinality(p_answers) > 0 THEN
		settled := ledger.tick_settle(p_session, p_tick, p_ended, p_answers);
	END IF;
	IF cardinality(p_parks) > 0 THEN
		parked := ledger.tick_park(p_parks);
		IF cardinality(parked.verdicts) IS DISTINCT FROM cardinality(p_parks) THEN
			RAISE EXCEPTION 'tick % of session %: % leads parked, % asked', p_tick, p_session,
				cardinality(parked.verdicts), cardinality(p_parks) USING ERRCODE = 'assert_failure';
		END IF;
	END IF;
	IF cardinality(p_checks) > 0 THEN
		checked := ledger.tick_check(p_checks);
	END IF;

	-- accept
	IF cardinality(p_events) > 0 THEN
		oldest := ledger.period_of(at - gov.setting('dedupe_days')::integer * interval '1 day');
		news := ledger.tick_accept(p_session, p_tick, v.period, oldest, p_events);
		events := news.verdicts;
		event_connections := news.connections;
		event_attempts := news.attempts;
		event_unanswered := news.unanswered;
		IF coalesce(news.rows, 0) < cardinality(p_events) THEN
			known := ledger.tick_accept_known(p_session, p_tick, oldest, p_events, coalesce(news.ords, '{}'), p_progress);
			SELECT array_agg(u.verdict ORDER BY u.ord), array_agg(u.connection ORDER BY u.ord),
				array_agg(u.attempts ORDER BY u.ord), array_agg(u.unanswered ORDER BY u.ord)
			INTO events, event_connections, event_attempts, event_unanswered
			FROM (SELECT * FROM unnest(news.ords, news.verdicts, news.connections, news.attempts, news.unanswered)
					x (ord, verdict, connection, attempts, unanswered)
				UNION ALL
				SELECT * FROM unnest(known.ords, known.verdicts, known.connections, known.attempts, known.unanswered)) u;
			IF cardinality(events) IS DISTINCT FROM cardinality(p_events) THEN
				RAISE EXCEPTION 'tick % of session %: % events answered, % asked', p_tick, p_session,
					cardinality(events), cardinality(p_events) USING ERRCODE = 'assert_failure';
			END IF;
		END IF;
	END IF;

	-- permit
	IF cardinality(p_calls) > 0 THEN
		may := events;
		IF known.verdicts IS NOT NULL THEN -- what may have been sent before is looked up before it is sent again
			SELECT array_agg(CASE WHEN u.unanswered > 0 THEN 1 ELSE u.verdict END::smallint ORDER BY u.ord) INTO may
			FROM unnest(events, event_unanswered) WITH ORDINALITY u (verdict, unanswered, ord);
		END IF;
		SELECT * INTO permits FROM ledger.tick_permit(p_session, p_tick, v.period, p_calls, may, event_connections);
		calls := permits.calls;
		call_leads := permits.leads;
		permitted_at := permits.permitted_at;
		permitted := permits.step;
	END IF;

	-- outcomes get their numbers; progress so far, by partition
	outs := settled.outcomes || parked.outcomes || checked.outcomes || news.outcomes || known.outcomes
		|| permitted.outcomes;
	SELECT array_agg(g.partition ORDER BY g.partition), array_agg(g.epoch ORDER BY g.partition),
		array_agg(g.position ORDER BY g.partition), array_agg(g.accepted ORDER BY g.partition),
		array_agg(g.confirmed ORDER BY g.partition), array_agg(g.read_positions::text ORDER BY g.partition),
		array_agg(b.last_outcome + coalesce(o.n, 0) ORDER BY g.partition),
		array_agg(b.terminal + coalesce(o.terminal, 0) ORDER BY g.partition),
		array_agg(b.consumed + (SELECT count(*) FROM unnest(news.consumed || known.consumed) x WHERE x = g.partition)
			ORDER BY g.partition),
		array_agg(b.duplicate + (SELECT count(*) FROM unnest(known.duplicates) x WHERE x = g.partition)
			ORDER BY g.partition),
		array_agg(b.parked + (SELECT count(*) FROM unnest(parked.parked) x WHERE x = g.partition)
			- (SELECT count(*) FROM unnest(settled.unparked || parked.unparked || checked.unparked || permitted.unparked) x WHERE x = g.partition)
			ORDER BY g.partition),
		coalesce(array_agg(DISTINCT b.head) FILTER (WHERE g.joins AND b.head IS NOT NULL
			AND b.head IS DISTINCT FROM p_prev), '{}')
	INTO v.partitions, v.epochs, v.positions, v.accepted, v.confirmed, v.read_positions, v.last_outcome, v.terminal,
		v.consumed, v.duplicate, v.parked, v.succeeds
	FROM unnest(p_progress) g
	CROSS JOIN LATERAL (SELECT array_position(prev.partitions, g.partition)) y (i)
	CROSS JOIN LATERAL ( -- out of the tick before, or out of the row that a take or proof since then has written
		SELECT prev.last_outcome[i], prev.terminal[i], prev.consumed[i], prev.duplicate[i], prev.parked[i], NULL
		WHERE prev.epochs[i] = g.epoch
		UNION ALL
		SELECT p.last_outcome, p.terminal, p.consumed, p.duplicate, p.parked, p.head FROM ledger.partition p
		WHERE p.partition = g.partition AND prev.epochs[i] IS DISTINCT FROM g.epoch)
		b (last_outcome, terminal, consumed, duplicate, parked, head)
	LEFT JOIN (SELECT x.partition, count(*) AS n, count(*) FILTER (WHERE x.terminal) AS terminal FROM unnest(outs) x
		GROUP BY x.partition) o ON o.partition = g.partition;

	IF NOT coalesce(news.consumed || known.consumed || parked.parked || settled.unparked || parked.unparked
		|| checked.unparked || permitted.unparked, '{}') <@ v.partitions THEN
		RAISE EXCEPTION 'tick % of session % is about partitions that are not in it', p_tick, p_session
			USING ERRCODE = 'OB001';
	END IF;
	-- A take copies the progress out of the owner's last tick, so a partition may leave only after its release.
	IF NOT prev.partitions <@ v.partitions AND EXISTS (SELECT FROM ledger.partition p WHERE p.owner = p_session
		AND p.partition = ANY (prev.partitions) AND NOT p.partition = ANY (v.partitions)) THEN
		RAISE EXCEPTION 'tick % of session % leaves out a partition of its own', p_tick, p_session
			USING ERRCODE = 'OB001';
	END IF;

	noted := clock_timestamp();
	IF cardinality(outs) > 0 THEN
		WITH ins AS (
			INSERT INTO ledger.outcome AS x
			SELECT v.period, o.partition, v.last_outcome[array_position(v.partitions, o.partition)]
					- count(*) OVER w + row_number() OVER (PARTITION BY o.partition ORDER BY o.ord),
				o.type, o.status, o.written, o.terminal, ledger.outcome_id(o.key, o.type, o.number), o.key,
				o.kafka_offset, o.incarnation, o.connection_id, o.connection_epoch, o.org_id, o.lead_id, o.code,
				o.reason, o.fields, o.connection_state, o.ended_by, o.ended_at, o.parked, o.deadline, o.attempts,
				o.permit_tick, o.permit_n, o.accepted_at, o.permitted_at, o.sent_at, o.answered_at, noted, p_session,
				p_tick, o.detail, o.event_key, o.source, o.event_id, o.traceparent
			FROM unnest(outs) WITH ORDINALITY o (partition, kafka_offset, incarnation, key, type, status, written,
				terminal, number, connection_id, connection_epoch, org_id, lead_id, code, reason, fields,
				connection_state, ended_by, ended_at, parked, deadline, attempts, permit_tick, permit_n, accepted_at,
				permitted_at, sent_at, answered_at, detail, event_key, source, event_id, traceparent, ord)
			WINDOW w AS (PARTITION BY o.partition)
			RETURNING x.partition, x.sequence, ledger.digest(x) AS digest
		)
		SELECT string_agg(ins.digest, '' ORDER BY ins.partition, ins.sequence), count(*) INTO digests, n FROM ins;
	ELSE
		digests := '';
		n := 0;
	END IF;

	-- seal: digests in the order answer, duplicate, event, outcome, permit
	v.rows_count := n + coalesce(settled.rows, 0) + coalesce(known.rows, 0) + coalesce(news.rows, 0)
		+ coalesce(permitted.rows, 0);
	digests := coalesce(settled.digests, '') || coalesce(known.digests, '') || coalesce(news.digests, '') || digests
		|| coalesce(permitted.digests, '');
	v.session := p_session;
	v.tick := p_tick;
	v.at := at;
	v.prev_hash := p_prev;
	v.rows_hash := sha256(digests);
	v.hash := sha256('onbehalf.tick.1'::bytea || uuid_send(v.session) || int8send(v.tick) || timestamptz_send(v.at)
		|| gov.lp(v.prev_hash) || array_send(v.succeeds) || v.rows_hash || int4send(v.rows_count)
		|| array_send(v.partitions) || array_send(v.epochs) || array_send(v.positions) || array_send(v.accepted)
		|| array_send(v.last_outcome) || array_send(v.confirmed) || array_send(v.consumed) || array_send(v.terminal)
		|| array_send(v.duplicate) || array_send(v.parked));
	INSERT INTO ledger.tick SELECT v.*;
	hash := v.hash;
	last_outcome := v.last_outcome;
	parks := parked.verdicts;
	park_connections := parked.connections;
	checks := checked.verdicts;
END $$;

GRANT EXECUTE ON FUNCTION ledger.tick TO onbehalf_worker;
