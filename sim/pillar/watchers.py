"""How many may look at one pillar at a time: each needs encoders of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

WATCHERS_MAX = 4


class Full(Exception):
    """As many watch as may."""


class Watchers:
    """Counts those who watch one pillar, by WHEP or by MPEG-TS. For one event loop."""

    def __init__(self, limit: int = WATCHERS_MAX) -> None:
        self._limit = limit
        self.count = 0

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Take a place for as long as the block lasts. Raises Full."""
        if self.count >= self._limit:
            raise Full(f"{self._limit} watch this pillar already, and no more can: try again later")
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
