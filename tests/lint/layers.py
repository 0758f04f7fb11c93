#!/usr/bin/python3
"""Includes point down only: keeps the rooms of the project apart.

layers.py [TOP]   prints each fault as file:line: what is wrong; exit 1 if there is one.

The tables below are the rules; everything else only reads them.
"""

import pathlib
import re
import sys

# From the top down.  A module includes only modules of lower rows, its own parts and common/.
# A file name_part.c belongs to the module `name` (the longest that fits).  cmd_* stands for all cmd_ files.
LAYERS = (
    ("main",),
    ("cmd_*", "check", "migrate"),
    ("worker",),
    ("session", "topics"),
    ("tick",),
    ("parked",),
    ("intake", "publisher", "confirmer", "lanes", "health"),
    ("salesforce",),
    ("tokens",),
    ("pipes", "vault"),
    ("ledger",),
    ("connections", "lead", "outcome_record"),  # what the modules above hand to each other
    ("partition",),
)

# Below all of these: no port, no clock, no loop.  They may include each other, but never in a circle.
PURE = (
    "audit",
    "binding",
    "ids",
    "lead_attributes",
    "lead_event",
    "lead_fields",
    "migrations",
    "options",
    "outcome_event",
    "reasons",
    "sf_answers",
    "window",
)
NOT_PURE = ("clock", "http", "kafka", "log", "loop", "metrics", "pg")  # headers of common/

# Where each foreign library may be included: header (or its folder) -> the only files that may.
DOORS = {
    "librdkafka/": "common/kafka",
    "rdkafka.h": "common/kafka",
    "libpq-fe.h": "common/pg",
    "postgresql/": "common/pg",
    "curl/": "common/http",
    "sodium.h": "common/secret",
    "sodium/": "common/secret",
    "microhttpd.h": "worker/health",
    "jansson.h": "common/json",
}
OWN_DOORS = ("tests/",)  # programs of their own: unit tests and the sandbox use libraries as they like

NO_LOG = ("common/",)  # these return errors; only common/log itself knows log.h
STANDS_ALONE = ("tests/sandbox/",)  # includes nothing of common/ and worker/

MAX_FILE_LINES = 800
MAX_FUNCTION_LINES = 80

FOLDERS = ("common", "worker", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


class Source:
    """One file: its path from the top (as text), its lines, its includes as (line, quoted, name)."""

    def __init__(self, top, path):
        self.path = path.relative_to(top).as_posix()
        self.folder, _, self.file = self.path.rpartition("/")
        self.stem, self.suffix = path.stem, path.suffix
        self.lines = path.read_text(errors="replace").splitlines()
        found = ((number, INCLUDE.match(line)) for number, line in enumerate(self.lines, 1))
        self.includes = [(number, match[1] == '"', match[2]) for number, match in found if match]


def module_of(stem):
    """The module of the tables that a worker/ file belongs to; None when there is none."""
    if stem.startswith("cmd_"):
        return "cmd_*"
    known = [name for row in LAYERS for name in row] + list(PURE)
    fitting = [name for name in known if stem == name or stem.startswith(name + "_")]
    return max(fitting, key=len, default=None)


def rank(module):
    """The row in LAYERS, from the top; the pure modules stand below the last."""
    for number, row in enumerate(LAYERS):
        if module in row:
            return number
    return len(LAYERS)


def resolved(source, name):
    """The path from the top of a quoted include: from the top, or beside the file."""
    return name if "/" in name else f"{source.folder}/{name}"


def check_module_is_known(source):
    if source.folder == "worker" and module_of(source.stem) is None:
        yield 1, f"module {source.stem} is not in the table (tests/lint/layers.py)"


def check_direction(source):
    for line, quoted, name in source.includes:
        target = resolved(source, name)
        if not quoted or not target.startswith(("common/", "worker/")):
            continue
        if source.folder == "common" and target.startswith("worker/"):
            yield line, f"common/ includes {target}: it stands below every module"
        if source.path.startswith(STANDS_ALONE):
            yield line, f"includes {target}: this program stands alone"
        if source.folder == "worker" and target.startswith("worker/"):
            upper = module_of(source.stem)
            lower = module_of(pathlib.PurePosixPath(target).stem)
            if upper is None or upper == lower or (upper in PURE and lower in PURE):
                continue
            if lower is None or rank(lower) <= rank(upper):
                yield line, f"{upper} includes {target}: includes point down only"


def check_purity(source):
    if source.folder != "worker" or module_of(source.stem) not in PURE:
        return
    for line, quoted, name in source.includes:
        target = resolved(source, name)
        if quoted and target in [f"common/{port}.h" for port in NOT_PURE]:
            yield line, f"{source.stem} is pure: it may not include {target}"


def check_log(source):
    if not source.path.startswith(NO_LOG) or source.stem.split("_")[0] == "log":
        return
    for line, _, name in source.includes:
        if resolved(source, name) == "common/log.h":
            yield line, "common/ never logs: return the error instead"


def check_doors(source):
    if source.path.startswith(OWN_DOORS):
        return
    for line, _, name in source.includes:
        for header, door in DOORS.items():
            fits = name.startswith(header) if header.endswith("/") else name.rpartition("/")[2] == header
            stem = f"{source.folder}/{source.stem}"
            if fits and stem != door and not stem.startswith(door + "_"):
                yield line, f"<{name}> may be included by {door} only"
                break


def check_own_header_first(source):
    if source.suffix != ".c" or source.file == "main.c" or source.path.startswith("tests/"):
        return
    if not source.includes:
        yield 1, "includes no header of its own"
        return
    line, quoted, name = source.includes[0]
    folder, _, file = resolved(source, name).rpartition("/")
    own = file.removesuffix(".h")
    # A part (pg_rows.c) may have its module's header (pg.h, or pg_private.h) as its own.
    is_part = source.stem.startswith(own + "_") or own.startswith(source.stem.split("_")[0] + "_")
    if not quoted or folder != source.folder or not (source.stem == own or is_part):
        yield line, f"the first include is not its own header ({source.stem}.h)"


def check_pragma_once(source):
    if source.suffix == ".h" and "#pragma once" not in source.lines:
        yield 1, "no #pragma once"


def check_file_length(source):
    if len(source.lines) > MAX_FILE_LINES:
        yield len(source.lines), f"{len(source.lines)} lines (at most {MAX_FILE_LINES})"


def check_function_length(source):
    """A body is from a { to a } that stand alone at the left edge: the format makes sure of it."""
    began = None
    for number, line in enumerate(source.lines, 1):
        if line == "{":
            began = number
        elif line == "}" and began:
            length = number - began - 1
            if length > MAX_FUNCTION_LINES:
                yield began, f"a function of {length} lines (at most {MAX_FUNCTION_LINES})"
            began = None


def check_circles(sources):
    """Yields (source, line, fault) for headers that include each other in a circle."""
    by_path = {source.path: source for source in sources if source.suffix == ".h"}
    done, open_now = set(), []

    def visit(path):
        if path in done or path not in by_path:
            return
        open_now.append(path)
        source = by_path[path]
        for line, quoted, name in source.includes:
            target = resolved(source, name)
            if quoted and target in open_now:
                circle = open_now[open_now.index(target):] + [target]
                yield source, line, "a circle: " + " -> ".join(circle)
            elif quoted:
                yield from visit(target)
        open_now.pop()
        done.add(path)

    for path in by_path:
        yield from visit(path)


CHECKS = (
    check_module_is_known,
    check_direction,
    check_purity,
    check_log,
    check_doors,
    check_own_header_first,
    check_pragma_once,
    check_file_length,
    check_function_length,
)


def faults_in(top):
    """Every fault below @top, as text."""
    top = pathlib.Path(top)
    paths = sorted(path for folder in FOLDERS for path in (top / folder).rglob("*.[ch]"))
    sources = [Source(top, path) for path in paths]
    faults = [
        f"{source.path}:{line}: {fault}"
        for source in sources
        for check in CHECKS
        for line, fault in check(source)
    ]
    return faults + [f"{source.path}:{line}: {fault}" for source, line, fault in check_circles(sources)]


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent.parent
    faults = faults_in(top)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
