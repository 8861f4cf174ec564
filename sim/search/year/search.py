"""One year of one column in virtual time, in one go: no reset, no growth, no promise broken, all the way.

`steady`: one uptime of 365 days; the ticks wrap every 12.4 of them. `cuts`: the power fails every month as well.
A run is named `SEED:KIND:DAYS`, and the same name is the same year.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from rich.table import Table

from sim.search.findings import Control, Findings, Violation, command_of
from sim.search.storms.stage import Stage
from sim.search.year.growth import Sample, complaints, sample
from sim.search.year.script import KINDS, MONTH_DAYS, YEAR_DAYS, Happening, script
from sim.virtual.centre import Policy
from sim.virtual.checks.invariants import Violation as Broken
from sim.virtual.clocks import PERIOD
from sim.virtual.timeline import MS_PER_DAY
from sim.virtual.world import World

from firmware import supervisor, telemetry  # isort: skip - after sim.virtual, which lets them find umqtt

INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "no reset", "no growth", "one clock", "heartbeats")
FIGURE_KINDS = ("steady", "cuts")
CUT_EVERY_DAYS = MONTH_DAYS
SAMPLE_DAYS = 5
POLICY = Policy(received_ms=300, accepted_ms=20_000, dispatched_ms=60_000, closed_ms=600_000)
STEP_MS = MS_PER_DAY // 4
OVERTIME = 1.25  # a year that has come so far is brought to its end
CLOCK_MAX_MS = 5_000  # off the true time at the end of a day with a time server
HEARTBEATS_MIN = 0.9  # of those that the time has room for; a week is an outage
UPTIME_MAX_S = 60  # what the column counts and what has passed
OFTEN = 3  # a kind that happened so often in a year that was cut short has to have taken effect
SAY_EVERY_S = 1.0

CONTROLS = {
    "year-wrap": Control("after the ticks wrapped for the second time the watchdog is not fed any more", "I7"),
    "year-hoard": Control("each step of a task leaves something behind in RAM", "no growth"),
    "year-clock": Control("the uptime is counted in ticks, which wrap", "one clock"),
}


class Street(World):
    """Nobody spoils a task here, so nobody stands between it and the supervisor: that is a fifth faster."""

    def _watch(self, supervisor: Any) -> None:
        pass


class Year:
    """`days` of the year with that seed. `kind`: see the module."""

    def __init__(self, seed: int, kind: str, days: int = YEAR_DAYS) -> None:
        if kind not in FIGURE_KINDS or not 1 <= days <= YEAR_DAYS:
            raise ValueError(f"a year is SEED:{'|'.join(FIGURE_KINDS)}:DAYS, with 1 to {YEAR_DAYS} days")
        self.seed = seed
        self.kind = kind
        self.days = days
        self.world = Street(seed, policy=POLICY)
        self.samples: list[Sample] = []
        self.planned: Counter[str] = Counter()
        self._stage = Stage(self.world, days * MS_PER_DAY)
        self._came: set[int] = set()
        self.script = script(seed, days, CUT_EVERY_DAYS if kind == "cuts" else None)
        for happening in self.script:
            self.world.at(happening.at_ms, partial(self._happens, happening))

    def _happens(self, happening: Happening) -> None:
        self.planned[happening.kind] += 1
        KINDS[happening.kind].act(self._stage, *happening.values)

    def perform(self, going_on: Callable[["Year"], bool] = lambda year: True) -> list[str]:
        """Live through it, or until `going_on` says no or a promise is broken. Returns what was broken."""
        world = self.world
        try:
            while world.now_ms < self.days * MS_PER_DAY and going_on(self):
                world.run(STEP_MS)
                self._look_in()
                world.check()
            self._at_the_end()
            world.settle()
        except Broken:
            pass
        return list(world.invariants.violations)

    def _look_in(self) -> None:
        """Between two quarters of a day."""
        world = self.world
        if self.kind == "steady" and len(world.boots) > 1:
            self._broken(f"no reset: the column was reset by {world.boots[-1]}")
        if len(self.samples) < world.now_ms // (SAMPLE_DAYS * MS_PER_DAY) and world.column is not None:
            self.samples.append(sample(world))
            if self.kind == "steady":
                for text in complaints(self.samples):
                    self._broken(text)

    def _at_the_end(self) -> None:
        world = self.world
        if self.kind != "steady" or world.column is None:
            return
        passed_s = world.now_ms / 1000
        uptime_s = world.column.telemetry.uptime.ms() / 1000
        if abs(uptime_s - passed_s) > UPTIME_MAX_S:
            self._broken(f"one clock: the column counts {uptime_s:.0f} s of uptime, {passed_s:.0f} s have passed")
        heartbeats = world.centre.heartbeats * world.column.telemetry._heartbeat_ms // 1000
        if heartbeats < HEARTBEATS_MIN * passed_s:
            self._broken(f"heartbeats: they cover {heartbeats} s of {passed_s:.0f} s")
        off_ms = world.column.clock.now_ms() - world.true_epoch_ms()
        if abs(off_ms) > CLOCK_MAX_MS:
            self._broken(f"one clock: the column's date is off by {off_ms} ms")

    def _broken(self, text: str) -> None:
        world = self.world
        world.invariants.violations.append(f"{text} (seed {self.seed}, day {world.now_ms / MS_PER_DAY:.2f})")

    @property
    def wraps(self) -> int:
        """How often the ticks of the board that lives now have wrapped."""
        world = self.world
        if world.board is None:
            return 0
        before_us = world.timeline.now_us - world.board.wrap_us()
        return 0 if before_us < 0 else 1 + before_us // (PERIOD * 1000)

    def fired(self) -> Counter[str]:
        """How often each kind really took effect."""
        return Counter({kind: self.world.trace.effects[kind] for kind in self.planned})

    def name(self) -> str:
        return f"{self.seed}:{self.kind}:{self.days}"


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    """The steady year, and as much of the one with power cuts as the rest of the budget has room for."""
    began_s = time.monotonic()
    findings = Findings("one device-year", invariants=INVARIANTS)
    with applied(control):
        for kind in FIGURE_KINDS:
            left_s = budget_s - (time.monotonic() - began_s)
            if left_s <= 0 or findings.violations:
                break
            year = Year(seed, kind)
            violations = year.perform(_Pace(kind, left_s, say))
            _add(findings, year, violations, control)
    findings.wall_s = time.monotonic() - began_s
    speed = findings.simulated_s / findings.wall_s
    findings.figures["speed"] = f"{speed:,.0f} simulated seconds a second"
    return findings


def replay(what: str, control: str | None) -> int:
    """`SEED:KIND:DAYS`; `SEED` alone is its whole steady year."""
    seed, _, rest = what.partition(":")
    kind, _, days = rest.partition(":")
    with applied(control):
        year = Year(int(seed), kind or "steady", int(days or YEAR_DAYS))
        violations = year.perform(_Pace(year.kind, 0, lambda text: print(text, end="\r", flush=True), for_ever=True))
    print("", *map(str, year.script[-20:]), "", year.world.trace.tail(), "", sep="\n")
    print(*violations or [f"every promise was kept; trace {year.world.trace.digest()}"], sep="\n")
    return 1 if violations else 0


class _Pace:
    """Says how far the year has come, and ends it when its time is over."""

    def __init__(self, kind: str, budget_s: float, say: Callable[[str], None], for_ever: bool = False) -> None:
        self._kind = kind
        self._began_s = self._said_s = time.monotonic()
        self._budget_s = budget_s
        self._say = say
        self._for_ever = for_ever

    def __call__(self, year: Year) -> bool:
        now_s = time.monotonic()
        passed_s, days = now_s - self._began_s, year.world.now_ms / MS_PER_DAY
        if now_s - self._said_s >= SAY_EVERY_S:
            self._said_s = now_s
            self._say(f"{self._kind} year: day {days:.0f} of {year.days}, {days * 86_400 / passed_s:,.0f} x real time")
        if self._for_ever or passed_s < self._budget_s:
            return True
        needs_s = passed_s * year.days / max(days, 0.1)
        return self._kind == "steady" and needs_s <= self._budget_s * OVERTIME


def _add(findings: Findings, year: Year, violations: list[str], control: str | None) -> None:
    findings.runs += 1
    findings.simulated_s += year.world.now_ms / 1000
    findings.checks.update(year.world.invariants.checks)
    findings.fired.update(year.fired())
    days = year.world.now_ms / MS_PER_DAY
    enough = 1 if days >= year.days else OFTEN  # what happened just now may still be on its way
    findings.kinds |= frozenset(kind for kind, count in year.planned.items() if count >= enough)
    findings.violations += [Violation(text, command_of("year", year.name(), control)) for text in violations]
    case = year.world.centre.ledger.values()
    if year.kind == "steady":
        findings.figures["device-years, one uptime"] = f"{days / YEAR_DAYS:.3f} ({days:.1f} days)"
        findings.figures["resets"] = str(len(year.world.boots) - 1)
        findings.figures["ticks wraps"] = str(year.wraps)
        findings.figures["trace"] = year.world.trace.digest()[:16]
    else:
        findings.figures["days with power cuts"] = f"{days:.1f}, {len(year.world.boots) - 1} cut(s)"
    findings.figures[f"{year.kind}: alarms"] = str(len(case))
    findings.figures[f"{year.kind}: heartbeats"] = f"{year.world.centre.heartbeats:,}"
    findings.tables.append(_table(year))


def _table(year: Year) -> Table:
    table = Table("day", "objects", "bytes held", "bytes on flash", "flash writes", "events planned", title=year.kind)
    every = max(1, MONTH_DAYS // SAMPLE_DAYS)
    for one in [*year.samples[::every], *year.samples[-1:]]:
        numbers = (one.objects, one.held_bytes, one.flash_bytes, one.flash_writes, one.planned)
        table.add_row(f"{one.day:.0f}", *(f"{number:,}" for number in numbers))
    return table


# -- negative controls


@contextmanager
def applied(control: str | None) -> Iterator[None]:
    """The column is broken in the way of that control meanwhile; None = not at all. KeyError: no such control."""
    if control is None:
        yield
        return
    with mock.patch.object(*_PATCHES[control]()):
        yield


def _wrap() -> tuple[Any, str, Any]:
    honest: Callable[..., None] = supervisor.Supervisor.turn

    def turn(self: Any) -> None:
        now = self._board.ticks_ms()
        self.wraps = getattr(self, "wraps", 0) + (now < getattr(self, "last", 0))
        self.last = now
        if self.wraps >= 2:
            self.culprit = "nobody"
        honest(self)

    return supervisor.Supervisor, "turn", turn


def _hoard() -> tuple[Any, str, Any]:
    honest: Callable[..., int] = telemetry.Telemetry.step

    def step(self: Any) -> int:
        vars(self).setdefault("hoard", []).append(self._seq)
        return honest(self)

    return telemetry.Telemetry, "step", step


def _clock() -> tuple[Any, str, Any]:
    honest: Callable[..., int] = telemetry.Telemetry.step

    def step(self: Any) -> int:
        self.uptime.restart(self.uptime._board.ticks_ms())
        return honest(self)

    return telemetry.Telemetry, "step", step


_PATCHES = {"year-wrap": _wrap, "year-hoard": _hoard, "year-clock": _clock}
