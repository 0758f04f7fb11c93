"""The subcommands at a real PostgreSQL and Kafka: migrate, check, run, version."""

import psycopg2
import pytest
from support import checks, events, processes, worker


def test_migrate_again_changes_nothing(world):
    before = world.sql("SELECT number, name, checksum, applied_at FROM gov.migration ORDER BY number")
    done = world.command("migrate", "--postgres", world.postgres.url(world.database))
    assert "nothing to do" in done.stdout
    assert world.sql("SELECT number, name, checksum, applied_at FROM gov.migration ORDER BY number") == before
    assert world.scalar("SELECT gov.schema_version()") == len(before)


def test_two_migrations_at_once_are_one(world):
    name = world.postgres.create_database(f"{world.database}_fresh")
    try:
        argv = [worker.binary(), "migrate", "--postgres", world.postgres.url(name)]
        both = [processes.Process(argv, world.folder / f"migrate{n}.log") for n in range(2)]
        assert [one.wait(30) for one in both] == [0, 0]
        applied = [(world.folder / f"migrate{n}.log").read_text().count(": applied") for n in range(2)]
        assert sorted(applied)[0] == 0 and sum(applied) == world.scalar("SELECT count(*) FROM gov.migration")
    finally:
        world.postgres.drop_database(name)


def test_a_changed_migration_is_refused(world):
    world.sql("UPDATE gov.migration SET checksum = repeat('0', 64) WHERE number = 2")
    done = world.command("migrate", "--postgres", world.postgres.url(world.database), check=False)
    assert done.returncode == 1 and "is not the one that was applied" in done.stderr


def test_the_worker_refuses_a_schema_of_another_time(world):
    world.connect("user_anna")
    event = world.send(user_id="user_anna")
    version = world.scalar("SELECT max(number) FROM gov.migration")
    world.sql("INSERT INTO gov.migration (number, name, checksum) SELECT n, 'later', '' FROM generate_series(%s, %s) n",
              version + 1, version + 2)
    one = world.worker(wait=False)
    processes.wait_until(lambda: "onbehalf migrate" in one.text(), 10, "the worker to refuse")
    assert not list(one.logged("worker ready"))
    assert world.scalar("SELECT count(*) FROM ledger.session") == 0
    assert world.scalar("SELECT count(*) FROM ledger.event") == 0
    world.sql("DELETE FROM gov.migration WHERE number > %s", version + 1)  # its neighbour is good enough
    if one.running():
        one.wait_ready()
    else:
        one.start()
    assert world.result(event)["status"] == "created"
    checks.assert_accounted(world)


@pytest.mark.parametrize("relation", [
    "gov.connection", "gov.integration", "gov.setting", "gov.connection_transition", "gov.migration", "ledger.event",
    "ledger.outcome", "ledger.parked", "ledger.permit", "ledger.tick", "ledger.partition", "ledger.session",
    "audit.lead", "audit.conservation"])
def test_the_workers_role_reads_and_writes_no_table(world, relation):
    for statement in (f"SELECT * FROM {relation}", f"DELETE FROM {relation}", f"INSERT INTO {relation} DEFAULT VALUES"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            world.sql(statement, user=worker.LOGIN)


@pytest.mark.parametrize("call", [
    "gov.connect(gen_random_uuid(), 'x')", "gov.revoke(gen_random_uuid())", "gov.disconnect(gen_random_uuid())",
    "gov.register_integration('x', 'y', 'main')",
    "gov.transition(gen_random_uuid(), 'consented', 'x', 'user')"])
def test_the_workers_role_gives_itself_no_authority(world, call):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        world.sql(f"SELECT {call}", user=worker.LOGIN)


def test_check_says_that_all_is_well(world):
    done = world.command("check")
    assert "FAIL" not in done.stdout
    for name in ("configuration", "kafka", "topics", "postgres"):
        assert any(line.lower().startswith("ok") and name in line.lower() for line in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize("name, changes", [
    ("postgres", {"postgres": {"url": "postgresql://nobody@127.0.0.1:1/none"}}),
    ("kafka", {"kafka": {"bootstrap.servers": "127.0.0.1:1"}}),
])
def test_check_says_what_is_away(world, name, changes):
    done = world.command("check", check=False, **changes)
    assert done.returncode == 1
    assert any(line.startswith("FAIL") and name in line.lower() for line in done.stdout.splitlines()), done.stdout


def test_check_print_shows_no_secret(world):
    done = world.command("check", "--print", postgres={"url": "postgresql://me:hidden-word@127.0.0.1:1/none"}, check=False)
    assert "lead_create" in done.stdout
    for secret in ("hidden-word", worker.PIPES_KEY.strip(), worker.KEYS.split()[1]):
        assert secret not in done.stdout + done.stderr


def test_missing_topics_are_created(make_world):
    world = make_world(create_topics=False, partitions=3)
    world.connect("user_anna")
    world.worker(topics={"create": "true", "partitions": 3})
    event = world.send(user_id="user_anna")
    assert world.result(event)["status"] == "created"
    topics = world.kafka.admin().list_topics(timeout=5).topics
    assert [len(topics[name].partitions) for name in world.topics.values()] == [3] * 5
    checks.assert_accounted(world)


def test_outcome_topics_with_another_number_of_partitions_are_refused(make_world):
    world = make_world(create_topics=False)
    names = list(world.topics.values())
    world.kafka.create_topics(*names[:-1], partitions=4)
    world.kafka.create_topics(names[-1], partitions=2)
    one = world.worker(wait=False)
    assert one.process.wait(15) == 1
    line = next(one.logged("the topics are not as they have to be"))
    assert names[-1] in line["error"]


@pytest.mark.parametrize("changes, fault", [
    ({"top": {"mode": "production"}}, "salesforce.insecure_hosts"),
    ({"lanes": {"batch_leads": 201}}, "lanes.batch_leads"),
    ({"salesforce": {"per_orgs": 3}}, "per_orgs"),
    ({"kafka": {"bootstrap.servers": None}}, "kafka.bootstrap.servers"),
    ({"postgres": {"url": None}}, "postgres.url"),
    ({"client__main": {"key_file": "not-there.key"}}, "client.main"),
    ({"topics": {"lead_result": "same", "lead_revoked": "same"}}, "same"),
], ids=["plain http in production", "range", "unknown key", "no Kafka", "no PostgreSQL", "no key", "one topic for two"])
def test_run_refuses_a_faulty_configuration(world, changes, fault):
    one = world.worker(start=False, **changes)
    done = worker.run_command(one.config, "run", check=False)
    assert done.returncode == 3
    assert fault in done.stderr, done.stderr


def test_wrong_usage(world):
    for args in ((), ("walk",), ("run", "--frobnicate"), ("run", "now"), ("check", "--postgres", "x")):
        done = processes.run([worker.binary(), *args], check=False)
        assert done.returncode == 2, args
    assert processes.run([worker.binary(), "--help"]).stdout.startswith("usage: onbehalf")
    assert processes.run([worker.binary(), "version"]).stdout.startswith("onbehalf ")


def test_the_environment_goes_before_the_file(world):
    world.connect("user_anna")
    one = world.worker(start=False, lanes={"batch_leads": 100})
    one.start(env={"ONBEHALF_LANES_BATCH_LEADS": "3"})
    sent = world.send_all(events.lead_create(user_id="user_anna") for _ in range(9))
    world.outcomes.wait_for(len(sent))
    checks.assert_accounted(world)
    assert max(call.get("records", 0) for call in world.sandbox.calls()) <= 3

