"""Contact waveforms by class, an oracle for them, and the loop that looks at them as the firmware does.

Times are microseconds; a waveform is a list of (time, level), level 1 = closed, starting open at 0.
"""

import random
from collections.abc import Callable

from firmware.debounce import NOTHING, Debouncer

Wave = list[tuple[int, int]]

PRESS_MS, RELEASE_MS, STALL_MS = 40, 60, 40  # the configuration's defaults
IDLE_LOOK_MS, ACTIVE_LOOK_MS = 3, 1
WATCHED_SLACK_MS = 25  # firmware/button.py: what overran its wait by more was a stall
SETTLE_US = 400_000  # open time after each waveform


def debouncer() -> Debouncer:
    return Debouncer(PRESS_MS, RELEASE_MS, STALL_MS)


def sample(filter_: Debouncer, dt_ms: int, closed: bool, closures: int | None, watched: bool) -> int:
    """A look; `watched`: the board polled the contact all the time, and woke the firmware at its first change."""
    outcome = NOTHING
    if watched:
        outcome, dt_ms = filter_.sample(dt_ms, filter_._closed, 0), 0
    return outcome or filter_.sample(dt_ms, closed, closures)


def wave_of(*durations_ms: float) -> Wave:
    """Closed, open, closed ... for so many milliseconds; open at the end."""
    edges: Wave = []
    t_us = 0
    for index, duration_ms in enumerate(durations_ms):
        edges.append((t_us, 1 - index % 2))
        t_us += round(duration_ms * 1000)
    if len(durations_ms) % 2:
        edges.append((t_us, 0))
    return edges


def shifted(wave: Wave, by_us: int) -> Wave:
    return [(t_us + by_us, level) for t_us, level in wave]


def peak_net_ms(wave: Wave) -> float:
    """The oracle, in continuous time: the highest net closure of a waveform that ends open."""
    net = peak = 0.0
    for (t0_us, level), (t1_us, _) in zip(wave, wave[1:], strict=False):
        span_ms = (t1_us - t0_us) / 1000
        net = net + span_ms if level else max(0.0, net - span_ms * 9 / 8)
        peak = max(peak, net)
    return peak


def net_reached_ms(wave: Wave, net_ms: float) -> float:
    """When the net closure of `wave` reaches `net_ms`, in ms."""
    net = 0.0
    for (t0_us, level), (t1_us, _) in zip(wave, wave[1:], strict=False):
        span_ms = (t1_us - t0_us) / 1000
        if level and net + span_ms >= net_ms:
            return t0_us / 1000 + net_ms - net
        net = net + span_ms if level else max(0.0, net - span_ms * 9 / 8)
    raise ValueError("never reached")


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


# -- classes: each returns a waveform and how many presses it is


def _bounce(dice: random.Random, total_ms: float, longest_ms: float = 20.0) -> list[float]:
    """Closed, open, ... for `total_ms`, an even number of durations."""
    durations: list[float] = []
    left = total_ms
    while left > 0.02:
        closed, opened = dice.uniform(0.01, longest_ms), dice.uniform(0.01, longest_ms)
        durations += [min(closed, left), min(opened, max(0.01, left - closed))]
        left -= closed + opened
    return durations


def tap(dice: random.Random) -> tuple[Wave, int]:
    return wave_of(*_bounce(dice, dice.uniform(0, 6.2), 2), dice.uniform(60, 1500)), 1


def bouncing_press(dice: random.Random) -> tuple[Wave, int]:
    return wave_of(*_bounce(dice, dice.uniform(0, 157)), dice.uniform(60, 800)), 1


def bouncing_release(dice: random.Random) -> tuple[Wave, int]:
    opening = _bounce(dice, dice.uniform(0.1, 157))
    return wave_of(dice.uniform(60, 800), dice.uniform(0.1, 20), *opening[:-1]), 1


def worst_bounce(dice: random.Random) -> tuple[Wave, int]:
    return wave_of(81, 42, dice.uniform(34, 1000)), 1


def chattering_hold(dice: random.Random) -> tuple[Wave, int]:
    durations = [dice.uniform(60, 200)]
    for _ in range(dice.randrange(1, 30)):
        durations += [dice.uniform(0.05, 10), dice.uniform(12, 60)]
    return wave_of(*durations), 1


def emi_burst(dice: random.Random) -> tuple[Wave, int]:
    durations = []
    for _ in range(dice.randrange(1, 80)):
        durations += [dice.uniform(0.005, 2), dice.uniform(2, 10)]
    return wave_of(*durations[:-1]), 0


def vibration(dice: random.Random) -> tuple[Wave, int]:
    return wave_of(dice.uniform(1, 25)), 0


def vibration_train(dice: random.Random) -> tuple[Wave, int]:
    durations: list[float] = []
    for _ in range(dice.randrange(2, 20)):
        closed = dice.uniform(1, 25)
        durations += [closed, closed * dice.uniform(1.05, 4)]
    return wave_of(*durations[:-1]), 0


def pickup(dice: random.Random) -> tuple[Wave, int]:
    half_ms = 10 * dice.uniform(0.98, 1.02)
    return wave_of(*[half_ms] * (2 * dice.randrange(5, 40) - 1)), 0


def two_presses(dice: random.Random) -> tuple[Wave, int]:
    return wave_of(dice.uniform(60, 300), dice.uniform(80, 400), dice.uniform(60, 300)), 2


CLASSES: tuple[Callable[[random.Random], tuple[Wave, int]], ...] = (
    tap,
    bouncing_press,
    bouncing_release,
    worst_bounce,
    chattering_hold,
    emi_burst,
    vibration,
    vibration_train,
    pickup,
    two_presses,
)
