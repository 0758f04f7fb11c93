"""What has to hold after every scenario: nothing lost, nothing twice, nothing without a permit, nothing untold.

assert_accounted(world) waits until all is quiet, stops the workers, and looks at everything there is: the ledger,
what a read_committed consumer sees, and what the sandbox wrote.  The checks are functions over the collected facts,
so that a test can plant faults in those and see that they are found (test_checks.py).
"""

import dataclasses
import functools
import hashlib
import json
import re
import uuid

import jsonschema
from confluent_kafka import TopicPartition

from . import TOP, worker
from .processes import wait_until

TYPES = {1: "lead_result", 2: "lead_reauth_required", 3: "lead_revoked", 4: "lead_invalid"}
STATUSES = {0: None, 1: "created", 2: "updated", 3: "rejected", 4: "expired", 5: "undeliverable"}
WRITTEN = {0: "no", 1: "yes", 2: "unknown"}
PERMIT_LIFE_MS = 5000
SECRET_MAC = 3  # the number of its sub-key
SCHEMA_CHECKS = 40  # outcomes of a run that are held against their schema: it is slow

# Every tick, hashed anew out of its rows: in the order answer, duplicate, event, outcome, permit.
CHAIN = """
WITH a AS (SELECT session, answered_in AS tick, string_agg(ledger.digest(x), '' ORDER BY x.tick, n) AS d, count(*) AS n
		FROM ledger.answer x GROUP BY 1, 2),
	d AS (SELECT session, tick, string_agg(ledger.digest(x), '' ORDER BY partition, kafka_offset) AS d, count(*) AS n
		FROM ledger.duplicate x GROUP BY 1, 2),
	e AS (SELECT session, tick, string_agg(ledger.digest(x), '' ORDER BY key) AS d, count(*) AS n
		FROM ledger.event x GROUP BY 1, 2),
	o AS (SELECT session, tick, string_agg(ledger.digest(x), '' ORDER BY partition, sequence) AS d, count(*) AS n
		FROM ledger.outcome x GROUP BY 1, 2),
	p AS (SELECT session, tick, string_agg(ledger.digest(x), '' ORDER BY n) AS d, count(*) AS n
		FROM ledger.permit x GROUP BY 1, 2),
	t AS (SELECT t.*, lag(hash) OVER w AS before, row_number() OVER w AS nth, lag(at) OVER w AS at_before
		FROM ledger.tick t WINDOW w AS (PARTITION BY session ORDER BY tick))
SELECT t.session::text, t.tick, t.tick = t.nth AS numbered, t.prev_hash = coalesce(t.before, '') AS linked,
	coalesce(t.at >= t.at_before, true) AS later,
	t.rows_hash = sha256(coalesce(a.d, '') || coalesce(d.d, '') || coalesce(e.d, '') || coalesce(o.d, '')
		|| coalesce(p.d, '')) AS rows,
	t.rows_count = coalesce(a.n, 0) + coalesce(d.n, 0) + coalesce(e.n, 0) + coalesce(o.n, 0) + coalesce(p.n, 0)
		AS counted,
	t.hash = sha256('onbehalf.tick.1'::bytea || uuid_send(t.session) || int8send(t.tick) || timestamptz_send(t.at)
		|| gov.lp(t.prev_hash) || array_send(t.succeeds) || t.rows_hash || int4send(t.rows_count)
		|| array_send(t.partitions) || array_send(t.epochs) || array_send(t.positions) || array_send(t.accepted)
		|| array_send(t.last_outcome) || array_send(t.confirmed) || array_send(t.consumed) || array_send(t.terminal)
		|| array_send(t.duplicate) || array_send(t.parked)) AS hashed,
	NOT EXISTS (SELECT FROM unnest(t.succeeds) s WHERE NOT EXISTS (SELECT FROM ledger.tick y WHERE y.hash = s))
		AS succeeding,
	encode(t.hash, 'hex') AS hash
FROM t LEFT JOIN a USING (session, tick) LEFT JOIN d USING (session, tick) LEFT JOIN e USING (session, tick)
	LEFT JOIN o USING (session, tick) LEFT JOIN p USING (session, tick)
ORDER BY t.session, t.tick"""

# Rows of a session that no tick of its has counted.
UNTICKED = """
SELECT x.what, x.session::text, x.tick FROM (
	SELECT 'event' AS what, session, tick FROM ledger.event UNION ALL
	SELECT 'outcome', session, tick FROM ledger.outcome UNION ALL
	SELECT 'permit', session, tick FROM ledger.permit UNION ALL
	SELECT 'duplicate', session, tick FROM ledger.duplicate UNION ALL
	SELECT 'answer', session, answered_in FROM ledger.answer) x
LEFT JOIN ledger.tick t USING (session, tick) WHERE t.tick IS NULL"""

TRANSITIONS = """
SELECT t.connection_id::text, t.epoch, t.to_state, t.org_id, t.sf_user_id, t.host, extract(epoch FROM t.at) * 1000 AS at_ms,
	t.epoch = 1 + coalesce(lag(t.epoch) OVER w, 0) AS numbered,
	t.prev_hash = coalesce(lag(t.hash) OVER w, '') AS linked,
	t.hash = sha256('onbehalf.transition.1'::bytea || gov.lp(t.prev_hash) || uuid_send(t.connection_id)
		|| int4send(t.epoch) || gov.lp(t.event) || gov.lp(t.from_state) || gov.lp(t.to_state) || gov.lp(t.reason)
		|| gov.lp(t.initiating_entity) || gov.lp(t.initiator) || gov.lp(uuid_send(t.session)) || gov.lp(t.org_id)
		|| gov.lp(t.sf_user_id) || gov.lp(t.host) || timestamptz_send(t.at)) AS hashed
FROM gov.connection_transition t WINDOW w AS (PARTITION BY connection_id ORDER BY epoch)
ORDER BY t.connection_id, t.epoch"""

QUERIES = {
    "conservation": "SELECT * FROM audit.conservation ORDER BY partition",
    "progress": "SELECT x.partition, x.consumed, x.terminal, x.duplicate, x.parked, x.last_outcome"
                " FROM ledger.partition p, ledger.progressed(p) x ORDER BY x.partition",
    "events": "SELECT key::text, partition, kafka_offset, incarnation, verdict, event_id, deadline FROM ledger.event",
    "outcomes": "SELECT partition, sequence, type, status, written, terminal, outcome_id::text, key::text, kafka_offset,"
                " incarnation, lead_id, reason, event_id, session::text, tick, permit_tick, permit_n,"
                " encode(event_key, 'escape') AS event_key FROM ledger.outcome ORDER BY partition, sequence",
    "permits": "SELECT session::text, tick, n, kind, connection_id::text, epoch, org_id, sf_user_id, host,"
               " leads::text[], extract(epoch FROM at) * 1000 AS at_ms FROM ledger.permit",
    "parked": "SELECT key::text, partition FROM ledger.parked",
    "duplicates": "SELECT partition, kafka_offset, key::text FROM ledger.duplicate",
    "transitions": TRANSITIONS,
    "chain": CHAIN,
    "unticked": UNTICKED,
    "after_fence": "SELECT * FROM audit.permit_after_fence",
}


@dataclasses.dataclass
class Facts:
    topics: dict  # key of the configuration -> name
    records_in: dict  # partition -> records in lead.create
    visible: list  # what a read_committed consumer sees, as events.record_of() makes it
    journal: list
    calls: dict  # number -> call
    rows: dict  # name in QUERIES -> rows

    def __getattr__(self, name):
        rows = self.__dict__.get("rows", {})  # not there yet in a copy that is being made
        if name not in rows:
            raise AttributeError(name)
        return rows[name]


def hexed(key):
    return key.replace("-", "")


# ---- collecting


def records_in(world):
    """How many records lead.create holds, by partition."""
    consumer = world.outcomes.consumer
    topic = world.topics["lead_create"]
    ends = {}
    for number in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        ends[number] = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
    return ends


def quiet(world):
    """True when everything published has been consumed and nothing is in flight."""
    rows = {row["partition"]: row for row in world.sql(QUERIES["conservation"])}
    return all(
        rows[number]["consumed"] == count and rows[number]["in_flight"] == 0 if number in rows else count == 0
        for number, count in records_in(world).items()
    )


def wait_quiet(world, timeout_s=20.0):
    wait_until(lambda: quiet(world), timeout_s, "the worker to be through with everything", 0.05)


def gather(world, database=None):
    database = database or world.database
    return Facts(
        topics=world.topics,
        records_in=records_in(world),
        visible=list(world.outcomes.records),
        journal=[entry for entry in world.sandbox.journal() if entry["n"] not in world.written_by_others],
        calls={call["n"]: call for call in world.sandbox.calls()},
        rows={name: world.postgres.sql(query, database=database) for name, query in QUERIES.items()},
    )


# ---- the checks: each yields what is wrong


def conservation(facts):
    """Each record is consumed once, and what the rows say is what the ticks have counted."""
    progress = {row["partition"]: row for row in facts.progress}
    parked = {}
    for row in facts.parked:
        parked[row["partition"]] = parked.get(row["partition"], 0) + 1
    seen = {row["partition"] for row in facts.conservation}
    for number, count in facts.records_in.items():
        if count and number not in seen:
            yield f"partition {number}: {count} records, nobody ever took it"
    for row in facts.conservation:
        number, counted = row["partition"], progress[row["partition"]]
        if row["in_flight"] != 0:
            yield f"partition {number}: {row['in_flight']} in flight"
        if row["consumed"] != row["terminal"] + row["duplicate"] + row["parked"] + row["in_flight"]:
            yield f"partition {number}: {dict(row)} does not add up"
        if row["consumed"] != facts.records_in[number]:
            yield f"partition {number}: {facts.records_in[number]} records, {row['consumed']} consumed"
        for name in ("consumed", "terminal", "duplicate", "parked"):
            if row[name] != counted[name]:
                yield f"partition {number}: {row[name]} {name} by rows, {counted[name]} by ticks"


def offsets(facts):
    """Each offset is one event, one duplicate or one conflict."""
    places = [(row["partition"], row["kafka_offset"]) for row in facts.events]
    places += [(row["partition"], row["kafka_offset"]) for row in facts.duplicates]
    places += [(row["partition"], row["kafka_offset"]) for row in facts.outcomes
               if row["type"] == 4 and row["reason"] == "conflict"]
    for place in twice(places):
        yield f"partition {place[0]}, offset {place[1]}: accepted twice"
    wanted = {(number, offset) for number, count in facts.records_in.items() for offset in range(count)}
    for place in sorted(wanted - set(places))[:5]:
        yield f"partition {place[0]}, offset {place[1]}: never accepted"
    for place in sorted(set(places) - wanted)[:5]:
        yield f"partition {place[0]}, offset {place[1]}: accepted, but not in Kafka"


def twice(values):
    seen, found = set(), set()
    for value in values:
        (found if value in seen else seen).add(value)
    return sorted(found)[:5]


def endings(facts):
    """Each event has exactly one terminal outcome, or is parked and has none."""
    ends = {}
    for row in facts.outcomes:
        if row["terminal"]:
            place = (row["partition"], row["kafka_offset"], row["incarnation"])
            ends[place] = ends.get(place, 0) + 1
    parked = {row["key"] for row in facts.parked}
    for row in facts.events:
        count = ends.get((row["partition"], row["kafka_offset"], row["incarnation"]), 0)
        if count + (row["key"] in parked) != 1:
            yield f"event {row['event_id']}: {count} terminal outcomes, {'' if row['key'] in parked else 'not '}parked"
    for row in facts.outcomes:
        # refused because parking is off: the only lead.reauth-required that ends a lead
        if not row["terminal"] and row["type"] != 2:
            yield f"outcome {row['outcome_id']} of type {row['type']} is not terminal"


def sequences(facts):
    """Per partition 1, 2, 3 … without a gap; no id twice."""
    by_partition = {}
    for row in facts.outcomes:
        by_partition.setdefault(row["partition"], []).append(row["sequence"])
    last = {row["partition"]: row["last_outcome"] for row in facts.progress}
    for number, found in by_partition.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            missing = sorted(set(range(1, max(found) + 1)) - set(found))[:5]
            yield f"partition {number}: sequences have gaps: {len(found)} outcomes up to {max(found)}, not {missing}"
        if last.get(number) != max(found):
            yield f"partition {number}: the last sequence is {max(found)}, the ticks say {last.get(number)}"
    for outcome_id in twice(row["outcome_id"] for row in facts.outcomes):
        yield f"outcome {outcome_id} is there twice"


@functools.lru_cache
def mac_key(key_id):
    """What libsodium's crypto_kdf makes of the tests' key."""
    keys = dict(line.split() for line in worker.KEYS.splitlines())
    return hashlib.blake2b(key=bytes.fromhex(keys[key_id]), digest_size=32, person=b"onbehalf".ljust(16, b"\0"),
                           salt=SECRET_MAC.to_bytes(8, "little").ljust(16, b"\0")).digest()


def mac_of(record):
    headers = record["headers"]
    key_id = headers["onbehalf_mac"].split(":")[0]
    digest = hashlib.blake2b(key=mac_key(key_id), digest_size=32)
    for part in (record["topic"], headers["onbehalf_partition"], headers["onbehalf_sequence"], headers["onbehalf_id"],
                 record["value"] or b""):
        part = part if isinstance(part, bytes) else part.encode()
        digest.update(len(part).to_bytes(8, "big") + part)
    return f"{key_id}:{digest.hexdigest()}"


@functools.lru_cache
def validator(topic):
    path = TOP / "schemas" / topic.replace("_", ".", 1).replace("_", "-") / "1.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


def untrue(record, row, topics):
    """What a visible outcome says other than the ledger."""
    if record["topic"] != topics[TYPES[row["type"]]]:
        yield f"is in {record['topic']}"
    if record["partition"] != row["partition"]:
        yield f"is in partition {record['partition']}"
    if record["headers"]["onbehalf_id"] != row["outcome_id"]:
        yield f"has the id {record['headers']['onbehalf_id']}"
    if record["key"] != row["event_key"]:
        yield f"has the key {record['key']}"
    if record["headers"].get("onbehalf_mac") != mac_of(record):
        yield "has a wrong MAC"
    if row["type"] == 4:
        return
    data = record["data"] or {}
    said = (data.get("status"), data.get("lead_id"), record["of"])
    if said != (STATUSES[row["status"]], row["lead_id"], row["event_id"]):
        yield f"says {said}"
    if row["type"] in (1, 3) and data.get("written") != WRITTEN[row["written"]]:
        yield f"says written: {data.get('written')}"
    if (record["event"] or {}).get("id") != row["outcome_id"]:
        yield "has another id inside"


def published(facts, exactly=True):
    """Each outcome is visible, true, signed and in order; once, unless Kafka broke."""
    rows = {(row["partition"], row["sequence"]): row for row in facts.outcomes}
    heads = {(row["session"], row["tick"]): row["hash"] for row in facts.chain}
    times, last, bytes_of = {}, {}, {}
    for at, record in enumerate(facts.visible):
        where = f"{record['topic']}/{record['partition']}@{record['offset']}"
        try:
            place = (int(record["headers"]["onbehalf_partition"]), int(record["headers"]["onbehalf_sequence"]))
        except (KeyError, ValueError):
            yield f"{where}: no outcome of ours"
            continue
        row = rows.get(place)
        if row is None:
            yield f"{where}: outcome {place} is not in the ledger"
            continue
        yield from (f"{where}: outcome {place} {fault}" for fault in untrue(record, row, facts.topics))
        if at < SCHEMA_CHECKS and row["type"] != 4:
            yield from (f"{where}: {fault.json_path} {fault.message[:200]}"
                        for fault in validator(TYPES[row["type"]]).iter_errors(record["event"]))
        if row["type"] != 4:
            audit = (record["data"] or {}).get("audit", {})
            if heads.get((audit.get("session"), audit.get("tick"))) != audit.get("hash"):
                yield f"{where}: the audit head is not in the ledger: {audit}"
        times[place] = times.get(place, 0) + 1
        if bytes_of.setdefault(place, record["value"]) != record["value"]:
            yield f"{where}: outcome {place} was published with two contents"
        line = (record["topic"], record["partition"])
        if times[place] == 1 and place[1] < last.get(line, 0):
            yield f"{where}: outcome {place} comes behind {last[line]}"
        last[line] = max(place[1], last.get(line, 0))
    for place in sorted(rows):
        count = times.get(place, 0)
        if count == 0:
            yield f"outcome {place} of event {rows[place]['event_id']} was never published"
        elif count > 1 and exactly:
            yield f"outcome {place} was published {count} times"


def chain(facts):
    """Each tick follows the one before and holds what its rows say."""
    words = {"numbered": "does not follow by number", "linked": "is not linked to the one before",
             "rows": "has other rows than it hashed", "counted": "has not the rows it counted",
             "hashed": "is not what it hashed", "succeeding": "succeeds a head that is not there",
             "later": "is earlier than the one before"}
    for row in facts.chain:
        for name, word in words.items():
            if not row[name]:
                yield f"tick {row['tick']} of session {row['session']} {word}"
    for row in facts.unticked[:5]:
        yield f"{row['what']} of tick {row['tick']} of session {row['session']}: there is no such tick"
    for row in facts.transitions:
        for name in ("numbered", "linked", "hashed"):
            if not row[name]:
                yield f"epoch {row['epoch']} of connection {row['connection_id']} is not {name}"


def fence(facts):
    """No permit but under a connected epoch, bound as the permit says, before it was over."""
    for row in facts.after_fence:
        yield f"permit after the fence: {dict(row)}"
    epochs = {(row["connection_id"], row["epoch"]): row for row in facts.transitions}
    for permit in facts.permits:
        under = epochs.get((permit["connection_id"], permit["epoch"]))
        name = f"permit {permit['tick']}/{permit['n']} of session {permit['session']}"
        if under is None or under["to_state"] != "connected":
            yield f"{name}: epoch {permit['epoch']} is {under and under['to_state']}"
        elif any(under[field] != permit[field] for field in ("org_id", "sf_user_id", "host")):
            yield f"{name}: bound to {under['org_id']} {under['sf_user_id']} {under['host']}, given for {permit}"
        elif permit["at_ms"] < under["at_ms"]:
            yield f"{name}: older than its epoch"


def writes(facts):
    """Each write has a fresh permit for that lead into that org; the outcomes tell the truth about writes."""
    permits, keys = {}, {hexed(row["key"]): row for row in facts.events}
    for permit in facts.permits:
        for key in permit["leads"]:
            permits.setdefault(hexed(key), []).append(permit)
    created, written, used = {}, {}, {}
    for entry in facts.journal:
        key = (entry["external_id"] or "").lower()
        written.setdefault(key, []).append(entry)
        if entry["method"] == "create":
            created.setdefault((entry["org_id"], key), []).append(entry)
        if key not in keys:
            yield f"lead {entry['lead_id']} has the key {key} of no event"
            continue
        at_ms = facts.calls[entry["call"]]["at_ms"] if entry["call"] in facts.calls else entry["at_ms"]
        fits = [permit for permit in permits.get(key, ()) if permit["org_id"] == entry["org_id"]
                and permit["sf_user_id"] == entry["sf_user_id"] and permit["at_ms"] < at_ms + 1
                and at_ms < permit["at_ms"] + PERMIT_LIFE_MS]
        if not fits:
            yield f"lead {key} was written into {entry['org_id']} at {at_ms} without a permit: {permits.get(key)}"
        used.setdefault(key, set()).add(entry["call"])
    for key, calls in used.items():
        if len(calls) > len(permits.get(key, ())):
            yield f"lead {key}: {len(calls)} writing calls under {len(permits.get(key, ()))} permits"
    for (org_id, key), entries in created.items():
        if len(entries) > 1:
            yield f"lead {key} was created {len(entries)} times in {org_id}"
    yield from truth(facts, keys, written)


def truth(facts, keys, written):
    for row in facts.outcomes:
        if not row["terminal"] or row["reason"] == "conflict":
            continue
        key = hexed(row["key"])
        entries = written.get(key, [])
        name = f"outcome {row['outcome_id']} of event {row['event_id']}"
        if row["status"] in (1, 2):
            if WRITTEN[row["written"]] != "yes" or row["lead_id"] not in {entry["lead_id"] for entry in entries}:
                yield f"{name}: {STATUSES[row['status']]} {row['lead_id']}, the journal has {entries}"
        elif WRITTEN[row["written"]] == "no" and entries:
            yield f"{name}: says that nothing was written, the journal has {entries}"
    parked = {hexed(row["key"]) for row in facts.parked}
    ended = {hexed(row["key"]) for row in facts.outcomes if row["terminal"]}
    for key in set(written) & set(keys) - parked - ended:
        yield f"lead {key} was written, and has no outcome"


CHECKS = (conservation, offsets, endings, sequences, published, chain, fence, writes)


def faults(facts, exactly=True):
    """Everything that is wrong, by check."""
    found = {}
    for check in CHECKS:
        args = {"exactly": exactly} if check is published else {}
        wrong = list(check(facts, **args))
        if wrong:
            found[check.__name__] = wrong
    return found


def assert_facts(facts, exactly=True):
    found = faults(facts, exactly)
    lines = [f"{name}: {fault}" for name, wrong in found.items() for fault in wrong[:8]]
    lines += [f"{name}: … {len(wrong)} in all" for name, wrong in found.items() if len(wrong) > 8]
    assert not found, "not accounted for:\n" + "\n".join(lines)


def assert_accounted(world, exactly=True, timeout_s=20.0):
    """The common check at the end of a scenario; the workers are stopped by it.  The facts it found."""
    wait_quiet(world, timeout_s)
    for one in world.workers:
        if one.running():
            one.stop()
    count = world.scalar("SELECT count(*) FROM ledger.outcome")
    if len(world.outcomes.records) < count:
        world.outcomes.wait_for(count, timeout_s)
    world.outcomes.settle(quiet_s=0.15, timeout_s=timeout_s)
    facts = gather(world)
    assert_facts(facts, exactly)
    return facts


# ---- what else tests ask


def external_id(event):
    """The value of the External ID that an event leads to: it never changes."""
    digest = hashlib.sha256()
    for part in (event["source"].encode(), event["id"].encode()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def is_uuid(text):
    return bool(re.fullmatch(r"[0-9a-f-]{36}", text)) and str(uuid.UUID(text)) == text
