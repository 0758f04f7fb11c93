-- Why something happened, from one closed list.  `onbehalf migrate` fills it from schemas/reasons.json every time it
-- runs, after the migrations: a release that adds a reason needs no migration.

SET ROLE onbehalf_owner;

CREATE TABLE gov.reason (
	code     text PRIMARY KEY CHECK (code ~ '^[a-z][a-z0-9_]{0,39}$'),
	meaning  text NOT NULL,
	repairer text NOT NULL, -- user, app, admin, operator or nobody
	how      text NOT NULL  -- what it takes: the repair of an event
);

-- What a worker brings into the history is on the list.  Its releases may be ahead of the list for the time of a
-- rolling upgrade, and no unknown word may let writes go on: what takes authority away is recorded whatever it is
-- called, as long as it is a word; audit.unknown_reason shows it.  All else is refused, and so ignored by the tick.
CREATE FUNCTION gov.check_reason() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM gov.reason r WHERE r.code = NEW.reason) THEN
		RETURN NEW;
	END IF;
	IF NEW.reason ~ '^[a-z][a-z0-9_]{0,39}$' AND EXISTS (SELECT FROM gov.transition_rule r
		WHERE r.event = NEW.event AND r.from_state = NEW.from_state AND r.stops) THEN
		RETURN NEW;
	END IF;
	RAISE EXCEPTION 'connection %: a worker''s % needs a reason of the list', NEW.connection_id, NEW.event
		USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER check_reason BEFORE INSERT ON gov.connection_transition
	FOR EACH ROW WHEN (NEW.session IS NOT NULL AND NEW.reason IS NOT NULL) EXECUTE FUNCTION gov.check_reason();

-- What the codes in all other views mean, and what repairs it.
CREATE VIEW audit.reason WITH (security_barrier) AS
SELECT code, meaning, repairer, how AS repair FROM gov.reason;

-- Reasons that were recorded and are not on the list: empty, unless a caller of gov.disconnect() or gov.revoke() gave
-- one of his own, or a worker is newer than the last `onbehalf migrate`.  Reads all there is: for a check, not a page.
CREATE VIEW audit.unknown_reason WITH (security_barrier) AS
SELECT 'outcome' AS recorded_in, x.reason, count(*) AS times, min(x.recorded_at) AS first_at, max(x.recorded_at) AS last_at
FROM ledger.outcome x
WHERE x.reason IS NOT NULL AND NOT EXISTS (SELECT FROM gov.reason r WHERE r.code = x.reason)
GROUP BY x.reason
UNION ALL
SELECT 'connection', h.reason, count(*), min(h.at), max(h.at)
FROM gov.connection_transition h
WHERE h.reason IS NOT NULL AND NOT EXISTS (SELECT FROM gov.reason r WHERE r.code = h.reason)
GROUP BY h.reason;

GRANT SELECT ON audit.reason, audit.unknown_reason TO onbehalf_auditor, onbehalf_governance;
