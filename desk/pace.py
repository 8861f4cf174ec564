"""How often the desk connects of its own accord. A broker may lock out who does it too often (EMQX's flapping
detection: 15 times within a minute, for five minutes), and a desk that is locked out hears nobody. Pure; times in ms.

Where the broker ends a connection, the desk is back as soon as it can be: nobody waits for that."""

from __future__ import annotations

BURST = 4
EVERY_MS = 7_000
"""Then one in this time: 12 within the worst minute."""


class Pace:
    """Of one name at the broker."""

    def __init__(self) -> None:
        self._paid_ms = 0

    def made(self, now_ms: int) -> None:
        """A connection."""
        self._paid_ms = max(self._paid_ms, now_ms) + EVERY_MS

    def pause_ms(self, now_ms: int) -> int:
        """How long to wait before the next one; 0: no time."""
        return max(0, self._paid_ms - (BURST - 1) * EVERY_MS - now_ms)
