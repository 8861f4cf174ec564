"""Looks at the stream on schedule: are its endpoints there? In memory only where there is room for a look.

None begins while the contact moves or there is no session, and one under way is given up then. The stream is looked at
soon after a session began, too, and once more in a call, as soon as the centre has all of it.
"""

from firmware import const
from firmware.drills import plan
from firmware.incident import RECEIVED
from firmware.timing import Deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IDLE_MS = const(2000)
_POLL_MS = const(50)
_SOON_MS = const(10000)  # after the first failure; after a session began; in a call
# Of free heap, or no look: it takes 3.5 KB, and is given up for an alarm.
_ROOM_BYTES = const(8192)
_FAILURES_MAX = const(1)  # in a row, until the stream counts as down: one lost datagram is no fault


class Looks:
    """A task. `column`: whose parts it looks at, and whose faults it raises."""

    name = "looks"

    def __init__(self, board, config, column):
        self._board = board
        self._column = column
        self._uris = config["stream"]
        self._every_ms = config["selftest"]["stream_s"] * 1000
        self._due = Deadline(board)
        self._look: Any = None  # under way: a generator, see probe.py
        self._failures = 0
        self._calls = 0  # open incidents, when last seen
        self._owed = False  # a look in the call that is open
        plan(board, self._due, self._every_ms, True)

    def step(self) -> int:
        column = self._column
        is_due = self._due.expired()  # asked each time: that keeps its stopwatch going, see timing.py
        calls = column.incidents.count()
        if calls > self._calls and self._every_ms:
            self._owed = is_due = True
            self._due.start(0)
        self._calls = calls
        if calls and not (self._owed and self._centre_knows()) or column.button.is_busy() or not column.uplink.is_up():
            self.give_up()
            return _IDLE_MS
        return self._look_on() if is_due or self._look is not None else _IDLE_MS

    def online(self) -> None:
        """A session began: look soon, not in a quarter of an hour."""
        if self._every_ms and self._due.left_ms(0) > _SOON_MS:
            plan(self._board, self._due, _SOON_MS, True)

    def give_up(self) -> None:
        """Something better is to be done: a look ends without a verdict, gives its memory back, and comes again."""
        if self._look is not None:
            self._look.close()
            self._look = None
            self._board.discard("firmware.probe")

    def _centre_knows(self):
        """All of the call: then a look is in nobody's way."""
        newest = self._column.incidents.current()
        return not self._column.incidents.is_waiting() and (newest is None or newest.state >= RECEIVED)

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
            plan(self._board, self._due, self._every_ms, False)
        except (OSError, ImportError) as error:
            self._looked(str(error))
        return _IDLE_MS

    def _looked(self, error):
        """`error`: what is wrong, or None when every endpoint answered."""
        column = self._column
        self.give_up()
        self._failures = self._failures + 1 if error else 0
        is_known = not error or self._failures > _FAILURES_MAX
        plan(self._board, self._due, self._every_ms if is_known else _SOON_MS, not error)
        if not error:
            if column.clock.source != "none":
                column.messages.stream_ok_at = column.clock.now_ms()
            column.faults.set("stream-down", None)
            if self._owed:
                column.telemetry.report()  # the alarm has left: the centre hears of it here
        elif is_known:
            column.faults.set("stream-down", error)
        self._owed = self._owed and not is_known
