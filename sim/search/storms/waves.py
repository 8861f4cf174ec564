"""Waveforms of the contact by class, each drawn from its own seed: what is a press is the oracle's to say.

Edges are (microseconds from now, 1 = closed); every wave but `stuck` ends open.
"""

from collections.abc import Callable
from random import Random

Edges = list[tuple[int, int]]

MS = 1_000
BOUNCE_US = (100, 1_600)  # typical of 16 of 18 switches: 6.2 ms in all at most
WORST_BOUNCE_US = (2_000, 42_000)  # one switch was seen to bounce for 157 ms, with gaps of up to 42 ms
WORST_BOUNCE_MAX_US = 157_000
EMI_US = (20, 3_000)  # longest closure and gap of a burst: no press by far
VIBRATION_US = (1_000, 25_000)  # the widest closure that is no press
MAINS_HALF_WAVE_US = 10_000


def press(dice: Random, for_ms: int) -> Edges:
    """A finger, with the bounce of a typical switch as it closes."""
    edges = _bouncing(dice, BOUNCE_US, dice.randint(0, 3))
    return [*edges, (edges[-1][0] + for_ms * MS, 0)]


def bounce(dice: Random, for_ms: int) -> Edges:
    """A finger on a worn switch, which bounces as it closes and as it opens."""
    edges = _bouncing(dice, WORST_BOUNCE_US, dice.randint(1, 8), WORST_BOUNCE_MAX_US)
    opens_us = edges[-1][0] + for_ms * MS
    opening = _bouncing(dice, BOUNCE_US, dice.randint(1, 4))
    return [*edges, *((opens_us + t_us, 1 - level) for t_us, level in opening)]


def taps(dice: Random, for_ms: int) -> Edges:
    """Short taps around the threshold of what is a press."""
    return _train(dice, for_ms, (20 * MS, 70 * MS), (30 * MS, 400 * MS))


def panic(dice: Random, for_ms: int) -> Edges:
    """Hammering: presses of every length, close together."""
    return _train(dice, for_ms, (40 * MS, 400 * MS), (40 * MS, 500 * MS))


def chatter(dice: Random, for_ms: int) -> Edges:
    """A loose wire: closures and gaps of any length, presses or none."""
    return _train(dice, for_ms, (200, 60 * MS), (200, 60 * MS))


def emi(dice: Random, for_ms: int) -> Edges:
    """Interference: bursts of closures of which no window nets a press."""
    edges, t_us = [], 0
    while t_us < for_ms * MS:
        closed_us = dice.randint(*EMI_US)
        edges += [(t_us, 1), (t_us + closed_us, 0)]
        t_us += closed_us * 2 + dice.randint(*EMI_US)
    return edges


def pickup(dice: Random, for_ms: int) -> Edges:
    """50 Hz from the mains: closed for half of each wave."""
    return [(t_us, 1 - t_us // MAINS_HALF_WAVE_US % 2) for t_us in range(0, (for_ms + 20) * MS, MAINS_HALF_WAVE_US)][
        : (for_ms // 20 + 1) * 2
    ]


def vibration(dice: Random, for_ms: int) -> Edges:
    """A lorry goes by: single knocks."""
    edges, t_us = [], 0
    while t_us < for_ms * MS:
        closed_us = dice.randint(*VIBRATION_US)
        edges += [(t_us, 1), (t_us + closed_us, 0)]
        t_us += closed_us * 2 + dice.randint(50 * MS, 2_000 * MS)
    return edges


def _bouncing(dice: Random, gap_us: tuple[int, int], bounces: int, limit_us: int = WORST_BOUNCE_MAX_US) -> Edges:
    """A contact that closes, in the end."""
    edges, t_us = [(0, 1)], 0
    for _ in range(bounces):
        closed_us, open_us = dice.randint(*gap_us) // 2, dice.randint(*gap_us) // 2
        if t_us + closed_us + open_us > limit_us:
            break
        edges += [(t_us + closed_us, 0), (t_us + closed_us + open_us, 1)]
        t_us += closed_us + open_us
    return edges


def _train(dice: Random, for_ms: int, closed: tuple[int, int], gap: tuple[int, int]) -> Edges:
    edges, t_us = [], 0
    while t_us < for_ms * MS:
        closed_us = dice.randint(*closed)
        edges += [(t_us, 1), (t_us + closed_us, 0)]
        t_us += closed_us + dice.randint(*gap)
    return edges


CLASSES: dict[str, tuple[Callable[[Random, int], Edges], tuple[int, int]]] = {  # (wave, bounds of its length in ms)
    "press": (press, (60, 3_000)),
    "bounce": (bounce, (60, 2_000)),
    "taps": (taps, (100, 4_000)),
    "panic": (panic, (1_000, 15_000)),
    "chatter": (chatter, (50, 5_000)),
    "emi": (emi, (5, 2_000)),
    "pickup": (pickup, (100, 10_000)),
    "vibration": (vibration, (20, 10_000)),
}
