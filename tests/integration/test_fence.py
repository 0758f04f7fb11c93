"""Once a revocation has committed there is no new permit, however many race it."""

import datetime
import threading

import psycopg2
import pytest
from support import checks, events, processes
from support.flow import Flow

CLIENTS = 16
PERMIT_LIFE_S = 5
SOON = {"salesforce": {"backoff_base": "50ms", "backoff_cap": "500ms"}}


def race(world, count, act):
    """act(cursor, n) in @count threads, each with a session of its own, all at the same instant; what they returned."""
    start, results = threading.Barrier(count), [None] * count

    def client(n):
        session = world.postgres.connect(world.database)
        try:
            with session.cursor() as cursor:
                start.wait(10)
                results[n] = act(cursor, n)
        except psycopg2.Error as error:
            results[n] = error
        finally:
            session.close()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not [thread for thread in threads if thread.is_alive()], "a client hangs"
    return results


def end(cursor, connection, function):
    """Ends the connection; the instant at which that had committed, by the database's clock."""
    cursor.execute(f"SELECT gov.{function}(%s)", [connection])
    cursor.execute("SELECT clock_timestamp()")
    return cursor.fetchone()[0]


def no_authority_after(world, facts, ended):
    """Neither a permit nor, once permits given before are void, a write; @ended: connection -> committed at."""
    for permit in facts.permits:
        at = ended.get(permit["connection_id"])
        assert at is None or permit["at_ms"] <= at.timestamp() * 1000
    users = {row["user_id"]: row["connection_id"] for row in world.sql("SELECT user_id, connection_id FROM gov.connection")}
    for entry in facts.journal:
        at = ended.get(users[entry["user_id"]])
        arrived_s = facts.calls[entry["call"]]["at_ms"] / 1000
        assert at is None or arrived_s < at.timestamp() + PERMIT_LIFE_S


def created_or_revoked(world, facts, sent):
    """Each lead ended in one of the two ways; how many in each."""
    ends = {row["event_id"]: (row["type"], row["status"]) for row in facts.outcomes if row["terminal"]}
    found = [ends[event["id"]] for event in sent]
    assert set(found) <= {(1, 1), (1, 2), (3, 0)}, set(found)
    return sum(kind == 1 for kind, _ in found), sum(kind == 3 for kind, _ in found)


@pytest.mark.parametrize("function", ["revoke", "disconnect"])
def test_sixteen_clients_race_to_end_a_connection_while_its_leads_flow(world, function):
    connection = world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 15}, times=-1, service="salesforce")
    world.worker(**SOON)
    with Flow(world, ["user_anna"], per_second=400) as flow:
        processes.wait_until(lambda: world.sandbox.stats()["created"] >= 100, 10, "leads to flow")
        committed = race(world, CLIENTS, lambda cursor, n: end(cursor, connection, function))
        assert all(isinstance(at, datetime.datetime) for at in committed), committed
        sent_by_then = len(flow.sent)
        processes.wait_until(lambda: len(flow.sent) > sent_by_then + 150, 10, "leads after the end")
    facts = checks.assert_accounted(world)
    ended = [row for row in facts.transitions if row["to_state"] in ("revoked", "disconnected")]
    assert len(ended) == 1, "one of the clients did it, the others found it done"
    no_authority_after(world, facts, {connection: min(committed)})
    created, revoked = created_or_revoked(world, facts, flow.sent)
    assert created >= 100 and revoked >= 150


def test_sixteen_connections_end_and_come_back_while_leads_flow(world):
    """Each client ends a connection of its own, some twice; what was ended is never written under the old epoch."""
    users = [f"user_{n}" for n in range(CLIENTS)]
    world.connect_many(CLIENTS)
    ids = {row["user_id"]: row["connection_id"] for row in world.sql("SELECT user_id, connection_id FROM gov.connection")}
    world.sandbox.rule({"delay_ms": 10}, times=-1, service="salesforce")
    world.worker(**SOON)

    def act(cursor, n):
        if n % 2:
            return end(cursor, ids[users[n]], "revoke")
        for _ in range(3):
            end(cursor, ids[users[n]], "disconnect")
            cursor.execute("SELECT gov.connect(%s, %s, %s)", [world.integration, users[n], events.ORGANIZATION])
        return end(cursor, ids[users[n]], "disconnect")

    with Flow(world, users, per_second=600) as flow:
        processes.wait_until(lambda: world.sandbox.stats()["created"] >= 100, 10, "leads to flow")
        committed = race(world, CLIENTS, act)
        assert all(isinstance(at, datetime.datetime) for at in committed), committed
        sent_by_then = len(flow.sent)
        processes.wait_until(lambda: len(flow.sent) > sent_by_then + 100, 10, "leads after the end")
    facts = checks.assert_accounted(world)
    no_authority_after(world, facts, {ids[user]: at for user, at in zip(users, committed)})
    created_or_revoked(world, facts, flow.sent)


def test_a_permit_in_flight_when_the_connection_ends_may_finish_and_is_told_truthfully(world):
    connection = world.connect("user_anna")
    world.sandbox.rule({"delay_ms": 600}, service="salesforce")
    world.worker(**SOON)
    first = world.send(user_id="user_anna")
    processes.wait_until(lambda: world.sandbox.stats()["calls"]["salesforce"] == 1, 5, "the call")
    waiting = world.send_all(events.lead_create(user_id="user_anna") for _ in range(5))
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.event") == 6, 5, "leads behind it")
    world.revoke(connection)
    assert world.result(first)["status"] == "created"
    for event in waiting:
        record = world.outcomes.wait_one(of=event)
        assert (record["topic"], record["data"]["written"]) == (world.topics["lead_revoked"], "no")
    facts = checks.assert_accounted(world)
    assert len(facts.permits) == len(facts.journal) == 1


def test_a_call_that_failed_is_not_repeated_after_the_end(world):
    """Its answer was lost: whether it was written is unknown, and stays so."""
    connection = world.connect("user_anna")
    world.sandbox.rule({"cut": "after"}, service="salesforce")
    world.worker(salesforce={"backoff_base": "2s", "backoff_cap": "2s"})
    event = world.send(user_id="user_anna")
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.answer") == 1, 5, "the lost answer")
    world.revoke(connection)
    record = world.outcomes.wait_one(of=event)
    assert (record["topic"], record["data"]["written"]) == (world.topics["lead_revoked"], "unknown")
    facts = checks.assert_accounted(world)
    assert len(facts.journal) == 1


def test_a_lead_that_waits_for_its_retry_ends_with_its_connection(world):
    connection = world.connect("user_anna")
    world.sandbox.rule({"record_error": {"statusCode": "UNABLE_TO_LOCK_ROW", "message": "x", "fields": [], "status": 400}},
                       times=-1, service="salesforce", lead={"field": "LastName", "equals": "Locked"})
    event = world.send(user_id="user_anna", lead={"LastName": "Locked", "Company": "C"})
    other = world.send(user_id="user_anna")
    world.worker(salesforce={"backoff_base": "1s", "backoff_cap": "1s"})
    assert world.result(other)["status"] == "created"
    world.revoke(connection)
    record = world.outcomes.wait_one(of=event)
    assert (record["topic"], record["data"]["written"]) == (world.topics["lead_revoked"], "no")
    checks.assert_accounted(world)


def test_permits_wait_while_somebody_holds_the_fence_and_all_else_goes_on(world):
    world.connect("user_anna")
    world.worker(**SOON)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    holder = world.postgres.connect(world.database)
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(gov.fence_key())")
            event = world.send(user_id="user_anna")
            refused = world.send(user_id="user_anna", lead={"Company": "no name"})
            assert world.result(refused)["status"] == "rejected"
            assert world.scalar("SELECT count(*) FROM ledger.permit") == 1
    finally:
        holder.close()
    assert world.result(event)["status"] == "created"
    checks.assert_accounted(world)


def test_a_fence_held_for_longer_than_a_permit_lives_sends_nothing_stale(world):
    """The tick itself is held up between permit and answer: what was permitted is void by then."""
    world.connect("user_anna")
    world.worker(**SOON)
    assert world.result(world.send(user_id="user_anna"))["status"] == "created"
    one = world.workers[0]
    # the worker sleeps while its tick is under way: asked before, answered after the permit's life
    holder = world.postgres.connect(world.database)
    holder.autocommit = False
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE ledger.permit IN EXCLUSIVE MODE")
            event = world.send(user_id="user_anna")
            processes.wait_until(lambda: world.scalar(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"), 5, "the tick to wait")
            one.process.freeze()
        holder.commit()
        processes.wait_until(lambda: world.scalar("SELECT count(*) FROM ledger.permit") == 2, 5, "the permit")
        given = world.scalar("SELECT max(at) FROM ledger.permit")
        processes.wait_until(
            lambda: datetime.datetime.now(datetime.timezone.utc) > given + datetime.timedelta(seconds=PERMIT_LIFE_S),
            10, "the permit to be void")
    finally:
        holder.close()
        one.process.thaw()
    data = world.result(event)
    assert data["status"] == "created"
    facts = checks.assert_accounted(world, exactly=False)  # the group may have given it up meanwhile
    assert len(facts.permits) >= 3 and len(facts.journal) == 2
