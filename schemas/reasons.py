#!/usr/bin/env python3
"""Makes the C list, the SQL rows and the page of docs out of reasons.json.

    reasons.py c|sql|md < reasons.json
    reasons.py c|sql|md reasons.json [OUTPUT]
"""

import json
import re
import sys


def read(file):
    """The whole list; a ValueError names what is wrong with it."""
    listed = json.load(file)
    seen = set()
    for reason in listed["reasons"]:
        code = reason.get("code", "")
        if set(reason) != {"code", "group", "meaning", "repairer", "how"}:
            raise ValueError(f"{code}: members {sorted(reason)}")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", code) or code == "none":
            raise ValueError(f"{code}: no code")
        if code in seen:
            raise ValueError(f"{code}: listed twice")
        if reason["repairer"] not in listed["repairers"]:
            raise ValueError(f"{code}: unknown repairer {reason['repairer']}")
        if reason["how"] not in listed["repairs"]:
            raise ValueError(f"{code}: unknown repair {reason['how']}")
        if not reason["meaning"].endswith("."):
            raise ValueError(f"{code}: the meaning is no sentence")
        seen.add(code)
    return listed


def literal(text):
    """A C string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_c(listed):
    """X macros, sorted by code, so that a code is found by halving."""
    reasons = sorted(listed["reasons"], key=lambda reason: reason["code"].encode())
    out = ["/* Made by schemas/reasons.py from schemas/reasons.json: do not edit. */", "#pragma once", ""]
    out.append("/* X(NAME, code), sorted by code */")
    out.append("#define REASON_LIST(X) \\")
    out += [f"\tX({reason['code'].upper()}, \"{reason['code']}\") \\" for reason in reasons]
    out += ["\t/* end */", "", "/* X(NAME, repairer, how), in the same order */", "#define REASON_REPAIR_LIST(X) \\"]
    out += [f"\tX({r['code'].upper()}, \"{r['repairer']}\", \"{r['how']}\") \\" for r in reasons]
    out += ["\t/* end */", "", "/* X(NAME, meaning), in the same order */", "#define REASON_MEANING_LIST(X) \\"]
    out += [f"\tX({r['code'].upper()}, {literal(r['meaning'])}) \\" for r in reasons]
    out += ["\t/* end */", "", "/* X(how, what it asks for) */", "#define REPAIR_LIST(X) \\"]
    out += [f"\tX({literal(how)}, {literal(text)}) \\" for how, text in listed["repairs"].items()]
    out += ["\t/* end */", ""]
    return "\n".join(out)


def as_sql(listed):
    """One INSERT that a later list repeats without harm."""

    def quoted(text):
        return "'" + text.replace("'", "''") + "'"

    rows = [
        "\t(" + ", ".join(quoted(reason[column]) for column in ("code", "meaning", "repairer", "how")) + ")"
        for reason in listed["reasons"]
    ]
    return (
        "-- Made by schemas/reasons.py from schemas/reasons.json: do not edit.\n"
        "INSERT INTO gov.reason (code, meaning, repairer, how) VALUES\n" + ",\n".join(rows) + "\n"
        "ON CONFLICT (code) DO UPDATE SET meaning = excluded.meaning, repairer = excluded.repairer, how = excluded.how\n"
        "WHERE (reason.meaning, reason.repairer, reason.how)\n"
        "\tIS DISTINCT FROM (excluded.meaning, excluded.repairer, excluded.how);\n"
    )


def as_md(listed):
    """The page a consumer of our events reads."""

    def cell(text):
        return text.replace("|", "\\|")

    out = ["# Reasons", "", "<!-- Made by schemas/reasons.py from schemas/reasons.json: do not edit. -->", ""]
    out.append("A closed list: `reason` in an event, in the ledger and in a metric is one of these codes.")
    for group in dict.fromkeys(reason["group"] for reason in listed["reasons"]):
        out += ["", f"## {group[0].upper()}{group[1:]}", "", "| code | meaning | who can repair it | `repair` |", "|---|---|---|---|"]
        out += [
            f"| `{r['code']}` | {cell(r['meaning'])} | {r['repairer']} | `{r['how']}` |"
            for r in listed["reasons"]
            if r["group"] == group
        ]
    out += ["", "## Repairs", "", "| `repair` | what it asks for |", "|---|---|"]
    out += [f"| `{how}` | {cell(text)} |" for how, text in listed["repairs"].items()]
    out += ["", "## Who", "", "| who | is |", "|---|---|"]
    out += [f"| {who} | {cell(text)} |" for who, text in listed["repairers"].items()]
    return "\n".join(out) + "\n"


def main(arguments):
    formats = {"c": as_c, "sql": as_sql, "md": as_md}
    if not 1 <= len(arguments) <= 3 or arguments[0] not in formats:
        print(__doc__, file=sys.stderr)
        return 2
    if len(arguments) > 1:
        with open(arguments[1], encoding="utf-8") as file:
            listed = read(file)
    else:
        listed = read(sys.stdin)
    text = formats[arguments[0]](listed)
    if len(arguments) > 2:
        with open(arguments[2], "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
