"""What is killed, stopped, frozen or taken away while leads flow: nothing is lost, nothing is written twice."""

import contextlib

import pytest
from support import checks, events, processes
from support import kafka as kafka_module
from support.flow import Flow

USERS = [f"user_{n}" for n in range(10)]
# Short sessions, so that the group soon gives a dead worker's partitions to another.
QUICK = {"kafka": {"session.timeout.ms": 1200, "heartbeat.interval.ms": 200,
                   "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 300},
         "salesforce": {"backoff_base": "50ms", "backoff_cap": "500ms"}}


def written(world):
    return world.sandbox.stats()["created"]


def wait_written(world, more=100, timeout_s=20.0):
    """Waits until so many leads more have been written."""
    goal = written(world) + more
    processes.wait_until(lambda: written(world) >= goal, timeout_s, f"{more} more leads to be written", 0.02)


def all_created(world, sent, exactly=True, timeout_s=40.0):
    """Every lead sent was written, once, and has its outcome.

    Not @exactly: something broke between Kafka's commit and the ledger's note of it, so that outcomes may be published
    again, under the same ids.
    """
    facts = checks.assert_accounted(world, exactly, timeout_s=timeout_s)
    assert not facts.parked
    by_event = {row["event_id"]: row for row in facts.outcomes if row["terminal"]}
    assert {by_event[event["id"]]["status"] for event in sent} <= {1, 2}
    assert {entry["external_id"] for entry in facts.journal} == {checks.external_id(event) for event in sent}
    assert len(world.sandbox.leads(world.org_id)) == len(sent)
    return facts


def make_busy(world):
    """Users, and an org that takes its time, so that there is always something in flight."""
    world.connect_many(len(USERS))
    world.sandbox.rule({"delay_ms": 25}, times=-1, service="salesforce")
    return world


@pytest.fixture
def busy(world):
    return make_busy(world)


@pytest.fixture(scope="module")
def private_kafka(folder):
    """To be stopped: it has few topics, and is soon back."""
    server = kafka_module.Kafka(folder / "private-kafka").start()
    yield server
    server.kill()


@pytest.fixture
def busy_alone(make_world, private_kafka):
    if not private_kafka.process.running():  # the test before failed half-way
        private_kafka.start()
    return make_busy(make_world(kafka=private_kafka))


# ---- the worker


def test_sigterm_drains_and_the_next_start_goes_on(busy):
    first = busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        for _ in range(3):
            wait_written(busy)
            first.stop()  # must end with 0
            answered = {row["n"]: row for row in busy.sandbox.calls() if row["service"] == "salesforce"}
            assert all(call["status"] for call in answered.values()), "a call was left without its answer"
            assert busy.scalar("SELECT count(*) FROM ledger.partition WHERE owner IS NOT NULL") == 0
            first.start()
    facts = all_created(busy, flow.sent)
    assert all(row["attempts"] == 1 for row in busy.sql("SELECT attempts FROM ledger.outcome"))
    assert not [row for row in facts.journal if row["method"] != "create"]


def test_kill_9_while_leads_flow(busy):
    first = busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        for _ in range(2):
            wait_written(busy)
            first.kill()
            first.start()
    all_created(busy, flow.sent, exactly=False)


def test_kill_9_again_and_again_at_any_time(busy):
    """Also in the middle of starting."""
    one = busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        wait_written(busy, 50)
        for pause_s in (0.02, 0.08, 0.15, 0.2, 0.25, 0.3):
            one.kill()
            one.start(wait=False)
            with contextlib.suppress(processes.Late):
                processes.wait_until(lambda: False, pause_s)  # the moment of the kill is the point
        one.wait_ready()
        wait_written(busy, 50)
    all_created(busy, flow.sent, exactly=False)


def test_a_call_whose_worker_died_is_sent_again_under_the_same_key(world):
    world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 800}, service="salesforce")
    one = world.worker(**QUICK)
    event = world.send(user_id="user_anna")
    processes.wait_until(lambda: world.sandbox.stats()["calls"]["salesforce"] == 1, 5, "the call")
    one.kill()
    one.start()
    data = world.result(event)
    assert data["attempts"] == 2
    processes.wait_until(lambda: len(world.sandbox.journal()) == 2, 5, "both calls to be applied")
    assert len(world.sandbox.leads(world.org_id)) == 1
    checks.assert_accounted(world, exactly=False)


def test_an_outcome_that_was_not_published_is_published_after_a_restart(world):
    """Killed between the ledger's commit and Kafka's."""
    world.connect("user_anna")
    one = world.worker(**QUICK)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    sent = world.send_all(events.lead_create(user_id="user_anna") for _ in range(50))
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.outcome") > 1, 5, "an outcome")
    one.kill()
    one.start()
    facts = checks.assert_accounted(world, exactly=False)
    assert len({record["headers"]["onbehalf_id"] for record in facts.visible}) == len(sent) + 1


# ---- two workers


def owners(world):
    return world.scalar("SELECT count(DISTINCT owner) FROM ledger.partition WHERE owner IS NOT NULL")


def share(world):
    """Two workers, both with partitions."""
    two = [world.worker(**QUICK), world.worker(wait=False, **QUICK)]
    processes.wait_until(lambda: owners(world) == 2, 20, "both workers to own partitions")
    for one in two:
        one.wait_ready()
    return two


def test_two_workers_share_the_partitions(busy):
    two = share(busy)
    with Flow(busy, USERS) as flow:
        wait_written(busy, 300)
    assert busy.scalar("SELECT count(DISTINCT session) FROM ledger.event") == 2
    all_created(busy, flow.sent)
    assert all(next(one.logged("worker stopped")) for one in two)


def test_a_second_worker_joins_while_leads_flow(busy):
    busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        wait_written(busy)
        busy.worker(**QUICK)
        processes.wait_until(lambda: owners(busy) == 2, 20, "both workers to own partitions")
        wait_written(busy)
    all_created(busy, flow.sent)


def test_one_of_two_workers_is_killed(busy):
    two = share(busy)
    with Flow(busy, USERS) as flow:
        wait_written(busy)
        two[0].kill()
        processes.wait_until(lambda: owners(busy) == 1, 20, "the other to take over")
        wait_written(busy)
    all_created(busy, flow.sent, exactly=False)


def test_one_of_two_workers_is_stopped(busy):
    two = share(busy)
    with Flow(busy, USERS) as flow:
        wait_written(busy)
        two[1].stop()
        processes.wait_until(lambda: owners(busy) == 1, 20, "the other to take over")
        wait_written(busy)
    all_created(busy, flow.sent)


def test_a_frozen_worker_wakes_up_to_find_itself_replaced(busy):
    two = share(busy)
    with Flow(busy, USERS) as flow:
        wait_written(busy)
        two[0].process.freeze()
        processes.wait_until(lambda: owners(busy) == 1, 20, "the other to take over")
        wait_written(busy)
        two[0].process.thaw()
        wait_written(busy, 200)
    all_created(busy, flow.sent, exactly=False)
    assert two[0].running() or two[0].process.popen.returncode == 0


# ---- PostgreSQL


def test_the_database_session_is_ended(busy):
    busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        for _ in range(2):
            wait_written(busy)
            ended = busy.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                             " WHERE datname = %s AND usename = 'onbehalf_worker_login'", busy.database)
            assert ended
            wait_written(busy)
    all_created(busy, flow.sent, exactly=False)
    assert busy.scalar("SELECT count(*) FROM ledger.session") >= 3
    assert len(list(busy.workers[0].logged("the session is over: beginning anew"))) >= 2


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgresql_goes_and_comes_back(busy, how):
    busy.worker(**QUICK)
    with Flow(busy, USERS) as flow:
        wait_written(busy)
        getattr(busy.postgres, how)()
        busy.workers[0].wait_log("the session is over: beginning anew")
        before = written(busy)
        busy.postgres.start()
        processes.wait_until(lambda: written(busy) > before, 20, "leads to be written again")
        wait_written(busy)
    all_created(busy, flow.sent, exactly=False)
    assert busy.workers[0].running() is False  # stopped by the check, never before
    assert len(list(busy.workers[0].logged("worker ready"))) >= 2


def test_a_worker_waits_for_a_postgresql_that_is_not_there_yet(world):
    world.connect("user_anna")
    event = world.send(user_id="user_anna")
    world.postgres.stop()
    one = world.worker(wait=False, **QUICK)
    one.wait_log("the session is over: beginning anew")
    world.postgres.start()
    one.wait_ready()
    assert world.result(event)["status"] == "created"
    checks.assert_accounted(world)


# ---- Kafka


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_kafka_goes_and_comes_back(busy_alone, how):
    busy_alone.worker(**QUICK)
    with Flow(busy_alone, USERS) as flow:
        wait_written(busy_alone)
        getattr(busy_alone.kafka, how)()
        busy_alone.kafka.start()
        wait_written(busy_alone, 50, timeout_s=40)
    all_created(busy_alone, flow.sent, exactly=False)
    assert len(list(busy_alone.workers[0].logged("worker stopped"))) == 1


def test_kafka_stands_still_for_a_while(busy_alone):
    busy_alone.worker(**QUICK)
    with Flow(busy_alone, USERS) as flow:
        wait_written(busy_alone)
        busy_alone.kafka.freeze()
        try:
            # with nothing new to read the worker is soon through with what it has
            processes.wait_until(
                lambda: busy_alone.scalar("SELECT sum(in_flight) FROM audit.conservation") == 0, 10, "what it has to be settled")
        finally:
            busy_alone.kafka.thaw()
        wait_written(busy_alone, timeout_s=40)
    all_created(busy_alone, flow.sent, exactly=False)


# ---- the sandbox: Salesforce and the token source


def test_salesforce_and_the_token_source_are_gone_for_a_while(world):
    world.connect_many(len(USERS))
    world.worker(**QUICK)
    sent = world.send_all(events.lead_create(user_id=user) for user in USERS * 5)
    world.outcomes.wait_for(50)
    world.sandbox.process.freeze()  # it keeps what it knows
    try:
        more = world.send_all(events.lead_create(user_id=user) for user in USERS * 5)
        processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.event") == 100, 5, "all to be accepted")
    finally:
        world.sandbox.process.thaw()
    world.outcomes.wait_for(100)
    all_created(world, sent + more)


def test_everything_at_once(busy):
    """Two workers; one is killed, PostgreSQL restarts, Salesforce cuts and refuses, a token dies."""
    two = share(busy)
    with Flow(busy, USERS) as flow:
        wait_written(busy, 50)
        busy.sandbox.rule({"cut": "after"}, times=5, service="salesforce")
        busy.sandbox.rule({"status": 503, "body": ""}, times=5, service="salesforce")
        two[0].kill()
        busy.sandbox.expire()
        busy.postgres.restart()
        two[0].start(wait=False)
        busy.sandbox.rule({"cut": "before"}, times=5, service="salesforce")
        wait_written(busy, 200, timeout_s=40)
    all_created(busy, flow.sent, exactly=False)
