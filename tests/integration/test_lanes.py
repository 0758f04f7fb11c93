"""How leads travel: in few calls, in order, under the caps, with TLS, and with little memory."""

import time

import pytest
from support import checks, events, processes, worker
from support.tls import Tls


def writes_of(world):
    return [call for call in world.sandbox.calls() if call["service"] == "salesforce"]


def most_at_once(calls, lasting_ms):
    """The most calls under way at one time, when each lasts at least so long."""
    times = [call["at_ms"] for call in calls]
    return max(sum(at - lasting_ms < other <= at for other in times) for at in times)


def in_order(facts, sent):
    """The sandbox wrote them in the order of their offsets, user by user."""
    place = {checks.external_id(event): n for n, event in enumerate(sent)}
    by_user = {}
    for entry in facts.journal:
        by_user.setdefault(entry["user_id"], []).append(place[entry["external_id"]])
    return all(found == sorted(found) for found in by_user.values())


def test_many_leads_of_one_user_go_in_few_calls_and_in_order(world):
    world.connect("user_anna")
    sent = world.send_all(events.lead_create(user_id="user_anna") for _ in range(1000))
    world.worker()
    world.outcomes.wait_for(1000)
    facts = checks.assert_accounted(world)
    sizes = [call["records"] for call in writes_of(world)]
    assert sum(sizes) == 1000 and max(sizes) <= 200 and len(sizes) <= 15, sizes
    assert in_order(facts, sent)


def test_first_attempts_keep_their_order_while_leads_flow(world):
    world.connect_many(4)
    world.sandbox.rule({"delay_ms": 20}, times=-1, service="salesforce")
    world.worker()
    sent = []
    for n in range(40):
        sent += world.send_all(events.lead_create(user_id=f"user_{m % 4}") for m in range(n, n + 10))
    world.outcomes.wait_for(400)
    facts = checks.assert_accounted(world)
    assert in_order(facts, sent)


def test_an_idle_lane_sends_at_once(world):
    world.connect("user_anna")
    world.worker()
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    for _ in range(3):
        event = world.send(user_id="user_anna")
        times = world.result(event)["times"]
        assert times["permitted"] >= times["accepted"]
    facts = checks.assert_accounted(world)
    # accepted and permitted in one tick
    ticks = {row["key"]: row["tick"] for row in world.sql("SELECT key::text, tick FROM ledger.event")}
    assert [permit["tick"] == ticks[permit["leads"][0]] for permit in facts.permits][1:] == [True] * 3


def test_batches_are_as_large_as_configured(world):
    world.connect("user_anna")
    world.send_all(events.lead_create(user_id="user_anna") for _ in range(95))
    world.worker(lanes={"batch_leads": 10})
    world.outcomes.wait_for(95)
    checks.assert_accounted(world)
    assert max(call["records"] for call in writes_of(world)) == 10


def test_batches_are_bounded_in_bytes(world):
    world.connect("user_anna")
    world.send_all(events.lead_create(user_id="user_anna", lead={"LastName": "L", "Company": "C",
                                                                  "Description": "d" * 900}) for _ in range(40))
    world.worker(lanes={"batch_bytes": "4096"})
    world.outcomes.wait_for(40)
    checks.assert_accounted(world)
    assert max(call["records"] for call in writes_of(world)) == 4


def test_no_more_calls_to_one_org_than_configured(world):
    world.connect_many(30)
    world.sandbox.rule({"delay_ms": 100}, times=-1, service="salesforce")
    world.send_all(events.lead_create(user_id=f"user_{n}") for n in range(30))
    world.worker(salesforce={"per_org": 3})
    world.outcomes.wait_for(30)
    assert most_at_once(writes_of(world), 100) == 3
    checks.assert_accounted(world)


def test_no_more_calls_in_all_than_configured(world):
    orgs = [world.org_id] + [world.sandbox.org(host=f"org{n}.example")["org_id"] for n in range(4)]
    for n, org_id in enumerate(orgs):
        for m in range(5):
            world.connect(f"user_{n}_{m}", org_id=org_id)
    world.sandbox.rule({"delay_ms": 100}, times=-1, service="salesforce")
    world.send_all(events.lead_create(user_id=f"user_{n}_{m}") for n in range(5) for m in range(5))
    world.worker(salesforce={"per_org": 3, "in_flight": 5})
    world.outcomes.wait_for(25)
    assert most_at_once(writes_of(world), 100) == 5
    for org_id in orgs:
        assert most_at_once([call for call in writes_of(world) if call["org_id"] == org_id], 100) <= 3
    checks.assert_accounted(world)


def test_one_call_of_a_user_at_a_time(world):
    world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 60}, times=-1, service="salesforce")
    world.worker()
    for _ in range(12):
        world.send(user_id="user_anna")
        time.sleep(0.015)  # paced: leads arrive while a call is away
    world.outcomes.wait_for(12)
    assert most_at_once(writes_of(world), 60) == 1
    checks.assert_accounted(world)


def test_the_token_sources_budget_is_not_exceeded(world):
    """600 a minute: a hundred at once, then ten a second."""
    world.connect_many(115)
    world.send_all(events.lead_create(user_id=f"user_{n}") for n in range(115))
    world.worker(client__main={"rate_per_minute": 600})
    world.outcomes.wait_for(115)
    times = [call["at_ms"] for call in world.sandbox.calls() if call["service"] == "pipes"]
    assert len(times) == 115
    assert times[-1] - times[0] >= 1300
    for at in times:
        assert sum(at <= other < at + 1000 for other in times) <= 111
    checks.assert_accounted(world)


def test_a_token_is_asked_for_once_however_many_leads_wait(world):
    world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 150}, service="pipes")
    world.worker()
    world.send_all(events.lead_create(user_id="user_anna") for _ in range(300))
    world.outcomes.wait_for(300)
    assert [call["service"] for call in world.sandbox.calls()].count("pipes") == 1
    checks.assert_accounted(world)


def test_a_window_that_is_full_pauses_and_goes_on(world):
    world.connect_many(40)
    sent = world.send_all(events.lead_create(user_id=f"user_{n % 40}") for n in range(800))
    world.worker(intake={"window": 40}, salesforce={"per_org": 20})
    world.outcomes.wait_for(800)
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == len(sent)


@pytest.mark.world(partitions=1)
def test_a_flood_for_one_user_does_not_delay_the_others(world):
    world.connect_many(5)
    world.sandbox.rule({"delay_ms": 300}, times=-1, service="salesforce", user_id="user_0")
    flood = world.send_all(events.lead_create(user_id="user_0") for _ in range(400))
    rest = world.send_all(events.lead_create(user_id=f"user_{1 + n % 4}") for n in range(40))
    world.worker(intake={"window": 160}, lanes={"batch_leads": 100})
    for event in rest:
        assert world.result(event)["status"] == "created"
    assert len(world.sandbox.journal()) < 400, "the flood was over before the others had their turn"
    world.outcomes.wait_for(440)
    facts = checks.assert_accounted(world)
    assert in_order(facts, flood + rest)


def test_over_tls_with_connect_to_and_a_ca_file(make_world):
    world = make_world(tls=True)
    connection = world.connect("user_anna")
    world.worker(top={"mode": "production"})
    event = world.send(user_id="user_anna")
    assert world.result(event)["status"] == "created"
    host = world.scalar("SELECT host FROM gov.connection WHERE connection_id = %s", connection)
    assert host == "acme.my.salesforce.com"
    facts = checks.assert_accounted(world)
    assert facts.journal[0]["host"] == "acme.my.salesforce.com"


def test_a_server_that_the_ca_does_not_know_gets_no_token(make_world, tmp_path):
    world = make_world(tls=True)
    world.connect("user_anna")
    world.worker(http={"ca_file": Tls(tmp_path / "another").ca}, salesforce={"backoff_base": "50ms", "backoff_cap": "50ms"})
    event = world.send(user_id="user_anna")
    processes.wait_until(lambda: len(list(world.workers[0].logged("no token"))) >= 2, 10, "failures")
    assert world.sandbox.calls() == []
    world.workers[0].stop()
    world.workers[0] = worker.Worker(world.folder, world.settings, "trusting").start()
    assert world.result(event)["status"] == "created"
    checks.assert_accounted(world)

