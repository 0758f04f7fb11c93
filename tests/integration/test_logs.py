"""What the worker writes to its log: machine-readable lines, and never a secret, a lead's data or an e-mail address."""

import json
import re

import pytest
from support import checks, events, processes, worker

LEAD = {"LastName": "Quastenflosser", "Company": "Zwirbelwerk", "Email": "quasten@zwirbel.example",
        "Description": "Strenggeheimes", "Phone": "+49 30 5550199"}
USER = "anna.lovelace@customer.example"
SECRET_SETTINGS = {"log": {"level": "debug"}, "salesforce": {"backoff_base": "20ms", "backoff_cap": "100ms"}}


def eventful(world, running):
    """A run with about everything in it; the words that must not be in the log."""
    connection = world.connect(USER)
    good = world.send(user_id=USER, lead=LEAD)
    assert world.result(good)["status"] == "created"
    tokens = [world.sandbox.vend(USER, events.ORGANIZATION)]

    world.sandbox.expire()
    assert world.result(world.send(user_id=USER, lead=LEAD))["status"] == "created"
    tokens.append(world.sandbox.vend(USER, events.ORGANIZATION))

    world.sandbox.rule({"record_error": {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "fields": ["Email"],
                                         "message": f"no {LEAD['Email']} here", "status": 400}}, service="salesforce")
    assert world.result(world.send(user_id=USER, lead=LEAD))["status"] == "rejected"
    world.sandbox.rule({"status": 400, "body": [{"errorCode": "WHAT_IS_THIS", "message": LEAD["Description"]}]},
                       service="salesforce")
    assert world.result(world.send(user_id=USER, lead=LEAD))["status"] == "rejected"
    world.sandbox.rule({"status": 503, "body": LEAD["Description"]}, service="salesforce")
    world.sandbox.rule({"cut": "before"}, service="salesforce")
    assert world.result(world.send(user_id=USER, lead=LEAD))["status"] == "created"
    world.sandbox.rule({"status": 500, "body": LEAD["Description"]}, service="pipes")
    world.sandbox.expire()
    assert world.result(world.send(user_id=USER, lead=LEAD))["status"] == "created"

    bad = world.send(user_id=USER, lead={**LEAD, "Email": 7})
    assert world.result(bad)["status"] == "rejected"
    world.send_bytes(json.dumps(good).encode()[:-9], USER)
    world.send(good | {"data": {**good["data"], "lead": {**LEAD, "Company": "Other"}}})
    world.outcomes.wait_for(2, topic=world.topics["lead_invalid"])
    world.grant(USER, grant="needs_reauthorization")
    parked = world.send(user_id=USER, lead=LEAD)
    world.outcomes.wait_for(1, of=parked, topic=world.topics["lead_reauth_required"])
    world.disconnect(connection)
    world.outcomes.wait_for(1, of=parked, topic=world.topics["lead_revoked"])
    world.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
              world.database, worker.LOGIN)
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.session") == 2, 10, "another session")
    values = [value for value in LEAD.values()] + ["Other"]
    return tokens + values + [USER, USER.split("@")[0], worker.PIPES_KEY.strip(), worker.KEYS.split()[1], "Bearer", "eyJ"]


@pytest.mark.parametrize("token_format", ["opaque", "jwt"])
def test_no_secret_no_lead_data_and_no_address_is_logged(world, token_format):
    world.sandbox.org(org_id=world.org_id, token_format=token_format)
    running = world.worker(**SECRET_SETTINGS)
    words = eventful(world, running)
    checks.assert_accounted(world, exactly=False)
    log = running.log.read_text()
    found = [word for word in words if word in log and word != "Other"]
    assert not found, found
    assert not re.search(r"[\w.]+@[\w.]+", log), "an address"
    assert not re.search(r"00D\w{12,15}!", log), "a token"


def test_logfmt_lines_can_be_read(world):
    running = world.worker(**SECRET_SETTINGS)
    eventful(world, running)
    checks.assert_accounted(world, exactly=False)
    pair = r'[a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^\s"=]*)'
    for line in running.log.read_text().splitlines():
        assert re.fullmatch(rf"{pair}(?: {pair})*", line), line
        entry = worker.parse_logfmt(line)
        assert list(entry)[:3] == ["time", "level", "msg"], line
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["level"] in ("debug", "info", "warn", "error")


def test_json_lines_can_be_read(world):
    running = world.worker(wait=False, **{**SECRET_SETTINGS, "log": {"level": "debug", "format": "json"}})
    processes.wait_until(lambda: '"worker ready"' in running.text(), 20, "the worker")
    eventful(world, running)
    checks.assert_accounted(world, exactly=False)
    entries = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert all(list(entry)[:3] == ["time", "level", "msg"] for entry in entries)
    said = [entry["msg"] for entry in entries]
    assert said[-1] == "worker stopped" and said.count("worker ready") == 2


def test_quiet_levels_are_quiet(world):
    world.connect("user_anna")
    running = world.worker(wait=False, log={"level": "error"})
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    checks.assert_accounted(world)
    assert running.log.read_text() == ""
