-- The ledger's tables.  What is audited is inserted and never updated; only
-- ledger.partition and ledger.parked are working tables.

SET ROLE onbehalf_owner;

-- A worker session: one database session, one transactional.id, one chain of ticks.
CREATE TABLE ledger.session (
	session          uuid PRIMARY KEY,
	group_id         text NOT NULL,
	transactional_id text NOT NULL,
	build            text NOT NULL,
	host             text NOT NULL,
	key_id           text NOT NULL,  -- that signs and digests
	key_fingerprint  bytea NOT NULL,
	backend_pid      integer NOT NULL,
	backend_start    timestamptz NOT NULL,
	login            text NOT NULL,
	started_at       timestamptz NOT NULL
);

-- Who owns an input partition.  Written by takes, proofs and releases only,
-- each copying the progress so far out of the owner's last tick.
CREATE TABLE ledger.partition (
	partition      integer PRIMARY KEY,
	incarnation    integer NOT NULL DEFAULT 1, -- raised by `onbehalf partition reset`
	owner          uuid,                       -- NULL: released
	epoch          bigint NOT NULL DEFAULT 0,  -- + 1 at each take and proof
	unfenced       text[] NOT NULL DEFAULT '{}', -- transactional.ids that may still be writing
	head           bytea,                      -- hash of the last tick with this partition
	position       bigint NOT NULL DEFAULT -1, -- lowest offset still needed; -1: the log's start
	accepted       bigint NOT NULL DEFAULT -1, -- highest offset accepted
	last_outcome   bigint NOT NULL DEFAULT 0,  -- sequence given last
	confirmed      bigint NOT NULL DEFAULT 0,  -- 1…n have all been seen
	read_positions bigint[],                   -- of the confirmer, per outcome topic
	consumed       bigint NOT NULL DEFAULT 0,
	terminal       bigint NOT NULL DEFAULT 0,
	duplicate      bigint NOT NULL DEFAULT 0,
	parked         bigint NOT NULL DEFAULT 0,
	takes          integer NOT NULL DEFAULT 0, -- in a row that brought no progress: a record may be killing us
	mark           bigint,                     -- offset that was about to be decoded, while takes are suspicious
	mark_takes     integer NOT NULL DEFAULT 0, -- that found this mark, and its record not accepted
	changed_at     timestamptz NOT NULL
);

-- Commit marker, progress and audit block in one.
CREATE TABLE ledger.tick (
	period         integer NOT NULL,
	session        uuid NOT NULL,
	tick           bigint NOT NULL, -- 1, 2, 3 … within the session
	at             timestamptz NOT NULL,
	prev_hash      bytea NOT NULL,  -- empty for the first
	succeeds       bytea[] NOT NULL, -- heads of the chains taken over in this tick
	rows_hash      bytea NOT NULL,  -- over the digests of its rows, in the order table, key
	rows_count     integer NOT NULL,
	hash           bytea NOT NULL,
	partitions     integer[] NOT NULL, -- rising; the arrays below run beside it
	epochs         bigint[] NOT NULL,
	positions      bigint[] NOT NULL,
	accepted       bigint[] NOT NULL,
	last_outcome   bigint[] NOT NULL,
	confirmed      bigint[] NOT NULL,
	read_positions text[] NOT NULL,    -- one bigint[] a partition, as text; NULL: none
	consumed       bigint[] NOT NULL,
	terminal       bigint[] NOT NULL,
	duplicate      bigint[] NOT NULL,
	parked         bigint[] NOT NULL,
	PRIMARY KEY (session, tick, period)
) PARTITION BY RANGE (period);

CREATE TABLE ledger.event (
	period          integer NOT NULL,
	key             uuid NOT NULL,     -- the External ID's 128 bits
	partition       integer NOT NULL,
	kafka_offset    bigint NOT NULL,
	incarnation     integer NOT NULL,
	verdict         smallint NOT NULL, -- 0 lead, 1 rejected by the decoder, 2 not a lead.create
	digest          bytea,             -- keyed, over the decoded content; NULL: adopted or not decoded
	digest_key      text,
	integration_id  uuid,
	connection_id   uuid,              -- at acceptance
	deadline        timestamptz NOT NULL,
	record_time     timestamptz,       -- Kafka's
	session         uuid NOT NULL,
	tick            bigint NOT NULL,
	-- chosen by callers, so not in the row's digest but through `digest`; may be erased
	event_key       bytea,
	source          text,
	event_id        text,
	user_id         text,
	organization_id text,
	traceparent     text,
	PRIMARY KEY (key, period)
) PARTITION BY RANGE (period);

CREATE TABLE ledger.duplicate (
	partition    integer NOT NULL,
	kafka_offset bigint NOT NULL,
	incarnation  integer NOT NULL,
	key          uuid NOT NULL, -- of the event it repeats
	session      uuid NOT NULL,
	tick         bigint NOT NULL,
	PRIMARY KEY (partition, kafka_offset, incarnation)
);

-- One call of Salesforce that was allowed.
CREATE TABLE ledger.permit (
	period        integer NOT NULL,
	session       uuid NOT NULL,
	tick          bigint NOT NULL,
	n             integer NOT NULL,  -- within the tick, from 1
	kind          smallint NOT NULL, -- 1 upsert, 2 lookup, 3 insert
	connection_id uuid NOT NULL,
	epoch         integer NOT NULL,
	org_id        text NOT NULL,
	sf_user_id    text NOT NULL,
	host          text NOT NULL,
	leads         uuid[] NOT NULL,
	at            timestamptz NOT NULL,
	PRIMARY KEY (session, tick, n, period)
) PARTITION BY RANGE (period);
CREATE INDEX permit_connection ON ledger.permit (connection_id, at);

-- An answered call whose leads did not all end by it.
CREATE TABLE ledger.answer (
	session     uuid NOT NULL, -- of the permit
	tick        bigint NOT NULL,
	n           integer NOT NULL,
	answered_in bigint NOT NULL, -- the tick that recorded it
	result      smallint NOT NULL, -- 1 answered, 2 nothing was sent, 3 unknown
	class       text NOT NULL,
	http_status integer NOT NULL,
	code        text,
	open        uuid[] NOT NULL,   -- leads that go on
	sent_at     timestamptz,
	answered_at timestamptz,
	PRIMARY KEY (session, tick, n)
);

CREATE TABLE ledger.outcome (
	period           integer NOT NULL,
	partition        integer NOT NULL,
	sequence         bigint NOT NULL,   -- gap-free per partition
	type             smallint NOT NULL, -- 1 lead.result, 2 lead.reauth-required, 3 lead.revoked, 4 lead.invalid
	status           smallint NOT NULL, -- 0 none, 1 created, 2 updated, 3 rejected, 4 expired, 5 undeliverable
	written          smallint NOT NULL, -- 0 no, 1 yes, 2 unknown
	terminal         boolean NOT NULL,
	outcome_id       uuid NOT NULL,     -- a function of what happened
	key              uuid NOT NULL,     -- of the event
	kafka_offset     bigint NOT NULL,
	incarnation      integer NOT NULL,
	connection_id    uuid,
	connection_epoch integer,
	org_id           text,
	lead_id          text,
	code             text,
	reason           text,
	fields           text,              -- names of Salesforce fields, a JSON list
	connection_state text,
	ended_by         text,
	ended_at         timestamptz,
	parked           boolean NOT NULL,
	deadline         timestamptz,
	attempts         integer NOT NULL,
	permit_tick      bigint,            -- the permit it was written under; same session
	permit_n         integer,
	accepted_at      timestamptz,
	permitted_at     timestamptz,
	sent_at          timestamptz,
	answered_at      timestamptz,
	recorded_at      timestamptz NOT NULL,
	session          uuid NOT NULL,
	tick             bigint NOT NULL,
	-- chosen by callers, not in the row's digest
	detail           text,              -- JSON path of what is wrong
	event_key        bytea,
	source           text,
	event_id         text,
	traceparent      text,
	PRIMARY KEY (partition, sequence, period)
) PARTITION BY RANGE (period);
CREATE INDEX outcome_record ON ledger.outcome (partition, kafka_offset);
CREATE INDEX outcome_lead ON ledger.outcome (lead_id) WHERE lead_id IS NOT NULL;

-- Leads that wait in PostgreSQL; the payload is sealed.  A working table.
CREATE TABLE ledger.parked (
	key             uuid PRIMARY KEY,
	partition       integer NOT NULL,
	kafka_offset    bigint NOT NULL,
	connection_id   uuid,              -- NULL: there is none yet
	integration_id  uuid NOT NULL,
	user_id         text NOT NULL,
	organization_id text,
	reason          text NOT NULL,
	deadline        timestamptz NOT NULL,
	parked_at       timestamptz NOT NULL,
	parkings        integer NOT NULL,
	attempts        integer NOT NULL,
	tried           boolean NOT NULL,
	unanswered      integer NOT NULL,
	next_attempt_at timestamptz NOT NULL,
	payload         bytea NOT NULL
);
CREATE INDEX parked_connection ON ledger.parked (connection_id, partition, next_attempt_at);
CREATE INDEX parked_deadline ON ledger.parked (partition, deadline);
CREATE INDEX parked_waiting ON ledger.parked (integration_id, user_id) WHERE connection_id IS NULL;

CREATE FUNCTION ledger.period_of(t timestamptz) RETURNS integer
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT floor(extract(epoch FROM t) / (86400 * value::integer))::integer FROM gov.setting
	WHERE name = 'period_days' $$;

-- Makes the partitions of this period and the two after it.  Attached, not created in place: that would wait for
-- every tick under way, keep the next ones out, and could deadlock with them.
CREATE FUNCTION ledger.maintain() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	first integer := ledger.period_of(clock_timestamp());
	made  integer := 0;
	t     text;
BEGIN
	PERFORM pg_advisory_xact_lock(gov.fence_key() + 1);
	FOR p IN first..first + 2 LOOP
		FOREACH t IN ARRAY ARRAY['tick', 'event', 'permit', 'outcome'] LOOP
			IF to_regclass(format('ledger.%I', t || '_' || p)) IS NULL THEN
				EXECUTE format('CREATE TABLE ledger.%I (LIKE ledger.%I INCLUDING ALL)', t || '_' || p, t);
				EXECUTE format('ALTER TABLE ledger.%I ATTACH PARTITION ledger.%I FOR VALUES FROM (%s) TO (%s)',
					t, t || '_' || p, p, p + 1);
				made := made + 1;
			END IF;
		END LOOP;
	END LOOP;
	RETURN made;
END $$;
SELECT ledger.maintain();
GRANT EXECUTE ON FUNCTION ledger.maintain() TO onbehalf_worker;
