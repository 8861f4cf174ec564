"""A year in the life of a healthy column, as happenings with a date: what a street, a network and an office do to it.

Nothing of this is a fault of the column: through all of it it must stay up, and tell the truth.
"""

from functools import partial
from random import Random
from typing import NamedTuple

from sim.search.storms.happenings import KINDS as STORM_KINDS
from sim.search.storms.happenings import Bounds, Kind, Value
from sim.search.storms.stage import Stage
from sim.virtual.configuration import BROKER, BROKER_NAME, BROKER_PORT
from sim.virtual.timeline import MS_PER_DAY

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
NIGHT_MS = 3 * HOUR_MS
YEAR_DAYS = 365
WEEK_DAYS = 7
MONTH_DAYS = 30
QUARTER_DAYS = 91
LINK_AWAY_MS = 50 * 60_000  # after an hour firmware/link.py resets the chip
OUTAGE_SHARE = 0.55  # of the year: when the outage of a week begins
ADDRESSES = (BROKER, "10.0.1.2", "10.0.2.2")
CAME_BACK_MS = 10 * MINUTE_MS  # after the broker moved


class Happening(NamedTuple):
    at_ms: int
    kind: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        days, ms = divmod(self.at_ms, MS_PER_DAY)
        named = " ".join(f"{name}={value}" for name, value in zip(KINDS[self.kind].bounds, self.values, strict=True))
        return f"day {days:3} {ms / HOUR_MS:6.3f} h  {self.kind}  {named}".rstrip()


def _dns_change(stage: Stage, address: str) -> None:
    """The broker moves: its name has another address from now on, and nobody listens at the old one."""
    world = stage.world
    old = world.network.names[BROKER_NAME]
    world.network.move(BROKER_NAME, address, BROKER_PORT)

    def came() -> None:
        if world.broker.connected() and old != address:
            stage.fired("dns-change")

    stage.after(CAME_BACK_MS, came)


def _tamper(stage: Stage, for_ms: int) -> None:
    """A technician opens the housing, and closes it."""
    world = stage.world
    world.tamper(True)

    def shut() -> None:
        if world.column is not None and world.column.faults.has("tamper"):
            stage.fired("tamper")
        world.tamper(False)

    stage.after(for_ms, shut)


STREET = ("press", "bounce", "panic", "emi", "vibration")
_LONGEST: dict[str, Bounds] = {"for_ms": (1, 8 * MS_PER_DAY)}
OWN_KINDS = {
    "dns-change": Kind({"address": ADDRESSES}, _dns_change),
    "tamper": Kind(_LONGEST, _tamper),
}
_BORROWED = (
    *STREET, "link-flap", "takeover", "commands", "power-cut",
    "network link-down", "network black-hole", "network latency", "network ntp-silent", "network lookup-stall",
    "network tls-expired", "broker down", "broker freeze",
)  # fmt: skip
KINDS: dict[str, Kind] = {**{name: STORM_KINDS[name] for name in _BORROWED}, **OWN_KINDS}


def script(seed: int, days: int, cut_every_days: int | None = None) -> list[Happening]:
    """The happenings of the first `days` days, in order. `cut_every_days`: the power fails as often as that."""
    calendar = _Calendar(seed)
    for day in range(YEAR_DAYS):
        calendar.day(day)
        for every, what in ((WEEK_DAYS, calendar.week), (MONTH_DAYS, calendar.month), (QUARTER_DAYS, calendar.quarter)):
            if day % every == 1:
                what(day)
        if cut_every_days and day % cut_every_days == cut_every_days - 1:
            calendar.cut(day)
    plan = _with_outage(calendar, int(YEAR_DAYS * OUTAGE_SHARE))
    return sorted(one for one in plan if one.at_ms < days * MS_PER_DAY)


def _with_outage(calendar: "_Calendar", day: int) -> list[Happening]:
    """What else would happen to the network in that week does not: the end of it would be the end of the outage."""
    kept = [one for one in calendar.plan if one.kind in STREET or not day <= one.at_ms / MS_PER_DAY < day + WEEK_DAYS]
    calendar.plan.clear()
    calendar.outage(day)
    return kept + calendar.plan


class _Calendar:
    def __init__(self, seed: int) -> None:
        self._dice = Random(f"{seed}/year")
        self.plan: list[Happening] = []

    def day(self, day: int) -> None:
        """The provider's maintenance at night, lorries, and now and then a spark."""
        add, dice = partial(self._add, day), self._dice
        add("link-flap", NIGHT_MS + dice.randrange(HOUR_MS), dice.randint(1, 3), dice.randint(500, 90_000), 20_000)
        for _ in range(dice.randint(0, 3)):
            add("vibration", None, dice.randint(20, 10_000), self._seed())
        if dice.random() < 0.3:
            add("emi", None, dice.randint(5, 2_000), self._seed())

    def week(self, day: int) -> None:
        """The broker is restarted, the network has an hour of bad temper, the office sends a command."""
        dice = self._dice
        self._add(day, "broker down", None, dice.randint(2_000, 120_000))
        self._add(day + dice.randrange(WEEK_DAYS), "network latency", None, dice.randint(MINUTE_MS, HOUR_MS), 800)
        command = dice.choice(("drill", "drill", "report", "selftest", "identify"))
        self._add(day + dice.randrange(WEEK_DAYS), "commands", None, 1, 1, command)

    def month(self, day: int) -> None:
        """About two calls for help, a day without a time server, a slow name server while the link comes back."""
        dice = self._dice
        for _ in range(dice.randint(1, 3)):
            kind = dice.choice(("press", "press", "bounce", "panic"))
            length_ms = dice.randint(1_000, 15_000) if kind == "panic" else dice.randint(60, 3_000)
            self._add(day + dice.randrange(MONTH_DAYS), kind, None, length_ms, self._seed())
        self._add(day + dice.randrange(MONTH_DAYS), "network ntp-silent", None, MS_PER_DAY)
        self._add(day + dice.randrange(MONTH_DAYS), "network lookup-stall", NIGHT_MS, 2 * HOUR_MS, 19_000)
        self._add(day + dice.randrange(MONTH_DAYS), "dns-change", None, dice.choice(ADDRESSES[1:]))
        self._add(day + dice.randrange(MONTH_DAYS), "dns-change", None, ADDRESSES[0])

    def quarter(self, day: int) -> None:
        """A certificate that was forgotten, a frozen broker, a second client with the same id, a technician."""
        dice = self._dice
        at_ms = 6 * HOUR_MS
        self._add(day, "network tls-expired", at_ms, 2 * HOUR_MS)
        self._add(day, "broker down", at_ms + MINUTE_MS, 5_000)  # it is found out when the column connects again
        self._add(day + dice.randrange(QUARTER_DAYS), "broker freeze", None, dice.randint(MINUTE_MS, 20 * MINUTE_MS))
        self._add(day + dice.randrange(QUARTER_DAYS), "takeover", None)
        self._add(day + dice.randrange(QUARTER_DAYS), "tamper", None, dice.randint(MINUTE_MS, HOUR_MS))

    def outage(self, day: int) -> None:
        """A week without a session: the link is gone, for no longer than the column bears it without a reset; then all
        vanishes on its way, then the broker is gone, and for an hour both. Somebody calls for help near its end."""
        half_ms = MS_PER_DAY // 2
        self._add(day, "network link-down", 0, LINK_AWAY_MS)
        self._add(day, "network black-hole", LINK_AWAY_MS, half_ms - LINK_AWAY_MS)
        self._add(day, "broker down", half_ms - HOUR_MS, WEEK_DAYS * MS_PER_DAY - half_ms + HOUR_MS)
        self._add(day + 1, "network black-hole", 0, HOUR_MS)
        self._add(day + WEEK_DAYS - 1, "press", 22 * HOUR_MS, 800, self._seed())

    def cut(self, day: int) -> None:
        self._add(day, "power-cut", None, self._dice.randint(100, 10 * MINUTE_MS))

    def _seed(self) -> int:
        return self._dice.randrange(1_000_000)

    def _add(self, day: int, kind: str, within_ms: int | None, *values: Value) -> None:
        """`within_ms`: of the day; None = at any time of it."""
        at_ms = self._dice.randrange(MS_PER_DAY) if within_ms is None else within_ms
        self.plan.append(Happening(day * MS_PER_DAY + at_ms, kind, values))
