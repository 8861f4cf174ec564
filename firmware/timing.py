"""Time as the firmware uses it: durations, never dates.

The chip's ticks wrap at 2**30 ms (12.4 days) and differences are good for half of that, so a long time is added up in
small steps: whoever holds one of these looks at it at least once in six days (every task is stepped every 2 s).
"""


class Stopwatch:
    """Milliseconds since it was made (or restarted), any length."""

    def __init__(self, board, ms: int = 0):
        self._board = board
        self.restart(ms)

    def restart(self, ms: int = 0) -> None:
        self._ms = ms
        self._last = self._board.ticks_ms()

    def ms(self) -> int:
        now = self._board.ticks_ms()
        self._ms += self._board.ticks_diff(now, self._last)
        self._last = now
        return self._ms


class Deadline(Stopwatch):
    """The one way to bound a wait. It stays expired until it is started or stopped again."""

    def __init__(self, board, ms=None):
        super().__init__(board)
        self._limit_ms = ms  # None: not running

    def start(self, ms: int) -> None:
        self._limit_ms = ms
        self.restart()

    def stop(self) -> None:
        self._limit_ms = None

    def running(self) -> bool:
        return self._limit_ms is not None

    def expired(self) -> bool:
        return self._limit_ms is not None and self.ms() >= self._limit_ms

    def left_ms(self, otherwise: int) -> int:
        """Milliseconds left, at least 0; `otherwise` when it is not running."""
        if self._limit_ms is None:
            return otherwise
        return max(0, self._limit_ms - self.ms())
