"""Keeps the network link up, in escalating steps: the driver's own retries, then the interface restarted, ever less
often, and last the chip: some faults of a driver, and hardware that failed as the board started, end in nothing else.
An outage of the broker resets nothing, and what matters is on flash."""

from firmware import const
from firmware.timing import Deadline, Stopwatch

_LOOK_MS = const(2000)
_DOUBLINGS_MAX = const(5)
_AGAIN_MS = const(10000)  # after a step that failed: nothing tries to join meanwhile
_AGAIN_DOUBLINGS_MAX = const(3)
_FAILURES_MAX = const(5)  # in a row, then the hardware counts as failed
# Without a link for so long, the chip is reset; after each reset in vain twice as long as before it.
_RESET_MS = const(3600000)
_FAILED_RESET_MS = const(15000)  # when hardware failed as it was made: a reset is its only other chance
_RESET_DOUBLINGS_MAX = const(6)


class LinkKeeper:
    """A task. `uplink_down_ms()`: how long there has been no session (0 = there is one)."""

    name = "link"

    def __init__(self, board, restart_after_s: int, uplink_down_ms, resets: int, column):
        """`resets`: so many in a row for want of a link led to this boot. `column`: what a reset would end."""
        self._board = board
        self._restart_ms = restart_after_s * 1000
        self._uplink_down_ms = uplink_down_ms
        self._resets = resets
        self._column = column
        self._down = Stopwatch(board)
        self._no_link = Stopwatch(board)
        self._pause = Deadline(board)
        self._restarts = 0
        self._failures = 0  # steps in a row that raised
        self._was_up = None
        self._try(board.link.start)

    def step(self) -> int:
        link = self._board.link
        up = link.is_up()
        if up != self._was_up:
            self._board.log("link: up %s" % link.describe() if up else "link: down")
            self._was_up = up
        if up:
            self._resets = 0
            self._no_link.restart()
        down_ms = self._down.ms()
        if up and not self._uplink_down_ms():
            self._restarts = 0
            self._pause.stop()
            self._down.restart()
        # The broker may be away: a link that says it is up gets twice the time before it is doubted.
        elif self._pause.expired() if self._pause.running() else down_ms >= self._restart_ms << up:
            self._restarts += 1
            self._board.log("link: restarting the interface (%d)" % self._restarts)
            self._pause.start(self._restart_ms << min(self._restarts - 1, _DOUBLINGS_MAX))
            self._try(link.restart)
        is_failed = link.failure or self._failures > _FAILURES_MAX
        limit_ms = (_FAILED_RESET_MS if is_failed else _RESET_MS) << min(self._resets, _RESET_DOUBLINGS_MAX)
        if self._no_link.ms() >= limit_ms:
            from firmware.startup.again import give_up

            give_up(self._column, self._resets + 1, link.failure or "no link for %d s" % (limit_ms // 1000))
        return _LOOK_MS

    def _try(self, step):
        try:
            step()
            self._failures = 0
        except OSError as error:
            self._board.log("link: %s" % error)
            self._pause.start(_AGAIN_MS << min(self._failures, _AGAIN_DOUBLINGS_MAX))
            self._failures += 1
