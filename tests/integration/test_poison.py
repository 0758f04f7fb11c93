"""Records that kill the worker, or that the ledger refuses: the culprit is set aside, everything else goes on."""

import pytest
from support import checks, events, processes

QUICK = {"kafka": {"session.timeout.ms": 2000, "heartbeat.interval.ms": 300}}  # a dead member is soon forgotten


def send(world, count, culprit):
    """Leads of one user, so of one partition; one has an id that the fail point knows."""
    batch = [events.lead_create(user_id="user_anna", id="culprit" if n == culprit else f"lead-{n}") for n in range(count)]
    world.send_all(batch)
    return batch


def run_until(world, worker, done, deaths, env):
    """Starts the worker again whenever it has died, as a supervisor would."""
    for _ in range(deaths + 1):
        worker.start(wait=False, env=env)
        processes.wait_until(lambda: done() or not worker.running(), 30, "all to be done, or a death")
        if done():
            return
    raise AssertionError(f"it still dies after {deaths} deaths")


@pytest.mark.parametrize("culprit", [0, 7])
def test_a_record_that_kills_the_decoder_is_set_aside(world, culprit):
    world.connect("user_anna")
    batch = send(world, 12, culprit)
    worker = world.worker(start=False, **QUICK)
    env = {"ONBEHALF_TEST_FAIL": "decode_kills:culprit"}
    run_until(world, worker, lambda: world.scalar("SELECT count(*) FROM ledger.outcome WHERE terminal") == 12, 8, env)
    invalid = world.outcomes.wait_for(1, topic=world.topics["lead_invalid"], timeout_s=10)[0]
    assert invalid["headers"]["onbehalf_reason"] == "poisonous"
    assert b'"culprit"' in invalid["value"]
    assert {e["external_id"] for e in world.sandbox.journal()} == {
        checks.external_id(e) for n, e in enumerate(batch) if n != culprit}
    worker.stop()


def test_an_innocent_record_is_not_blamed_for_deaths_of_another_kind(world):
    world.connect("user_anna")
    worker = world.worker(start=False, **QUICK)
    for _ in range(5):  # killed again and again before it could do anything
        worker.start(wait=False)
        worker.wait_log("the group gave partitions", 20)
        worker.kill()
    batch = send(world, 5, -1)
    worker.start()
    for event in batch:
        assert world.result(event)["status"] == "created"
    worker.stop()
    checks.assert_accounted(world)


def test_a_tick_that_is_refused_is_halved_until_the_culprit_is_alone(world):
    world.connect("user_anna")
    batch = send(world, 40, 23)
    worker = world.worker(start=False, **QUICK)
    worker.start(env={"ONBEHALF_TEST_FAIL": "tick_refuses:culprit"})
    for n, event in enumerate(batch):
        if n != 23:
            assert world.result(event)["status"] == "created"
    invalid = world.outcomes.wait_for(1, topic=world.topics["lead_invalid"], timeout_s=10)[0]
    assert invalid["headers"]["onbehalf_reason"] == "poisonous"
    assert len([*worker.logged("the session is over: beginning anew")]) == 0
    worker.stop()
    checks.assert_accounted(world)
