"""The checks that all other tests rely on: each planted fault must be found by the check that is for it."""

import copy

import pytest
from support import checks, events, processes
from support.world import World


@pytest.fixture(scope="module")
def done(tmp_path_factory, kafka, postgres, sandbox, template):
    """A scenario with a bit of everything, checked and stopped: (world, facts)."""
    world = World(tmp_path_factory.mktemp("checked"), kafka, postgres, sandbox, template)
    try:
        connection = world.connect("user_anna")
        world.worker()
        first = world.send(user_id="user_anna", partition=0)
        assert world.result(first)["status"] == "created"
        world.sandbox.rule({"status": 503, "body": ""}, service="salesforce")
        batch = [events.lead_create(user_id="user_anna") for _ in range(6)]
        for event in [*batch, first]:
            world.send(event, partition=0)
        world.send(user_id="user_anna", lead={"Company": "no name"}, partition=1)
        parked = world.send(user_id="user_nobody", partition=1)
        world.outcomes.wait_for(9)
        world.disconnect(connection)
        world.outcomes.wait_one(of=world.send(user_id="user_anna", partition=1))
        facts = checks.assert_accounted(world)
        assert [row["partition"] for row in facts.parked] == [1] and parked
        yield world, facts
    finally:
        world.close()


def found(facts, **how):
    return set(checks.faults(facts, **how))


def test_a_clean_run_has_no_fault(done):
    assert checks.faults(done[1]) == {}


LAST_CREATED = "(SELECT max(sequence) FROM ledger.outcome WHERE partition = 0 AND status = 1)"
IN_SQL = {
    "an outcome is gone": (f"DELETE FROM ledger.outcome WHERE partition = 0 AND sequence = {LAST_CREATED}",
                           {"conservation", "endings", "sequences", "published", "chain", "writes"}),
    "an outcome was changed": ("UPDATE ledger.outcome SET status = 2 WHERE partition = 0 AND sequence = 1",
                               {"published", "chain"}),
    "an outcome has another number": ("UPDATE ledger.outcome SET sequence = 99 WHERE partition = 0 AND sequence = 2",
                                      {"sequences", "published", "chain"}),
    "an event is gone": ("DELETE FROM ledger.event WHERE partition = 0 AND kafka_offset = 2",
                         {"conservation", "offsets", "chain", "writes"}),
    "an event is unknown of": ("UPDATE ledger.event SET kafka_offset = 77 WHERE partition = 0 AND kafka_offset = 2",
                               {"offsets", "endings", "chain"}),
    "a duplicate is gone": ("DELETE FROM ledger.duplicate", {"conservation", "offsets", "chain"}),
    "a parked lead is gone": ("DELETE FROM ledger.parked", {"conservation", "endings"}),
    "a permit is gone": ("DELETE FROM ledger.permit WHERE (tick, n) = (SELECT tick, n FROM ledger.permit ORDER BY at LIMIT 1)",
                         {"chain", "writes"}),
    "a permit was for another org": ("UPDATE ledger.permit SET org_id = '00D000000000001EAA'", {"chain", "fence", "writes"}),
    "a permit was given too late": ("UPDATE ledger.permit SET at = at + interval '1 hour'", {"chain", "fence", "writes"}),
    "an answer is gone": ("DELETE FROM ledger.answer", {"chain"}),
    "a tick is gone": ("DELETE FROM ledger.tick WHERE tick = (SELECT min(tick) FROM ledger.outcome)", {"chain", "published"}),
    "a tick was changed": ("UPDATE ledger.tick SET consumed[1] = 5 WHERE tick = 2", {"chain"}),
    "a tick's time was changed": ("UPDATE ledger.tick SET at = at - interval '1 hour' WHERE tick = 3", {"chain"}),
    "a transition was changed": ("UPDATE gov.connection_transition SET reason = 'other' WHERE epoch = 1", {"chain"}),
    "a transition is gone": ("DELETE FROM gov.connection_transition WHERE epoch = 2", {"chain", "fence"}),
    "the connection was not connected": ("UPDATE gov.connection_transition SET to_state = 'revoked' WHERE epoch = 2",
                                         {"chain", "fence"}),
    "a count was changed": ("UPDATE ledger.partition SET owner = NULL, consumed = consumed + 1 WHERE partition = 0",
                            {"conservation"}),
}


@pytest.mark.parametrize("name", IN_SQL)
def test_a_fault_in_the_database_is_found(done, name):
    world, _ = done
    statement, expected = IN_SQL[name]
    database = world.postgres.create_database(f"{world.database}_faulty", world.database)
    try:
        world.postgres.sql(statement, database=database)
        assert found(checks.gather(world, database)) >= expected
    finally:
        world.postgres.drop_database(database)


def lost(facts):
    del facts.visible[3]


def twice(facts):
    facts.visible.append(facts.visible[0])


def foreign(facts):
    facts.visible.append({**facts.visible[0], "headers": {}})


def forged(facts):
    facts.visible[0]["value"] = facts.visible[0]["value"].replace(b"created", b"updated")


def misplaced(facts):
    facts.visible[0]["partition"] += 1


def out_of_order(facts):
    facts.visible.sort(key=lambda record: -int(record["headers"]["onbehalf_sequence"]))


def untold(facts):
    facts.records_in[0] += 1


def created_twice(facts):
    facts.journal.append(facts.journal[0])


def into_another_org(facts):
    facts.journal[0]["org_id"] = "00D000000000001EAA"


def too_early(facts):
    facts.calls[facts.journal[0]["call"]]["at_ms"] -= 3_600_000


def too_late(facts):
    facts.calls[facts.journal[0]["call"]]["at_ms"] += checks.PERMIT_LIFE_MS


def of_no_event(facts):
    facts.journal[0]["external_id"] = "0" * 32


def not_written(facts):
    del facts.journal[-1]


def written_but_rejected(facts):
    rejected = next(row for row in facts.outcomes if row["status"] == 3)
    facts.journal.append({**facts.journal[0], "external_id": checks.hexed(rejected["key"])})


IN_MEMORY = [(lost, "published"), (twice, "published"), (foreign, "published"), (forged, "published"),
             (misplaced, "published"), (out_of_order, "published"), (untold, "conservation"), (untold, "offsets"),
             (created_twice, "writes"), (into_another_org, "writes"), (too_early, "writes"), (too_late, "writes"),
             (of_no_event, "writes"), (not_written, "writes"), (written_but_rejected, "writes")]


@pytest.mark.parametrize("plant, expected", IN_MEMORY, ids=[f"{plant.__name__}-{by}" for plant, by in IN_MEMORY])
def test_a_fault_outside_the_database_is_found(done, plant, expected):
    facts = copy.deepcopy(done[1])
    plant(facts)
    assert expected in found(facts)


def test_an_outcome_may_be_there_twice_where_that_was_said(done):
    facts = copy.deepcopy(done[1])
    twice(facts)
    assert found(facts, exactly=False) == set()
    forged(facts)
    assert found(facts, exactly=False) == {"published"}


def test_what_is_in_flight_is_not_quiet(world):
    world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 1000}, service="salesforce")
    world.worker()
    world.send(user_id="user_anna")
    assert not checks.quiet(world)
    with pytest.raises(processes.Late):
        checks.wait_quiet(world, 0.3)
    checks.assert_accounted(world)
