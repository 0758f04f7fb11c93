#!/usr/bin/python3
"""The tour of worker/quickstart, which installs and builds first; call that.

Starts everything, publishes ten records, shows what became of each, and checks all it shows.
"""

import contextlib
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
import time

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import TOP, events, kafka, postgres, processes, sandbox, tls, worker  # noqa: E402
from support.screen import Broken, Screen  # noqa: E402

DATABASE = "onbehalf"
RESULT, REAUTH, REVOKED, INVALID = "lead.result", "lead.reauth-required", "lead.revoked", "lead.invalid"
OUTCOME_TOPICS = (RESULT, REAUTH, REVOKED, INVALID)
ACME, OTHER = "acme.my.salesforce.com", "globex.my.salesforce.com"
NO_EVENT = b"Hello, is this the CRM?"
PATIENCE_S = 20
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Who logs in to PostgreSQL, and the role that says what each may do.
LOGINS = {
    "web_app": "onbehalf_app",
    "governance": "onbehalf_governance",
    "auditor": "onbehalf_auditor",
}

WHO_WROTE_THIS = """\
SELECT lead_id, user_id, organization_id, integration, source, event_id, connection_id, connection_epoch,
       org_id, sf_user_id, host, accepted_at, permitted_at, sent_at, answered_at, outcome, status, tick_hash
FROM audit.lead
WHERE lead_id = '{lead_id}'"""


@dataclasses.dataclass
class Lead:
    """One record to publish, and what has to become of it."""

    who: str
    how: str  # what is the matter with the connection
    asked: str
    event: object  # a dict, or bytes that are none
    topic: str  # of its outcome; None: it has none
    expected: dict  # what the outcome's data (or headers, of lead.invalid) has to say
    says: str  # the line, with the outcome's data in it
    audited: tuple = ()  # outcome, status and reason in audit.lead
    calls: int = 0  # calls to Salesforce that carry it

    @property
    def user_id(self):
        return f"user_{self.who.lower()}" if self.who else None


def lead(number, who, how, name, topic, expected, says, audited, calls=0, asked=None, **fields):
    first, last = name.split()
    event = events.lead_create(
        user_id=f"user_{who.lower()}",
        event_id=f"lead-{number}",
        lead={k: v for k, v in {"FirstName": first, "LastName": last, "Company": "Acme Ltd", **fields}.items() if v},
    )
    return Lead(who, how, asked or name, event, topic, expected, says, audited, calls)


def leads_of_the_tour():
    created = {"status": "created", "written": "yes", "attempts": 1}
    anna = lead(1, "Anna", "connected", "Ada Lovelace", RESULT, created,
                f"created {{lead_id}} in {ACME}", ("lead.result", "created", None), calls=1)
    return [
        anna,
        lead(2, "Anna", "connected", "Mary Somerville", RESULT,
             {"status": "rejected", "reason": "missing_field", "fields": ["Company"], "written": "no", "attempts": 0},
             "{status} before any call: {reason} Company",
             ("lead.result", "rejected", "missing_field"), asked="no Company", Company=None),
        lead(3, "Anna", "connected", "Sophie Germain", RESULT,
             {"status": "rejected", "code": "INVALID_EMAIL_ADDRESS", "fields": ["Email"], "written": "no",
              "reason": "salesforce_rejected", "attempts": 1},
             "{status} by Salesforce: {code} Email",
             ("lead.result", "rejected", "salesforce_rejected"), calls=1, asked="no real e-mail", Email="sophie at"),
        dataclasses.replace(anna, asked="the first one again", topic=None, expected={}, calls=0,
                            says="nothing: a duplicate, recorded as such"),
        lead(4, "Ben", "consent ran out", "Grace Hopper", REAUTH,
             {"reason": "consent_needed", "repair": "consent", "parked": True},
             "waits: {reason}; repair: {repair}", ("lead.reauth-required", None, "consent_needed")),
        lead(5, "Carla", "revoked by an admin", "Emmy Noether", REVOKED,
             {"connection_state": "revoked", "ended_by": "admin", "reason": "admin_revoked", "written": "no"},
             "revoked by {ended_by}: {reason}; written: {written}", ("lead.revoked", None, "admin_revoked")),
        lead(6, "Dora", "never connected", "Lise Meitner", REAUTH,
             {"reason": "not_connected", "repair": "connect", "parked": True},
             "waits: {reason}; repair: {repair}", ("lead.reauth-required", None, "not_connected")),
        lead(7, "Emil", "token of another org", "Hedy Lamarr", None, {},
             "waits: the connection is {to_state}, {reason}", ("parked", None, None)),
        lead(8, "Finn", "disconnected himself", "Rosalind Franklin", REVOKED,
             {"connection_state": "disconnected", "ended_by": "user", "reason": "user_disconnected", "written": "no"},
             "revoked by {ended_by}: {reason}; written: {written}", ("lead.revoked", None, "user_disconnected")),
        Lead("", "", "no event at all", NO_EVENT, INVALID, {"onbehalf_reason": "not_json"},
             f"invalid: {{onbehalf_reason}}; its bytes are in {INVALID}"),
    ]


class Tour:
    def __init__(self, screen, stack, folder):
        self.screen = screen
        self.stack = stack
        self.folder = folder
        self.leads = leads_of_the_tour()
        self.sf_users = {}
        self.shown = {}  # calls to Salesforce, by who
        self.schemas = {
            topic: jsonschema.Draft202012Validator(json.loads((TOP / "schemas" / topic / "1.json").read_text()))
            for topic in OUTCOME_TOPICS
            if topic != INVALID
        }

    # --- what it is made of

    def run(self, once):
        self.screen.title("Starting, all of it private and in " + str(self.folder))
        self.start_services()
        self.seed()
        self.start_worker()
        self.screen.title("Ten records are published; what became of each")
        self.publish()
        self.show_leads()
        self.check_all_counts()
        self.screen.title("What a consumer sees")
        self.show_events()
        self.screen.title("What an auditor sees")
        self.show_audit()
        self.screen.title("Ben consents again")
        self.ben_consents()
        if once:
            self.try_commands()
        else:
            self.stay()
        self.stop()

    def start_services(self):
        with self.screen.step("Kafka, one broker"):
            self.kafka = kafka.Kafka(self.folder / "kafka")
            self.stack.callback(self.end, self.kafka)
            self.kafka.start()
        with self.screen.step("PostgreSQL 15"):
            self.postgres = postgres.Postgres(self.folder / "postgres")
            self.stack.callback(self.end, self.postgres)
            self.postgres.start()
        with self.screen.step("Salesforce, its login host and WorkOS Pipes, as the sandbox plays them (TLS)"):
            self.sandbox = sandbox.Sandbox(self.folder / "sandbox", tls.Tls(self.folder / "tls"))
            self.stack.callback(self.end, self.sandbox)
            self.sandbox.start()
        self.settings = worker.settings_for(self.kafka, self.postgres, DATABASE, self.sandbox, tls=True)
        self.settings[""]["mode"] = "production"  # https and real host names, nothing less
        self.worker = worker.Worker(self.folder, self.settings, "onbehalf")
        self.stack.callback(self.end, self.worker)
        with self.screen.step("onbehalf migrate"):
            self.postgres.create_database(DATABASE)
            worker.migrate(self.worker.config, self.postgres, DATABASE)

    def end(self, server):
        """Whatever happened before: it is gone when this returns.  Nothing of it is kept, so kill -9 will do."""
        if server.process is not None and server.process.running():
            server.stop() if server is self.postgres else server.process.kill()

    def seed(self):
        with self.screen.step("one integration (its events come from shop.example/web), and its users"):
            for login, role in LOGINS.items():
                self.postgres.create_role(login, member_of=role)
            self.integration = self.sql("SELECT gov.register_integration('web-leads', %s, 'main') AS id",
                                        events.SOURCE, user="governance")[0]["id"]
            self.acme = self.sandbox.org(host=ACME, instance_url=f"https://{ACME}")["org_id"]
            self.other = self.sandbox.org(host=OTHER, instance_url=f"https://{OTHER}")["org_id"]
            connections = {who: self.connect(who) for who in ("Anna", "Ben", "Carla", "Finn")}
            self.grant("Ben", grant="needs_reauthorization")
            self.sql("SELECT gov.revoke(%s)", connections["Carla"], user="governance")
            self.sql("SELECT gov.disconnect(%s)", connections["Finn"], user="web_app")
            self.connect("Emil", org_id=self.acme)
            self.grant("Emil", org_id=self.other)  # what Pipes vends is no longer what was bound

    def start_worker(self):
        with self.screen.step("onbehalf check"):
            done = worker.run_command(self.worker.config, "check", check=False)
            if done.returncode != 0:
                raise Broken(f"onbehalf check ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self.screen.lines(done.stdout.splitlines())
        with self.screen.step("onbehalf run"):
            self.worker.start()
        self.producer = events.Events(self.kafka.bootstrap, "lead.create")
        self.outcomes = events.Outcomes(self.kafka.bootstrap, OUTCOME_TOPICS)
        self.stack.callback(self.outcomes.close)

    # --- small helpers

    def sql(self, query, *values, user="auditor"):
        return self.postgres.sql(query, *values, database=DATABASE, user=user)

    def grant(self, who, org_id=None, grant="active"):
        """What the user gave at the token source; Salesforce's id of the user."""
        user = self.sandbox.user(org_id=org_id or self.acme, user_id=f"user_{who.lower()}",
                                 organization_id=events.ORGANIZATION, grant=grant)
        self.sf_users[who] = user["sf_user_id"]
        return user["sf_user_id"]

    def connect(self, who, org_id=None):
        """The user consents; the application says so.  With @org_id it also says to which org."""
        self.grant(who)
        return self.sql("SELECT gov.connect(%s, %s, %s, org_id => %s) AS id", self.integration, f"user_{who.lower()}",
                        events.ORGANIZATION, org_id, user="web_app")[0]["id"]

    def wait(self, condition, what):
        """The first true value of condition(), None when it is late; the outcomes come in meanwhile."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.outcomes.poll(0.02)
            value = condition()
            if value:
                return value
            if not self.worker.running():
                raise Broken(f"the worker ended while we waited for {what}", self.worker.log)
            if time.monotonic() >= deadline:
                self.screen.note_log(self.worker.log)
                return None

    def conservation(self):
        return self.sql("SELECT coalesce(sum(consumed), 0)::int AS consumed, coalesce(sum(terminal), 0)::int AS ended,"
                        " coalesce(sum(duplicate), 0)::int AS duplicates, coalesce(sum(parked), 0)::int AS parked,"
                        " coalesce(sum(in_flight), 0)::int AS in_flight FROM audit.conservation")[0]

    def audit_of(self, lead):
        rows = self.sql("SELECT * FROM audit.lead WHERE source = %s AND event_id = %s",
                        events.SOURCE, lead.event["id"])
        return rows[0] if len(rows) == 1 else None

    def carried(self, *user_ids):
        """How many leads (of this user) have reached Salesforce, as Salesforce counts them."""
        return sum(call.get("records", 1) for call in self.sandbox.calls()
                   if call["service"] == "salesforce" and (not user_ids or call.get("user_id") in user_ids))

    # --- the leads

    def publish(self):
        for one in self.leads:
            self.producer.send(one.event, flush=False)
        self.producer.flush()

    def show_leads(self):
        self.screen.lead_head()
        for one in self.leads:
            self.show_lead(one, self.fate_of(one))

    def show_lead(self, one, fate):
        """@fate: the data to say it with, None when it did not come."""
        claim = f"{one.who or 'nobody'}, {one.asked}"
        if fate is None:
            self.screen.lead(one, f"NOTHING within {PATIENCE_S} s", "?", failed=True)
            self.screen.check(claim, False, f"nothing became of it within {PATIENCE_S} s")
            return
        wrong = {name: fate.get(name) for name, value in one.expected.items() if fate.get(name) != value}
        calls = fate["attempts"] if "attempts" in fate else self.carried(one.user_id) - self.shown.get(one.who, 0)
        self.shown[one.who] = self.shown.get(one.who, 0) + calls
        self.screen.lead(one, f"NOT AS PROMISED: {json.dumps(wrong)}" if wrong else one.says.format(**fate), calls,
                         failed=bool(wrong))
        self.screen.check(claim, not wrong, f"expected {one.expected}, got {wrong}")
        self.screen.check(f"calls to Salesforce for {claim}", calls == one.calls, f"{calls}, not {one.calls}")

    def fate_of(self, one):
        if one.topic == INVALID:
            found = self.wait(lambda: self.outcomes.matching(INVALID), INVALID)
            self.screen.check("the bytes of lead.invalid", bool(found) and found[0]["value"] == NO_EVENT,
                              "they are not those that were published")
            return found and found[0]["headers"]
        if one.topic:
            found = self.wait(lambda: self.outcomes.matching(one.topic, of=one.event), f"the outcome of {one.asked}")
            return found and found[0]["data"]
        if one.who == "Emil":
            self.wait(lambda: (self.audit_of(one) or {}).get("outcome") == "parked", "Emil's lead to be parked")
            return self.quarantine_of("user_emil")
        return self.wait(lambda: self.conservation()["duplicates"] == 1 and {"duplicate": True}, "the duplicate")

    def quarantine_of(self, user_id):
        rows = self.sql("SELECT to_state, reason, initiating_entity FROM audit.connection_history"
                        " WHERE user_id = %s ORDER BY epoch DESC LIMIT 1", user_id)
        self.screen.check("Emil's connection", rows and (rows[0]["to_state"], rows[0]["reason"]) ==
                          ("quarantined", "org_mismatch"), f"it is {rows}, not quarantined for org_mismatch")
        return rows[0] if rows else None

    def check_all_counts(self):
        """Nothing came twice, nothing was written elsewhere, and every record is in one place."""
        check = self.screen.check
        published = len(self.leads)
        self.wait(lambda: (lambda c: c["consumed"] == published and c["in_flight"] == 0)(self.conservation()),
                  "all records to be accounted for")
        self.outcomes.settle(quiet_s=0.4)
        for one in self.leads:
            if one.topic is None and one.who == "Emil" or one.topic and one.topic != INVALID:
                of = self.outcomes.matching(of=one.event)
                want = 1 if one.topic else 0
                check(f"outcomes of {one.asked}", len(of) == want, f"{len(of)} were published, not {want}")
            if isinstance(one.event, dict):
                row = self.audit_of(one)
                got = row and (row["outcome"], row["status"], row["reason"])
                check(f"audit.lead about {one.asked}", got == one.audited, f"it says {got}, not {one.audited}")
        log = self.worker.text()
        told = [name for name in [one.event["data"]["lead"]["LastName"] for one in self.leads if one.who] + ["!"]
                if name in log]
        check("the worker's log", not told, f"it holds lead data or a token: {told}")
        invalid = self.outcomes.matching(INVALID)
        check("lead.invalid", len(invalid) == 1, f"{len(invalid)} records, not 1")
        for record in self.outcomes.records:
            self.check_event(record)
        for who in ("Anna", "Ben", "Carla", "Dora", "Emil", "Finn"):
            want = sum(one.calls for one in self.leads if one.who == who)
            got = self.carried(f"user_{who.lower()}")
            check(f"leads that reached Salesforce for {who}", got == want, f"{got}, not {want}")
        self.check_written({"Anna": ["Lovelace"]})
        count = self.conservation()
        want = {"consumed": published, "ended": 6, "duplicates": 1, "parked": 3, "in_flight": 0}
        check("audit.conservation", count == want, f"it says {count}, not {want}")
        self.screen.say("Every record is in one place: {consumed} read = {ended} ended + {duplicates} duplicate"
                        " + {parked} waiting + {in_flight} in flight.".format(**count))
        carried = self.carried()
        self.screen.say(f"Salesforce saw {carried} leads, all of them Anna's, in her own org {self.acme}.")
        check("leads that reached Salesforce", carried == 2, f"{carried}, not 2")

    def check_written(self, expected):
        """Salesforce's own journal: who wrote which Leads, each once, and nothing in the other org."""
        journal = self.sandbox.journal()
        got = sorted((entry["method"], entry["org_id"], entry["sf_user_id"], entry["fields"].get("LastName"))
                     for entry in journal)
        want = sorted(("create", self.acme, self.sf_users[who], name) for who, names in expected.items()
                      for name in names)
        self.screen.check("what Salesforce has written", got == want, f"{got}, not {want}")
        self.screen.check("Leads in the other org", not self.sandbox.leads(self.other), "there are some")

    def check_event(self, record):
        headers = record["headers"]
        want = {"onbehalf_partition", "onbehalf_sequence", "onbehalf_id", "onbehalf_mac"}
        self.screen.check(f"headers of {record['topic']}", want <= set(headers), f"there are only {sorted(headers)}")
        if record["topic"] != INVALID:
            faults = [fault.message for fault in self.schemas[record["topic"]].iter_errors(record["event"])]
            self.screen.check(f"schema of {record['topic']} about {record['of']}", not faults, "; ".join(faults))

    # --- the events

    def show_events(self):
        shown = self.outcomes.matching(RESULT, of=self.leads[0].event)
        for record in shown[:1]:
            self.screen.say("Anna's lead, as it stands in the topic {topic}, partition {partition}, key {key}:"
                            .format(**record))
            self.screen.lines(json.dumps(record["event"], indent=2).splitlines())
            times = record["data"].get("times", {})
            ordered = [times.get(name, "") for name in ("accepted", "permitted", "sent", "answered", "recorded")]
            self.screen.check("times of Anna's lead", all(ordered) and ordered == sorted(ordered),
                              f"not in order: {times}")
            self.screen.check("key of Anna's lead", record["key"] == "user_anna", f"it is {record['key']}")
        self.screen.say("The others:")
        for record in self.outcomes.records:
            if record not in shown[:1]:
                self.screen.lines([line_of(record)])

    # --- the audit

    def show_audit(self):
        found = self.outcomes.matching(RESULT, of=self.leads[0].event)
        lead_id = found[0]["data"].get("lead_id") if found else None
        query = WHO_WROTE_THIS.format(lead_id=lead_id)
        self.screen.say(f"The Lead {lead_id} is found in Salesforce: who wrote it, for whom, by what right?")
        self.screen.lines(query.splitlines())
        self.screen.say("")
        answer = processes.run(self.psql("-c", query), check=False)
        self.screen.lines((answer.stdout + answer.stderr).strip().splitlines())
        rows = self.sql(query)
        want = {"user_id": "user_anna", "organization_id": events.ORGANIZATION, "integration": "web-leads",
                "source": events.SOURCE, "event_id": "lead-1", "org_id": self.acme,
                "sf_user_id": self.sf_users["Anna"], "host": ACME, "outcome": RESULT, "status": "created"}
        got = {name: rows[0][name] for name in want} if len(rows) == 1 else rows
        self.screen.check("audit.lead about Anna's Lead", got == want, f"it says {got}, not {want}")
        if len(rows) == 1 and found:
            said, told = rows[0], found[0]["data"]
            self.screen.check("the event and audit.lead", told["audit"]["hash"] == said["tick_hash"]
                              and told["connection_id"] == said["connection_id"]
                              and told["connection_epoch"] == said["connection_epoch"], "they do not say the same")
            permitted, sent = said["permitted_at"], said["sent_at"]  # in µs the one, in ms the other
            self.screen.check("the permit of Anna's Lead", permitted and sent
                              and permitted.replace(microsecond=permitted.microsecond // 1000 * 1000) <= sent,
                              f"given at {permitted}, the call was made at {sent}")
            self.screen.check("the instant of the permit", told["times"]["permitted"] == events.rfc3339(permitted),
                              f"{told['times']['permitted']} in the event, {permitted} in audit.lead")
        self.screen.check("the answer of psql", answer.returncode == 0 and str(lead_id) in answer.stdout,
                          answer.stderr.strip() or "the Lead is not in it")
        denied = processes.run(self.psql("-c", "SELECT 1 FROM ledger.event LIMIT 1"), check=False)
        self.screen.check("what an auditor may read", "permission denied" in denied.stderr,
                          "the ledger's tables, not only the views")
        late = self.sql("SELECT count(*) AS n FROM audit.permit_after_fence")[0]["n"]
        self.screen.check("audit.permit_after_fence", late == 0, f"{late} permits after authority was lost")

    def psql(self, *args):
        return ["psql", "-X", "-x", "-P", "pager=off", "-P", "footer=off",
                self.postgres.url(DATABASE, "auditor"), *args]

    # --- Ben

    def ben_consents(self):
        (ben,) = [one for one in self.leads if one.who == "Ben"]
        waits = self.payload_at_rest(ben)
        self.screen.check("Ben's lead at rest", len(waits) == 1 and b"Hopper" not in bytes(waits[0]["payload"]),
                          "it is not there, or not sealed")
        self.connect("Ben")
        now = dataclasses.replace(ben, how="connected again", topic=RESULT, calls=1,
                                  expected={"status": "created", "written": "yes", "attempts": 1},
                                  says=f"created {{lead_id}} in {ACME}", audited=("lead.result", "created", None))
        self.screen.lead_head()
        self.show_lead(now, self.fate_of(now))
        self.wait(lambda: self.conservation()["in_flight"] == 0, "Ben's lead to be settled")
        self.outcomes.settle(quiet_s=0.4)
        of = [record["topic"] for record in self.outcomes.matching(of=now.event)]
        self.screen.check("outcomes of Ben's lead", of == [REAUTH, RESULT], f"{of}, not {[REAUTH, RESULT]}")
        row = self.audit_of(now)
        got = row and (row["outcome"], row["status"], row["reason"])
        self.screen.check("audit.lead about Ben's lead", got == now.audited, f"it says {got}, not {now.audited}")
        count = self.conservation()
        self.screen.check("audit.conservation", (count["ended"], count["parked"]) == (7, 2), f"it says {count}")
        for record in self.outcomes.matching(RESULT, of=now.event):
            self.check_event(record)
        self.check_written({"Anna": ["Lovelace"], "Ben": ["Hopper"]})
        self.screen.check("leads that reached Salesforce", self.carried() == 3, f"{self.carried()}, not 3")
        self.screen.check("Ben's lead at rest", not self.payload_at_rest(ben), "it is still there")
        self.screen.say("It had waited in PostgreSQL, sealed; it went out by itself, and its payload is deleted.")

    def payload_at_rest(self, one):
        return self.sql("SELECT payload FROM ledger.parked WHERE user_id = %s", one.user_id, user="postgres")

    # --- by hand

    def commands(self):
        event = ('{"specversion":"1.0","type":"lead.create","source":"' + events.SOURCE + '","id":"\'$RANDOM\'",'
                 '"data":{"user_id":"user_anna","organization_id":"' + events.ORGANIZATION + '",'
                 '"lead":{"LastName":"Curie","Company":"Radium"}}}')
        broker = f"kcat -b {self.kafka.bootstrap}"
        return {
            "publish a lead of Anna's": f"echo '{event}' |\n  {broker} -P -t lead.create -k user_anna"
                                        " -H content-type=application/cloudevents+json",
            "read the outcomes": f"{broker} -q -G by-hand -X auto.offset.reset=earliest -f '%t %k %s\\n'"
                                 f" {' '.join(OUTCOME_TOPICS)}",
            "ask as an auditor": f"psql -x {self.postgres.url(DATABASE, 'auditor')} -c 'SELECT * FROM audit.lead"
                                 " ORDER BY accepted_at DESC LIMIT 1'",
        }

    def try_commands(self):
        """With --once nobody is going to try them."""
        publish, read, ask = self.commands().values()
        with self.screen.step("the commands to go on with by hand"):
            before = len(self.outcomes.records)
            self.by_hand(publish)
            self.wait(lambda: len(self.outcomes.records) > before, "the lead that was published by hand")
            asked = self.by_hand(ask)
            # the same, but it ends where the topics end
            seen = self.by_hand(read.replace(" -q ", " -q -e "))
        topics = [line.split(" ", 1)[0] for line in seen.splitlines()]
        mine = self.outcomes.records[before:]
        self.screen.check("the lead that was published by hand",
                          [(record["data"] or {}).get("status") for record in mine] == ["created"],
                          f"became {[record['data'] for record in mine]}")
        self.screen.check("the outcomes that kcat reads",
                          {topic: topics.count(topic) for topic in set(topics)} == self.counted(),
                          f"{topics}, not {self.counted()}")
        lead_id = mine and (mine[0]["data"] or {}).get("lead_id")
        self.screen.check("the auditor's answer by hand", bool(lead_id) and lead_id in asked, asked)

    def counted(self):
        topics = [record["topic"] for record in self.outcomes.records]
        return {topic: topics.count(topic) for topic in set(topics)}

    def by_hand(self, command):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Broken(f"this command ended with {done.returncode}:\n{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def stay(self):
        self.screen.title("Go on by hand, in another terminal")
        for what, command in self.commands().items():
            self.screen.say(what + ":")
            self.screen.plain(command + "\n")
        self.screen.say(f"Configuration: {self.worker.config}; the worker's log: {self.worker.log}")
        self.screen.verdict()
        self.screen.say("New outcomes appear here.  Ctrl-C ends it all.")
        shown = len(self.outcomes.records)
        servers = {"the worker": self.worker, "Kafka": self.kafka, "PostgreSQL": self.postgres,
                   "the sandbox": self.sandbox}
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self.outcomes.poll(0.5)
                for record in self.outcomes.records[shown:]:
                    self.screen.lines([line_of(record)])
                shown = len(self.outcomes.records)
                for name, server in servers.items():
                    if not server.process.running():
                        raise Broken(f"{name} ended by itself", server.log)
        self.screen.say("")

    def stop(self):
        with self.screen.step("onbehalf run ends: what is under way is finished first"):
            self.worker.stop()


def line_of(record):
    """One outcome in one line."""
    data = record["data"] or {name: value for name, value in record["headers"].items()
                              if name in ("onbehalf_reason", "onbehalf_length")}
    words = {name: value for name, value in data.items()
             if name in ("status", "lead_id", "code", "fields", "reason", "repair", "parked", "connection_state",
                         "ended_by", "onbehalf_reason", "onbehalf_length")}
    said = " ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in words.items())
    return f"{record['topic']:<20} {record['key'] or '-':<10} {record['of'] or '-':<7} {said}"


def main():
    once = "--once" in sys.argv[1:]

    def interrupt(*_):
        raise KeyboardInterrupt

    for number in SIGNALS:
        signal.signal(number, interrupt)
    screen = Screen()
    began = time.monotonic()
    try:
        with processes.temporary_folder("onbehalf-quickstart-") as folder:
            try:
                with contextlib.ExitStack() as stack:
                    try:
                        Tour(screen, stack, folder).run(once)
                    finally:
                        for number in SIGNALS:  # the end is short, and nobody is to stop half-way
                            signal.signal(number, signal.SIG_IGN)
            except Exception as trouble:  # noqa: BLE001 - whatever it is: say it, leave nothing behind
                screen.broken(trouble, folder / "onbehalf.log")
                return 1
    except KeyboardInterrupt:
        screen.interrupted()
        return 130
    return screen.end(time.monotonic() - began if once else None)


if __name__ == "__main__":
    sys.exit(main())
