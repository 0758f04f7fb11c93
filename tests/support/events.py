"""lead.create events in, outcomes out: a producer and a read_committed consumer."""

import datetime
import itertools
import json
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from .kafka import CLIENT
from .processes import Late

SOURCE = "shop.example/web"
ORGANIZATION = "org_acme"
STRUCTURED = [("content-type", b"application/cloudevents+json")]
_numbers = itertools.count(1)


def rfc3339(moment=None):
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def lead_create(
    user_id="user_anna",
    organization_id=ORGANIZATION,
    event_id=None,
    lead=None,
    source=SOURCE,
    **attributes,
):
    """A lead.create CloudEvent as a dict; @attributes go to its top level (None takes one away)."""
    number = next(_numbers)
    data = {"user_id": user_id, "organization_id": organization_id}
    data["lead"] = lead or {"LastName": f"Lovelace {number}", "Company": "Analytical Engines"}
    if organization_id is None:
        del data["organization_id"]
    event = {
        "specversion": "1.0",
        "type": "lead.create",
        "source": source,
        "id": event_id or f"evt-{number}",
        "time": rfc3339(),
        "datacontenttype": "application/json",
        "data": data,
        **attributes,
    }
    return {name: value for name, value in event.items() if value is not None}


def binary_mode(event):
    """The same event in binary mode: (headers, value)."""
    headers = [("content-type", event.get("datacontenttype", "application/json").encode())]
    for name, value in event.items():
        if name not in ("data", "datacontenttype"):
            headers.append((f"ce_{name}", str(value).encode()))
    return headers, json.dumps(event["data"]).encode()


class Events:
    """Publishes lead.create events as a Java application would (same partition for the same key)."""

    def __init__(self, bootstrap, topic, **settings):
        self.topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "partitioner": "murmur2_random",
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 1,
                **CLIENT,
                **settings,
            }
        )
        self._producer.list_topics(topic, timeout=10)  # or the first event waits for it

    def send(self, event, key=None, headers=STRUCTURED, partition=None, flush=True):
        """Sends an event (dict, or the bytes themselves); its key is the user's id.  Returns @event."""
        value = json.dumps(event).encode() if isinstance(event, dict) else event
        if key is None and isinstance(event, dict):
            key = event["data"]["user_id"]
        where = {} if partition is None else {"partition": partition}
        while True:
            try:
                self._producer.produce(
                    self.topic, value, key, headers=headers, on_delivery=self._sent, **where
                )
                break
            except BufferError:
                self._producer.poll(0.1)
        if flush:
            self.flush()
        return event

    def send_all(self, events):
        events = list(events)
        for event in events:
            self.send(event, flush=False)
        self.flush()
        return events

    def flush(self, timeout_s=30.0):
        left = self._producer.flush(timeout_s)
        assert left == 0, f"{left} events were not taken by Kafka within {timeout_s:g} s"

    @staticmethod
    def _sent(error, message):
        assert error is None, f"could not publish to {message.topic()}: {error}"


def record_of(message):
    """A consumed message as a dict; @event is its value where that is JSON, @data the event's data."""
    headers = {name: value.decode(errors="replace") for name, value in message.headers() or []}
    value = message.value()
    try:
        event = json.loads(value) if value is not None else None
    except ValueError:
        event = None
    key = message.key()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "key": key.decode(errors="replace") if key is not None else None,
        "headers": headers,
        "value": value,
        "event": event,
        "data": event.get("data") if isinstance(event, dict) else None,
        # The input event's id: what a test asks for first.
        "of": event.get("subject") if isinstance(event, dict) else None,
    }


class Outcomes:
    """Collects everything visible to a read_committed consumer in these topics, from the start."""

    def __init__(self, bootstrap, topics, isolation="read_committed"):
        self.records = []
        self._wanted = set(topics)
        self._assigned = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "onbehalf-tests",  # assigned, never subscribed: no group is joined
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 20,
                "fetch.error.backoff.ms": 20,
                **CLIENT,
            }
        )

    def _assign(self):
        """Topics may appear later (the worker creates missing ones): look until all are there."""
        if not self._wanted:
            return
        topics = self.consumer.list_topics(timeout=10).topics
        there = {name for name in self._wanted if name in topics and topics[name].partitions}
        if not there:
            return
        positions = {(p.topic, p.partition): p for p in self.consumer.position(self._assigned)}
        for name in there:
            for number in topics[name].partitions:
                positions[name, number] = TopicPartition(name, number, OFFSET_BEGINNING)
        self._assigned = list(positions.values())
        for partition in self._assigned:
            if partition.offset < 0:
                partition.offset = OFFSET_BEGINNING
        self.consumer.assign(self._assigned)
        self._wanted -= there

    def poll(self, timeout_s=0.05):
        """Takes in what is there; True when something came."""
        self._assign()
        messages = self.consumer.consume(1, timeout_s)  # the first at once, then what is there
        if messages:
            messages += self.consumer.consume(1000, 0)
        for message in messages:
            if message.error() is None:
                self.records.append(record_of(message))
            elif message.error().code() not in (KafkaError._PARTITION_EOF, KafkaError._ALL_BROKERS_DOWN,
                                                KafkaError._TRANSPORT, KafkaError._RESOLVE):
                raise AssertionError(f"could not read outcomes: {message.error()}")
        return bool(messages)

    def matching(self, topic=None, of=None, where=None):
        """The records so far of a topic, for an input event (its id or the event), that satisfy where()."""
        event_id = of["id"] if isinstance(of, dict) else of
        return [
            record
            for record in self.records
            if (topic is None or record["topic"] == topic)
            and (event_id is None or record["of"] == event_id)
            and (where is None or where(record))
        ]

    def wait_for(self, count=1, timeout_s=15.0, **which):
        """Waits until @count records match; those records (more, when more came)."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.matching(**which)
            if len(found) >= count:
                return found
            if time.monotonic() >= deadline:
                got = [(r["topic"], r["of"], *((r["data"] or {}).get(name) for name in ("status", "reason")))
                       for r in self.records[-5:]]
                raise Late(f"{len(found)} of {count} outcomes within {timeout_s:g} s, {len(self.records)} in all;"
                           f" the last: {got}")
            self.poll()

    def wait_one(self, timeout_s=15.0, **which):
        """The one matching record; more than one by then is a failure."""
        found = self.wait_for(1, timeout_s, **which)
        assert len(found) == 1, f"expected one outcome, there are {len(found)}: {found}"
        return found[0]

    def settle(self, quiet_s=0.5, timeout_s=15.0):
        """Reads to the end of the topics: until nothing more came for @quiet_s."""
        deadline = time.monotonic() + timeout_s
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < quiet_s:
            if self.poll():
                quiet_since = time.monotonic()
            if time.monotonic() >= deadline:
                raise Late(f"outcomes still came after {timeout_s:g} s")
        return self.records

    def close(self):
        self.consumer.close()
