"""Records, keys and headers of any size: each has its answer, and none stalls the outcomes."""

import hashlib
import random

import confluent_kafka
import pytest
from support import checks

SMALL = {"max.message.bytes": "20000"}
LARGE = {"max.message.bytes": str(12 << 20)}


@pytest.fixture
def sized(make_world):
    """A world whose input topic takes large records, and whose lead.invalid takes small ones only."""

    def make(invalid=None):
        world = make_world(create_topics=False, partitions=1)
        for key, topic in world.topics.items():
            config = LARGE if key == "lead_create" else invalid if key == "lead_invalid" else None
            world.kafka.create_topics(topic, partitions=1, config=config)
        return world

    return make


def produce(world, value, key=b"k", headers=()):
    producer = confluent_kafka.Producer({"bootstrap.servers": world.kafka.bootstrap, "message.max.bytes": 12 << 20})
    producer.produce(world.topics["lead_create"], value=value, key=key, headers=list(headers))
    assert producer.flush(20) == 0


def invalid(world, reason):
    record = world.outcomes.wait_for(1, topic=world.topics["lead_invalid"], timeout_s=20)[0]
    assert record["headers"]["onbehalf_reason"] == reason
    return record


def goes_on(world):
    """What comes after it is answered."""
    world.connect("user_anna")
    assert world.result(world.send(user_id="user_anna"), timeout_s=20)["status"] == "created"
    checks.assert_accounted(world)


def test_a_record_of_10_mb_is_answered_with_its_beginning(sized):
    world = sized()
    world.worker()
    value = b"x" * (10 << 20)
    produce(world, value)
    record = invalid(world, "too_large")
    assert record["headers"]["onbehalf_length"] == str(len(value))
    assert record["headers"]["onbehalf_digest"] == "sha256:" + hashlib.sha256(value).hexdigest()
    assert 800_000 < len(record["value"]) <= 900_000 and set(record["value"]) == {ord("x")}
    goes_on(world)


def test_a_topic_that_takes_little_gets_what_fits(sized):
    world = sized(invalid=SMALL)
    worker = world.worker()
    value = b"#" + random.Random(1).randbytes(512000)  # nothing to compress
    produce(world, value)
    record = invalid(world, "not_cloudevent")
    assert 0 < len(record["value"]) < 20000 and value.startswith(record["value"])
    assert record["headers"]["onbehalf_digest"] == "sha256:" + hashlib.sha256(value).hexdigest()
    assert worker.logged("a record is larger than its topic takes: lead.invalid keeps less of the original")
    goes_on(world)


def test_a_large_key_is_told_by_its_length(sized):
    world = sized()
    world.worker()
    produce(world, b"{}", key=b"k" * (1 << 20))
    record = invalid(world, "too_large")
    assert record["headers"]["onbehalf_path"] == "key" and record["value"] == b"{}"
    goes_on(world)


def test_the_original_key_and_headers_come_back(sized):
    world = sized()
    world.worker()
    produce(world, b"not an event", key=b"some key", headers=[("trace", b"t-1"), ("empty", b""), ("onbehalf_reason", b"forged")])
    record = invalid(world, "not_cloudevent")
    assert record["key"] == "some key" and record["value"] == b"not an event"
    assert record["headers"]["trace"] == "t-1" and record["headers"]["empty"] == ""
    goes_on(world)
