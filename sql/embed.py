#!/usr/bin/python3
"""Makes C of the migrations, for worker/migrations.h.

    embed.py OUT.c NNNN_name.sql...
    embed.py --text NAME OUT.c FILE     one text, as `const char NAME[]`

Each gets its number, name, text and SHA-256.  The numbers are 1, 2, 3 ...: a gap, a number
used twice or a .sql file beside them that is not listed fails the build.
"""

import hashlib
import pathlib
import re
import sys

NAME = re.compile(r"^(\d{4})_([a-z0-9][a-z0-9_]*)\.sql$")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\t": "\\t", "\r": "\\r", "?": "\\?"}


class Fault(Exception):
    """The migrations are not what they have to be."""


def numbered(paths):
    """[(number, name, path)], in order."""
    found = {}
    for path in paths:
        match = NAME.match(path.name)
        if not match:
            raise Fault(f"{path.name}: a migration is called NNNN_name.sql")
        number = int(match[1])
        if number in found:
            raise Fault(f"{path.name}: {found[number].name} has this number too")
        found[number] = path
    for expected, number in enumerate(sorted(found), 1):
        if number != expected:
            raise Fault(f"{found[number].name}: number {expected} is expected here, numbers have no gaps")
    return [(number, NAME.match(path.name)[2], path) for number, path in sorted(found.items())]


def check_all_are_listed(paths):
    listed = {path.name for path in paths}
    for folder in {path.parent for path in paths}:
        for path in sorted(folder.glob("*.sql")):
            if path.name not in listed:
                raise Fault(f"{path.name}: is not in sql/meson.build")


def literal(text):
    """The C string literals of @text, one a line."""
    lines = text.split("\n")
    ends = ["\\n"] * (len(lines) - 1) + [""]
    written = ("".join(ESCAPES.get(char, char) for char in line) + end for line, end in zip(lines, ends))
    return "\n".join(f'\t\t"{line}"' for line in written)


def embedded(paths):
    check_all_are_listed(paths)
    parts = ["/* Made by sql/embed.py. */", '#include "worker/migrations.h"', "",
             "const struct migration migrations[] = {"]
    known = numbered(paths)
    for number, name, path in known:
        content = path.read_bytes()
        if b"\0" in content:
            raise Fault(f"{path.name}: a NUL byte inside")
        parts += [f'\t{{{number}, "{name}",', f'\t\t"{hashlib.sha256(content).hexdigest()}",',
                  literal(content.decode()) + "},"]
    return "\n".join(parts + ["};", "", f"const int migrations_count = {len(known)};", ""])


def one_text(name, path):
    content = path.read_bytes()
    if b"\0" in content:
        raise Fault(f"{path.name}: a NUL byte inside")
    return "\n".join(["/* Made by sql/embed.py. */", '#include "worker/migrations.h"', "", f"const char {name}[] =",
                      literal(content.decode()) + ";", ""])


def main():
    words = sys.argv[1:]
    name = None
    if words[:1] == ["--text"]:
        name, words = words[1], words[2:]
    out, *paths = [pathlib.Path(word) for word in words]
    try:
        text = one_text(name, *paths) if name else embedded(paths)
    except (Fault, UnicodeDecodeError) as fault:
        sys.exit(f"sql: {fault}")
    out.write_text(text)


if __name__ == "__main__":
    main()
