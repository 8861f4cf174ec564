# mypy: ignore-errors
"""On the chip, imported ahead of main.py: raises alarms without end, each when the centre has closed the one before.

Weighs the heap after a collection: at rest between two alarms, and in the middle of the first few after each weighing.
"""

import gc
import json

import micropython

_WEIGHED_ALARMS = 3  # after each weighing at rest: what an alarm under way takes
_START_MS = 3000


def _say(**figures):
    print("bench " + json.dumps(figures))


class Presser:
    """A task of the supervisor."""

    name = "bench"

    def __init__(self, column, every, leaks):
        self._column = column
        self._every = every
        self._leaks = leaks
        self._kept = []
        self._raised = 0
        self._waits = True
        self.lowest = 1 << 29

    def step(self):
        column = self._column
        if self._waits and column.uplink.is_up():
            self._waits = False
            return _START_MS
        if self._waits or column.incidents.count() or column.outbox.next() or column.uplink.in_flight:
            return 1
        if self._raised % self._every == 0:
            self._collect()
            _say(alarms=self._raised, live=gc.mem_alloc(), free=gc.mem_free(), lowest=self.lowest)
            micropython.mem_info()
        self._raised += 1
        if self._leaks:
            self._kept.append(bytes(15))
        column._pressed(40, False)
        self.weigh()
        column.incidents.released()
        return 1

    def weigh(self):
        if self._raised % self._every <= _WEIGHED_ALARMS:
            self._collect()

    def _collect(self):
        gc.collect()
        self.lowest = min(self.lowest, gc.mem_free())


def install(every, first_id, control):
    """Weigh every `every` alarms. `first_id`: the packet id before the first. `control`: "", "leak" or "wrap"."""
    from firmware.column import Column
    from firmware.session import PacketIds, Session

    make, publish, acknowledgement = Column.__init__, Session.publish, Column._acknowledgement
    pressers = []

    def made(self, *arguments):
        from firmware.supervisor import _Entry

        make(self, *arguments)
        pressers.append(Presser(self, every, control == "leak"))
        self.supervisor._entries.append(_Entry(pressers[0], self._board.ticks_ms()))
        self.uplink._ids._last = first_id

    def published(self, topic, *arguments):
        publish(self, topic, *arguments)
        if topic.endswith(b"/alarm"):
            pressers[0].weigh()

    def acknowledged(self, payload):
        pressers[0].weigh()
        acknowledgement(self, payload)

    def never_wraps(self, used):
        self._last += 1
        return self._last & 0xFFFF  # as it goes out

    Column.__init__, Session.publish, Column._acknowledgement = made, published, acknowledged
    if control == "wrap":
        PacketIds.next = never_wraps
