"""Each rule of layers.py can fail: a clean tree passes, and each planted mistake is found."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import layers  # noqa: E402

H = "#pragma once\n"
CLEAN = {
    "common/base.h": H,
    "common/log.h": H + '#include "common/base.h"\n',
    "common/log.c": '#include "common/log.h"\n',
    "common/kafka.h": H,
    "common/kafka.c": '#include "common/kafka.h"\n\n#include <librdkafka/rdkafka.h>\n',
    "common/pg.h": H,
    "common/pg_query.c": '#include "common/pg.h"\n\n#include <libpq-fe.h>\n',
    "worker/main.c": '#include <stdio.h>\n\n#include "worker/worker.h"\n#include "worker/cmd_tail.h"\n',
    "worker/cmd_tail.h": H,
    "worker/cmd_tail.c": '#include "worker/cmd_tail.h"\n\n#include "worker/ledger.h"\n',
    "worker/worker.h": H,
    "worker/worker.c": '#include "worker/worker.h"\n\n#include "common/log.h"\n#include "worker/tick.h"\n',
    "worker/tick.h": H,
    "worker/tick.c": '#include "worker/tick.h"\n\n#include "worker/lanes.h"\n#include "worker/window.h"\n',
    "worker/tick_settle.c": '#include "worker/tick.h"\n\n#include "worker/ledger.h"\n',
    "worker/lanes.h": H,
    "worker/ledger.h": H + '#include "worker/lead_event.h"\n',
    "worker/lead_event.h": H + '#include "worker/reasons.h"\n',
    "worker/reasons.h": H,
    "worker/window.h": H,
    "worker/window.c": '#include "worker/window.h"\n\nvoid f(void)\n{\n' + "\t;\n" * 80 + "}\n",
    "worker/health.h": H,
    "worker/health.c": '#include "worker/health.h"\n\n#include <microhttpd.h>\n',
    "tests/unit/test_window.c": '#include <stdarg.h>\n#include "worker/window.h"\n',
    "tests/sandbox/orgs.c": "#include <jansson.h>\n",
}

# name: (file, its new text, what the fault says)
PLANTED = {
    "an unknown module": ("worker/surprise.c", '#include "worker/surprise.h"\n', "surprise is not in the table"),
    "an include that points up": ("worker/ledger.h", H + '#include "worker/tick.h"\n', "ledger includes worker/tick.h"),
    "an include beside, given without folder": ("worker/lanes.h", H + '#include "tick.h"\n', "lanes includes worker/tick.h"),
    "an include of the same row": ("worker/lanes.h", H + '#include "worker/intake.h"\n', "lanes includes worker/intake.h"),
    "a part that points up": ("worker/ledger_rows.c", '#include "worker/ledger.h"\n#include "worker/tokens.h"\n', "ledger includes worker/tokens.h"),
    "a subcommand used by a module": ("worker/tick.h", H + '#include "worker/cmd_tail.h"\n', "tick includes worker/cmd_tail.h"),
    "a pure file above itself": ("worker/window.h", H + '#include "worker/ledger.h"\n', "window includes worker/ledger.h"),
    "common that knows the worker": ("common/base.h", H + '#include "worker/window.h"\n', "common/ includes worker/window.h"),
    "a pure file with a port": ("worker/window.h", H + '#include "common/pg.h"\n', "window is pure"),
    "a pure file with a clock": ("worker/window.h", H + '#include "common/clock.h"\n', "window is pure"),
    "a pure file that logs": ("worker/lead_event.h", H + '#include "common/log.h"\n', "lead_event is pure"),
    "common that logs": ("common/pg.h", H + '#include "common/log.h"\n', "common/ never logs"),
    "librdkafka by another door": ("worker/intake.c", '#include "worker/intake.h"\n#include <librdkafka/rdkafka.h>\n', "may be included by common/kafka only"),
    "libpq by another door": ("worker/ledger.c", '#include "worker/ledger.h"\n#include <libpq-fe.h>\n', "by common/pg only"),
    "libcurl by another door": ("worker/lanes.c", '#include "worker/lanes.h"\n#include <curl/curl.h>\n', "by common/http only"),
    "libsodium by another door": ("worker/audit.c", '#include "worker/audit.h"\n#include <sodium.h>\n', "by common/secret only"),
    "microhttpd by another door": ("common/http.c", '#include "common/http.h"\n#include <microhttpd.h>\n', "by worker/health only"),
    "jansson by another door": ("worker/lead_event.c", '#include "worker/lead_event.h"\n#include <jansson.h>\n', "by common/json only"),
    "a door's name as a mere prefix": ("common/pgish.c", '#include "common/pgish.h"\n#include <libpq-fe.h>\n', "by common/pg only"),
    "another header first": ("worker/tick.c", '#include <stdio.h>\n#include "worker/tick.h"\n', "not its own header (tick.h)"),
    "no header at all": ("worker/tick.c", "int x;\n", "includes no header of its own"),
    "a header without guard": ("worker/lanes.h", "struct lanes;\n", "no #pragma once"),
    "a file too long": ("worker/lanes.h", H + "\n" * 800, "801 lines"),
    "a function too long": ("tests/unit/test_long.c", "void f(void)\n{\n" + "\t;\n" * 81 + "}\n", "a function of 81 lines"),
    "a circle of pure headers": ("worker/reasons.h", H + '#include "worker/lead_event.h"\n', "a circle: "),
    "a sandbox that leans on the worker": ("tests/sandbox/orgs.c", '#include "common/base.h"\n', "stands alone"),
}


def plant(top, files):
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_clean_tree_has_no_faults(tmp_path):
    plant(tmp_path, CLEAN)
    assert layers.faults_in(tmp_path) == []


@pytest.mark.parametrize("name", PLANTED)
def test_it_finds(name, tmp_path):
    file, text, says = PLANTED[name]
    plant(tmp_path, {**CLEAN, file: text})
    faults = layers.faults_in(tmp_path)
    assert [fault for fault in faults if fault.startswith(file + ":") or "circle" in says] == faults
    assert len(faults) == 1 and says in faults[0]


def test_every_check_has_a_planted_mistake(tmp_path):
    plant(tmp_path, CLEAN)
    found = set()
    for file, text, _ in PLANTED.values():
        plant(tmp_path, {**CLEAN, file: text})
        source = layers.Source(tmp_path, tmp_path / file)
        found |= {check for check in layers.CHECKS if list(check(source))}
    assert found == set(layers.CHECKS)


def test_the_command_ends_with_1_when_there_is_a_fault(tmp_path):
    command = [sys.executable, layers.__file__, str(tmp_path)]
    plant(tmp_path, CLEAN)
    assert subprocess.run(command, check=False).returncode == 0
    plant(tmp_path, {"worker/surprise.h": H})
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
