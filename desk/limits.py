"""What the desk puts up with: everything that comes over MQTT may be hostile, well-formed or not.

The schemas say what a message must have; this says how much of anything there may be. A message that is refused here
is answered by nobody, and a real column sends its alarm again.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from typing import Any

from desk.ledger import LedgerError

PAYLOAD_MAX = 16 * 1024  # bytes; the longest of a real column are 2 KiB
DEPTH_MAX = 12
INTEGER_MAX = 2**53 - 1  # beyond it browsers round
COLUMNS_MAX = 2000  # columns whose telemetry is kept; of others only the calls
COLUMN_FORGOTTEN_S = 3600.0  # after this silence another column may take its place
INCIDENTS_IN_MEMORY = 10_000  # 5 KiB each; the others are read from the register when they are asked for
FAULTS_MAX = 64  # of one column
OPEN_MAX = 64  # open incidents of one column that ask for help; a real one keeps 16. Further ones come in slowly
SURROGATE = re.compile("[\ud800-\udfff]")
OPEN_MORE = (5, 0.1)  # a burst, and how many a second
WRONG = (50, 5.0)  # the same for messages over the flood limit that are parsed and turn out invalid
# The same for connections that a line makes of its own accord: 12 within the worst minute. EMQX's flapping detection
# locks out whoever makes 15, for five minutes. Where the broker ends one, nobody waits: the desk is back at once.
OWN_CONNECTIONS = (4, 1 / 7)
DRILLS_MAX = 500  # of one column; the oldest go
BURST = 150  # messages of one column that may come at once: a full journal and a birth are 60
PER_SECOND = 10.0
BUCKETS_MAX = 2 * COLUMNS_MAX
NOTE_MAX = 4000  # characters of what a person writes
FLOOD_ENDED_MS = 3_000  # after the last message over the limit: the line for calls mostly connects again before


def unstorable(document: Any, depth: int = 0) -> str | None:
    """Why this JSON value cannot be kept and shown as it is; None if it can."""
    if depth > DEPTH_MAX:
        return f"nested deeper than {DEPTH_MAX}"
    if isinstance(document, dict):
        parts = [*document, *document.values()]
        return next((why for part in parts if (why := unstorable(part, depth + 1))), None)
    if isinstance(document, list):
        return next((why for part in document if (why := unstorable(part, depth + 1))), None)
    if isinstance(document, str) and not document.isascii() and SURROGATE.search(document):
        return "half of a surrogate pair in a text"
    if isinstance(document, float) and not math.isfinite(document):
        return "a number that is not finite"
    if isinstance(document, int | float) and abs(document) > INTEGER_MAX:
        return f"a number beyond {INTEGER_MAX}"
    return None


def wording(text: str, what: str, longest: int) -> str:
    """What a person wrote, if it can be kept as it is. Raises LedgerError."""
    text = text.strip()
    why = f"{what}: give 1 to {longest} characters of text, not {text[:20]!r} ({len(text)})"
    if not text:
        raise LedgerError(why, code="text-empty")
    if len(text) > longest:
        raise LedgerError(why, code="text-long", n=len(text), most=longest)
    if unstorable(text):
        raise LedgerError(why, code="text-controls")
    return text


class Flood:
    """How much each sender may say: a bucket of BURST messages, refilled with PER_SECOND. Pure; times in ms."""

    def __init__(self, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst, self._per_ms = burst, per_second / 1000
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._too_much: dict[str, int] = {}
        """When each sender last said too much."""

    def admits(self, sender: str, now_ms: int) -> bool:
        """Whether `sender` may say one more thing now."""
        left, then_ms = self._left.pop(sender, (self._burst, now_ms))
        left = min(self._burst, left + max(0, now_ms - then_ms) * self._per_ms)
        admitted = left >= 1
        self._left[sender] = (left - admitted, now_ms)
        if not admitted:
            self._too_much[sender] = now_ms
        while len(self._left) > BUCKETS_MAX:
            gone, _ = self._left.popitem(last=False)
            self._too_much.pop(gone, None)
        return admitted

    def has(self, sender: str, now_ms: int) -> bool:
        """Whether `admits` would say yes; nothing is counted."""
        left, then_ms = self._left.get(sender, (self._burst, now_ms))
        return left + max(0, now_ms - then_ms) * self._per_ms >= 1

    def flooding(self, now_ms: int) -> list[str]:
        """Who says too much now."""
        ended = [name for name, at_ms in self._too_much.items() if not 0 <= now_ms - at_ms < FLOOD_ENDED_MS]
        for name in ended:
            del self._too_much[name]
        return sorted(self._too_much)
