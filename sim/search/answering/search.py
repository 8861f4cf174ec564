"""Years of a city in virtual time: the desks' real ladder, people who fail, desks that are killed and cut off.

A run is named `SEED:DAYS`, and the same name is the same city.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from desk.batch import Batch
from desk.escalation import SENT, Escalation
from desk.rungs import Rung
from desk.unrecorded import Unrecorded
from sim.search.answering import picture
from sim.search.answering.city import DAY_S, MOODS, City
from sim.search.answering.promises import IN_TIME, ONCE, PROMISES, TRUE, Judge
from sim.search.answering.room import POINTS
from sim.search.findings import Control, Findings, Violation, command_of

YEAR_DAYS = 365
STEP_DAYS = 5
PAGE = Path("build/campaign/answering.html")
KINDS = frozenset(
    [
        *(f"operator {mood}" for mood in MOODS),
        *(f"killed {point}" for point in POINTS),
        *("killed from outside", "cut off", "disk full", "both disks full", "closed by mistake, and pressed again"),
        *("telling sent", "telling failed", "telling unsure", "telling lost"),
    ]
)
CONTROLS = {
    "ladder-forgets": Control("after a restart a step that was begun counts as done, whether it left or not", TRUE),
    "ladder-twice": Control("a desk does not tell the others which steps it takes", ONCE),
    "full-silent": Control("while its disk is full a desk tells nobody", IN_TIME),
}


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """One year, and further ones while the budget has room for another."""
    began_s = time.monotonic()
    findings = Findings("city-years", invariants=PROMISES)
    cities: list[City] = []
    judges: list[Judge] = []
    with applied(control), tempfile.TemporaryDirectory(prefix="sos-answering-") as folder:
        took_s = 0.0
        while not cities or (time.monotonic() - began_s + took_s < budget_s and not findings.violations):
            year_s = time.monotonic()
            city, judge = perform(seed + len(cities), YEAR_DAYS, Path(folder), say)
            took_s = time.monotonic() - year_s
            cities.append(city)
            judges.append(judge)
            findings.runs += 1
            findings.simulated_s += city.now_s
            findings.checks.update(judge.checks)
            findings.fired.update(city.fired)
            replayed = command_of("answering", f"{city.seed}:{city.days}", control)
            findings.violations += [Violation(line, replayed) for line in judge.violations]
    findings.kinds = KINDS
    findings.wall_s = time.monotonic() - began_s
    findings.figures["calls"] = str(sum(len(city.calls) for city in cities))
    findings.figures["whole ladders"] = str(sum(judge.walked for judge in judges))
    picture.write(PAGE, cities, judges)
    findings.figures["page"] = str(PAGE)
    return findings


def perform(seed: int, days: int, folder: Path, say: Callable[[str], None] = lambda text: None) -> tuple[City, Judge]:
    """One city, judged, and its desks ended."""
    place = folder / str(seed)
    place.mkdir(parents=True, exist_ok=True)
    logging.getLogger("desk").setLevel(logging.CRITICAL)  # its killed desks have much to say
    try:
        city = City(seed, days, place)
        for day in range(0, days, STEP_DAYS):
            city.run(min(day + STEP_DAYS, days) * DAY_S)
            say(f"day {day} of {days}, {len(city.calls)} calls")
        city.settle()
        judge = Judge(city)
        judge.judge()
        city.close()
        return city, judge
    finally:
        logging.getLogger("desk").setLevel(logging.NOTSET)


def replay(what: str, control: str | None) -> int:
    """`SEED:DAYS`; `SEED` alone is a year."""
    seed, _, days = what.partition(":")
    with applied(control), tempfile.TemporaryDirectory(prefix="sos-answering-") as folder:
        _, judge = perform(
            int(seed), int(days or YEAR_DAYS), Path(folder), lambda text: print(text, end="\r", flush=True)
        )
    print("", *judge.violations or ["every promise was kept"], sep="\n")
    return 1 if judge.violations else 0


def _forgets(self: Escalation, batch: Batch, begun: Iterable[Rung], now_ms: int) -> None:
    for rung in begun:
        self._of(rung.incident_id)[rung.opening, rung.step] = rung
        self._put(batch, rung, SENT, now_ms)


BREAKS: dict[str, tuple[type, str, Any]] = {
    "ladder-forgets": (Escalation, "recall", _forgets),
    "ladder-twice": (Escalation, "_say", lambda *_: None),
    "full-silent": (Unrecorded, "take", lambda *_: []),
}


@contextmanager
def applied(control: str | None) -> Iterator[None]:
    """The desks are broken like that meanwhile."""
    if control is None:
        yield
        return
    whose, name, broken = BREAKS[control]
    with mock.patch.object(whose, name, broken):
        yield
