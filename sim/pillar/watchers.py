"""Who looks at one pillar. How many may at a time is limited: each needs encoders of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

WATCHERS_MAX = 4


class Full(Exception):
    """As many watch as may."""


class Watchers:
    """Counts those who watch one pillar, by WHEP or by MPEG-TS. `changed` is called without arguments."""

    def __init__(self, changed: Callable[[], None] = lambda: None, limit: int = WATCHERS_MAX) -> None:
        self._changed, self._limit = changed, limit
        self._lock = threading.Lock()
        self.count = 0
        self._by_rtsp = 0

    @property
    def all(self) -> int:
        """With those of the camera beside this pillar."""
        return self.count + self._by_rtsp

    def by_rtsp(self, count: int) -> None:
        """So many watch the camera beside this pillar, whose encoders are its own."""
        self._by_rtsp = count
        self._changed()

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block lasts. Raises Full."""
        with self._lock:
            if self.count >= self._limit:
                raise Full(f"{self._limit} watch this pillar already, and no more can: try again later")
            self.count += 1
        self._changed()
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1
            self._changed()
