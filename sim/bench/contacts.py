"""Waveforms of contacts by class, and what is a press in each.

Times are microseconds; a waveform is a list of (time, level), level 1 = closed, starting open at 0.
"""

import random
from collections.abc import Callable

Wave = list[tuple[int, int]]


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
