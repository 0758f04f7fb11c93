"""Marked tokens, e-mails and lead values: they may be found only where the design allows."""

import re
import subprocess

import pytest
from support import checks, events, postgres, processes, worker

MARK = "Zanzibar"  # in every lead value
EMAIL = "zanzibar.canary@example.org"
KEY = "sk_canary_pipes_key_Zanzibar"
SECRETS = re.compile(rb"Zanzibar|zanzibar\.canary|00D\w{12}(\w{3})?![A-Za-z0-9._]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]*|" + KEY.encode())


def canary(user_id, **fields):
    return events.lead_create(user_id=user_id, lead={
        "LastName": f"Last {MARK}", "Company": f"{MARK} Ltd", "Email": EMAIL, "Description": f"about {MARK}", **fields})


def dump(world):
    """Every table as text, bytes included (hexadecimal is undone)."""
    text = subprocess.run([postgres.BIN / "pg_dump", "--data-only", world.postgres.url(world.database)],
                          capture_output=True, check=True).stdout
    undone = b"".join(bytes.fromhex(found.decode()) for found in re.findall(rb"\\\\x((?:[0-9a-f]{2})+)", text))
    return text + undone


def found(where, data):
    hits = {hit.group(0) for hit in SECRETS.finditer(data)}
    assert not hits, f"{where} holds {sorted(hits)[:3]}"


@pytest.fixture
def telling(world):
    """A world whose PostgreSQL logs every statement with its parameters."""
    world.sql("ALTER SYSTEM SET log_statement = 'all'")
    world.sql("ALTER SYSTEM SET log_parameter_max_length_on_error = -1")
    world.sql("SELECT pg_reload_conf()")
    world.log_from = world.postgres.log.stat().st_size
    yield world
    world.sql("ALTER SYSTEM RESET ALL")
    world.sql("SELECT pg_reload_conf()")


def test_secrets_and_lead_data_stay_where_they_belong(telling):
    world = telling
    for user in ("user_anna", "user_ben", "user_emil"):
        world.connect(user)
    world.grant("user_ben", grant="needs_reauthorization")
    (world.folder / "pipes.key").write_text(KEY + "\n")
    process = world.worker(**{"log": {"level": "debug"}})
    world.sandbox.rule({"record_error": {"statusCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                                         "message": f"no {MARK} here", "fields": ["Company"]}},
                       service="salesforce", user_id="user_emil")
    world.sandbox.rule({"status": 503, "body": f"<html>{MARK}</html>"}, service="salesforce", user_id="user_anna")
    sent = [canary("user_anna"), canary("user_ben"), canary("user_emil"), canary("user_dora"),
            canary("user_anna", Email=f"not an address {MARK}"), canary("user_anna", Title=MARK * 40)]
    for event in sent:
        world.send(event)
    world.send(b"{broken " + MARK.encode())  # the one thing that may come back: what is no event
    processes.wait_until(lambda: world.scalar("SELECT count(*) FROM audit.lead WHERE outcome <> 'in flight'") == 7, 20,
                         "every record to have its answer")
    found("the database while leads are parked", dump(world))
    process.kill()
    process.start()  # what it reads back from PostgreSQL on the way
    world.grant("user_ben")
    world.sql("SELECT gov.connect(%s, 'user_ben', %s)", world.integration, events.ORGANIZATION)
    assert world.outcomes.wait_one(of=sent[1], topic=world.topics["lead_result"])["data"]["status"] == "created"
    process.stop()
    checks.assert_accounted(world, exactly=False)  # killed: outcomes may be there twice

    found("the log", process.log.read_bytes())
    found("the database", dump(world))
    with open(world.postgres.log, "rb") as log:
        log.seek(world.log_from)
        told = log.read()
    assert b"ledger.tick" in told and b"parameters" in told, "the server's log has to show statements and parameters"
    found("PostgreSQL's log", told)
    for record in world.outcomes.records:
        if record["topic"] != world.topics["lead_invalid"]:
            found(record["topic"], repr((record["value"], record["headers"], record["key"])).encode())
    assert not [*world.folder.glob("core*")]
    shown = worker.run_command(process.config, "check", "--print", check=False)
    found("check --print", (shown.stdout + shown.stderr).encode() if isinstance(shown.stdout, str) else shown.stdout)


def test_the_search_finds_what_it_looks_for():
    for secret in (MARK, EMAIL, KEY, "00D000000000001!AQ8AQ.abcdefgh", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIi.sig"):
        with pytest.raises(AssertionError):
            found("a planted text", f"something {secret} else".encode())
