"""A private Kafka: one KRaft broker in a folder of its own, on free ports."""

import os
import pathlib
import shutil
import signal

from confluent_kafka.admin import AdminClient, NewTopic

from . import processes

VERSION = os.environ.get("ONBEHALF_KAFKA", "4.3.1")
CLUSTER_ID = "b25iZWhhbGYtdGVzdHMtMQ"
# The tests' own clients: silent, and soon back after the broker was away.
CLIENT = {
    "log_level": 0,
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "topic.metadata.refresh.fast.interval.ms": 10,
}
JVM = ["-Xms128m", "-Xmx512m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    # Few internal partitions: start and first transaction are much faster.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
    # Short sessions, so that the group of a worker killed by a test is soon free again.
    "group.min.session.timeout.ms": "1000",
    "log.cleaner.enable": "false",
    # After kill -9 the controller refuses the broker until its old session has run out.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "250",
}
PROPERTIES_OF_4 = {
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
}


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "onbehalf"


class Kafka:
    """Start it, then give @bootstrap to clients.  It keeps ports and data over stop, kill and start.

    With @proxied the broker also listens on proxied_listen_port for clients that were told
    proxied_port: a test puts its proxy between the two.
    """

    def __init__(self, folder, version=VERSION, proxied=False, **properties):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.version = version
        self.port = processes.free_port()
        self.controller_port = processes.free_port()
        self.proxied_listen_port = processes.free_port() if proxied else None
        self.proxied_port = processes.free_port() if proxied else None
        self.properties = {name.replace("_", "."): value for name, value in properties.items()}
        self.log = self.folder / "kafka.log"
        self.process = None
        self._admin = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def _jars(self):
        jars = cache_folder() / f"kafka-{self.version}"
        if not jars.is_dir():
            raise AssertionError("no Kafka here yet: run tests/support/install kafka")
        return f"{jars}/*"

    def _configure(self):
        listeners = [f"PLAINTEXT://127.0.0.1:{self.port}"]
        advertised = list(listeners)
        if self.proxied_port:
            listeners.append(f"PROXIED://127.0.0.1:{self.proxied_listen_port}")
            advertised.append(f"PROXIED://127.0.0.1:{self.proxied_port}")
        listeners.append(f"CONTROLLER://127.0.0.1:{self.controller_port}")
        settings = {
            **PROPERTIES,
            **(PROPERTIES_OF_4 if not self.version.startswith("3.") else {}),
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "log.dirs": str(self.folder / "data"),
            **self.properties,
        }
        path = self.folder / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    def _format(self, config):
        """The formatted folder names no port, so one made once serves every broker of a version."""
        data = self.folder / "data"
        if data.exists():
            return
        ready = cache_folder() / f"kafka-{self.version}-formatted"
        if not ready.is_dir():
            processes.run(
                ["java", *JVM, "-cp", self._jars(), "kafka.tools.StorageTool"]
                + ["format", "-t", CLUSTER_ID, "-c", config]
            )
            fresh = ready.with_name(f"{ready.name}.{os.getpid()}")
            shutil.copytree(data, fresh)
            try:
                fresh.rename(ready)
            except OSError:  # somebody else was first
                shutil.rmtree(fresh)
            return
        shutil.copytree(ready, data)

    def start(self, timeout_s=60.0):
        config = self._configure()
        self._format(config)
        self.process = processes.Process(
            ["java", *JVM, "-cp", self._jars(), "kafka.Kafka", config], self.log, cwd=self.folder
        )
        self.process.wait_ready(self._answers, timeout_s, "Kafka")
        return self

    def _answers(self):
        if not processes.listening(self.port):
            return False
        try:
            return bool(self.admin().list_topics(timeout=2).brokers)
        except Exception:  # noqa: BLE001 - whatever the client says while it starts
            return False

    def stop(self):
        """An orderly end; the JVM reports SIGTERM as 143."""
        if self.process and self.process.running():
            code = self.process.stop(signal.SIGTERM, timeout_s=30)
            assert code in (0, 143, -signal.SIGTERM), self.process.tail()

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        return self.start()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def admin(self):
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, **CLIENT})
        return self._admin

    def create_topics(self, *names, partitions=4, config=None):
        """Creates them and waits until clients can see every partition."""
        asked = [
            NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
            for name in names
        ]
        for answer in self.admin().create_topics(asked, request_timeout=20).values():
            answer.result()
        processes.wait_until(lambda: self._seen(names, partitions), 20, "the new topics")

    def _seen(self, names, partitions):
        topics = self.admin().list_topics(timeout=5).topics
        return all(
            name in topics
            and len(topics[name].partitions) == partitions
            and all(p.leader >= 0 for p in topics[name].partitions.values())
            for name in names
        )

    def delete_topics(self, *names):
        for answer in self.admin().delete_topics(list(names), request_timeout=20).values():
            answer.result()
