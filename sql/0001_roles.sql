-- Roles, schemas and the list of migrations.
--
-- The owner can log in nowhere; applications, governance, auditors and workers
-- are group roles that login roles are put into.  Roles belong to the whole
-- cluster, so another database may already have made them.

DO $$
DECLARE
	r text;
BEGIN
	FOREACH r IN ARRAY ARRAY['onbehalf_owner', 'onbehalf_worker', 'onbehalf_app', 'onbehalf_governance',
		'onbehalf_auditor'] LOOP
		BEGIN
			EXECUTE format('CREATE ROLE %I NOLOGIN', r);
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;
	IF NOT pg_has_role(current_user, 'onbehalf_owner', 'MEMBER') THEN
		EXECUTE format('GRANT onbehalf_owner TO %I', current_user);
	END IF;
END $$;

CREATE SCHEMA gov AUTHORIZATION onbehalf_owner;
CREATE SCHEMA ledger AUTHORIZATION onbehalf_owner;
CREATE SCHEMA vault AUTHORIZATION onbehalf_owner;
CREATE SCHEMA audit AUTHORIZATION onbehalf_owner;

SET ROLE onbehalf_owner;

GRANT USAGE ON SCHEMA gov TO onbehalf_worker, onbehalf_app, onbehalf_governance;
GRANT USAGE ON SCHEMA ledger TO onbehalf_worker;
GRANT USAGE ON SCHEMA audit TO onbehalf_auditor, onbehalf_governance;

-- Nobody gets a function by accident.
ALTER DEFAULT PRIVILEGES FOR ROLE onbehalf_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE TABLE gov.migration (
	number     integer PRIMARY KEY,
	name       text NOT NULL,
	checksum   text NOT NULL, -- SHA-256 of the file, hexadecimal
	applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	applied_by text NOT NULL DEFAULT session_user
);

-- Every function names pg_temp last in its search_path: left out, it would come first, and a caller's temporary type
-- or table would be taken for ours, with the owner's rights.

-- The schema version, for the worker's start and for `onbehalf check`.
CREATE FUNCTION gov.schema_version() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT max(number) FROM gov.migration $$;
GRANT EXECUTE ON FUNCTION gov.schema_version() TO onbehalf_worker, onbehalf_app, onbehalf_governance, onbehalf_auditor;
