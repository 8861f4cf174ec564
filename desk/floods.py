"""Columns that say far too much: each is told of once in the log, when it begins and when it has ended."""

from __future__ import annotations

import logging
from collections.abc import Iterable

log = logging.getLogger("desk.duty")


class Floods:
    """`desk`: its name."""

    def __init__(self, desk: str) -> None:
        self._desk = desk
        self.now: set[str] = set()

    def look(self, flooding: Iterable[str]) -> bool:
        """Whether something has changed."""
        before, self.now = self.now, set(flooding)
        for device_id in sorted(self.now - before):
            text = "desk %s: %s says far too much, what is too much is not read: is it stolen?"
            log.warning(text, self._desk, device_id)
        for device_id in sorted(before - self.now):
            log.warning("desk %s: %s does not say too much any more", self._desk, device_id)
        return before != self.now
