#!/usr/bin/python3
"""Runs the pgTAP scripts tests/sql/*.sql, each in its own copy of a migrated database.

run_sql.py [SCRIPT ...]: prints the failures, then one line "<passed> <failed>" (for tests/run).
"""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

from support import count, postgres, processes, world  # noqa: E402


def run_script(server, script, template, name):
    """(passed, failed) of one script."""
    database = server.create_database(name, template)
    done = processes.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", server.url(database), "-f", script],
        env={"PGOPTIONS": "-c client_min_messages=warning"},
        timeout_s=120,
        check=False,
    )
    server.drop_database(database)
    passed, failed = count.count_tap(script.name, done.stdout, done.returncode)
    if failed:
        comments = [line for line in done.stdout.splitlines() if line.startswith("#")]
        for line in (comments + done.stderr.splitlines())[-40:]:
            print(f"    {line}")
    return passed, failed


def main():
    scripts = [pathlib.Path(name) for name in sys.argv[1:]] or sorted((TESTS / "sql").glob("*.sql"))
    passed = failed = 0
    with processes.temporary_folder("onbehalf-sql-") as folder:
        server = postgres.Postgres(folder / "postgres").start()
        try:
            template = world.make_template(server, folder / "config")
            server.sql("CREATE EXTENSION pgtap", database=template)
            for number, script in enumerate(scripts):
                ok, bad = run_script(server, script, template, f"t{number}")
                passed, failed = passed + ok, failed + bad
        finally:
            server.stop()
    print(passed, failed)


if __name__ == "__main__":
    main()
