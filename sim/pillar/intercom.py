"""A pillar's virtual intercom: a test tone of its own pitch goes out, the operator's voice comes in, during a call.

Sound is mono, 16 bits, 48 kHz, in blocks of 20 ms. The relay's closing starts the call and its opening ends it:
without one the intercom is silent in both directions.
"""

from __future__ import annotations

import binascii
import math
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

RATE_HZ = 48_000
BLOCKS_PER_S = 50
BLOCK = RATE_HZ // BLOCKS_PER_S
TONE_DBFS = -20.0
PITCH_MIN_HZ, PITCH_STEP_HZ, PITCHES = 440, 20, 31  # whole Hz: a second of tone can be repeated without a click
FLOOR_DBFS = -60.0  # heard as 0
FADE_PER_S = 2.0  # how fast the shown level falls when it gets silent
STALE_S = 0.5  # nothing came for so long: nobody speaks
_STEPS = 20  # of the level, for those who watch it

Samples = npt.NDArray[np.int16]


def pitch_hz(device_id: str) -> int:
    """The pitch of a column's tone, 440 to 1040 Hz: the same for ever, different from most other columns'."""
    return PITCH_MIN_HZ + PITCH_STEP_HZ * (binascii.crc32(device_id.encode()) % PITCHES)


def level_of(samples: Samples) -> float:
    """How loud: 0 (-60 dBFS or less) to 1 (full scale), linear in decibels."""
    if not samples.size:
        return 0.0
    power = float(np.mean(np.square(samples.astype(np.float32) / 32768)))
    return 0.0 if power <= 0 else min(1.0, max(0.0, 1 - 10 * math.log10(power) / FLOOR_DBFS))


class Intercom:
    """May be used from any thread. `changed` is called without arguments when `heard` moved by a twentieth."""

    def __init__(self, device_id: str, changed: Callable[[], None] = lambda: None) -> None:
        self.pitch_hz = pitch_hz(device_id)
        self._changed = changed
        self._calling = False
        self._lock = threading.Lock()
        self._level, self._level_s = 0.0, 0.0
        phase = np.arange(RATE_HZ) * (2 * math.pi * self.pitch_hz / RATE_HZ)
        self._tone = np.round(np.sin(phase) * 32767 * 10 ** (TONE_DBFS / 20)).astype(np.int16)
        self._silence = np.zeros(BLOCK, np.int16)

    @property
    def calling(self) -> bool:
        return self._calling

    def call(self, on: bool) -> None:
        self._calling = on
        with self._lock:
            self._level = 0.0

    def block(self, number: int) -> Samples:
        """What the intercom sends in the `number`-th 20 ms. Not to be written to."""
        if not self._calling:
            return self._silence
        start = number % BLOCKS_PER_S * BLOCK
        return self._tone[start : start + BLOCK]

    def hear(self, samples: Samples) -> None:
        """What the operator says; nobody hears it without a call."""
        if not self._calling:
            return
        with self._lock:
            before = self._level
            self._level, self._level_s = max(level_of(samples), self._faded()), time.monotonic()
            moved = round(before * _STEPS) != round(self._level * _STEPS)
        if moved:
            self._changed()

    @property
    def heard(self) -> float:
        """How loud the operator's voice is at the pillar, 0 to 1; fades within half a second."""
        with self._lock:
            return self._faded()

    def _faded(self) -> float:
        silent_s = time.monotonic() - self._level_s
        return 0.0 if silent_s > STALE_S else max(0.0, self._level - silent_s * FADE_PER_S)
