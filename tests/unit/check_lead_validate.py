#!/usr/bin/python3
"""`onbehalf lead validate` on the examples of lead.create.  Speaks TAP.

    tests/unit/check_lead_validate.py ONBEHALF
"""

import json
import pathlib
import subprocess
import sys
import tempfile

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "schemas"
EXAMPLES = SCHEMAS / "lead.create" / "examples"
MIB = 1024 * 1024


def run(program, *words, given=b""):
    """(exit code, first line, whole output, standard error)"""
    done = subprocess.run([program, *words], input=given, capture_output=True, timeout=20, check=False)
    text = done.stdout.decode("utf-8")
    return done.returncode, text.partition("\n")[0], text, done.stderr.decode("utf-8")


def check_good(program):
    paths = sorted((EXAMPLES / "good").glob("*.json"))
    assert len(paths) >= 8, "no examples"
    for path in paths:
        code, first, text, fault = run(program, "lead", "validate", path)
        event = json.loads(path.read_text(encoding="utf-8"))
        assert (code, first, fault) == (0, "ok", ""), f"{path.name}: {code} {text} {fault}"
        assert f"  id            {event['id']}\n" in text and event["data"]["user_id"] in text, text


def check_bad(program):
    listed = json.loads((SCHEMAS / "reasons.json").read_text(encoding="utf-8"))
    rows = {row["code"]: row for row in listed["reasons"]}
    paths = sorted((EXAMPLES / "bad").glob("*.json"))
    assert len(paths) >= 50, "no examples"
    for path in paths:
        row = rows[path.name.split("-")[0].split(".")[0]]
        code, first, text, fault = run(program, "lead", "validate", path)
        verdict = {"lead": "rejected", "event": "invalid"}[row["group"]]
        assert (code, fault) == (1, ""), f"{path.name}: {code} {fault}"
        assert first.split(" ")[:2] == [verdict, row["code"]], f"{path.name}: {first}"
        assert row["meaning"] in text and listed["repairs"][row["how"]] in text, text
        assert ("lead.invalid" in text) == (verdict == "invalid"), text


def check_no_lead_data(program):
    """Names and places, never a value of the lead."""
    for path in sorted(EXAMPLES.glob("*/*.json")):
        try:
            lead = json.loads(path.read_text(encoding="utf-8"))["data"]["lead"]
        except (ValueError, KeyError, TypeError):
            continue
        text = run(program, "lead", "validate", path)[2]
        for value in lead.values() if isinstance(lead, dict) else ():
            assert not isinstance(value, str) or len(value) < 5 or value not in text, f"{path.name}: {value}"


def check_input(program):
    """Standard input, a file that is not there, a folder, the limit and one byte more."""
    event = (EXAMPLES / "good" / "smallest.json").read_bytes()
    assert run(program, "lead", "validate", "-", given=event)[:2] == (0, "ok")
    assert run(program, "lead", "validate", "-")[:2] == (1, "invalid not_json $")
    assert run(program, "lead", "validate", "-", given=event + b" " * (MIB - len(event)))[:2] == (0, "ok")
    more = run(program, "lead", "validate", "-", given=event + b" " * (MIB - len(event) + 1))
    assert more[:2] == (1, "invalid too_large $"), more[:2]
    with tempfile.TemporaryDirectory() as folder:
        for path in (folder, f"{folder}/none"):
            code, first, _, fault = run(program, "lead", "validate", path)
            assert (code, first) == (1, "") and path in fault, f"{code} {fault}"


def check_usage(program):
    for words in ((), ("validate",), ("validate", "a", "b"), ("publish", "a"), ("a",)):
        code, first, _, fault = run(program, "lead", *words)
        assert (code, first) == (2, "") and "lead validate" in fault, f"{words}: {code} {fault}"
    assert run(program, "version", "validate")[0] == 2


def main():
    checks = (
        ("good examples are ok", check_good),
        ("bad examples are answered with the reason in their name, its meaning and its repair", check_bad),
        ("no value of a lead is repeated", check_no_lead_data),
        ("what it reads has the worker's limit", check_input),
        ("it says how it is called", check_usage),
    )
    failed = 0
    for number, (sentence, check) in enumerate(checks, 1):
        try:
            check(sys.argv[1])
        except Exception as fault:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {sentence}")
            print("# " + f"{type(fault).__name__}: {fault}".replace("\n", "\n# "))
        else:
            print(f"ok {number} - {sentence}")
    print(f"1..{len(checks)}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
