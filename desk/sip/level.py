"""How loud sound is."""

from __future__ import annotations

import array
import math
from operator import mul

FULL_SCALE = 32768.0
QUIET_DB = -90.0  # one step of 16 bits; a level is never less
FALL_DB = 1.0  # a block: a word is still to be seen after it was said


def level_db(block: bytes) -> float:
    """The effective value of samples of 16 bits, in dB below full scale (0 is a square wave as loud as can be)."""
    samples = array.array("h", block)
    if not samples:
        return QUIET_DB
    power = sum(map(mul, samples, samples)) / len(samples)
    return max(QUIET_DB, 10 * math.log10(power / FULL_SCALE**2)) if power else QUIET_DB


class Meter:
    """Rises at once, falls slowly."""

    def __init__(self) -> None:
        self.db = QUIET_DB

    def take(self, block: bytes) -> None:
        self.db = max(level_db(block), self.db - FALL_DB)
