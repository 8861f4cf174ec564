"""Another desk under this desk's name at the broker: one that was started on a copy of this folder. Each connection of
one ends the other's, again and again, and a call reaches whichever has the session just then."""

from __future__ import annotations

from collections import deque

ENDS, WITHIN_MS = 4, 10_000
"""So many connections that had stood, ended by the broker within that time. One that starts again ends one."""
QUIET_MS = 20_000
"""So long no connection must have been ended until the other is taken to have gone."""


class Rival:
    """Told of a line's connections by monotonic milliseconds."""

    def __init__(self) -> None:
        self._ended_ms: deque[int] = deque(maxlen=ENDS)
        self._is_there = False

    def ended(self, now_ms: int) -> None:
        """The broker has ended a connection that stood."""
        self._ended_ms.append(now_ms)
        if len(self._ended_ms) == ENDS and now_ms - self._ended_ms[0] <= WITHIN_MS:
            self._is_there = True

    def is_there(self, now_ms: int) -> bool:
        if self._is_there and now_ms - self._ended_ms[-1] > QUIET_MS:
            self._is_there = False
        return self._is_there
