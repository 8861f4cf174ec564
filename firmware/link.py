"""Keeps the network link up, in escalating steps: the driver's own retries, then the interface restarted, ever less
often. Never a reset: an outage of a week is not a fault of the column, and a reset would only add its own risks."""

from firmware import const
from firmware.timing import Deadline, Stopwatch

_LOOK_MS = const(2000)
_DOUBLINGS_MAX = const(5)


class LinkKeeper:
    """A task. `uplink_down_ms()`: how long there has been no session (0 = there is one)."""

    name = "link"

    def __init__(self, board, restart_after_s: int, uplink_down_ms):
        self._board = board
        self._restart_ms = restart_after_s * 1000
        self._uplink_down_ms = uplink_down_ms
        self._down = Stopwatch(board)
        self._pause = Deadline(board)
        self._restarts = 0
        self._was_up = None
        board.link.start()

    def step(self) -> int:
        up = self._board.link.is_up()
        if up != self._was_up:
            self._board.log("link: up %s" % self._board.link.describe() if up else "link: down")
            self._was_up = up
        if up and not self._uplink_down_ms():
            self._restarts = 0
            self._pause.stop()
            self._down.restart()
        elif up and self._down.ms() < self._restart_ms * 2:
            pass  # the broker may be away: give it twice the time before doubting a link that says it is up
        elif self._down.ms() >= self._restart_ms and (not self._pause.running() or self._pause.expired()):
            self._restart()
        return _LOOK_MS

    def _restart(self):
        self._board.log("link: restarting the interface (%d)" % (self._restarts + 1))
        self._pause.start(self._restart_ms << min(self._restarts, _DOUBLINGS_MAX))
        self._restarts += 1
        try:
            self._board.link.restart()
        except OSError as error:
            self._board.log("link: restart failed: %s" % error)
