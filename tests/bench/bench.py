#!/usr/bin/python3
"""Leads end to end: Kafka -> worker -> sandbox -> outcome topic, as one JSON line.

    tests/bench/bench.py [--users 50] [--leads 100000] [--warm 1]

Everything is private and on loopback.  The leads are published first; the clock
starts with the worker's first outcome after the tokens are warm and stops when
each lead has its outcome.  Compare numbers of one machine and one run only.
"""

import argparse
import json
import os
import pathlib
import platform
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import kafka, postgres, processes, sandbox, tls, world  # noqa: E402
from support import events  # noqa: E402


def cpu_model():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid, what="VmHWM"):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    return 0


def produce(w, users, first, count, tag):
    batch = [events.lead_create(user_id=f"user_{n % users}", id=f"{tag}-{n}",
                                lead={"LastName": f"Name{n}", "Company": "Company Ltd", "Email": f"n{n}@example.org",
                                      "LeadSource": "Web", "Description": "a lead of the benchmark " * 4})
             for n in range(first, first + count)]
    w.send_all(batch)


def connect(w, users, orgs):
    """user_0 … spread over the orgs, so that the cap of calls an org does not decide alone."""
    for n in range(orgs):
        org_id = w.org_id if n == 0 else w.sandbox.org()["org_id"]
        for user in range(n, users, orgs):
            w.sandbox.user(org_id=org_id, user_id=f"user_{user}", organization_id=events.ORGANIZATION)
    w.sql("SELECT count(gov.connect(%s, 'user_' || n, %s)) FROM generate_series(0, %s) n",
          w.integration, events.ORGANIZATION, users - 1)


def terminal(w):
    return w.scalar("SELECT coalesce(sum(t), 0) FROM (SELECT DISTINCT ON (session) "
                    "(SELECT sum(x) FROM unnest(terminal) x) AS t FROM ledger.tick ORDER BY session, tick DESC) s")


def run(w, args):
    connect(w, args.users, args.orgs)
    worker = w.worker(start=False, **{"log": {"level": "warn"}})
    produce(w, args.users, 0, args.users, "warm")
    worker.start(wait=False)
    pid = worker.process.popen.pid
    processes.wait_until(lambda: terminal(w) >= args.users, 900, "tokens to be warm")
    before = w.sandbox.stats()
    ticks = w.scalar("SELECT count(*) FROM ledger.tick")
    os.kill(pid, 19)  # SIGSTOP: publish first, then let it run
    produce(w, args.users, 0, args.leads, "lead")
    cpu, began = cpu_seconds(pid), time.monotonic()
    os.kill(pid, 18)
    last = 0
    while (done := terminal(w) - args.users) < args.leads:
        if not worker.running():
            raise SystemExit("the worker ended:\n" + worker.tail())
        if time.monotonic() - began > args.limit:
            raise SystemExit(f"only {done} of {args.leads} leads in {args.limit} s\n" + worker.tail())
        last = done
        time.sleep(0.05)
    took, cpu = time.monotonic() - began, cpu_seconds(pid) - cpu
    after = w.sandbox.stats()
    calls = after["calls"].get("salesforce", 0) - before["calls"].get("salesforce", 0)
    line = {
        "users": args.users, "orgs": args.orgs, "leads": args.leads, "seconds": round(took, 2), "leads_per_s": round(args.leads / took),
        "worker_cpu_us_per_lead": round(cpu / args.leads * 1e6, 1), "worker_rss_mb": round(rss_mb(pid), 1),
        "salesforce_calls_per_lead": round(calls / args.leads, 4),
        "ticks": w.scalar("SELECT count(*) FROM ledger.tick") - ticks,
        "cpu": cpu_model(), "cores": os.cpu_count(),
    }
    worker.stop()
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--leads", type=int, default=100000)
    parser.add_argument("--orgs", type=int, default=0, help="default: one for each 100 users, at least 5")
    parser.add_argument("--limit", type=float, default=300)
    args = parser.parse_args()
    args.orgs = args.orgs or max(5, args.users // 100)
    with processes.temporary_folder("onbehalf-bench-") as folder:
        servers = [kafka.Kafka(folder / "kafka").start(), postgres.Postgres(folder / "postgres").start(),
                   sandbox.Sandbox(folder / "sandbox", tls.Tls(folder / "tls")).start()]
        try:
            template = world.make_template(servers[1], folder / "template")
            w = world.World(folder / "world", *servers, template)
            w.settings["client.main"]["rate_per_minute"] = 600000
            try:
                print(json.dumps(run(w, args)))
            finally:
                w.close()
        finally:
            for server in reversed(servers):
                server.stop()


if __name__ == "__main__":
    main()
