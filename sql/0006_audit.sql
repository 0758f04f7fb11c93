-- What auditors read: views only.

SET ROLE onbehalf_owner;

-- One row a lead event: who asked, on whose behalf, under what authority, into which org, what became of it.
CREATE VIEW audit.lead WITH (security_barrier) AS
SELECT replace(e.key::text, '-', '') AS lead_event, e.source, e.event_id, e.partition, e.kafka_offset,
	i.name AS integration, i.business_owner, i.technical_owner, e.user_id, e.organization_id,
	coalesce(o.connection_id, e.connection_id) AS connection_id, o.connection_epoch,
	o.org_id, p.sf_user_id, p.host,
	CASE o.type WHEN 1 THEN 'lead.result' WHEN 2 THEN 'lead.reauth-required' WHEN 3 THEN 'lead.revoked'
		WHEN 4 THEN 'lead.invalid' ELSE CASE WHEN w.key IS NOT NULL THEN 'parked' ELSE 'in flight' END END AS outcome,
	CASE o.status WHEN 1 THEN 'created' WHEN 2 THEN 'updated' WHEN 3 THEN 'rejected' WHEN 4 THEN 'expired'
		WHEN 5 THEN 'undeliverable' END AS status,
	CASE o.written WHEN 0 THEN 'no' WHEN 1 THEN 'yes' WHEN 2 THEN 'unknown' END AS written,
	o.lead_id, o.code, o.reason, o.attempts, t.at AS accepted_at, p.at AS permitted_at, o.sent_at, o.answered_at,
	o.recorded_at, o.sequence, o.session, o.tick, encode(s.hash, 'hex') AS tick_hash
FROM ledger.event e
LEFT JOIN gov.integration i ON i.integration_id = e.integration_id
LEFT JOIN ledger.tick t ON t.session = e.session AND t.tick = e.tick AND t.period = e.period
LEFT JOIN LATERAL (SELECT * FROM ledger.outcome x WHERE x.partition = e.partition AND x.kafka_offset = e.kafka_offset
	AND x.incarnation = e.incarnation ORDER BY x.terminal DESC, x.sequence DESC LIMIT 1) o ON true
LEFT JOIN ledger.permit p ON p.session = o.session AND p.tick = o.permit_tick AND p.n = o.permit_n
LEFT JOIN ledger.tick s ON s.session = o.session AND s.tick = o.tick AND s.period = o.period
LEFT JOIN ledger.parked w ON w.key = e.key;

CREATE VIEW audit.connection_history WITH (security_barrier) AS
SELECT h.connection_id, h.epoch, i.name AS integration, c.user_id, c.organization_id, h.event, h.from_state, h.to_state,
	h.reason, h.initiating_entity, h.initiator, h.session, h.org_id, h.sf_user_id, h.host, h.at,
	encode(h.hash, 'hex') AS hash
FROM gov.connection_transition h
LEFT JOIN gov.connection c USING (connection_id)
LEFT JOIN gov.integration i USING (integration_id);

-- Every record is accounted for: each number counted from its own rows; balance is what is in flight.
CREATE VIEW audit.conservation WITH (security_barrier) AS
SELECT p.partition, coalesce(e.n, 0) + coalesce(d.n, 0) + coalesce(c.n, 0) AS consumed, coalesce(o.n, 0) AS terminal,
	coalesce(d.n, 0) AS duplicate, coalesce(w.n, 0) AS parked,
	coalesce(e.n, 0) + coalesce(c.n, 0) - coalesce(o.n, 0) - coalesce(w.n, 0) AS in_flight
FROM ledger.partition p
LEFT JOIN (SELECT partition, count(*) AS n FROM ledger.event GROUP BY 1) e USING (partition)
LEFT JOIN (SELECT partition, count(*) AS n FROM ledger.duplicate GROUP BY 1) d USING (partition)
LEFT JOIN (SELECT partition, count(*) AS n FROM ledger.outcome WHERE type = 4 AND reason = 'conflict' GROUP BY 1) c
	USING (partition)
LEFT JOIN (SELECT partition, count(*) AS n FROM ledger.outcome WHERE terminal GROUP BY 1) o USING (partition)
LEFT JOIN (SELECT partition, count(*) AS n FROM ledger.parked GROUP BY 1) w USING (partition);

-- Permits given after the connection had lost its authority: always empty.
CREATE VIEW audit.permit_after_fence WITH (security_barrier) AS
SELECT p.session, p.tick, p.n, p.connection_id, p.epoch, p.at, t.to_state, t.at AS fenced_at
FROM ledger.permit p
JOIN gov.connection_transition t ON t.connection_id = p.connection_id AND t.epoch > p.epoch AND t.at < p.at
	AND t.to_state <> 'connected';

GRANT SELECT ON audit.lead, audit.connection_history, audit.conservation, audit.permit_after_fence
	TO onbehalf_auditor, onbehalf_governance;
