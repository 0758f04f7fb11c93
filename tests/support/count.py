#!/usr/bin/python3
"""Counts test results for tests/run: prints the failures, then one line "<passed> <failed>".

count.py meson TESTLOG.json     each cmocka test (TAP) of each executable that meson ran
count.py junit REPORT.xml       each pytest test
"""

import collections
import json
import re
import sys
import xml.etree.ElementTree

TEST_LINE = re.compile(r"^(ok|not ok)\b(?:\s+(\d+))?(?:\s*-)?\s*(.*)$")
PLAN = re.compile(r"^1\.\.(\d+)\b")


class Tap:
    """What one TAP stream says.  Tests that a plan promised and that did not report count as failed."""

    def __init__(self, text):
        self.passed, self.failures, planned, reported = 0, [], None, 0
        for line in text.splitlines():
            plan, test = PLAN.match(line), TEST_LINE.match(line)
            if plan:
                planned = (planned or 0) + int(plan[1])
            elif test:
                reported += 1
                if re.search(r"#\s*skip\b", test[3], re.I):
                    continue
                if test[1] == "ok" or re.search(r"#\s*todo\b", test[3], re.I):
                    self.passed += 1
                else:
                    self.failures.append(test[3] or f"test {test[2]}")
        if planned is None:
            self.failures.append("no TAP plan: ended before its first test")
        elif planned > reported:
            self.failures += ["did not report"] * (planned - reported)
        elif planned < reported:
            self.failures.append(f"planned {planned} tests, reported {reported}")


def count_tap(name, text, exit_code):
    """(passed, failed) of one program; prints what failed and why."""
    tap = Tap(text)
    failures = tap.failures
    if exit_code != 0 and not failures:
        failures.append(f"ended with {exit_code}")
    for failure, times in collections.Counter(failures).items():
        print(f"  FAILED {name}: {failure}" + (f" ({times} times)" if times > 1 else ""))
    return tap.passed, len(failures)


def count_meson(path):
    passed = failed = 0
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            name = test["name"].split(" / ")[-1]
            code = 0 if test["result"] in ("OK", "EXPECTEDFAIL") else test.get("returncode") or test["result"]
            both = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
            ok, bad = count_tap(name, both, code)
            if bad:
                print("\n".join(f"    {text}" for text in both.strip().splitlines()[-40:]))
            passed, failed = passed + ok, failed + bad
    return passed, failed


def count_junit(path):
    passed = failed = 0
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1  # pytest itself has printed it
        elif "skipped" not in kinds:
            passed += 1
    return passed, failed


def main():
    kind, path = sys.argv[1:]
    passed, failed = {"meson": count_meson, "junit": count_junit}[kind](path)
    print(passed, failed)


if __name__ == "__main__":
    main()
