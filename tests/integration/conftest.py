"""What every integration test gets: `world`, with a database, topics, an org and workers of its own."""

import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import kafka as kafka_module  # noqa: E402
from support import postgres as postgres_module  # noqa: E402
from support import processes, sandbox as sandbox_module, tls as tls_module  # noqa: E402
from support import world as world_module  # noqa: E402

DEFAULT_TIME_LIMIT_S = 60


def pytest_configure(config):
    config.addinivalue_line("markers", "time_limit(seconds): how long one test may take")
    config.addinivalue_line("markers", "world(**options): options of the world fixture (partitions, …)")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class OutOfTime(BaseException):
    """Not an Exception: no test may swallow it."""


@pytest.fixture(autouse=True)
def time_limit(request):
    marker = request.node.get_closest_marker("time_limit")
    seconds = marker.args[0] if marker else DEFAULT_TIME_LIMIT_S

    def too_late(*_):
        raise OutOfTime(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def folder():
    with processes.temporary_folder("onbehalf-integration-") as path:
        yield path


@pytest.fixture(scope="session")
def kafka(folder):
    """The Kafka that all tests share.  Who stops it takes one of his own: with this many topics it starts slowly."""
    server = kafka_module.Kafka(folder / "kafka").start()
    yield server
    server.kill()  # an orderly end takes long with this many topics, and nothing of it is kept


@pytest.fixture(scope="session")
def postgres(folder):
    """The PostgreSQL that all tests share.  A test that stops it starts it again."""
    server = postgres_module.Postgres(folder / "postgres").start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(postgres, folder):
    return world_module.make_template(postgres, folder / "template")


@pytest.fixture(scope="session")
def tls(folder):
    return tls_module.Tls(folder / "tls")


@pytest.fixture(scope="session")
def sandbox(folder, tls):
    server = sandbox_module.Sandbox(folder / "sandbox", tls).start()
    yield server
    server.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Puts the tails of the workers' logs under a failed test."""
    report = (yield).get_result()
    if not report.failed:
        return
    for world in getattr(item, "worlds", []):
        for worker in world.workers:
            report.sections.append((f"log of {worker.name}", worker.tail()))
        report.sections.append(("log of the sandbox", world.sandbox.process.tail(20)))


@pytest.fixture
def make_world(request, tmp_path_factory, kafka, postgres, sandbox, template):
    """A factory, for a test that wants options or several: make_world(tls=True, partitions=2, kafka=another)."""
    request.node.worlds = []

    def make(**options):
        for server in (postgres, kafka, sandbox):
            if not server.process.running():  # an earlier test failed half-way
                server.start()
        place = tmp_path_factory.mktemp("world")
        broker = options.pop("kafka", kafka)
        world = world_module.World(place, broker, postgres, sandbox, template, **options)
        request.node.worlds.append(world)
        return world

    yield make

    troubles = []
    for world in request.node.worlds:
        try:
            world.close()
        except AssertionError as trouble:
            troubles.append(trouble)
    if troubles:
        raise troubles[0]


@pytest.fixture
def world(request, make_world):
    marker = request.node.get_closest_marker("world")
    return make_world(**(marker.kwargs if marker else {}))
