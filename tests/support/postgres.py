"""A private PostgreSQL 15: a cluster in a folder of its own, on a free port of 127.0.0.1."""

import contextlib
import os
import pathlib
import signal

import psycopg2
import psycopg2.extras

from . import processes

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_wal_size": "512MB",
    "autovacuum_naptime": "10s",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",  # a failed statement may hold lead data
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
    "lc_messages": "C",
}


class Postgres:
    """Start it, then ask url(database) for where clients connect.  Keeps port and data over restarts."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"
        self.port = processes.free_port()
        self.settings = {**SETTINGS, **settings, "port": self.port}
        self.account = processes.service_user("postgres")
        self.superuser = "postgres"
        self.process = None

    def _init(self):
        if self.data.exists():
            return
        if self.account:
            os.chown(self.folder, self.account.pw_uid, self.account.pw_gid)
        processes.run(
            [BIN / "initdb", "-D", self.data, "-U", self.superuser, "-A", "trust"]
            + ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            account=self.account,
        )

    def start(self, timeout_s=30.0):
        self._init()
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        self.process = processes.Process(
            [BIN / "postgres", "-D", self.data, *options],
            self.log,
            cwd=self.folder,
            account=self.account,
            # Should we die: leave no shared memory behind.
            death_signal=signal.SIGQUIT,
        )
        self.process.wait_ready(self._answers, timeout_s, "PostgreSQL")
        return self

    def _answers(self):
        try:
            self.connect(connect_timeout=2).close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self):
        """A fast shutdown: clients are cut off, everything is written."""
        if self.process and self.process.running():
            self.process.stop(signal.SIGINT, timeout_s=30)

    def kill(self):
        """kill -9 of the server; its backends follow by themselves, and are gone when this returns."""
        self.process.kill()
        processes.wait_until(lambda: not self._session_alive(), 10, "PostgreSQL's backends to end")

    def _session_alive(self):
        # The server leads a session; its backends make process groups of their own within it.
        # Zombies do not count: they hold nothing, and whether init reaps them is not ours to see.
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                return True
        return False

    def restart(self):
        self.stop()
        return self.start()

    def url(self, database="postgres", user=None):
        return f"postgresql://{user or self.superuser}@127.0.0.1:{self.port}/{database}"

    def connect(self, database="postgres", user=None, **options):
        """A psycopg2 connection in autocommit mode; the caller closes it."""
        connection = psycopg2.connect(self.url(database, user), **options)
        connection.autocommit = True
        return connection

    def sql(self, query, *values, database="postgres", user=None):
        """Runs one statement; its rows as a list of dicts ([] where it has none)."""
        with contextlib.closing(self.connect(database, user)) as connection:
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(query, values or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []

    def scalar(self, query, *values, database="postgres", user=None):
        """The first column of the first row, or None."""
        rows = self.sql(query, *values, database=database, user=user)
        return next(iter(rows[0].values())) if rows else None

    def create_database(self, name, template=None):
        copy = f' TEMPLATE "{template}"' if template else ""
        self.sql(f'CREATE DATABASE "{name}"{copy}')
        return name

    def drop_database(self, name):
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def create_role(self, name, member_of):
        """A role that may log in, unless it is there (roles belong to the whole cluster)."""
        if not self.scalar("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
            self.sql(f'CREATE ROLE "{name}" LOGIN IN ROLE "{member_of}"')
