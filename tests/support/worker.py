"""Runs the worker: configuration, migrate, run, and its log."""

import copy
import pathlib
import re
import signal

from . import build_dir, processes

LOGIN = "onbehalf_worker_login"
KEYS = "k1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
PIPES_KEY = "sk_test_sandbox\n"


def binary():
    return build_dir() / "worker" / "onbehalf"


def settings_for(kafka, postgres, database, sandbox, group="onbehalf", tls=False):
    """The configuration of a worker that talks to these, as {section: {key: value}} ("" = top level)."""
    settings = {
        "": {"mode": "development", "group": group},
        "kafka": {"bootstrap.servers": kafka.bootstrap, "session.timeout.ms": 6000},
        "topics": {},
        "postgres": {"url": postgres.url(database, LOGIN)},
        "keys": {"file": "keys.txt"},
        "http": {},
        "salesforce": {},
        "log": {"format": "logfmt", "level": "info"},
        "client.main": {"kind": "pipes", "slug": "salesforce", "key_file": "pipes.key"},
    }
    if tls:
        hosts = f"::127.0.0.1:{sandbox.tls_port}"  # every host and port
        settings["http"] |= {"ca_file": sandbox.tls.ca, "connect_to": hosts}
    else:
        settings["client.main"]["base_url"] = sandbox.url
        settings["salesforce"] |= {
            "insecure_hosts": sandbox.address,
            "login_host": sandbox.address,
        }
    return settings


def merged(settings, changes):
    """A copy of @settings with the values of @changes; None takes a key away."""
    result = copy.deepcopy(settings)
    for section, values in changes.items():
        target = result.setdefault(section, {})
        for key, value in values.items():
            target.pop(key, None)
            if value is not None:
                target[key] = value
    return result


def write_config(folder, settings, name="onbehalf.conf"):
    """Writes configuration and key files; the configuration's path."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in (("keys.txt", KEYS), ("pipes.key", PIPES_KEY)):
        if not (folder / file).exists():
            (folder / file).write_text(text)
            (folder / file).chmod(0o600)
    lines = [f"{key} = {value}" for key, value in settings.get("", {}).items()]
    for section, values in settings.items():
        if section and values:
            lines += [f"[{section}]"] + [f"{key} = {value}" for key, value in values.items()]
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def migrate(config, postgres, database):
    """Brings the database to the worker's schema, and makes the role that the worker logs in as."""
    url = postgres.url(database)
    done = processes.run([binary(), "migrate", "--config", config, "--postgres", url])
    postgres.create_role(LOGIN, member_of="onbehalf_worker")
    return done


_PAIR = re.compile(r'([\w.-]+)=("(?:[^"\\]|\\.)*"|\S*)')
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


def parse_logfmt(line):
    """One log line as a dict; {} for a line that is none (a sanitizer's report)."""
    pairs = {}
    for name, value in _PAIR.findall(line):
        if value.startswith('"'):
            value = re.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0][1]), value[1:-1])
        pairs[name] = value
    return pairs if "msg" in pairs else {}


class Worker:
    """One `onbehalf run`.  start() returns when it owns partitions and has read their positions."""

    def __init__(self, folder, settings, name="worker"):
        self.folder = pathlib.Path(folder)
        self.name = name
        self.log = self.folder / f"{name}.log"
        self.settings = settings
        self.config = write_config(self.folder, settings, f"{name}.conf")
        self.process = None
        self._log_start = 0

    def start(self, wait=True, timeout_s=30.0, args=(), env=None):
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        argv = [binary(), "run", "--config", self.config, *args]
        self.process = processes.Process(argv, self.log, cwd=self.folder, env=env)
        if wait:
            self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s=30.0):
        self.wait_log("worker ready", timeout_s)

    def wait_log(self, msg, timeout_s=10.0, **fields):
        """Waits for a line with this msg (and fields) since the last start; the line as a dict."""
        return self.process.wait_ready(
            lambda: next(self.logged(msg, **fields), None), timeout_s, f'{self.name} to say "{msg}"'
        )

    def logged(self, msg=None, **fields):
        """The log lines since the last start, as dicts; those with this msg and these fields."""
        for line in self.text().splitlines():
            if msg is not None and msg not in line:
                continue
            entry = parse_logfmt(line)
            if not entry or (msg is not None and entry["msg"] != msg):
                continue
            if all(entry.get(name) == str(value) for name, value in fields.items()):
                yield entry

    def text(self):
        """What it wrote since the last start."""
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def running(self):
        return self.process is not None and self.process.running()

    def stop(self, timeout_s=20.0):
        """SIGTERM; it drains and must end with 0."""
        if self.process is None:
            return
        code = self.process.stop(signal.SIGTERM, timeout_s)
        assert code == 0, f"{self.name} ended with {code}\n{self.process.tail()}"

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def tail(self, lines=60):
        return processes.tail(self.log, lines)


def run_command(config, *args, env=None, check=True):
    """An operator's subcommand: run_command(config, "check", "--print")."""
    command, *rest = args
    return processes.run([binary(), command, "--config", config, *rest], env=env, check=check)
