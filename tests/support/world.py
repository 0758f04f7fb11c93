"""Everything one test needs: a database, topics, an org, users, workers - all its own."""

import itertools
import os

from . import checks, events, worker

OUTCOME_TOPICS = ("lead_result", "lead_reauth_required", "lead_revoked", "lead_invalid")
TOPICS = ("lead_create", *OUTCOME_TOPICS)
CLIENT = "main"
INTEGRATION = "web-leads"
_numbers = itertools.count(1)


def make_template(postgres, folder, database="onbehalf_template"):
    """A migrated database, from which each test's own is copied."""
    postgres.create_database(database)
    config = worker.write_config(folder, {
        "": {"mode": "development"},
        "postgres": {"url": postgres.url(database, worker.LOGIN)},
        "keys": {"file": "keys.txt"},
        "client.main": {"kind": "pipes", "key_file": "pipes.key"},
    })
    worker.migrate(config, postgres, database)
    return database


class World:
    """Use: world.connect("user_anna"); world.worker(); e = world.send(...); world.outcomes.wait_one(of=e)."""

    def __init__(self, folder, kafka, postgres, sandbox, template, tls=False, partitions=4, create_topics=True):
        self.name = f"t{os.getpid()}_{next(_numbers)}"
        self.folder = folder
        self.kafka = kafka
        self.postgres = postgres
        self.sandbox = sandbox
        self.partitions = partitions
        self.workers = []
        self.written_by_others = set()  # numbers of entries in the sandbox's journal
        self._outcomes = None
        self._producer = None
        self.topics = {key: f"{self.name}.{key.replace('_', '.')}" for key in TOPICS}
        self.database = postgres.create_database(self.name, template)
        if create_topics:
            kafka.create_topics(*self.topics.values(), partitions=partitions)
        sandbox.reset()
        self.org = sandbox.org(**({"host": "acme.my.salesforce.com",
                                   "instance_url": "https://acme.my.salesforce.com"} if tls else {}))
        self.org_id = self.org["org_id"]
        self.settings = worker.settings_for(kafka, postgres, self.database, sandbox, self.name, tls)
        self.settings["topics"] = dict(self.topics)
        self.integration = self.register_integration()

    # --- PostgreSQL

    def sql(self, query, *values, user=None):
        return self.postgres.sql(query, *values, database=self.database, user=user)

    def scalar(self, query, *values, user=None):
        return self.postgres.scalar(query, *values, database=self.database, user=user)

    def register_integration(self, name=INTEGRATION, source=events.SOURCE, client=CLIENT):
        return self.scalar("SELECT gov.register_integration(%s, %s, %s)", name, source, client)

    # --- users and their connections

    def grant(self, user_id="user_anna", organization_id=events.ORGANIZATION, grant="active", org_id=None, **more):
        """The user's grant at Pipes and Salesforce (repeating it changes it); no connection on our side."""
        return self.sandbox.user(org_id=org_id or self.org_id, user_id=user_id,
                                 organization_id=organization_id, grant=grant, **more)

    def connect(self, user_id="user_anna", organization_id=events.ORGANIZATION, integration=None, **more):
        """Grants, and makes (or repairs) the connection; its id."""
        self.grant(user_id, organization_id, **more)
        return self.scalar("SELECT gov.connect(%s, %s, %s)", integration or self.integration,
                           user_id, organization_id)

    def connect_many(self, count, prefix="user_", organization_id=events.ORGANIZATION):
        """user_0 … user_<count - 1>, in one go."""
        self.sandbox.user(org_id=self.org_id, organization_id=organization_id, count=count, user_id_prefix=prefix)
        self.sql("SELECT count(gov.connect(%s, %s || n, %s)) FROM generate_series(0, %s) n",
                 self.integration, prefix, organization_id, count - 1)

    def disconnect(self, connection, reason="user_disconnected"):
        return self.sql("SELECT gov.disconnect(%s, %s)", connection, reason)

    def revoke(self, connection, reason="governance_revoked"):
        return self.sql("SELECT gov.revoke(%s, %s)", connection, reason)

    def state(self, connection):
        return self.scalar("SELECT state FROM gov.connection WHERE connection_id = %s", connection)

    def write_as_customer(self, event, user_id="user_anna", organization_id=events.ORGANIZATION, **fields):
        """Makes the very Lead that @event is for, past the worker; its id."""
        token = self.sandbox.vend(user_id, organization_id)
        lead_id = self.sandbox.write_lead(token, checks.external_id(event), fields)
        self.written_by_others.add(self.sandbox.journal()[-1]["n"])
        return lead_id

    # --- workers

    def worker(self, start=True, name=None, wait=True, args=(), **changes):
        """A worker with this world's settings; changes by section: lanes={"batch_leads": 10}, top={…}.

        A dot in a section's name is written as two underscores: client__main={…}.
        """
        changes = {("" if section == "top" else section.replace("__", ".")): values
                   for section, values in changes.items()}
        name = name or f"worker{len(self.workers) + 1}"
        new = worker.Worker(self.folder, worker.merged(self.settings, changes), name)
        self.workers.append(new)
        return new.start(wait=wait, args=args) if start else new

    def command(self, *args, check=True, **changes):
        """An operator's subcommand with this world's settings; the CompletedProcess."""
        config = worker.write_config(self.folder, worker.merged(self.settings, changes), "command.conf")
        return worker.run_command(config, *args, check=check)

    # --- events

    def _events(self):
        if self._producer is None:
            self._producer = events.Events(self.kafka.bootstrap, self.topics["lead_create"])
        return self._producer

    def send(self, event=None, key=None, headers=events.STRUCTURED, partition=None, **fields):
        """Publishes an event: given, or lead_create(**fields); the event."""
        event = events.lead_create(**fields) if event is None else event
        return self._events().send(event, key, headers, partition)

    def send_bytes(self, value, key=None, headers=events.STRUCTURED, partition=None):
        """Publishes a record that may be no event; None is a tombstone."""
        self._events().send(value, key, headers, partition)

    def send_all(self, batch):
        return self._events().send_all(batch)

    @property
    def outcomes(self):
        if self._outcomes is None:
            self._outcomes = events.Outcomes(self.kafka.bootstrap, [self.topics[key] for key in OUTCOME_TOPICS])
        return self._outcomes

    def result(self, event, timeout_s=15.0):
        """The data of the one outcome of @event."""
        return self.outcomes.wait_one(of=event, timeout_s=timeout_s)["data"]

    # --- end

    def close(self):
        """Stops what runs (kills what does not stop) and drops the database; raises what went wrong."""
        troubles = []
        for one in self.workers:
            try:
                if one.running():
                    one.stop()
            except AssertionError as trouble:
                troubles.append(trouble)
        if self._outcomes is not None:
            self._outcomes.close()
        if self.postgres.process.running():
            self.postgres.drop_database(self.database)
        if troubles:
            raise troubles[0]
