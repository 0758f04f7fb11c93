"""Starts onbehalf-sandbox (Salesforce, Pipes and the login host in one process) and talks to its control API."""

import http.client
import json
import pathlib
import urllib.parse

from . import build_dir, processes


class ControlError(AssertionError):
    """The sandbox refused a control request."""


class Sandbox:
    """Start it; @address is where the worker speaks plain http, @tls_port where it speaks TLS."""

    def __init__(self, folder, tls=None, args=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tls = tls
        self.args = list(args)
        # Ports of our own choice, so that a sandbox started again is where it was.
        self.port = processes.free_port()
        self.tls_port = processes.free_port() if tls else None
        self.log = self.folder / "sandbox.log"
        self.process = None
        self._http = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.address}"

    def start(self, timeout_s=15.0):
        binary = build_dir() / "tests" / "sandbox" / "onbehalf-sandbox"
        argv = [binary, "--listen", self.address]
        if self.tls:
            argv += ["--tls-cert", self.tls.cert, "--tls-key", self.tls.key]
            argv += ["--tls-listen", f"127.0.0.1:{self.tls_port}"]
        self.process = processes.Process(argv + self.args, self.log)
        ports = [self.port] + ([self.tls_port] if self.tls else [])
        self.process.wait_ready(lambda: all(map(processes.listening, ports)), timeout_s, "the sandbox")
        return self

    def stop(self):
        self._hang_up()
        if self.process:
            code = self.process.stop()
            assert code == 0, f"the sandbox ended with {code}\n{self.process.tail()}"

    def kill(self):
        self._hang_up()
        self.process.kill()

    def _hang_up(self):
        if self._http:
            self._http.close()
            self._http = None

    def control(self, method, path, body=None, **query):
        """One control request on a kept connection; its answer, parsed."""
        target = f"/control/{path}"
        query = {name: value for name, value in query.items() if value is not None}
        if query:
            target += "?" + urllib.parse.urlencode(query)
        payload = None if body is None else json.dumps(body).encode()
        for last_try in (False, True):
            try:
                status, text = self._exchange(method, target, payload)
                break
            except (ConnectionError, http.client.HTTPException):
                self._hang_up()  # the kept connection was closed meanwhile
                if last_try:
                    raise
        if status != 200:
            raise ControlError(f"{method} {target}: {status} {text}")
        return json.loads(text) if text else {}

    def _exchange(self, method, target, payload, **more):
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        headers |= more
        self._http.request(method, target, body=payload, headers=headers)
        answer = self._http.getresponse()
        return answer.status, answer.read().decode()

    def reset(self):
        return self.control("POST", "reset", {})

    def org(self, **fields):
        """Makes an org; the org as the sandbox describes it."""
        return self.control("POST", "orgs", fields)

    def user(self, **fields):
        return self.control("POST", "users", fields)

    def expire(self, **fields):
        """Kills access tokens now; with keep_vending=True Pipes goes on vending the dead one."""
        return self.control("POST", "expire", fields)

    def rule(self, action, times=1, **match):
        """Injects a fault: sandbox.rule({"status": 503}, service="salesforce", user_id="anna")."""
        return self.control("POST", "rules", {"match": match, "times": times, "action": action})

    def clear_rules(self):
        return self.control("DELETE", "rules")

    def journal(self, after=0):
        """The writes applied, in order."""
        return self.control("GET", "journal", after=after)["entries"]

    def calls(self, after=0):
        """Every request that reached it, in order."""
        return self.control("GET", "calls", after=after)["entries"]

    def stats(self):
        return self.control("GET", "stats")

    def leads(self, org_id):
        return self.control("GET", "leads", org_id=org_id)["leads"]

    def edit_lead(self, org_id, external_id, **fields):
        return self.control(
            "POST", "leads/edit", {"org_id": org_id, "external_id": external_id, "fields": fields}
        )

    def delete_lead(self, org_id, external_id):
        return self.control("POST", "leads/delete", {"org_id": org_id, "external_id": external_id})

    def vend(self, user_id, organization_id=None, slug="salesforce"):
        """The access token that Pipes hands out for a user now."""
        body = {"user_id": user_id, "organization_id": organization_id}
        status, text = self._exchange("POST", f"/data-integrations/{slug}/token", json.dumps(body).encode(),
                                      Authorization="Bearer sk_test_customer")
        assert status == 200, text
        return json.loads(text)["access_token"]["access_token"]

    def write_lead(self, token, external_id, fields, field="OnBehalf_Event_Id__c"):
        """What somebody else's program writes into the org; the lead's id."""
        status, text = self._exchange("PATCH", f"/services/data/v66.0/sobjects/Lead/{field}/{external_id}",
                                      json.dumps(fields).encode(), Authorization=f"Bearer {token}")
        assert status in (200, 201), text
        return json.loads(text)["id"]

    def duplicates(self):
        """External ids that were created more than once: must always be empty."""
        seen, twice = set(), []
        for entry in self.journal():
            if entry["method"] == "create":
                key = (entry["org_id"], entry["external_id"])
                (twice.append(key) if key in seen else seen.add(key))
        return twice
