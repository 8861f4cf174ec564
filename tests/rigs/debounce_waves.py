"""The loop that looks at waveforms of contacts as the firmware does, with the debouncer that decides by looks."""

import random

from firmware.debounce import Debouncer
from firmware.outcomes import NOTHING
from sim.bench.contacts import Wave

PRESS_MS, RELEASE_MS, STALL_MS = 40, 60, 40  # the configuration's defaults
IDLE_LOOK_MS, ACTIVE_LOOK_MS = 3, 1
SETTLE_US = 400_000  # open time after each waveform


def debouncer() -> Debouncer:
    return Debouncer(PRESS_MS, RELEASE_MS, STALL_MS)


def sample(filter_: Debouncer, dt_ms: int, closed: bool, closures: int | None, watched: bool) -> int:
    """A look; `watched`: the board polled the contact all the time, and woke the firmware at its first change."""
    outcome = NOTHING
    if watched:
        outcome, dt_ms = filter_.sample(dt_ms, filter_._closed, 0), 0
    return outcome or filter_.sample(dt_ms, closed, closures)


def look(
    filter_: Debouncer, wave: Wave, dice: random.Random | None = None, slow_share: float = 0.05, phase_us: int = 0
) -> list[tuple[int, float]]:
    """All that the debouncer says, with the time in ms. `dice`: jitter (other tasks take 1..8 ms now and then)."""
    end_us = wave[-1][0] + SETTLE_US
    said = []
    now_us, passed, level, closures, last_ms = phase_us, 0, 0, 0, phase_us // 1000
    while now_us < end_us:
        watched = True
        if filter_.is_settled():
            passed, level, closures, now_us = _idle(wave, passed, level, now_us, end_us)
        else:
            step_us = ACTIVE_LOOK_MS * 1000
            if dice is not None:
                step_us += dice.randrange(300)
                if dice.random() < slow_share:
                    step_us += dice.randrange(1000, 8000)
                    watched = False
            now_us += step_us
            closures = 0
        while passed < len(wave) and wave[passed][0] <= now_us:
            level = wave[passed][1]
            closures += level
            passed += 1
        dt_ms = now_us // 1000 - last_ms
        if dt_ms == 0:
            continue
        last_ms = now_us // 1000
        outcome = sample(filter_, dt_ms, bool(level), closures, watched)
        if outcome != NOTHING:
            said.append((outcome, now_us / 1000))
    return said


def _idle(wave: Wave, passed: int, level: int, now_us: int, end_us: int) -> tuple[int, int, int, int]:
    """Poll every 3 ms until the level differs; what opened and closed between two polls is only counted."""
    seen, closures = level, 0
    while now_us < end_us:
        now_us += IDLE_LOOK_MS * 1000
        if passed < len(wave):
            # Jump to the poll that sees the next edge.
            polls = (wave[passed][0] - now_us + IDLE_LOOK_MS * 1000 - 1) // (IDLE_LOOK_MS * 1000)
            now_us += max(0, polls) * IDLE_LOOK_MS * 1000
        while passed < len(wave) and wave[passed][0] <= now_us:
            level = wave[passed][1]
            closures += level
            passed += 1
        if level != seen or passed == len(wave):
            break
    return passed, level, closures, now_us
