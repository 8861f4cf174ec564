"""A pillar's virtual intercom: what is said at the pillar goes out, the operator's voice comes in, during a call.

Sound is mono, 16 bits, 48 kHz, in blocks of 20 ms that are numbered by one clock. The relay's closing starts the call
and its opening ends it: without one the intercom is silent in both directions. As long as nobody speaks at the pillar
through a microphone, a test tone of the column's own pitch stands for what is to be heard there.
"""

from __future__ import annotations

import binascii
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

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
LEAD_S, LEAD_MAX_S = 0.06, 0.25  # sound waits this long to be fetched: it comes in bursts
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


def block_now() -> int:
    """The number of the block that is due."""
    return int(time.monotonic() * BLOCKS_PER_S)


class Line:
    """The last second of what one microphone heard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ring = np.zeros(RATE_HZ, np.int16)
        self._end = 0  # number of the sample that comes next

    def write(self, samples: Samples) -> None:
        """Goes on where the last one ended, unless that is too far from now."""
        samples = samples[-RATE_HZ:]
        now = int(time.monotonic() * RATE_HZ)
        with self._lock:
            if not now <= self._end <= now + LEAD_MAX_S * RATE_HZ:
                self._ring[:] = 0
                self._end = now + round(LEAD_S * RATE_HZ)
            self._ring[np.arange(self._end, self._end + samples.size) % RATE_HZ] = samples
            self._end += samples.size

    def read(self, number: int) -> Samples:
        """The block of that number: silence where nothing came, or nothing is left."""
        at = np.arange(number * BLOCK, (number + 1) * BLOCK)
        with self._lock:
            return np.where((at < self._end) & (at >= self._end - RATE_HZ), self._ring[at % RATE_HZ], 0).astype(
                np.int16
            )


class Intercom:
    """May be used from any thread. `changed` is called without arguments when `heard` moved by a twentieth."""

    def __init__(self, device_id: str, changed: Callable[[], None] = lambda: None) -> None:
        self.pitch_hz = pitch_hz(device_id)
        self._changed = changed
        self._calling = False
        self._by_sip: bool | None = None
        self._lock = threading.Lock()
        self._operators: set[Line] = set()
        self._persons: set[Line] = set()
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

    @property
    def open(self) -> bool:
        """Whether an operator can hear this place."""
        return self._calling if self._by_sip is None else self._by_sip

    def by_sip(self, is_open: bool) -> None:
        """Another device beside this pillar is its intercom, and whether that has a call now."""
        self._by_sip = is_open
        self._changed()

    def to_operator(self, number: int) -> Samples:
        """Block `number` of what the operator hears: the people at the pillar, or its tone. Not to be written to."""
        if not self._calling:
            return self._silence
        if self._persons:
            return self._mixed(self._persons, number)
        start = number % BLOCKS_PER_S * BLOCK
        return self._tone[start : start + BLOCK]

    def to_person(self, number: int) -> Samples:
        """Block `number` of what the loudspeaker at the pillar says. Not to be written to."""
        return self._mixed(self._operators, number) if self._calling else self._silence

    @contextlib.contextmanager
    def operator(self) -> Iterator[Callable[[Samples], None]]:
        """An operator's microphone, for as long as the block lasts: call it with what it hears."""
        line = Line()

        def hear(samples: Samples) -> None:
            line.write(samples)
            self._measure(samples)

        with self._there(self._operators, line):
            yield hear

    @contextlib.contextmanager
    def person(self) -> Iterator[Callable[[Samples], None]]:
        """The same for somebody at the pillar; meanwhile there is no tone."""
        line = Line()
        with self._there(self._persons, line):
            yield line.write

    @property
    def heard(self) -> float:
        """How loud the operator's voice is at the pillar, 0 to 1; fades within half a second."""
        with self._lock:
            return self._faded()

    @contextlib.contextmanager
    def _there(self, lines: set[Line], line: Line) -> Iterator[None]:
        with self._lock:
            lines.add(line)
        try:
            yield
        finally:
            with self._lock:
                lines.discard(line)

    def _mixed(self, lines: set[Line], number: int) -> Samples:
        with self._lock:
            spoken = [line.read(number) for line in lines]
        if len(spoken) == 1:
            return spoken[0]
        return (
            np.clip(np.sum(spoken, axis=0, dtype=np.int32), -32768, 32767).astype(np.int16) if spoken else self._silence
        )

    def _measure(self, samples: Samples) -> None:
        if not self.open:
            return
        with self._lock:
            before = self._level
            self._level, self._level_s = max(level_of(samples), self._faded()), time.monotonic()
            moved = round(before * _STEPS) != round(self._level * _STEPS)
        if moved:
            self._changed()

    def _faded(self) -> float:
        silent_s = time.monotonic() - self._level_s
        return 0.0 if silent_s > STALE_S else max(0.0, self._level - silent_s * FADE_PER_S)
