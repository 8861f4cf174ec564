"""What moves the contact of a pillar's button: fingers, a contact that sticks, one that chatters."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Hashable, Sequence

CHATTER_S = 10.0  # then the loose contact has found its place again
CHATTER_BREAK_MS = (1.0, 4.0)  # a bounce: far below the 40 ms that make a press
CHATTER_PAUSE_MS = (20.0, 60.0)
LONGEST_PRESS_MS = 60_000

Wave = list[tuple[int, int]]


class Button:
    """The contact is closed while any finger is on it, or while it sticks. May be used from any thread.

    `move` gets the contact's coming edges as `RealColumn.wave` does. `changed` is called without arguments when
    something changes by itself.
    """

    def __init__(self, move: Callable[[Sequence[tuple[int, int]]], None], changed: Callable[[], None]) -> None:
        self._move, self._changed = move, changed
        self._lock = threading.RLock()
        self._chance = random.Random(0)
        self._fingers: set[Hashable] = set()
        self._stuck = False
        self._loose_until = 0.0  # time.monotonic()
        self._settling: threading.Timer | None = None

    @property
    def held(self) -> bool:
        return bool(self._fingers)

    @property
    def stuck(self) -> bool:
        return self._stuck

    @property
    def chattering(self) -> bool:
        return self._loose_s() > 0

    def hold(self, finger: Hashable) -> None:
        """A finger closes the contact, until the same one releases it."""
        with self._lock:
            self._fingers.add(finger)
            self._apply()

    def release(self, finger: Hashable) -> None:
        """Harmless for a finger that is not on the button."""
        with self._lock:
            if finger in self._fingers:
                self._fingers.remove(finger)
                self._apply()

    def press(self, duration_ms: float) -> None:
        """A tap of 1 to `LONGEST_PRESS_MS` ms, cut short by what moves the contact later; none while it is closed."""
        with self._lock:
            if not self._fingers and not self._stuck:
                self._move([(0, 1), (round(duration_ms * 1000), 0)])

    def wave(self, edges: Sequence[tuple[int, int]]) -> None:
        """The contact moves so, whatever else is on it."""
        with self._lock:
            self._move(edges)

    def stick(self, on: bool) -> None:
        """Ice, a bent cap: the contact stays closed. Or it comes loose again."""
        with self._lock:
            self._stuck = on
            self._apply()

    def chatter(self, on: bool) -> None:
        """A loose contact: breaks of some milliseconds at random, for `CHATTER_S`."""
        with self._lock:
            self._forget_settling()
            self._loose_until = time.monotonic() + CHATTER_S if on else 0.0
            if on:
                self._settling = threading.Timer(CHATTER_S, self._changed)
                self._settling.daemon = True
                self._settling.start()
            self._apply()

    def close(self) -> None:
        with self._lock:
            self._forget_settling()

    def _forget_settling(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None

    def _loose_s(self) -> float:
        return self._loose_until - time.monotonic()

    def _apply(self) -> None:
        level = int(self._stuck or bool(self._fingers))
        self._move([(0, level), *self._breaks(level)])

    def _breaks(self, level: int) -> Wave:
        """From `level` and back to it, until the contact is no longer loose."""
        edges: Wave = []
        end_us, t_us = round(self._loose_s() * 1e6), 0
        while (t_us := t_us + self._chance_us(CHATTER_PAUSE_MS)) < end_us:
            edges += [(t_us, 1 - level), (t_us := t_us + self._chance_us(CHATTER_BREAK_MS), level)]
        return edges

    def _chance_us(self, limits_ms: tuple[float, float]) -> int:
        return round(self._chance.uniform(*limits_ms) * 1000)
