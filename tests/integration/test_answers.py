"""What Salesforce, the token source and the way to them may answer, and what becomes of the leads."""

import time

import pytest
from support import checks, events, processes

# Retries in tests need not take long.
SOON = {"salesforce": {"backoff_base": "20ms", "backoff_cap": "200ms"}}


def calls_of(world, service="salesforce"):
    return [call for call in world.sandbox.calls() if call["service"] == service]


def one_live_lead(world, event):
    """Exactly one live Lead and one result for it; the result."""
    record = world.outcomes.wait_one(of=event)
    facts = checks.assert_accounted(world)
    leads = world.sandbox.leads(world.org_id)
    assert [lead["OnBehalf_Event_Id__c"] for lead in leads] == [checks.external_id(event)]
    assert len(facts.visible) == 1 and record["data"]["lead_id"] == leads[0]["Id"]
    return record["data"]


# ---- tokens


def test_a_dead_token_is_replaced_once_and_the_call_repeated_once(world):
    world.connect("user_anna")
    world.worker(**SOON)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    world.sandbox.expire(user_id="user_anna")
    event = world.send(user_id="user_anna")
    data = world.result(event)
    assert (data["status"], data["attempts"]) == ("created", 2)
    assert [call["status"] for call in calls_of(world)] == [201, 401, 201]
    assert [call["status"] for call in calls_of(world, "pipes")] == [200, 200]
    checks.assert_accounted(world)


def test_two_new_tokens_that_are_refused_mean_a_new_consent(world):
    connection = world.connect("user_anna")
    world.worker(**SOON)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    world.sandbox.expire(user_id="user_anna")
    world.sandbox.rule({"status": 401, "body": [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}]},
                       times=2, service="salesforce")
    event = world.send(user_id="user_anna")
    record = world.outcomes.wait_one(of=event)
    assert (record["topic"], record["data"]["reason"]) == (world.topics["lead_reauth_required"], "token_rejected")
    assert world.state(connection) == "reauth_required"
    assert len(calls_of(world)) == 3
    world.connect("user_anna")
    (data,) = [r["data"] for r in world.outcomes.wait_for(1, of=event, topic=world.topics["lead_result"])]
    assert data["status"] == "created"
    checks.assert_accounted(world)


def test_a_dead_token_that_is_vended_again_is_not_sent_again(world):
    connection = world.connect("user_anna")
    world.worker(**SOON)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    world.sandbox.expire(user_id="user_anna", keep_vending=True)
    event = world.send(user_id="user_anna")
    processes.wait_until(lambda: len(calls_of(world, "pipes")) == 2, 5, "the second token")
    assert world.workers[0].wait_log("no token")["reason"] == "vended_token_rejected"
    assert [call["status"] for call in calls_of(world)] == [201, 401]
    assert world.state(connection) == "connected"
    world.workers[0].stop()  # the lead is open; its next owner starts without the memory of that token
    world.sandbox.expire(user_id="user_anna")
    world.workers[0].start()
    assert world.result(event)["status"] == "created"
    checks.assert_accounted(world)


@pytest.mark.parametrize("action", [
    {"status": 503, "body": "busy"}, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut": "before"},
    {"status": 200, "body": "<html>"}], ids=["503", "429", "cut", "html"])
@pytest.mark.parametrize("service", ["pipes", "userinfo"])
def test_a_token_source_that_is_down_changes_no_state(world, service, action):
    connection = world.connect("user_anna")
    world.sandbox.rule(action, times=2, service=service)
    world.worker(**SOON)
    event = world.send(user_id="user_anna")
    assert world.result(event)["attempts"] == 1
    assert world.scalar("SELECT count(*) FROM gov.connection_transition WHERE connection_id = %s", connection) == 2
    one_live_lead(world, event)


def test_a_wrong_key_for_the_token_source_is_the_operators_trouble(world):
    connection = world.connect("user_anna")
    world.sandbox.rule({"status": 401, "body": {"message": "Unauthorized"}}, times=-1, service="pipes")
    running = world.worker(**SOON)
    event = world.send(user_id="user_anna")
    running.wait_log("the token source refuses our request: check client, key and slug", level="error")
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.parked"), 5, "the lead to be parked")
    assert world.state(connection) == "connected"
    facts = checks.assert_accounted(world)
    assert facts.visible == [] and len(calls_of(world, "pipes")) == 1
    world.sandbox.clear_rules()
    world.sql("UPDATE ledger.parked SET next_attempt_at = clock_timestamp()")
    world.workers[0].start()
    one_live_lead(world, event)


# ---- answers that pass


def an_error(code, message="x", fields=()):
    return [{"errorCode": code, "message": message, "fields": list(fields)}]


PASSING = {
    "429 with Retry-After": {"status": 429, "headers": {"Retry-After": "1"}, "body": ""},
    "503": {"status": 503, "body": an_error("SERVER_UNAVAILABLE")},
    "503 of a proxy": {"status": 503, "body": "<html>503</html>"},
    "500": {"status": 500, "body": an_error("UNKNOWN_EXCEPTION")},
    "502": {"status": 502, "body": ""},
    "504 and applied": {"status": 504, "body": "", "apply": True},
    "500 and applied": {"status": 500, "body": "<html>", "apply": True},
    "lock": {"status": 400, "body": an_error("UNABLE_TO_LOCK_ROW")},
    "locked record": {"record_error": {"statusCode": "UNABLE_TO_LOCK_ROW", "message": "x", "fields": []}},
    "limit of the org": {"status": 403, "body": an_error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")},
    "too slow": {"delay_ms": 700},
    "cut before": {"cut": "before"},
    "cut after": {"cut": "after"},
    "200 without sense, applied": {"status": 200, "body": "<html>", "apply": True},
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_ends_in_one_live_lead_and_one_result(world, name):
    world.connect("user_anna")
    world.sandbox.rule(PASSING[name], times=2 if "too slow" not in name else 1, service="salesforce")
    world.worker(**SOON, http={"timeout": "300ms", "connect_timeout": "300ms"})
    event = world.send(user_id="user_anna")
    data = one_live_lead(world, event)
    assert data["status"] in ("created", "updated") and data["written"] == "yes"
    if "too slow" in name:  # the first call is applied in the end, and must make no second Lead
        processes.wait_until(lambda: len(world.sandbox.journal()) == 2, 5, "the slow call")
        assert len(world.sandbox.leads(world.org_id)) == 1
    if "Retry-After" in name:
        times = [call["at_ms"] for call in calls_of(world)]
        assert [after - before >= 1000 for before, after in zip(times, times[1:])] == [True, True]


@pytest.mark.parametrize("name", ["cut after", "cut before", "504 and applied"])
def test_a_whole_call_without_an_answer_is_settled_lead_by_lead(world, name):
    world.connect("user_anna")
    world.sandbox.rule(PASSING[name], times=3, service="salesforce")
    sent = world.send_all(events.lead_create(user_id="user_anna") for _ in range(20))
    world.worker(**SOON)
    world.outcomes.wait_for(20)
    facts = checks.assert_accounted(world)
    assert len(world.sandbox.leads(world.org_id)) == len(sent) == len(facts.visible)


def test_a_redirect_is_not_followed_but_leads_to_the_new_host_of_the_org(world):
    connection = world.connect("user_anna")
    new_host = f"localhost:{world.sandbox.port}"
    world.worker(**{**SOON, "salesforce": {**SOON["salesforce"],
                                           "insecure_hosts": f"{world.sandbox.address} {new_host}"}})
    assert world.result(world.send(user_id="user_anna"))["connection_epoch"] == 2
    world.sandbox.org(org_id=world.org_id, host="localhost", instance_url=f"http://{new_host}")
    world.sandbox.rule({"status": 302, "headers": {"Location": f"http://{world.sandbox.address}/followed"}, "body": ""},
                       service="salesforce")
    data = world.result(world.send(user_id="user_anna"))
    assert (data["status"], data["connection_epoch"]) == ("created", 3)
    assert world.scalar("SELECT host FROM gov.connection WHERE connection_id = %s", connection) == new_host
    assert not [call for call in world.sandbox.calls() if "followed" in call["path"]]
    assert world.sandbox.journal()[-1]["host"] == "localhost"
    checks.assert_accounted(world)


# ---- answers that are final, or that nobody knows


def test_an_unknown_code_for_a_lead_alone_is_its_rejection(world):
    world.connect("user_anna")
    world.sandbox.rule({"status": 400, "body": an_error("NEVER_HEARD_OF", fields=["City"])}, service="salesforce")
    running = world.worker(**SOON)
    data = world.result(world.send(user_id="user_anna"))
    assert (data["status"], data["code"], data["reason"]) == ("rejected", "NEVER_HEARD_OF", "salesforce_rejected")
    assert (data["fields"], data["written"]) == (["City"], "no")
    running.wait_log("an answer of Salesforce that is not in the tables", level="error", code="NEVER_HEARD_OF")
    checks.assert_accounted(world)


def test_a_lead_that_spoils_its_whole_call_is_found_and_rejected_alone(world):
    world.connect("user_anna")
    world.sandbox.rule({"status": 400, "body": an_error("NEVER_HEARD_OF")}, times=-1, service="salesforce",
                       lead={"field": "LastName", "equals": "Poison"})
    sent = [events.lead_create(user_id="user_anna") for _ in range(12)]
    poison = events.lead_create(user_id="user_anna", lead={"LastName": "Poison", "Company": "C"})
    sent.insert(5, poison)
    world.send_all(sent)
    world.worker(**SOON)
    world.outcomes.wait_for(13)
    assert world.result(poison)["code"] == "NEVER_HEARD_OF"
    assert {world.result(event)["status"] for event in sent if event is not poison} == {"created"}
    checks.assert_accounted(world)


def test_an_unknown_status_is_a_matter_of_set_up_and_parks(world):
    world.connect("user_anna")
    world.sandbox.rule({"status": 418, "body": an_error("TEAPOT")}, service="salesforce")
    running = world.worker(**SOON)
    event = world.send(user_id="user_anna")
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.parked"), 5, "the lead to be parked")
    running.wait_log("an answer of Salesforce that is not in the tables", level="error", status=418)
    facts = checks.assert_accounted(world)
    assert facts.visible == []
    world.sql("UPDATE ledger.parked SET next_attempt_at = clock_timestamp()")
    running.start()
    one_live_lead(world, event)


def test_a_deleted_field_of_the_org_parks_and_does_not_reject(world):
    """The External ID field is missing there: nothing is wrong with the leads."""
    world.sandbox.org(org_id=world.org_id, external_id_field="Another__c")
    world.connect("user_anna")
    world.worker(**SOON)
    sent = [world.send(user_id="user_anna") for _ in range(3)]
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.parked") == 3, 5, "parked leads")
    world.sandbox.org(org_id=world.org_id, external_id_field="OnBehalf_Event_Id__c")
    facts = checks.assert_accounted(world)
    assert facts.visible == []
    world.sql("UPDATE ledger.parked SET next_attempt_at = clock_timestamp()")
    world.workers[0].start()
    assert [world.result(event)["status"] for event in sent] == ["created"] * 3
    checks.assert_accounted(world)


# ---- one tenant does not hurt another


@pytest.mark.parametrize("action", [
    {"delay_ms": 2500}, {"status": 503, "body": ""}, {"status": 500, "body": "<html>"},
    {"status": 403, "body": an_error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")},
    {"cut": "before"}], ids=["slow", "503", "500", "limit", "cut"])
def test_an_org_in_trouble_delays_only_itself(world, action):
    sick = world.sandbox.org(host="sick.example")["org_id"]
    world.sandbox.user(org_id=sick, organization_id="org_acme", count=20, user_id_prefix="sick_")
    world.sql("SELECT count(gov.connect(%s, 'sick_' || n, 'org_acme')) FROM generate_series(0, 19) n", world.integration)
    world.connect_many(5)
    world.sandbox.rule(action, times=-1, service="salesforce", org_id=sick)
    world.worker(salesforce={"per_org": 2, "backoff_base": "100ms", "backoff_cap": "1s"})
    troubled = world.send_all(events.lead_create(user_id=f"sick_{n % 20}") for n in range(60))
    processes.wait_until(lambda: any(c.get("org_id") == sick for c in calls_of(world)), 5, "a call of the sick org")
    began = time.monotonic()
    healthy = world.send_all(events.lead_create(user_id=f"user_{n % 5}") for n in range(20))
    for event in healthy:
        assert world.result(event)["status"] == "created"
    took_s = time.monotonic() - began
    assert took_s < 1.5, f"the healthy org waited {took_s:.1f} s"
    assert world.sandbox.leads(sick) == []
    world.sandbox.clear_rules()
    for event in troubled:
        world.outcomes.wait_for(1, of=event, topic=world.topics["lead_result"])
    checks.assert_accounted(world)
