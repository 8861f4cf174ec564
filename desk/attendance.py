"""Whether anybody is at this desk: browsers that watch it, and signs of a person in them. Pure but for its lock.

A browser that is open proves no person. So while a call waits, somebody has to give a sign: a key, a touch, a click.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from desk.escalation import is_waiting
from desk.ledger import Incident

NO_BROWSER, NO_SIGN, HERE = "no-browser", "no-sign", ""
GRACE_MS = 30_000
"""A page that is loaded anew, or a desk that has just begun, is not an empty room."""
SIGN_MS = 120_000
"""So long a call may wait without a sign of a person."""


class Attendance:
    """`came`, `went` and `sign` come from any thread; `look` from the duty."""

    def __init__(self, now_ms: Callable[[], int], *, sign_ms: int = SIGN_MS, grace_ms: int = GRACE_MS) -> None:
        self._now_ms, self._sign_after_ms, self._grace_ms = now_ms, sign_ms, grace_ms
        self._lock = threading.Lock()
        self._browsers = 0
        self._empty_ms = self._sign_ms = now_ms()
        self._said: set[tuple[str, int, str]] = set()
        self.nobody = HERE
        """NO_BROWSER, NO_SIGN, or HERE, as of the last look."""

    def came(self) -> None:
        """A browser watches; somebody has opened it."""
        with self._lock:
            self._browsers += 1

    def went(self) -> None:
        """It does not any more."""
        with self._lock:
            self._browsers -= 1
            if not self._browsers:
                self._empty_ms = self._now_ms()

    def sign(self) -> None:
        """A person did something."""
        with self._lock:
            self._sign_ms = self._now_ms()

    def look(self, incidents: Iterable[Incident], now_ms: int) -> list[Incident]:
        """Judge; the waiting calls of which it is to be said now that nobody is here."""
        waiting = [one for one in incidents if is_waiting(one)]
        with self._lock:
            self.nobody = self._judged(waiting, now_ms)
            self._said = {said for said in self._said if said[0] in {one.id for one in waiting}}
            if not self.nobody:
                return []
            fresh = [one for one in waiting if (one.id, one.opening, self.nobody) not in self._said]
            self._said |= {(one.id, one.opening, self.nobody) for one in fresh}
            return fresh

    def _judged(self, waiting: list[Incident], now_ms: int) -> str:
        if not self._browsers:
            return NO_BROWSER if not 0 <= now_ms - self._empty_ms < self._grace_ms else HERE
        since_ms = [one.waiting.since_ms for one in waiting if one.waiting is not None]
        if since_ms and now_ms - max(min(since_ms), self._sign_ms) >= self._sign_after_ms:
            return NO_SIGN
        return HERE
