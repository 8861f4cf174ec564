"""Storms as data: what happens to one column and when, drawn from a seed, performed in virtual time, kept as text.

A text, one happening a line, in any order; what is behind a # is for the reader:

    seed 17
    mode heal
    length 60.000 s
    setting chip=esp32 config=default policy=software
    20.000 s  press  for_ms=120 seed=4
    20.500 s  broker freeze  for_ms=4000
"""

import math
from collections import Counter
from functools import partial
from random import Random
from typing import NamedTuple

from sim.search.storms import happenings, setting
from sim.search.storms.happenings import Bounds, Value
from sim.search.storms.stage import Stage
from sim.virtual.checks.invariants import Violation

KINDS = frozenset(happenings.KINDS) | happenings.CONSEQUENCES  # all of them have to fire in a campaign
MODES = ("heal", "never")
LENGTH_MS = (60_000, 3_600_000)
PRESSES = ("press", "bounce", "taps", "panic")  # every storm has some: without a press nothing can be lost
KINDS_SHARE = (0.03, 0.4)  # of all kinds, switched on in one storm
PER_MINUTE = (0.3, 8.0)  # happenings, on average over the storm
HAPPENINGS_MAX = 80
PRESS_SHARE = 0.25  # of the happenings
FOR_EVER_SHARE = 0.3  # of the lasting faults in mode "never"


class Happening(NamedTuple):
    """`values` in the order of `happenings.KINDS[kind].bounds`."""

    at_ms: int
    kind: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        named = " ".join(f"{name}={value}" for name, value in zip(_bounds(self.kind), self.values, strict=True))
        return f"{_seconds(self.at_ms)}  {self.kind}  {named}".rstrip()


class Storm(NamedTuple):
    """`mode`: "heal" = every fault ends, and then every press has to have arrived; "never" = safety only."""

    seed: int
    mode: str
    length_ms: int
    setting: dict[str, int | str]
    script: tuple[Happening, ...]


class Outcome(NamedTuple):
    """`fired`: how often each kind really took effect. `tail`: the last of the trace."""

    violations: list[str]
    simulated_s: float
    fired: Counter[str]
    digest: str
    checks: dict[str, int] = {}  # how often each invariant was held against what happened
    tail: str = ""


def _bounds(kind: str) -> dict[str, Bounds]:
    return happenings.KINDS[kind].bounds


# -- drawing


def generate(seed: int, mode: str) -> Storm:
    """The storm of that seed: its own subset of kinds, its own length and intensity."""
    dice = Random(f"{mode}/{seed}")
    length_ms = _between(dice, LENGTH_MS)
    share = dice.uniform(*KINDS_SHARE)
    kinds = [kind for kind in sorted(happenings.KINDS) if dice.random() < share] or ["press"]
    count = min(HAPPENINGS_MAX, 3 + int(length_ms / 60_000 * math.exp(dice.uniform(*map(math.log, PER_MINUTE)))))
    script = []
    for _ in range(count):
        kind = dice.choice(PRESSES) if dice.random() < PRESS_SHARE else dice.choice(kinds)
        at_ms = dice.randrange(length_ms)
        script.append(Happening(at_ms, kind, _values(dice, kind, mode, length_ms - at_ms)))
    return Storm(seed, mode, length_ms, setting.draw(dice), tuple(sorted(script)))


def _values(dice: Random, kind: str, mode: str, left_ms: int) -> tuple[Value, ...]:
    values = [_value(dice, bounds) for bounds in _bounds(kind).values()]
    if happenings.KINDS[kind].lasts and mode == "never" and dice.random() < FOR_EVER_SHARE:
        values[0] = left_ms
    return tuple(values)


def _value(dice: Random, bounds: Bounds) -> Value:
    if isinstance(bounds[0], str):
        return dice.choice(bounds)
    return _between(dice, (int(bounds[0]), int(bounds[1])))


def _between(dice: Random, bounds: tuple[int, int]) -> int:
    """Small values as often as big ones: the logarithm is uniform."""
    low, high = bounds
    return min(high, low - 1 + int(math.exp(dice.uniform(0, math.log(high - low + 2)))))


# -- performing


def perform(storm: Storm) -> Outcome:
    """Play it. Never raises for a violation; an error of the world itself is listed as one."""
    world = setting.open_world(storm.seed, storm.setting)
    stage = Stage(world, storm.length_ms)
    for happening in storm.script:
        world.at(happening.at_ms, partial(happenings.KINDS[happening.kind].act, stage, *happening.values))
    violations = world.invariants.violations
    try:
        world.run(storm.length_ms)
        if storm.mode == "heal":
            world.settle()
        world.check()
    except Violation:
        pass
    except Exception as error:
        violations.append(f"the run broke off at {world.now_ms / 1000:.6f} s: {error!r}")
    return Outcome(
        list(violations),
        world.now_ms / 1000,
        world.trace.effects,
        world.trace.digest(),
        world.invariants.checks,
        world.trace.tail(),
    )


# -- as text


def dump(storm: Storm) -> str:
    """The text that `load` reads."""
    named = " ".join(f"{key}={value}" for key, value in storm.setting.items())
    head = [f"seed {storm.seed}", f"mode {storm.mode}", f"length {_seconds(storm.length_ms)}", f"setting {named}"]
    return "\n".join([*head, *map(str, storm.script)]) + "\n"


def load(text: str) -> Storm:
    """Raises ValueError, with the line and what would be right."""
    head: dict[str, str] = {}
    script = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.partition("#")[0].strip()
        word, _, rest = line.partition(" ")
        try:
            if word in ("seed", "mode", "length", "setting"):
                head[word] = rest
            elif line:
                script.append(_happening(line))
        except ValueError as error:
            raise ValueError(f"line {number}, {line!r}: {error}") from None
    if {"seed", "mode", "length", "setting"} - set(head) or head["mode"] not in MODES or not head["seed"].isdigit():
        raise ValueError(f"a storm begins with seed, mode ({' or '.join(MODES)}), length and setting; see {__name__}")
    chosen = _typed(_named(head["setting"]))
    setting.check(chosen)
    return Storm(int(head["seed"]), head["mode"], _milliseconds(head["length"]), chosen, tuple(sorted(script)))


def _happening(line: str) -> Happening:
    time, kind, *named = [*(part.strip() for part in line.split("  ") if part.strip()), ""]
    at_ms = _milliseconds(time)
    if kind not in happenings.KINDS:
        raise ValueError(f"no kind {kind!r}; the kinds are: {', '.join(sorted(happenings.KINDS))}")
    values = _typed(_named(" ".join(named)))
    if list(values) != list(_bounds(kind)):
        raise ValueError(f"{kind} takes {', '.join(_bounds(kind)) or 'no value'}")
    for (name, value), bounds in zip(values.items(), _bounds(kind).values(), strict=True):
        words = [bound for bound in bounds if isinstance(bound, str)]
        if words and value not in words or not words and not isinstance(value, int):
            raise ValueError(f"{name} of {kind} is {value!r}; right is {' or '.join(words) or 'a whole number'}")
    return Happening(at_ms, kind, tuple(values.values()))


def _named(text: str) -> dict[str, str]:
    return {name: word for name, _, word in (pair.partition("=") for pair in text.split())}


def _typed(pairs: dict[str, str]) -> dict[str, Value]:
    return {name: int(word) if word.lstrip("-").isdigit() else word for name, word in pairs.items()}


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d} s"


def _milliseconds(text: str) -> int:
    whole, dot, part = text.removesuffix(" s").partition(".")
    if not (dot and whole.isdigit() and len(part) == 3 and part.isdigit()):
        raise ValueError(f"{text!r} is no time such as 12.345 s")
    return int(whole) * 1000 + int(part)
