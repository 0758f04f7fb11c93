-- Integrations and connections: who may write, on whose behalf, into which org.

SET ROLE onbehalf_owner;

CREATE TABLE gov.setting (
	name  text PRIMARY KEY,
	value text NOT NULL,
	doc   text NOT NULL
);
INSERT INTO gov.setting VALUES
	('park.deadline', '7 days', 'how long a lead may wait when its event has no expirytime'),
	('park.enabled', 'true', 'false: a lead whose connection cannot be used is refused instead of parked'),
	('dedupe_days', '30', 'how far back a repeated event is recognised; at least the input''s retention plus the longest parking'),
	('period_days', '7', 'the length of one partition of the ledger; never changed once there are rows');

CREATE FUNCTION gov.setting(p_name text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT value FROM gov.setting WHERE name = p_name $$;

-- The 18-character form of a Salesforce id: for each five characters a 5-bit
-- number of the upper-case ones, lowest bit first, written A-Z0-5.
CREATE FUNCTION gov.sf_id18(p_id text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	suffix text := '';
	bits   integer;
BEGIN
	IF p_id IS NULL THEN
		RETURN NULL;
	END IF;
	IF p_id !~ '^[A-Za-z0-9]{15}([A-Z0-5]{3})?$' THEN
		RAISE EXCEPTION 'a Salesforce id has 15 or 18 letters and digits' USING ERRCODE = 'check_violation';
	END IF;
	FOR block IN 0..2 LOOP
		bits := 0;
		FOR i IN 0..4 LOOP
			IF substr(p_id, block * 5 + i + 1, 1) ~ '[A-Z]' THEN
				bits := bits + (1 << i);
			END IF;
		END LOOP;
		suffix := suffix || substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ012345', bits + 1, 1);
	END LOOP;
	IF length(p_id) = 18 AND substr(p_id, 16) <> suffix THEN
		RAISE EXCEPTION 'the last three characters of the Salesforce id do not fit the others'
			USING ERRCODE = 'check_violation';
	END IF;
	RETURN substr(p_id, 1, 15) || suffix;
END $$;

CREATE TABLE gov.integration (
	integration_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name             text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
	client           text NOT NULL CHECK (client ~ '^[a-z0-9_-]{1,63}$'), -- [client.<name>] of the configuration
	purpose          text NOT NULL,
	business_owner   text NOT NULL,
	technical_owner  text NOT NULL,
	governance_owner text NOT NULL,
	environment      text NOT NULL DEFAULT 'production' CHECK (environment IN ('production', 'sandbox')),
	scope_baseline   text[] NOT NULL DEFAULT '{api,refresh_token}',
	fields           text[],                     -- Lead fields it may set; NULL: all
	review_period    interval NOT NULL DEFAULT '90 days',
	created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
	created_by       text NOT NULL DEFAULT session_user
);

-- A source belongs to one integration.
CREATE TABLE gov.integration_source (
	source         text PRIMARY KEY CHECK (octet_length(source) BETWEEN 1 AND 256),
	integration_id uuid NOT NULL REFERENCES gov.integration
);

CREATE TABLE gov.state (
	state  text PRIMARY KEY,
	writes boolean NOT NULL, -- a permit may be given
	ends   boolean NOT NULL  -- leads end as lead.revoked; otherwise they are parked
);
INSERT INTO gov.state VALUES
	('connected', true, false), ('reauth_required', false, false), ('suspended', false, false),
	('quarantined', false, false), ('disconnected', false, true), ('revoked', false, true);

-- The state machine, as data.  A pair that is not here is refused.
CREATE TABLE gov.transition_rule (
	event      text NOT NULL,
	from_state text NOT NULL REFERENCES gov.state,
	to_state   text NOT NULL REFERENCES gov.state,
	stops      boolean NOT NULL, -- takes authority away: needs the fence
	PRIMARY KEY (event, from_state)
);
INSERT INTO gov.transition_rule VALUES
	-- the token source's identity answer binds the org, once; a new host of the same org is recorded
	('bound', 'connected', 'connected', false),
	-- the user consented again
	('consented', 'reauth_required', 'connected', false),
	('consented', 'disconnected', 'connected', false),
	('consented', 'connected', 'connected', false),
	-- the grant is dead or too narrow
	('reauthorization_needed', 'connected', 'reauth_required', true),
	('reauthorization_needed', 'suspended', 'reauth_required', false),
	-- a binding or seal check failed
	('binding_failed', 'connected', 'quarantined', true),
	('binding_failed', 'reauth_required', 'quarantined', false),
	('binding_failed', 'suspended', 'quarantined', false),
	-- the user ended it, here or at the token source
	('user_disconnected', 'connected', 'disconnected', true),
	('user_disconnected', 'reauth_required', 'disconnected', false),
	('user_disconnected', 'suspended', 'disconnected', false),
	('user_disconnected', 'quarantined', 'disconnected', false),
	('removed_at_source', 'connected', 'disconnected', true),
	('removed_at_source', 'reauth_required', 'disconnected', false),
	('removed_at_source', 'suspended', 'disconnected', false),
	('removed_at_source', 'quarantined', 'disconnected', false),
	-- somebody else ended it
	('admin_revoked', 'connected', 'revoked', true),
	('admin_revoked', 'reauth_required', 'revoked', false),
	('admin_revoked', 'suspended', 'revoked', false),
	('admin_revoked', 'quarantined', 'revoked', false),
	('admin_revoked', 'disconnected', 'revoked', false);

CREATE TABLE gov.connection (
	connection_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	integration_id    uuid NOT NULL REFERENCES gov.integration,
	user_id           text NOT NULL CHECK (octet_length(user_id) BETWEEN 1 AND 256),
	organization_id   text CHECK (octet_length(organization_id) BETWEEN 1 AND 256),
	state             text NOT NULL REFERENCES gov.state,
	epoch             integer NOT NULL,
	event             text NOT NULL,              -- of the last transition
	reason            text,                       -- of the last transition
	changed_at        timestamptz NOT NULL,       -- of the last transition
	ended_by          text CHECK (ended_by IN ('user', 'admin', 'policy', 'system', 'unknown')),
	token_source      text NOT NULL DEFAULT 'pipes' CHECK (token_source IN ('pipes', 'vault')),
	grant_ref         text,                       -- the token source's own name for the grant
	org_id            text CHECK (org_id ~ '^00D[A-Za-z0-9]{12}[A-Z0-5]{3}$'),
	sf_user_id        text CHECK (sf_user_id ~ '^005[A-Za-z0-9]{12}[A-Z0-5]{3}$'),
	host              text CHECK (host = lower(host) AND host ~ '^[a-z0-9.-]+(:[0-9]+)?$'),
	login_host        text CHECK (login_host = lower(login_host) AND login_host ~ '^[a-z0-9.-]+(:[0-9]+)?$'),
	external_id_field text NOT NULL DEFAULT 'OnBehalf_Event_Id__c'
		CHECK (external_id_field ~ '^[A-Za-z][A-Za-z0-9_]{0,79}$'),
	write_mode        text NOT NULL DEFAULT 'upsert' CHECK (write_mode IN ('upsert', 'insert')),
	head              bytea NOT NULL,             -- hash of the newest row of its history
	created_at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX connection_subject ON gov.connection (integration_id, user_id, coalesce(organization_id, ''));

-- What was and why: inserted, never updated, chained by hash per connection.
CREATE TABLE gov.connection_transition (
	connection_id     uuid NOT NULL, -- no foreign key: history outlives what it is about
	epoch             integer NOT NULL,
	event             text NOT NULL,
	from_state        text,          -- NULL: the first
	to_state          text NOT NULL,
	reason            text,
	initiating_entity text NOT NULL CHECK (initiating_entity IN ('user', 'admin', 'policy', 'system', 'unknown')),
	initiator         text NOT NULL, -- the login role
	session           uuid,          -- the worker session that brought it, NULL for others
	org_id            text,
	sf_user_id        text,
	host              text,
	at                timestamptz NOT NULL,
	prev_hash         bytea NOT NULL,
	hash              bytea NOT NULL,
	PRIMARY KEY (connection_id, epoch)
);

-- A hold is read by the permit; states do not change.
CREATE TABLE gov.hold (
	hold_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	level       text NOT NULL CHECK (level IN ('everything', 'integration', 'organization', 'salesforce_org')),
	scope       text NOT NULL DEFAULT '',
	reason      text NOT NULL,
	engaged_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
	engaged_by  text NOT NULL DEFAULT session_user,
	released_at timestamptz,
	released_by text
);
CREATE INDEX hold_engaged ON gov.hold (level, scope) WHERE released_at IS NULL;

-- The fence: permits hold it shared, what takes authority away holds it alone.
CREATE FUNCTION gov.fence_key() RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT 8028866084520423681 $$;

-- Length-prefixed bytes for digests; NULL is not the same as empty.
CREATE FUNCTION gov.lp(b bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN b IS NULL THEN '\xffffffff'::bytea ELSE int4send(octet_length(b)) || b END $$;
-- STABLE, as convert_to() is, and without a search_path of its own: only so the planner takes its body in.
CREATE FUNCTION gov.lp(t text) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT CASE WHEN t IS NULL THEN '\xffffffff'::bytea
	ELSE int4send(octet_length(t)) || convert_to(t, 'UTF8') END $$;
-- An encoding of Unicode, so that text has one form in digests.
DO $$
BEGIN
	IF current_setting('server_encoding') <> 'UTF8' THEN
		RAISE EXCEPTION 'the database''s encoding is %, it has to be UTF8', current_setting('server_encoding')
			USING HINT = 'CREATE DATABASE … ENCODING UTF8 TEMPLATE template0';
	END IF;
END $$;

-- Writes one row of history and moves the connection to it.  Only gov.transition() and gov.connect() call it.
CREATE FUNCTION gov.record_transition(c gov.connection, p_event text, p_from text, p_to text, p_reason text,
	p_entity text, p_session uuid) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t  timestamptz := clock_timestamp();
	n  integer := c.epoch + 1;
	h  bytea;
BEGIN
	h := sha256('onbehalf.transition.1'::bytea || gov.lp(c.head) || uuid_send(c.connection_id) || int4send(n)
		|| gov.lp(p_event) || gov.lp(p_from) || gov.lp(p_to) || gov.lp(p_reason) || gov.lp(p_entity)
		|| gov.lp(session_user::text) || gov.lp(uuid_send(p_session)) || gov.lp(c.org_id) || gov.lp(c.sf_user_id)
		|| gov.lp(c.host) || timestamptz_send(t));
	INSERT INTO gov.connection_transition VALUES (c.connection_id, n, p_event, p_from, p_to, p_reason, p_entity,
		session_user, p_session, c.org_id, c.sf_user_id, c.host, t, c.head, h);
	UPDATE gov.connection SET state = p_to, epoch = n, event = p_event, reason = p_reason, changed_at = t, head = h,
		ended_by = CASE WHEN p_to IN ('disconnected', 'revoked') THEN p_entity END,
		org_id = c.org_id, sf_user_id = c.sf_user_id, host = c.host, login_host = c.login_host, grant_ref = c.grant_ref
	WHERE connection_id = c.connection_id;
	PERFORM pg_notify('onbehalf_connection', c.connection_id::text);
	RETURN n;
END $$;

CREATE TYPE gov.transitioned AS (state text, epoch integer, done boolean);

-- The only way a state changes.  p_epoch: what the caller saw; a signal about
-- an older epoch is stale and ignored.  An event the state has already reached
-- is no error (signals repeat); a pair that is not in the table is refused.
CREATE FUNCTION gov.transition(p_connection uuid, p_event text, p_reason text, p_entity text,
	p_epoch integer DEFAULT NULL, p_org_id text DEFAULT NULL, p_sf_user_id text DEFAULT NULL,
	p_host text DEFAULT NULL, p_login_host text DEFAULT NULL, p_session uuid DEFAULT NULL)
	RETURNS gov.transitioned
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c    gov.connection;
	rule gov.transition_rule;
BEGIN
	IF EXISTS (SELECT FROM gov.transition_rule r WHERE r.event = p_event AND r.stops) THEN
		PERFORM pg_advisory_xact_lock(gov.fence_key());
	END IF;
	SELECT * INTO c FROM gov.connection WHERE connection_id = p_connection FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no connection %', p_connection USING ERRCODE = 'no_data_found';
	END IF;
	IF p_epoch IS NOT NULL AND p_epoch <> c.epoch THEN
		RETURN ROW(c.state, c.epoch, false)::gov.transitioned; -- stale
	END IF;
	SELECT * INTO rule FROM gov.transition_rule r WHERE r.event = p_event AND r.from_state = c.state;
	IF NOT FOUND THEN
		IF EXISTS (SELECT FROM gov.transition_rule r WHERE r.event = p_event AND r.to_state = c.state) THEN
			RETURN ROW(c.state, c.epoch, false)::gov.transitioned; -- already there
		END IF;
		RAISE EXCEPTION 'connection % is %: % is not possible', p_connection, c.state, p_event
			USING ERRCODE = 'check_violation';
	END IF;
	IF p_event = 'bound' THEN
		IF p_org_id IS NULL OR p_sf_user_id IS NULL OR coalesce(p_host, c.host) IS NULL THEN
			RAISE EXCEPTION 'connection % cannot be bound without org, user and host', p_connection
				USING ERRCODE = 'check_violation';
		END IF;
		IF c.org_id IS NOT NULL AND c.org_id <> gov.sf_id18(p_org_id)
			OR c.sf_user_id IS NOT NULL AND c.sf_user_id <> gov.sf_id18(p_sf_user_id) THEN
			RAISE EXCEPTION 'connection % is bound to another org or user', p_connection
				USING ERRCODE = 'check_violation';
		END IF;
		c.org_id := gov.sf_id18(p_org_id);
		c.sf_user_id := gov.sf_id18(p_sf_user_id);
		c.host := coalesce(lower(p_host), c.host);
		c.login_host := coalesce(lower(p_login_host), c.login_host);
	END IF;
	RETURN ROW(rule.to_state, gov.record_transition(c, p_event, c.state, rule.to_state, p_reason, p_entity, p_session),
		true)::gov.transitioned;
END $$;

CREATE FUNCTION gov.register_integration(name text, source text, client text, purpose text DEFAULT 'create leads',
	business_owner text DEFAULT session_user, technical_owner text DEFAULT session_user,
	governance_owner text DEFAULT session_user, environment text DEFAULT 'production', fields text[] DEFAULT NULL,
	review_period interval DEFAULT '90 days') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	id uuid;
BEGIN
	INSERT INTO gov.integration (name, client, purpose, business_owner, technical_owner, governance_owner,
		environment, fields, review_period)
	VALUES (register_integration.name, register_integration.client, register_integration.purpose,
		register_integration.business_owner, register_integration.technical_owner,
		register_integration.governance_owner, register_integration.environment, register_integration.fields,
		register_integration.review_period)
	RETURNING integration_id INTO id;
	INSERT INTO gov.integration_source VALUES (register_integration.source, id);
	RETURN id;
END $$;

-- The app calls this when its user has connected; again when he has consented
-- again.  The Salesforce side may be left out: the first token binds it.
CREATE FUNCTION gov.connect(integration uuid, user_id text, organization_id text DEFAULT NULL,
	token_source text DEFAULT 'pipes', grant_ref text DEFAULT NULL,
	external_id_field text DEFAULT 'OnBehalf_Event_Id__c', org_id text DEFAULT NULL, sf_user_id text DEFAULT NULL,
	host text DEFAULT NULL, login_host text DEFAULT NULL, write_mode text DEFAULT 'upsert') RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	c     gov.connection;
	v_org text := gov.sf_id18(connect.org_id);
	v_usr text := gov.sf_id18(connect.sf_user_id);
BEGIN
	PERFORM FROM gov.integration i WHERE i.integration_id = connect.integration;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no integration %', connect.integration USING ERRCODE = 'no_data_found';
	END IF;
	-- Two calls for one user at once: one inserts, the other waits for it and finds its row.
	INSERT INTO gov.connection (integration_id, user_id, organization_id, state, epoch, event, changed_at, token_source,
		grant_ref, org_id, sf_user_id, host, login_host, external_id_field, write_mode, head)
	VALUES (connect.integration, connect.user_id, nullif(connect.organization_id, ''), 'connected', 0, 'connected',
		clock_timestamp(), connect.token_source, connect.grant_ref, v_org, v_usr,
		lower(connect.host), lower(connect.login_host), connect.external_id_field, connect.write_mode, '\x')
	ON CONFLICT (integration_id, user_id, coalesce(organization_id, '')) DO NOTHING
	RETURNING * INTO c;
	IF FOUND THEN
		PERFORM gov.record_transition(c, 'connected', NULL, 'connected', 'consented', 'user', NULL);
		RETURN c.connection_id;
	END IF;
	SELECT * INTO c FROM gov.connection x WHERE x.integration_id = connect.integration
		AND x.user_id = connect.user_id AND coalesce(x.organization_id, '') = coalesce(connect.organization_id, '')
		FOR UPDATE;
	IF NOT EXISTS (SELECT FROM gov.transition_rule r WHERE r.event = 'consented' AND r.from_state = c.state) THEN
		RAISE EXCEPTION 'connection % is %: it does not come back by a new consent', c.connection_id, c.state
			USING ERRCODE = 'check_violation';
	END IF;
	IF c.org_id <> v_org OR c.sf_user_id <> v_usr THEN
		RAISE EXCEPTION 'connection % is bound to another org or user', c.connection_id USING ERRCODE = 'check_violation';
	END IF;
	c.org_id := coalesce(c.org_id, v_org);
	c.sf_user_id := coalesce(c.sf_user_id, v_usr);
	c.host := coalesce(c.host, lower(connect.host));
	c.login_host := coalesce(c.login_host, lower(connect.login_host));
	c.grant_ref := coalesce(connect.grant_ref, c.grant_ref);
	PERFORM gov.record_transition(c, 'consented', c.state, 'connected', 'consented', 'user', NULL);
	RETURN c.connection_id;
END $$;

CREATE FUNCTION gov.disconnect(connection uuid, reason text DEFAULT 'user_disconnected') RETURNS gov.transitioned
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT gov.transition(connection, 'user_disconnected', reason, 'user') $$;

CREATE FUNCTION gov.revoke(connection uuid, reason text DEFAULT 'admin_revoked') RETURNS gov.transitioned
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT gov.transition(connection, 'admin_revoked', reason, 'admin') $$;

GRANT EXECUTE ON FUNCTION gov.register_integration TO onbehalf_governance;
GRANT EXECUTE ON FUNCTION gov.connect, gov.disconnect TO onbehalf_app, onbehalf_governance;
GRANT EXECUTE ON FUNCTION gov.revoke TO onbehalf_app, onbehalf_governance;
GRANT EXECUTE ON FUNCTION gov.setting(text) TO onbehalf_worker, onbehalf_app, onbehalf_governance;
