"""Leads that flow all the time, while a test breaks something."""

import random
import threading

from . import events


class Flow:
    """with Flow(world, users, per_second=300) as flow: …  Ends when the block does; then everything is in Kafka."""

    BATCH = 10

    def __init__(self, world, users, per_second=300, make=None):
        self.sent = []
        self._users = list(users)
        self._pause_s = self.BATCH / per_second
        self._make = make or (lambda user_id, n: events.lead_create(user_id=user_id))
        self._producer = events.Events(world.kafka.bootstrap, world.topics["lead_create"])
        self._stop = threading.Event()
        self._random = random.Random(1)
        self._trouble = None
        self._thread = threading.Thread(target=self._run, name="flow")

    def _run(self):
        try:
            while not self._stop.wait(self._pause_s):
                for _ in range(self.BATCH):
                    event = self._make(self._random.choice(self._users), len(self.sent))
                    self.sent.append(event)
                    self._producer.send(event, flush=False)
        except BaseException as trouble:  # noqa: BLE001 - told to the test's thread
            self._trouble = trouble

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        if self._trouble:
            raise self._trouble
        self._producer.flush(60)
