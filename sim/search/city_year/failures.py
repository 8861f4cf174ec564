"""What befalls a city's columns in a year, drawn from a seed: what breaks, whom it takes along, how long it lasts, and
what the truth is that the desk has to find out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from desk.upkeep import life

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
WRONG_RECEIVER, WRONG_ADDRESS = "wrong-receiver", "wrong-address"


@dataclass(frozen=True)
class Kind:
    """`cause`: the truth; `a_year`: how many in a city of nineteen; `lasts_ms`: from, to; `takes`: how many columns."""

    cause: str
    a_year: float
    lasts_ms: tuple[int, int]
    takes: tuple[int, int] = (1, 1)


KINDS = {
    "power cut": Kind(life.SUPPLY, 40, (5 * MINUTE_MS, 12 * HOUR_MS)),
    "district without power": Kind(life.SUPPLY, 10, (10 * MINUTE_MS, 6 * HOUR_MS), (4, 8)),
    "link lost": Kind(life.LINK, 40, (5 * MINUTE_MS, 8 * HOUR_MS)),
    "switch broken": Kind(life.LINK, 10, (10 * MINUTE_MS, 10 * HOUR_MS), (3, 6)),
    "broker away": Kind(life.BROKER, 8, (5 * MINUTE_MS, 3 * HOUR_MS), (19, 19)),
    "desk away": Kind(life.DESK, 12, (2 * MINUTE_MS, 2 * HOUR_MS), (19, 19)),
    "camera dead": Kind(life.CAMERA, 25, (HOUR_MS, 4 * DAY_MS)),
    "program hangs": Kind(life.FIRMWARE, 25, (2 * MINUTE_MS, 40 * MINUTE_MS)),
    "program crashes again and again": Kind(life.FIRMWARE, 4, (HOUR_MS, DAY_MS)),
    "housing broken open": Kind(life.VANDALISM, 12, (2 * HOUR_MS, 4 * DAY_MS)),
    "street dug up, with an order": Kind(life.WORKS, 8, (2 * HOUR_MS, 3 * DAY_MS), (1, 3)),
    "street dug up, nobody told the desk": Kind(life.WORKS, 3, (2 * HOUR_MS, DAY_MS)),
    "maintenance": Kind(life.MAINTENANCE, 19, (30 * MINUTE_MS, 4 * HOUR_MS)),
    WRONG_RECEIVER: Kind(life.WORKS, 6, (2 * DAY_MS, 4 * DAY_MS)),
    WRONG_ADDRESS: Kind(life.WORKS, 6, (2 * DAY_MS, 4 * DAY_MS)),
}
"""A rate is a guess of our own, for no city publishes its failures; the mix is what matters here."""
WITH_EVERYBODY = ("broker away", "desk away")
CALM_MS = 2 * HOUR_MS  # between two failures of one column: each has to be told apart
BATTERY = 0.15  # of the columns in a district without power that run on: their switch does not


@dataclass
class Failure:
    """One of them."""

    kind: str
    columns: tuple[str, ...]
    from_ms: int
    to_ms: int
    run_on: frozenset[str] = frozenset()
    drills: dict[str, int] = field(default_factory=dict)
    """Column -> when its first drill in this failure was."""

    @property
    def cause(self) -> str:
        return KINDS[self.kind].cause


def script(seed: int, columns: Sequence[str], begin_ms: int, days: int) -> list[Failure]:
    """All failures of the time, by when they begin. No column has two at once, and none has one while everybody has."""
    rng = random.Random(seed)
    end_ms = begin_ms + days * DAY_MS
    made: list[Failure] = []
    for kind, rules in sorted(KINDS.items(), key=lambda item: item[0] not in WITH_EVERYBODY):
        for _ in range(_how_many(rng, rules.a_year * days / 365)):
            failure = _place(rng, kind, rules, columns, (begin_ms + DAY_MS, end_ms), made)
            if failure is not None:
                made.append(failure)
    return sorted(made, key=lambda failure: failure.from_ms)


def _how_many(rng: random.Random, wanted: float) -> int:
    return int(wanted) + (rng.random() < wanted % 1)


def _place(
    rng: random.Random,
    kind: str,
    rules: Kind,
    columns: Sequence[str],
    within_ms: tuple[int, int],
    made: Sequence[Failure],
) -> Failure | None:
    for _ in range(50):
        lasts_ms = rng.randint(*rules.lasts_ms)
        if within_ms[1] - within_ms[0] <= lasts_ms + CALM_MS:
            return None
        from_ms = rng.randint(within_ms[0], within_ms[1] - lasts_ms - CALM_MS)
        count = min(len(columns), rng.randint(*rules.takes))
        first = rng.randrange(len(columns))
        taken = tuple(sorted(columns[(first + number) % len(columns)] for number in range(count)))
        if not any(_clash(one, taken, from_ms, from_ms + lasts_ms) for one in made):
            run_on = frozenset(name for name in taken if kind == "district without power" and rng.random() < BATTERY)
            return Failure(kind, taken, from_ms, from_ms + lasts_ms, run_on)
    return None


def _clash(one: Failure, taken: tuple[str, ...], from_ms: int, to_ms: int) -> bool:
    apart = one.to_ms + CALM_MS < from_ms or to_ms + CALM_MS < one.from_ms
    return not apart and bool(set(one.columns) & set(taken))
