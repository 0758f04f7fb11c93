"""What the tests and the quickstart start and ask: PostgreSQL, Kafka, the sandbox and the worker."""

import os
import pathlib

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def build_dir():
    """Where meson built: ONBEHALF_BUILD, default build/ at the top."""
    return TOP / os.environ.get("ONBEHALF_BUILD", "build")
