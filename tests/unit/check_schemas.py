#!/usr/bin/python3
"""Checks schemas/ in itself: the schemas, their examples, the list of reasons.  Speaks TAP.

    tests/unit/check_schemas.py [SCHEMAS]
"""

import importlib.util
import io
import json
import pathlib
import re
import sys

import jsonschema

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2] / "schemas")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def reasons_module():
    spec = importlib.util.spec_from_file_location("reasons", ROOT / "reasons.py")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def words_of(event):
    """The reason and repair an event of ours names."""
    data = event.get("data")
    return (data.get("reason"), data.get("repair")) if isinstance(data, dict) else (None, None)


def check_schema(path):
    """The schema is one, and says which type and version it is of."""
    schema = load(path)
    jsonschema.Draft202012Validator.check_schema(schema)
    type_, version = path.parent.name, path.stem
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema", "another dialect"
    assert schema["$id"] == f"urn:onbehalf:{type_}:{version}", schema["$id"]
    assert schema["title"] == type_, schema["title"]
    assert schema["properties"]["type"] == {"const": type_}, "the type is not constant"


def check_good(path, validator, listed):
    event = load(path)
    faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in validator.iter_errors(event)]
    assert not faults, "; ".join(faults)
    reason, repair = words_of(event)
    hows = {row["code"]: row["how"] for row in listed["reasons"]}
    assert reason is None or reason in hows, f"unlisted reason {reason}"
    assert repair is None or repair == hows[reason], f"{reason} is repaired by {hows[reason]}, not {repair}"


def check_bad(path, validator, listed):
    if path.parents[2].name == "lead.create":  # the decoder's test reads the reason in the name
        reason = path.name.split("-")[0].split(".")[0]
        assert reason in {row["code"] for row in listed["reasons"]}, f"no reason {reason}"
    text = path.read_text(encoding="utf-8")
    try:
        event = json.loads(text, object_pairs_hook=without_twins)
    except ValueError:
        return
    assert not validator.is_valid(event), "it is valid"


def without_twins(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


def check_reasons(reasons):
    """Every form is made, and holds every code once."""
    listed = load(ROOT / "reasons.json")
    assert reasons.read(io.StringIO(json.dumps(listed))) == listed
    for form in (reasons.as_c, reasons.as_sql, reasons.as_md):
        text = form(listed)
        for row in listed["reasons"]:
            mark = {"as_c": f'"{row["code"]}")', "as_sql": f"\t('{row['code']}',", "as_md": f"| `{row['code']}` |"}
            assert text.count(mark[form.__name__]) == 1, f"{form.__name__}: {row['code']}"


def check_page(reasons):
    """worker/docs/reasons.md is what the list makes."""
    page = ROOT.parent / "worker" / "docs" / "reasons.md"
    wanted = reasons.as_md(load(ROOT / "reasons.json"))
    hint = "make it anew: schemas/reasons.py md schemas/reasons.json worker/docs/reasons.md"
    assert page.read_text(encoding="utf-8") == wanted, hint


def check_repairs(listed):
    """Every repair and everybody who repairs is used, or it would be a promise nobody keeps."""
    assert {row["how"] for row in listed["reasons"]} == set(listed["repairs"])
    assert {row["repairer"] for row in listed["reasons"]} == set(listed["repairers"])


def check_refusals(reasons):
    """A list with a fault is refused."""
    row = {"code": "a", "group": "g", "meaning": "M.", "repairer": "app", "how": "wait"}
    faults = [
        [row, row],
        [{**row, "code": "A"}],
        [{**row, "code": "none"}],
        [{**row, "code": "a" * 41}],
        [{**row, "repairer": "me"}],
        [{**row, "how": "magic"}],
        [{**row, "meaning": "no sentence"}],
        [{**row, "more": 1}],
    ]
    base = {"repairers": {"app": ""}, "repairs": {"wait": ""}}
    reasons.read(io.StringIO(json.dumps({**base, "reasons": [row]})))
    for fault in faults:
        try:
            reasons.read(io.StringIO(json.dumps({**base, "reasons": fault})))
        except ValueError:
            continue
        raise AssertionError(f"accepted: {fault}")


def check_fields():
    """The schema of lead.create has the decoder's table."""
    source = (ROOT.parent / "worker" / "lead_fields.c").read_text(encoding="utf-8")
    rules = re.findall(r'\{"(\w+)", (\d+), FIELD_(\w+), (true|false)\}', source)
    assert len(rules) > 40, "the table is not found"
    lead = load(ROOT / "lead.create" / "1.json")["$defs"]["lead"]
    refused = next(rule["enum"] for rule in lead["propertyNames"]["not"]["anyOf"] if "enum" in rule)
    types = {"TEXT": "string", "WHOLE": "integer", "NUMBER": "number", "BOOL": "boolean"}
    wanted = {}
    for name, limit, kind, required in rules:
        if kind == "READ_ONLY":
            continue
        wanted[name] = {"type": types[kind] if required == "true" else [types[kind], "null"]}
        if kind == "TEXT":
            wanted[name]["maxLength"] = int(limit)
        if required == "true":
            wanted[name]["minLength"] = 1
    assert lead["properties"] == wanted, "the fields differ"
    assert refused == [name for name, _, kind, _ in rules if kind == "READ_ONLY"], "the read-only fields differ"
    needed = [name for name, _, _, required in rules if required == "true"]
    assert lead["required"] == needed, "the required ones differ"


def checks():
    """(sentence, function) for everything there is."""
    listed = load(ROOT / "reasons.json")
    reasons = reasons_module()
    yield "the list of reasons makes C, SQL and a page", lambda: check_reasons(reasons)
    yield "a list of reasons with a fault is refused", lambda: check_refusals(reasons)
    yield "the page of reasons is the one the list makes", lambda: check_page(reasons)
    yield "every repair and every repairer is of some reason", lambda: check_repairs(listed)
    yield "the schema of lead.create has the decoder's fields", check_fields
    schemas = sorted(path for path in ROOT.glob("*/*.json") if path.stem.isdigit())
    assert schemas, f"no schemas in {ROOT}"
    for path in schemas:
        yield f"{path.parent.name} {path.stem} is a schema", lambda path=path: check_schema(path)
        validator = jsonschema.Draft202012Validator(load(path))
        for kind, check in (("good", check_good), ("bad", check_bad)):
            examples = sorted((path.parent / "examples" / kind).glob("*.json"))
            if not examples:
                yield f"{path.parent.name} has {kind} examples", lambda: 1 / 0
            for example in examples:
                yield (
                    f"{path.parent.name} {kind} {example.stem}",
                    lambda example=example, check=check, validator=validator: check(example, validator, listed),
                )


def main():
    failed = count = 0
    for count, (sentence, check) in enumerate(checks(), 1):
        try:
            check()
        except Exception as fault:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {count} - {sentence}")
            print("# " + f"{type(fault).__name__}: {fault}".replace("\n", "\n# "))
        else:
            print(f"ok {count} - {sentence}")
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
