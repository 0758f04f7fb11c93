"""Connections over time: missing, bound, lost, repaired, ended, not what they were."""

import pytest
from support import checks, events, processes
from support.world import INTEGRATION


def parked(world, event, reason):
    """Waits until the event's lead is parked and its user told why; the data of the message."""
    record = world.outcomes.wait_one(of=event, topic=world.topics["lead_reauth_required"])
    assert record["key"] == event["data"]["user_id"]
    assert (record["data"]["reason"], record["data"]["parked"]) == (reason, True)
    return record["data"]


def result(world, event, **wait):
    return world.outcomes.wait_one(of=event, topic=world.topics["lead_result"], **wait)["data"]


def revoked(world, event):
    return world.outcomes.wait_one(of=event, topic=world.topics["lead_revoked"])["data"]


def history(world, connection):
    rows = world.sql("SELECT event, from_state, to_state, reason, initiating_entity FROM audit.connection_history"
                     " WHERE connection_id = %s ORDER BY epoch", connection)
    return [tuple(row.values()) for row in rows]


def reaches(world, connection, state):
    processes.wait_until(lambda: world.state(connection) == state, 10, f"the connection to be {state}")


def is_parked(world, count=1):
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.parked") == count, 10, "parked leads")


# ---- not connected


def test_leads_of_a_user_who_never_connected_wait_and_drain_in_order(world):
    world.worker()
    sent = [world.send(user_id="user_anna") for _ in range(5)]
    for event in sent:
        data = parked(world, event, "not_connected")
        assert data["repair"] == "connect" and "connection_id" not in data
    assert world.sandbox.calls() == []
    connection = world.connect("user_anna")
    sent.append(world.send(user_id="user_anna"))
    for event in sent:
        data = result(world, event)
        assert (data["status"], data["connection_id"], data["attempts"]) == ("created", connection, 1)
    facts = checks.assert_accounted(world)
    assert [entry["external_id"] for entry in facts.journal] == [checks.external_id(event) for event in sent]


def test_a_parked_lead_is_sealed(world):
    world.worker()
    event = world.send(user_id="user_anna", lead={"LastName": "Unmistakable", "Company": "Engines"})
    parked(world, event, "not_connected")
    assert b"Unmistakable" not in bytes(world.scalar("SELECT payload FROM ledger.parked"))
    where = "SELECT count(*) FROM ledger.{0} x WHERE x::text LIKE '%%Unmistakable%%'"
    for table in ("event", "outcome", "permit", "tick", "parked"):
        assert world.scalar(where.format(table)) == 0
    checks.assert_accounted(world)


def test_parked_leads_survive_a_restart(world):
    first = world.worker()
    event = world.send(user_id="user_anna")
    parked(world, event, "not_connected")
    first.stop()
    world.connect("user_anna")
    world.worker()
    assert result(world, event)["status"] == "created"
    checks.assert_accounted(world)


# ---- the first token binds


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_the_first_token_binds_the_connection_once(world, token_format):
    world.sandbox.org(org_id=world.org_id, token_format=token_format)
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["connection_epoch"] == 2
    (bound,) = world.sql("SELECT * FROM gov.connection WHERE connection_id = %s", connection)
    sf_user_id = world.sandbox.journal()[0]["sf_user_id"]
    assert (bound["org_id"], bound["sf_user_id"], bound["host"]) == (world.org_id, sf_user_id, world.sandbox.address)
    world.sandbox.expire(user_id="user_anna")
    assert result(world, world.send(user_id="user_anna"))["connection_epoch"] == 2
    assert history(world, connection) == [
        ("connected", None, "connected", "consented", "user"), ("bound", "connected", "connected", "bound", "system")]
    checks.assert_accounted(world)


def test_a_connection_that_was_made_with_its_org_is_only_checked(world):
    user = world.grant("user_anna")
    connection = world.scalar(
        "SELECT gov.connect(%s, %s, %s, org_id => %s, sf_user_id => %s, host => %s)", world.integration, "user_anna",
        events.ORGANIZATION, world.org_id, user["sf_user_id"], world.sandbox.address)
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["connection_epoch"] == 1
    assert len(history(world, connection)) == 1
    checks.assert_accounted(world)


def test_another_external_id_field_is_used_where_the_connection_says_so(world):
    world.sandbox.org(org_id=world.org_id, external_id_field="Other__c")
    world.grant("user_anna")
    world.scalar("SELECT gov.connect(%s, %s, %s, external_id_field => %s)", world.integration, "user_anna",
                 events.ORGANIZATION, "Other__c")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    (lead,) = world.sandbox.leads(world.org_id)
    assert "Other__c" in lead
    checks.assert_accounted(world)


# ---- consent lost, and given again


def test_leads_wait_for_a_new_consent_and_drain_in_order(world):
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    world.grant("user_anna", grant="needs_reauthorization")
    sent = [world.send(user_id="user_anna")]
    data = parked(world, sent[0], "consent_needed")
    assert (data["repair"], data["connection_id"]) == ("consent", connection)
    assert world.state(connection) == "reauth_required"
    sent += [world.send(user_id="user_anna") for _ in range(6)]
    for event in sent[1:]:
        assert parked(world, event, "consent_needed")["connection_epoch"] == 3
    assert len(world.sandbox.journal()) == 1
    world.connect("user_anna")
    for event in sent:
        assert result(world, event)["status"] == "created"
    facts = checks.assert_accounted(world)
    assert [entry["external_id"] for entry in facts.journal[1:]] == [checks.external_id(event) for event in sent]
    assert [row[:3] for row in history(world, connection)][2:] == [
        ("reauthorization_needed", "connected", "reauth_required"), ("consented", "reauth_required", "connected")]


def test_a_consent_without_the_api_scope_is_not_enough(world):
    connection = world.connect("user_anna", missing_scopes=["api"])
    world.worker()
    event = world.send(user_id="user_anna")
    parked(world, event, "scope_missing")
    assert world.state(connection) == "reauth_required"
    world.connect("user_anna", missing_scopes=[])
    assert result(world, event)["status"] == "created"
    checks.assert_accounted(world)


# ---- the end


def test_an_account_removed_at_the_token_source_ends_the_connection(world):
    connection = world.connect("user_anna")
    world.grant("user_anna", grant="not_installed")
    world.worker()
    for event in (world.send(user_id="user_anna"), world.send(user_id="user_anna")):
        data = revoked(world, event)
        assert (data["connection_state"], data["ended_by"]) == ("disconnected", "user")
        assert (data["reason"], data["written"], data["connection_id"]) == ("removed_at_source", "no", connection)
    assert world.sandbox.journal() == []
    world.connect("user_anna")
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    checks.assert_accounted(world)


@pytest.mark.parametrize("function, state, ended_by, reason", [
    ("disconnect", "disconnected", "user", "user_disconnected"), ("revoke", "revoked", "admin", "admin_revoked")])
def test_new_leads_of_an_ended_connection_are_not_written(world, function, state, ended_by, reason):
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    world.sql(f"SELECT gov.{function}(%s)", connection)
    event = world.send(user_id="user_anna")
    data = revoked(world, event)
    assert (data["connection_state"], data["ended_by"], data["reason"]) == (state, ended_by, reason)
    assert (data["written"], data["connection_epoch"]) == ("no", 3)
    ended_at = world.scalar("SELECT changed_at FROM gov.connection WHERE connection_id = %s", connection)
    assert data["ended_at"] == events.rfc3339(ended_at)
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == 1


@pytest.mark.parametrize("function, state", [("disconnect", "disconnected"), ("revoke", "revoked")])
def test_parked_leads_of_a_connection_that_ends_are_revoked(world, function, state):
    connection = world.connect("user_anna", grant="needs_reauthorization")
    world.worker()
    sent = [world.send(user_id="user_anna") for _ in range(3)]
    for event in sent:
        parked(world, event, "consent_needed")
    world.sql(f"SELECT gov.{function}(%s)", connection)
    for event in sent:
        assert (revoked(world, event)["connection_state"], revoked(world, event)["written"]) == (state, "no")
    facts = checks.assert_accounted(world)
    assert facts.journal == facts.parked == []


def test_a_disconnected_user_may_connect_again_a_revoked_one_may_not(world):
    connection = world.connect("user_anna")
    world.disconnect(connection)
    assert world.connect("user_anna") == connection
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["connection_epoch"] == 4
    world.revoke(connection)
    with pytest.raises(Exception, match="does not come back"):
        world.connect("user_anna")
    revoked(world, world.send(user_id="user_anna"))
    checks.assert_accounted(world)


# ---- not what it was


def other_org(world):
    return world.sandbox.org(host="other.my.salesforce.com")["org_id"]


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_token_of_another_org_writes_nothing_and_quarantines(world, token_format):
    world.sandbox.org(org_id=world.org_id, token_format=token_format)
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    other = other_org(world)
    world.sandbox.org(org_id=other, token_format=token_format)
    world.grant("user_anna", org_id=other)
    world.sandbox.expire(user_id="user_anna")
    event = world.send(user_id="user_anna")
    reaches(world, connection, "quarantined")
    is_parked(world)
    later = world.send(user_id="user_anna")
    is_parked(world, 2)
    assert world.sandbox.leads(other) == []
    assert history(world, connection)[-1] == (
        "binding_failed", "connected", "quarantined", "org_mismatch", "system")
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == 1
    assert not [row for row in facts.outcomes if row["event_id"] in (event["id"], later["id"])]
    assert other not in {call.get("org_id") for call in facts.calls.values() if call["service"] == "salesforce"}


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_a_token_of_another_user_writes_nothing_and_quarantines(world, token_format):
    world.sandbox.org(org_id=world.org_id, token_format=token_format)
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    world.grant("user_anna", sf_user_id="005000000000042")
    world.sandbox.expire(user_id="user_anna")
    world.send(user_id="user_anna")
    reaches(world, connection, "quarantined")
    is_parked(world)
    assert history(world, connection)[-1][3] == "user_mismatch"
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == 1


def test_a_host_that_may_not_have_a_token_gets_none(world):
    world.sandbox.org(org_id=world.org_id, instance_url="https://salesforce.com.example")
    connection = world.connect("user_anna")
    world.worker()
    world.send(user_id="user_anna")
    reaches(world, connection, "quarantined")
    is_parked(world)
    assert history(world, connection)[-1][3] == "host_refused"
    facts = checks.assert_accounted(world)
    assert not [call for call in facts.calls.values() if call["service"] == "salesforce"]


def test_disconnecting_frees_the_leads_of_a_quarantined_connection(world):
    world.sandbox.org(org_id=world.org_id, instance_url="https://salesforce.com.example")
    connection = world.connect("user_anna")
    world.worker()
    event = world.send(user_id="user_anna")
    reaches(world, connection, "quarantined")
    world.disconnect(connection)
    assert revoked(world, event)["connection_state"] == "disconnected"
    checks.assert_accounted(world)


# ---- holds, and two integrations


def test_a_hold_stops_writes_until_it_is_released(world):
    connection = world.connect("user_anna")
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    world.sql("INSERT INTO gov.hold (level, scope, reason) VALUES ('organization', 'org_acme', 'test')")
    event = world.send(user_id="user_anna")
    is_parked(world)
    assert len(world.sandbox.journal()) == 1
    world.sql("UPDATE gov.hold SET released_at = clock_timestamp()")
    world.sql("UPDATE ledger.parked SET next_attempt_at = clock_timestamp()")  # not to wait for 5 s
    world.sql("SELECT pg_notify('onbehalf_connection', %s)", connection)
    assert result(world, event)["status"] == "created"
    facts = checks.assert_accounted(world)
    assert len(facts.permits) == 2


def test_the_source_of_an_event_chooses_the_connection(world):
    elsewhere = world.register_integration("fair-leads", "fair.example/booth")
    first = world.connect("user_anna")
    second = world.connect("user_anna", integration=elsewhere)
    world.worker()
    assert result(world, world.send(user_id="user_anna"))["connection_id"] == first
    assert result(world, world.send(user_id="user_anna", source="fair.example/booth"))["connection_id"] == second
    assert result(world, world.send(user_id="user_anna"))["connection_id"] == first
    assert {row["integration"] for row in world.sql("SELECT integration FROM audit.lead")} == {INTEGRATION, "fair-leads"}
    checks.assert_accounted(world)


def test_refused_instead_of_parked_where_parking_is_off(world):
    world.sql("UPDATE gov.setting SET value = 'false' WHERE name = 'park.enabled'")
    world.worker()
    event = world.send(user_id="user_anna")
    record = world.outcomes.wait_one(of=event)
    assert record["topic"] == world.topics["lead_reauth_required"]
    assert (record["data"]["reason"], record["data"]["parked"]) == ("not_connected", False)
    world.connect("user_anna")
    assert result(world, world.send(user_id="user_anna"))["status"] == "created"
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == 1
