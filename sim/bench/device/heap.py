# mypy: ignore-errors
"""On the chip, imported ahead of main.py: weighs the live heap, and raises alarms as fast as they are closed.

Live = gc.mem_alloc() right after gc.collect(). `OWN_BYTES`: what this module itself takes.
"""

import gc
import json

import esp32

_SETTLE_STEPS = 300  # of 10 ms, after the first session
_STEP_MS = 10
_WEIGHED_ALARMS = 10  # weighed at every stage; the later ones only in between


def live():
    gc.collect()
    return gc.mem_alloc()


def _say(**figures):
    print("bench " + json.dumps(figures))


class Presser:
    """A task of the supervisor: one press after the other, each when the one before was closed by the centre."""

    name = "bench"

    def __init__(self, column, count, samples):
        self._column = column
        self._count = count
        self._every = max(1, count // samples)
        self._settle = _SETTLE_STEPS
        self._raised = 0
        self.highest = 0

    def step(self):
        column = self._column
        if self._settle:
            if column.uplink.is_up():
                self._settle -= 1
                if not self._settle:
                    _say(idle=live(), idf=sum(one[1] for one in esp32.idf_heap_info(esp32.HEAP_DATA)))
            return _STEP_MS
        if column.incidents.count():
            return 1
        if self._raised % self._every == 0:
            _say(alarms=self._raised, live=live(), highest=self.highest)
        if self._raised == self._count:
            self._settle = 1 << 29  # done
            return _STEP_MS
        self._raised += 1
        column._pressed(column.button._press_ms, False)
        self.weigh()
        column.incidents.released()
        return 1

    def weigh(self):
        if self._raised <= _WEIGHED_ALARMS:
            self.highest = max(self.highest, live())


def install(count, samples):
    """Raise `count` alarms; report the live heap about `samples` times."""
    from firmware.column import Column
    from firmware.session import Session
    from firmware.supervisor import _Entry

    make, publish, acknowledgement = Column.__init__, Session.publish, Column._acknowledgement
    pressers = []

    def made(self, board, *arguments):
        make(self, board, *arguments)
        pressers.append(Presser(self, count, samples))
        self.supervisor._entries.append(_Entry(pressers[0], board.ticks_ms()))

    def published(self, topic, *arguments):
        publish(self, topic, *arguments)
        if topic.endswith(b"/alarm"):
            pressers[0].weigh()

    def acknowledged(self, payload):
        pressers[0].weigh()
        acknowledgement(self, payload)

    Column.__init__, Session.publish, Column._acknowledgement = made, published, acknowledged


def say_own_bytes(before):
    """`before`: live heap ahead of this module's import."""
    _say(own=live() - before)
