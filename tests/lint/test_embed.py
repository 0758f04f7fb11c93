"""sql/embed.py refuses migrations that are not 1, 2, 3 ..., and those that nobody listed."""

import hashlib
import pathlib
import subprocess
import sys

import pytest

EMBED = pathlib.Path(__file__).resolve().parent.parent.parent / "sql" / "embed.py"


@pytest.fixture
def embed(tmp_path):
    """embed(listed={name: text}, beside=[name]): (exit code, what it wrote or said)."""

    def run(listed, beside=()):
        out = tmp_path / "out.c"
        for name in beside:
            (tmp_path / name).write_text("")
        for name, text in listed.items():
            (tmp_path / name).write_text(text)
        argv = [sys.executable, EMBED, out, *(tmp_path / name for name in listed)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return done.returncode, out.read_text() if out.exists() else done.stderr

    return run


def test_each_has_number_name_checksum_and_text_in_order(embed):
    second = 'SELECT "x\\y";\n'
    code, text = embed({"0002_b.sql": second, "0001_a.sql": "SELECT 1;\n"})
    assert code == 0
    assert text.index('{1, "a"') < text.index('{2, "b"')
    assert hashlib.sha256(second.encode()).hexdigest() in text
    assert r'"SELECT \"x\\y\";\n"' in text
    assert "migrations_count = 2;" in text


@pytest.mark.parametrize(
    "listed, beside, fault",
    [
        (["0001_a.sql", "0003_c.sql"], [], "number 2 is expected"),
        (["0002_b.sql"], [], "number 1 is expected"),
        (["0001_a.sql", "0001_b.sql"], [], "has this number too"),
        (["0001_a.sql", "two.sql"], [], "is called NNNN_name.sql"),
        (["0001_a.sql"], ["0002_b.sql"], "is not in sql/meson.build"),
    ],
)
def test_what_it_refuses(embed, listed, beside, fault):
    code, text = embed({name: "" for name in listed}, beside)
    assert code != 0
    assert fault in text
