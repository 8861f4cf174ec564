"""Self-test on schedule: is the stream's endpoint there, does the centre answer a drill, is the supply high enough?

A button waits years between two uses: what has failed silently must be found before somebody needs it. Nothing of this
begins while the contact moves, an incident is open or there is no session, and a look at the stream is given up then.
The stream is looked at soon after a session began, too, and once more in a call, as soon as the centre has all of it.
"""

from firmware import const
from firmware.incident import RECEIVED
from firmware.timing import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IDLE_MS = const(2000)
_POLL_MS = const(50)
_AGAIN_MS = const(300000)  # at the latest, after a failure
_SOON_MS = const(10000)  # ... after the first one; after a session began; in a call
# Of free heap, or no look: it leaves 7 KB, and is given up for a press. 112 KB, an ESP32 without PSRAM, has 11.7 KB.
_ROOM_BYTES = const(10240)
_FAILURES_MAX = const(1)  # in a row, until the stream counts as down: one lost datagram is no fault
_HYSTERESIS = const(32)  # the supply has to rise by this share of its limit until it counts as good again


class SelfTest:
    """A task. `column`: whose parts it looks at, and whose faults it raises."""

    name = "selftest"

    def __init__(self, board, config, column):
        self._board = board
        self._column = column
        self._uris = config["stream"]
        self.low_mv = config["supply"]["low_mv"]
        self._stream_ms = config["selftest"]["stream_s"] * 1000
        self._drill_ms = config["selftest"]["drill_s"] * 1000
        self._stream_due = Deadline(board)
        self._drill_due = Deadline(board)
        self._look: Any = None  # at the stream, under way: a generator, see probe.py
        self._failures = 0
        self._calls = 0  # open incidents, when last seen
        self._owed = False  # a look in the call that is open
        self._plan(self._stream_due, self._stream_ms, True)
        self._plan(self._drill_due, self._drill_ms, True)

    def step(self) -> int:
        column = self._column
        self._weigh_supply()
        # Both are asked each time: that keeps their stopwatches going, see timing.py.
        stream_due, drill_due = self._stream_due.expired(), self._drill_due.expired()
        calls = column.incidents.count()
        if calls > self._calls and self._stream_ms:
            self._owed = stream_due = True
            self._stream_due.start(0)
        self._calls = calls
        if calls and not (self._owed and self._centre_knows()) or column.button.is_busy() or not column.uplink.is_up():
            self.give_up()
            return _IDLE_MS
        if drill_due and not calls:
            self._drill_due.stop()
            column.incidents.start_drill()
            column.supervisor.hurry()
        return self._look_on() if stream_due or self._look is not None else _IDLE_MS

    def online(self) -> None:
        """A session began: look soon, not in a quarter of an hour."""
        if self._stream_ms and self._stream_due.left_ms(0) > _SOON_MS:
            self._plan(self._stream_due, _SOON_MS, True)

    def _centre_knows(self):
        """All of the call: then a look is in nobody's way."""
        newest = self._column.incidents.current()
        return not self._column.incidents.is_waiting() and (newest is None or newest.state >= RECEIVED)

    def drilled(self, answered: bool) -> None:
        """A drill has ended, on schedule or by command: the next one counts from now."""
        self._plan(self._drill_due, self._drill_ms, answered)

    def give_up(self) -> None:
        """Something better is to be done: a look ends without a verdict, gives its memory back, and comes again."""
        if self._look is not None:
            self._look.close()
            self._look = None
            self._board.forget("firmware.probe")

    def _plan(self, due, every_ms, is_good):
        """Half fixed, half random: columns that were switched on together do not ask the centre together."""
        if every_ms:
            half_ms = (every_ms if is_good else min(every_ms, _AGAIN_MS)) // 2
            due.start(half_ms + self._board.random(half_ms + 1))

    # -- the stream

    def _look_on(self):
        try:
            if self._look is None:
                self._board.collect()
                if self._board.heap() < _ROOM_BYTES:
                    raise MemoryError
                from firmware.probe import probe  # 3 KB, forgotten again afterwards

                self._look = probe(self._board, self._uris)
            next(self._look)
            return _POLL_MS
        except StopIteration:
            self._looked(None)
        except MemoryError:  # tells nothing about the stream
            self.give_up()
            self._plan(self._stream_due, self._stream_ms, False)
        except (OSError, ImportError) as error:
            self._looked(str(error))
        return _IDLE_MS

    def _looked(self, error):
        """`error`: what is wrong, or None when every endpoint answered."""
        column = self._column
        self.give_up()
        self._failures = self._failures + 1 if error else 0
        is_known = not error or self._failures > _FAILURES_MAX
        self._plan(self._stream_due, self._stream_ms if is_known else _SOON_MS, not error)
        if not error:
            if column.clock.source != "none":
                column.messages.stream_ok_at = column.clock.now_ms()
            column.faults.set("stream-down", None)
            if self._owed:
                column.telemetry.report()  # the alarm has left: the centre hears of it here
        elif is_known:
            column.faults.set("stream-down", error)
        self._owed = self._owed and not is_known

    # -- the supply

    def _weigh_supply(self):
        supply_mv = self._board.supply_mv() if self.low_mv else None
        if supply_mv is None:
            return
        if supply_mv < self.low_mv:
            self._column.faults.set("supply", "%d mV, less than %d" % (supply_mv, self.low_mv))
        elif supply_mv >= self.low_mv + self.low_mv // _HYSTERESIS:
            self._column.faults.set("supply", None)
