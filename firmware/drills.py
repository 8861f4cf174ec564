"""Drills on schedule: does the centre answer a test alarm? And is the supply high enough?

A button waits years between two uses: what has failed silently must be found before somebody needs it. A drill is an
alarm, and no more, so every column has room for it; who answered, drill.py judges where it finds some. None begins
while the contact moves, an incident is open or there is no session.
"""

from firmware import const
from firmware.timing import Deadline

_IDLE_MS = const(2000)
_AGAIN_MS = const(300000)  # at the latest, after a failure
_HYSTERESIS = const(32)  # the supply has to rise by this share of its limit until it counts as good again


class Drills:
    """A task. `column`: whose parts it looks at, and whose faults it raises."""

    name = "drills"

    def __init__(self, board, config, column):
        self._board = board
        self._column = column
        self.low_mv = config["supply"]["low_mv"]
        self._every_ms = config["selftest"]["drill_s"] * 1000
        self._due = Deadline(board)
        self.ended(True)

    def step(self) -> int:
        column = self._column
        self._weigh_supply()
        is_due = self._due.expired()  # asked each time: that keeps its stopwatch going, see timing.py
        if is_due and column.uplink.is_up() and not (column.incidents.count() or column.button.is_busy()):
            self._due.stop()
            column.incidents.start_drill()
            column.supervisor.hurry()
        return _IDLE_MS

    def ended(self, answered: bool) -> None:
        """On schedule or by command: the next one counts from now."""
        plan(self._board, self._due, self._every_ms, answered)

    def _weigh_supply(self):
        supply_mv = self._board.supply_mv() if self.low_mv else None
        if supply_mv is None:
            return
        if supply_mv < self.low_mv:
            self._column.faults.set("supply", "%d mV, less than %d" % (supply_mv, self.low_mv))
        elif supply_mv >= self.low_mv + self.low_mv // _HYSTERESIS:
            self._column.faults.set("supply", None)


def plan(board, due, every_ms: int, is_good: bool) -> None:
    """Half fixed, half random: columns that were switched on together do not ask the centre together."""
    if every_ms:
        half_ms = (every_ms if is_good else min(every_ms, _AGAIN_MS)) // 2
        due.start(half_ms + board.random(half_ms + 1))
