"""The board's two clocks: ticks that wrap, and a date that drifts and is lost with the power."""

import random

from sim.virtual.costs import Costs
from sim.virtual.figures import us
from sim.virtual.timeline import PPM, US_PER_MS, Timeline

PERIOD = 1 << 30
HALF = PERIOD // 2
BEFORE_WRAP_MS = 120_000  # a life starts at most so long before the ticks wrap
UNSET_EPOCH_MS = us("unset_clock_s") // US_PER_MS  # what the chip's clock says after power-on


class Ticks:
    """Milliseconds that wrap at 2**30, as MicroPython's."""

    def __init__(self, timeline: Timeline, dice: random.Random) -> None:
        self._timeline = timeline
        self._offset_ms = PERIOD - dice.randint(1, BEFORE_WRAP_MS) - timeline.now_us // US_PER_MS

    def ticks_ms(self) -> int:
        return (self._timeline.now_us // US_PER_MS + self._offset_ms) % PERIOD

    def wrap_us(self) -> int:
        """When these ticks wrap, or did, for the first time."""
        return (PERIOD - self._offset_ms) * US_PER_MS

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        """-2**29 .. 2**29 - 1, right for durations within half a period only."""
        return (later - earlier + HALF) % PERIOD - HALF

    @staticmethod
    def ticks_add(ticks: int, delta_ms: int) -> int:
        return (ticks + delta_ms) % PERIOD


class BoardClock:
    """Unix milliseconds as far as the board knows; kept over resets, unset by a power cut."""

    def __init__(self, timeline: Timeline, dice: random.Random, costs: Costs) -> None:
        self._timeline = timeline
        self._dice = dice
        self._kept_error_ppm = costs.kept_clock_error_ppm
        self._drift_ppm = dice.randint(-costs.clock_drift_ppm, costs.clock_drift_ppm)
        self.power_on()

    def power_on(self) -> None:
        self.set_epoch_ms(UNSET_EPOCH_MS)

    def reset(self) -> None:
        """What the RC oscillator has counted takes the place of what the crystal has: see hal/assumptions.toml."""
        passed_ms = (self._timeline.now_us - self._set_us) // US_PER_MS
        error_ppm = self._dice.randint(-self._kept_error_ppm, self._kept_error_ppm)
        self.set_epoch_ms(self.epoch_ms() + passed_ms * error_ppm // PPM)

    def set_epoch_ms(self, epoch_ms: int) -> None:
        self._set_us = self._timeline.now_us
        self._epoch_ms = epoch_ms

    def epoch_ms(self) -> int:
        passed_us = self._timeline.now_us - self._set_us
        return self._epoch_ms + (passed_us + passed_us * self._drift_ppm // PPM) // US_PER_MS
