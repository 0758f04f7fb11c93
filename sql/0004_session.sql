-- Sessions: begin, take, prove, release; and what a worker reads.

SET ROLE onbehalf_owner;

-- p_backend_start: only a session itself may see it in pg_stat_activity.
CREATE FUNCTION ledger.begin_session(p_session uuid, p_group text, p_transactional_id text, p_build text, p_host text,
	p_key_id text, p_key_fingerprint bytea, p_backend_start timestamptz) RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM ledger.maintain();
	INSERT INTO ledger.session
	VALUES (p_session, p_group, p_transactional_id, p_build, p_host, p_key_id, p_key_fingerprint, pg_backend_pid(),
		p_backend_start, session_user, clock_timestamp());
	RETURN clock_timestamp();
END $$;

-- The row of a partition with the progress of its owner's last tick.  An owner that ticked with it had fenced every
-- transactional.id on its list.
CREATE FUNCTION ledger.progressed(p ledger.partition) RETURNS ledger.partition
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t ledger.tick;
	i integer;
BEGIN
	SELECT * INTO t FROM ledger.tick x WHERE x.session = p.owner ORDER BY x.tick DESC LIMIT 1;
	i := array_position(t.partitions, p.partition);
	IF i IS NOT NULL AND t.epochs[i] = p.epoch THEN
		p.unfenced := '{}';
		p.head := t.hash;
		p.position := t.positions[i];
		p.accepted := t.accepted[i];
		p.last_outcome := t.last_outcome[i];
		p.confirmed := t.confirmed[i];
		p.read_positions := t.read_positions[i]::bigint[];
		p.consumed := t.consumed[i];
		p.terminal := t.terminal[i];
		p.duplicate := t.duplicate[i];
		p.parked := t.parked[i];
	END IF;
	RETURN p;
END $$;

CREATE FUNCTION ledger.store(p ledger.partition) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE ledger.partition SET owner = p.owner, epoch = p.epoch, unfenced = p.unfenced, head = p.head,
		position = p.position, accepted = p.accepted, last_outcome = p.last_outcome, confirmed = p.confirmed,
		read_positions = p.read_positions, consumed = p.consumed, terminal = p.terminal, duplicate = p.duplicate,
		parked = p.parked, takes = p.takes, mark = p.mark,
		mark_takes = p.mark_takes, changed_at = clock_timestamp()
	WHERE partition = p.partition
$$;

-- Takes partitions for a session.  Their rows come back with the progress so
-- far and every transactional.id that has to be fenced before publishing.
CREATE FUNCTION ledger.take(p_session uuid, p_partitions integer[]) RETURNS SETOF ledger.partition
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p    ledger.partition;
	old  text;
	before bigint;
BEGIN
	INSERT INTO ledger.partition (partition, changed_at)
	SELECT n, clock_timestamp() FROM unnest(p_partitions) n ORDER BY n ON CONFLICT DO NOTHING;
	FOR p IN SELECT * FROM ledger.partition x WHERE x.partition = ANY (p_partitions) ORDER BY x.partition FOR UPDATE LOOP
		SELECT s.transactional_id INTO old FROM ledger.session s WHERE s.session = p.owner;
		before := p.consumed;
		p := ledger.progressed(p);
		p.takes := CASE WHEN p.owner IS NULL OR p.consumed > before THEN 0 ELSE p.takes + 1 END;
		IF p.mark > p.accepted THEN -- its record was never accepted: stay careful
			p.mark_takes := p.mark_takes + 1;
			p.takes := greatest(p.takes, 3);
		ELSE
			p.mark := NULL;
			p.mark_takes := 0;
		END IF;
		IF p.owner IS DISTINCT FROM p_session AND old IS NOT NULL AND NOT old = ANY (p.unfenced) THEN
			p.unfenced := p.unfenced || old;
		END IF;
		p.owner := p_session;
		p.epoch := p.epoch + 1;
		PERFORM ledger.store(p);
		RETURN NEXT p;
	END LOOP;
END $$;

-- A compare-and-set on owner and epoch: committed, it shows that nobody took
-- the partitions since.  All or nothing; the new epoch of each, in their order.
CREATE FUNCTION ledger.prove(p_session uuid, p_partitions integer[], p_epochs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p   ledger.partition;
	new bigint[] := '{}';
	n   integer;
BEGIN
	PERFORM FROM unnest(p_partitions, p_epochs) g (partition, epoch) JOIN ledger.partition x USING (partition)
	WHERE x.owner = p_session AND x.epoch = g.epoch ORDER BY x.partition FOR UPDATE OF x;
	GET DIAGNOSTICS n = ROW_COUNT;
	IF n IS DISTINCT FROM cardinality(p_partitions) THEN
		RETURN NULL;
	END IF;
	FOR i IN 1..n LOOP
		SELECT * INTO p FROM ledger.partition x WHERE x.partition = p_partitions[i];
		p := ledger.progressed(p);
		p.epoch := p.epoch + 1;
		PERFORM ledger.store(p);
		new := new || p.epoch;
	END LOOP;
	RETURN new;
END $$;

-- Gives partitions back, after the last transaction with them.
CREATE FUNCTION ledger.release(p_session uuid, p_partitions integer[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p ledger.partition;
	n integer := 0;
BEGIN
	FOR p IN SELECT * FROM ledger.partition x WHERE x.partition = ANY (p_partitions) AND x.owner = p_session
		ORDER BY x.partition FOR UPDATE LOOP
		p := ledger.progressed(p);
		p.owner := NULL;
		p.unfenced := '{}';
		p.takes := 0;
		PERFORM ledger.store(p);
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;

-- Written before a record is decoded, where the takes so far brought no
-- progress: if the record kills the worker, the next one knows which it was.
CREATE FUNCTION ledger.mark(p_session uuid, p_partition integer, p_offset bigint) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	UPDATE ledger.partition SET mark = p_offset,
		mark_takes = CASE WHEN mark = p_offset THEN mark_takes ELSE 0 END
	WHERE partition = p_partition AND owner = p_session RETURNING true
$$;

-- Outcomes to publish: those after p_after of each partition, by sequence.
CREATE FUNCTION ledger.outcomes(p_partitions integer[], p_after bigint[], p_limit integer) RETURNS TABLE (
	partition integer, sequence bigint, type smallint, status smallint, written smallint, outcome_id uuid, key uuid,
	kafka_offset bigint, connection_id uuid, connection_epoch integer, org_id text, lead_id text, code text,
	reason text, fields text, connection_state text, ended_by text, ended_at timestamptz, parked boolean,
	deadline timestamptz, attempts integer, accepted_at timestamptz, permitted_at timestamptz, sent_at timestamptz,
	answered_at timestamptz, recorded_at timestamptz, session uuid, tick bigint, tick_hash bytea, detail text,
	event_key bytea, source text, event_id text, traceparent text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 200
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT o.partition, o.sequence, o.type, o.status, o.written, o.outcome_id, o.key, o.kafka_offset, o.connection_id,
		o.connection_epoch, o.org_id, o.lead_id, o.code, o.reason, o.fields, o.connection_state, o.ended_by,
		o.ended_at, o.parked, o.deadline, o.attempts, o.accepted_at, o.permitted_at, o.sent_at, o.answered_at,
		o.recorded_at, o.session, o.tick,
		(SELECT t.hash FROM ledger.tick t WHERE t.session = o.session AND t.tick = o.tick AND t.period = o.period),
		o.detail, o.event_key, o.source, o.event_id, o.traceparent
	FROM unnest(p_partitions, p_after) a (partition, after)
	CROSS JOIN LATERAL (
		SELECT * FROM ledger.outcome x WHERE x.partition = a.partition AND x.sequence > a.after
		ORDER BY x.sequence LIMIT p_limit) o
	-- in turns, so that a long backlog of one partition does not hold up the others
	ORDER BY row_number() OVER (PARTITION BY o.partition ORDER BY o.sequence), o.partition
	LIMIT p_limit;
END $$;

-- What a worker knows of connections.
CREATE FUNCTION ledger.connections(p_ids uuid[]) RETURNS TABLE (
	connection_id uuid, state text, writes boolean, ends boolean, epoch integer, integration_id uuid, client text,
	environment text, token_source text, grant_ref text, user_id text, organization_id text, org_id text,
	sf_user_id text, host text, login_host text, external_id_field text, write_mode text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.connection_id, c.state, s.writes, s.ends, c.epoch, c.integration_id, i.client, i.environment,
		c.token_source, c.grant_ref, c.user_id, c.organization_id, c.org_id, c.sf_user_id, c.host, c.login_host,
		c.external_id_field, c.write_mode
	FROM gov.connection c JOIN gov.state s USING (state) JOIN gov.integration i USING (integration_id)
	WHERE c.connection_id = ANY (p_ids)
$$;

-- Parked leads that can go on now: 1 to be sent, 2 past their deadline, 3 their connection has ended.
-- p_skip: those already in the worker's memory.
CREATE FUNCTION ledger.parked_ready(p_partitions integer[], p_skip uuid[], p_limit integer) RETURNS TABLE (
	what smallint, key uuid, partition integer, kafka_offset bigint, incarnation integer, connection_id uuid,
	deadline timestamptz, attempts integer, unanswered integer, parkings integer, payload bytea, event_key bytea,
	source text, event_id text, traceparent text, accepted_at timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp ROWS 100
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	SELECT r.what, r.key, r.partition, r.kafka_offset, e.incarnation, r.connection_id, r.deadline, r.attempts,
		r.unanswered, r.parkings, r.payload, e.event_key, e.source, e.event_id, e.traceparent,
		(SELECT t.at FROM ledger.tick t WHERE t.session = e.session AND t.tick = e.tick AND t.period = e.period)
	FROM (
		SELECT (CASE WHEN p.deadline <= clock_timestamp() THEN 2 WHEN c.ends THEN 3 ELSE 1 END)::smallint AS what,
			p.key, p.partition, p.kafka_offset, c.connection_id, p.deadline, p.attempts, p.unanswered, p.parkings,
			p.payload
		FROM ledger.parked p
		LEFT JOIN LATERAL (
			SELECT x.connection_id, s.writes, s.ends FROM gov.connection x JOIN gov.state s USING (state)
			WHERE x.connection_id = p.connection_id
			UNION ALL -- connected since the lead was parked
			SELECT x.connection_id, s.writes, s.ends FROM gov.connection x JOIN gov.state s USING (state)
			WHERE p.connection_id IS NULL AND x.integration_id = p.integration_id AND x.user_id = p.user_id
				AND coalesce(x.organization_id, '') = coalesce(p.organization_id, '')) c ON true
		WHERE p.partition = ANY (p_partitions)
			AND (p.deadline <= clock_timestamp() OR c.ends OR c.writes AND p.next_attempt_at <= clock_timestamp())
			AND NOT p.key = ANY (p_skip)
		ORDER BY c.connection_id, p.partition, p.kafka_offset
		LIMIT p_limit) r
	CROSS JOIN LATERAL (SELECT * FROM ledger.event y WHERE y.key = r.key ORDER BY y.period DESC LIMIT 1) e
	ORDER BY r.connection_id, r.partition, r.kafka_offset;
END $$;

GRANT EXECUTE ON FUNCTION ledger.begin_session, ledger.take, ledger.prove, ledger.release, ledger.mark, ledger.outcomes,
	ledger.connections, ledger.parked_ready TO onbehalf_worker;
