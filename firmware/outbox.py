"""Telemetry that waits for the link. Bounded: what does not fit is dropped, oldest first, and counted.

Retained messages (`state`, `info`, `fault/*`) are kept one per topic, the newest; they are few and never dropped.
Alarms never pass through here.
"""

from firmware import const

_EVENTS_MAX = const(16)


class Outbox:
    def __init__(self):
        self.retained = []  # (topic, payload)
        self.events = []
        self.dropped = 0

    def retain(self, topic: bytes, payload) -> None:
        """`payload`: bytes, or for a long one a function that makes them when its turn has come."""
        self.retained = [one for one in self.retained if one[0] != topic]
        self.retained.append((topic, payload))

    def add(self, topic: bytes, payload: bytes) -> None:
        if len(self.events) >= _EVENTS_MAX:
            del self.events[0]
            self.dropped += 1
        self.events.append((topic, payload))

    def next(self):
        """(topic, payload, retain) to send, or None. It stays until `done`."""
        if self.retained:
            return self.retained[0] + (True,)
        return self.events[0] + (False,) if self.events else None

    def taken(self, item) -> None:
        """It is on its way: the next one may follow."""
        queue = self.retained if item[2] else self.events
        if queue and queue[0][:2] == item[:2]:
            del queue[0]

    def put_back(self, items: list) -> None:
        """The connection that carried them is gone before the broker had them."""
        for topic, payload, retain in reversed(items):
            if not retain:
                self.events.insert(0, (topic, payload))
            elif not any(one[0] == topic for one in self.retained):
                self.retained.insert(0, (topic, payload))
        while len(self.events) > _EVENTS_MAX:
            del self.events[0]
            self.dropped += 1
