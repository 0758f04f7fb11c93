"""One event in, one outcome out: each kind of outcome, and what it says."""

import copy
import datetime
import hashlib
import json
import re

import pytest
from support import checks, events

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def nothing_was_asked(world):
    """Neither Salesforce nor the token source has heard of it."""
    return world.sandbox.calls() == [] and world.sandbox.journal() == []


def soon(seconds):
    return events.rfc3339(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds))


def test_a_lead_is_created_on_behalf_of_its_user(world):
    connection = world.connect("user_anna")
    world.worker()
    lead = {"LastName": "Lovelace", "Company": "Engines", "AnnualRevenue": 12.5, "DoNotCall": True, "City": "Zürich"}
    event = world.send(user_id="user_anna", lead=lead, traceparent=TRACE)
    record = world.outcomes.wait_one(of=event)
    said, data = copy.deepcopy((record["event"], record["data"]))

    assert record["topic"] == world.topics["lead_result"]
    assert record["key"] == "user_anna"
    assert record["headers"]["content-type"].startswith("application/cloudevents+json")
    assert record["headers"]["traceparent"] == TRACE
    assert record["headers"]["onbehalf_partition"] == str(record["partition"])
    assert record["headers"]["onbehalf_sequence"] == "1"
    assert record["headers"]["onbehalf_id"] == said["id"] and checks.is_uuid(said["id"])
    assert TIME.fullmatch(said.pop("time"))
    del said["id"], said["data"]
    assert said == {
        "specversion": "1.0",
        "type": "lead.result",
        "dataschema": "urn:onbehalf:lead.result:1",
        "datacontenttype": "application/json",
        "source": f"onbehalf/{world.name}",
        "subject": event["id"],
        "causationid": event["id"],
        "causationsource": event["source"],
        "traceparent": TRACE,
    }

    times = data.pop("times")
    assert list(times) == ["accepted", "permitted", "sent", "answered", "recorded"]
    assert all(TIME.fullmatch(time) for time in times.values())
    assert times["accepted"] <= times["permitted"] <= times["recorded"] and times["sent"] <= times["answered"]
    audit = data.pop("audit")
    (entry,) = world.sandbox.journal()
    assert data == {
        "status": "created",
        "lead_id": entry["lead_id"],
        "written": "yes",
        "org_id": world.org_id,
        "connection_id": connection,
        "connection_epoch": 2,  # connected, bound
        "attempts": 1,
    }
    assert (entry["method"], entry["user_id"], entry["fields"]) == ("create", "user_anna", lead)
    assert re.fullmatch(r"[0-9a-f]{32}", entry["external_id"])
    assert entry["external_id"] == checks.external_id(event)

    facts = checks.assert_accounted(world)
    assert {"session": audit["session"], "tick": audit["tick"], "hash": audit["hash"]} in [
        {name: row[name] for name in ("session", "tick", "hash")} for row in facts.chain]
    (row,) = world.sql("SELECT * FROM audit.lead")
    assert (row["outcome"], row["status"], row["lead_id"]) == ("lead.result", "created", entry["lead_id"])
    assert (row["user_id"], row["org_id"], row["sf_user_id"]) == ("user_anna", world.org_id, entry["sf_user_id"])


def test_key_and_partition_of_the_input_are_kept(world):
    world.connect("user_anna")
    world.worker()
    sent = [world.send(user_id="user_anna", key=key, partition=number)
            for number, key in enumerate(["user_anna", "another key", "", None])]
    keyless = world.send(user_id="user_anna", key=b"", partition=1)
    for number, (event, key) in enumerate(zip(sent, ["user_anna", "another key", "", "user_anna"])):
        record = world.outcomes.wait_one(of=event)
        assert (record["partition"], record["key"]) == (number, key)
    assert world.outcomes.wait_one(of=keyless)["partition"] == 1
    checks.assert_accounted(world)


def test_an_event_in_binary_mode_is_the_same_event(world):
    world.connect("user_anna")
    world.worker()
    event = events.lead_create(user_id="user_anna", traceparent=TRACE)
    headers, value = events.binary_mode(event)
    world.send_bytes(value, "user_anna", headers)
    record = world.outcomes.wait_one(of=event)
    assert (record["data"]["status"], record["event"]["traceparent"]) == ("created", TRACE)
    assert world.sandbox.journal()[0]["external_id"] == checks.external_id(event)
    world.send(event)  # once more, in structured mode
    facts = checks.assert_accounted(world)
    assert len(facts.duplicates) == 1


def test_a_user_without_organization_has_a_connection_of_its_own(world):
    world.connect("user_anna", "org_acme")
    alone = world.connect("user_anna", None)
    world.worker()
    event = world.send(user_id="user_anna", organization_id=None)
    assert world.result(event)["connection_id"] == alone
    checks.assert_accounted(world)


def test_a_lead_that_is_there_already_is_updated(world):
    world.connect("user_anna")
    event = events.lead_create(user_id="user_anna", lead={"LastName": "Lovelace", "Company": "New"})
    lead_id = world.write_as_customer(event, LastName="Byron", Company="Old")
    world.worker()
    world.send(event)
    data = world.result(event)
    assert (data["status"], data["lead_id"], data["written"]) == ("updated", lead_id, "yes")
    (lead,) = world.sandbox.leads(world.org_id)
    assert lead["Company"] == "New"
    checks.assert_accounted(world)


@pytest.mark.parametrize("lead, reason, field", [
    ({"Company": "Engines"}, "missing_field", "LastName"),
    ({"LastName": "Lovelace", "Company": None}, "missing_field", "Company"),
    ({"LastName": "L" * 81, "Company": "Engines"}, "field_too_long", "LastName"),
    ({"LastName": "Lovelace", "Company": "Engines", "Title": 1}, "field_type", "Title"),
    ({"LastName": "Lovelace", "Company": "Engines", "Id": "00Q000000000001AAA"}, "field_read_only", "Id"),
], ids=["absent", "null", "too long", "type", "read-only"])
def test_a_lead_that_cannot_pass_is_rejected_before_anybody_is_asked(world, lead, reason, field):
    world.connect("user_anna")
    world.worker()
    event = world.send(user_id="user_anna", lead=lead)
    data = world.result(event)
    assert (data["status"], data["reason"], data["fields"]) == ("rejected", reason, [field])
    assert (data["written"], data["attempts"]) == ("no", 0)
    assert nothing_was_asked(world)
    checks.assert_accounted(world)


def test_salesforce_rejects_one_record_and_creates_its_neighbours(world):
    world.sandbox.org(org_id=world.org_id, required=["LastName", "Company", "Street"])
    world.connect("user_anna")
    good = [world.send(user_id="user_anna", lead={"LastName": f"L{n}", "Company": "C", "Street": "S"}) for n in range(3)]
    bad = world.send(user_id="user_anna", lead={"LastName": "Ada", "Company": "Private and Sons"})
    last = world.send(user_id="user_anna", lead={"LastName": "L4", "Company": "C", "Street": "S"})
    world.worker()
    for event in (*good, last):
        assert world.result(event)["status"] == "created"
    data = world.result(bad)
    assert (data["status"], data["reason"], data["code"]) == ("rejected", "salesforce_rejected", "REQUIRED_FIELD_MISSING")
    assert (data["fields"], data["written"], data["attempts"]) == (["Street"], "no", 1)
    (call,) = [call for call in world.sandbox.calls() if call["service"] == "salesforce"]
    assert call["records"] == 5
    checks.assert_accounted(world)


@pytest.mark.parametrize("together", [True, False], ids=["in a collection", "alone"])
def test_what_salesforce_says_in_words_is_not_repeated(world, together):
    world.sandbox.rule({"record_error": {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                                         "message": "Secretly we do not like ada@example.com", "fields": ["Email"],
                                         "status": 400}},
                       times=-1, service="salesforce", lead={"field": "LastName", "equals": "Unwanted"})
    world.connect("user_anna")
    event = world.send(user_id="user_anna", lead={"LastName": "Unwanted", "Company": "C"})
    if together:
        world.send(user_id="user_anna")
    running = world.worker()
    record = world.outcomes.wait_one(of=event)
    data = record["data"]
    assert (data["status"], data["code"]) == ("rejected", "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    assert data["fields"] == ["Email"]
    assert b"Secretly" not in record["value"] and "Secretly" not in running.text()
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == together


def test_a_source_that_nobody_registered_is_rejected(world):
    world.connect("user_anna")
    world.worker()
    event = world.send(user_id="user_anna", source="shop.example/unheard-of")
    data = world.result(event)
    assert (data["status"], data["reason"], data["written"]) == ("rejected", "unknown_source", "no")
    assert "connection_id" not in data
    assert nothing_was_asked(world)
    checks.assert_accounted(world)


def an_event(**changes):
    return json.dumps({**events.lead_create(user_id="user_anna"), **changes}).encode()


@pytest.mark.parametrize("value, headers, reason, path", [
    (b"\x00\xff not even text", events.STRUCTURED, "not_json", None),
    (b'{"specversion":"1.0","type":"lead.create"', events.STRUCTURED, "not_json", None),
    (b'"lead.create"', events.STRUCTURED, "not_cloudevent", None),
    (b'{"hello":"world"}', [], "not_cloudevent", None),
    (None, [], "not_cloudevent", None),
    (an_event(specversion="0.3"), events.STRUCTURED, "wrong_specversion", "$.specversion"),
    (an_event(type="lead.delete"), events.STRUCTURED, "wrong_type", "$.type"),
    (an_event(id=""), events.STRUCTURED, "malformed_attribute", "$.id"),
    (an_event(data={"lead": {}}), events.STRUCTURED, "missing_data", "$.data.user_id"),
    (b'{"specversion":"1.0","x":"' + b"x" * 950_000 + b'"}', events.STRUCTURED, "missing_attribute", "$.type"),
], ids=["bytes", "cut short", "text", "no CloudEvent", "tombstone", "version", "type", "id", "user", "large"])
def test_what_is_no_lead_create_goes_back_as_it_came(world, value, headers, reason, path):
    world.worker()
    world.send_bytes(value, "some key", headers, partition=2)
    record = world.outcomes.wait_one(topic=world.topics["lead_invalid"])
    told = record["headers"]
    assert (record["key"], record["partition"]) == ("some key", 2)
    whole = value or b""
    kept = record["value"] or b""
    assert kept == whole or whole.startswith(kept) and 890_000 < len(kept) <= 900_000
    assert told["__connect.errors.topic"] == world.topics["lead_create"]
    assert (told["__connect.errors.partition"], told["__connect.errors.offset"]) == ("2", "0")
    assert told["onbehalf_length"] == str(len(whole))
    assert told["onbehalf_digest"] == "sha256:" + hashlib.sha256(whole).hexdigest()
    assert told["onbehalf_reason"] == reason
    if path:
        assert told["onbehalf_path"] == path
    assert nothing_was_asked(world)
    checks.assert_accounted(world)


def test_a_repeated_event_is_recorded_and_answered_once(world):
    world.connect("user_anna")
    world.worker()
    event = world.send(user_id="user_anna", partition=0)
    assert world.result(event)["status"] == "created"
    world.send(event, partition=0)
    world.send(event, partition=3)
    facts = checks.assert_accounted(world)
    assert sorted((row["partition"], row["kafka_offset"]) for row in facts.duplicates) == [(0, 1), (3, 0)]
    assert len(facts.visible) == len(facts.journal) == 1


def test_a_repeated_event_in_one_batch_is_written_once(world):
    world.connect("user_anna")
    event = events.lead_create(user_id="user_anna")
    world.send_all([event] * 5 + [events.lead_create(user_id="user_anna")] + [event] * 5)
    world.worker()
    facts = checks.assert_accounted(world)
    assert (len(facts.duplicates), len(facts.visible), len(facts.journal)) == (9, 2, 2)


def test_another_content_under_the_same_id_is_a_conflict(world):
    world.connect("user_anna")
    world.worker()
    first = world.send(user_id="user_anna", event_id="evt-conflict", lead={"LastName": "First", "Company": "C"})
    assert world.result(first)["status"] == "created"
    second = world.send(user_id="user_anna", event_id="evt-conflict", lead={"LastName": "Second", "Company": "C"})
    record = world.outcomes.wait_one(topic=world.topics["lead_invalid"])
    assert record["headers"]["onbehalf_reason"] == "conflict"
    assert json.loads(record["value"]) == second
    third = world.send(user_id="user_anna", event_id="evt-conflict", lead={"LastName": "Third", "Company": "C"})
    both = world.outcomes.wait_for(2, topic=world.topics["lead_invalid"])
    assert json.loads(both[1]["value"]) == third
    facts = checks.assert_accounted(world)
    assert [entry["fields"]["LastName"] for entry in facts.journal] == ["First"]


def test_a_lead_past_its_expirytime_is_not_written(world):
    world.connect("user_anna")
    world.worker()
    event = world.send(user_id="user_anna", expirytime=soon(-1))
    data = world.result(event)
    assert (data["status"], data["reason"], data["written"]) == ("expired", "deadline_passed", "no")
    assert nothing_was_asked(world)
    checks.assert_accounted(world)


def test_a_parked_lead_expires_at_its_expirytime(world):
    world.worker()
    deadline = soon(6)  # time enough to be parked first, also on a busy machine
    event = world.send(user_id="user_nobody", expirytime=deadline)
    parked = world.outcomes.wait_one(of=event)
    assert parked["topic"] == world.topics["lead_reauth_required"]
    assert (parked["data"]["parked"], parked["data"]["deadline"]) == (True, deadline)
    (ended,) = world.outcomes.wait_for(1, of=event, topic=world.topics["lead_result"], timeout_s=30)
    assert (ended["data"]["status"], ended["data"]["written"]) == ("expired", "no")
    assert ended["data"]["times"]["recorded"] >= deadline
    facts = checks.assert_accounted(world)
    assert facts.parked == []


def test_a_hundred_leads_of_many_users_are_all_created(world):
    world.connect_many(20)
    sent = world.send_all(events.lead_create(user_id=f"user_{n % 20}") for n in range(100))
    world.worker()
    world.outcomes.wait_for(100)
    assert {world.result(event)["status"] for event in sent} == {"created"}
    facts = checks.assert_accounted(world)
    assert {entry["external_id"] for entry in facts.journal} == {checks.external_id(event) for event in sent}
    owners = {checks.external_id(event): event["data"]["user_id"] for event in sent}
    assert all(entry["user_id"] == owners[entry["external_id"]] for entry in facts.journal)
