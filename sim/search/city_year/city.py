"""The city: nineteen columns, a desk, another centre's desk, technicians and contractors; every happening at its
moment, and between them the desk's own looks."""

from __future__ import annotations

import contextlib
import heapq
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

from desk.ledger import LedgerError
from desk.silence import Limits
from desk.upkeep.roster import parse
from sim.search.city_year.column import Column
from sim.search.city_year.failures import DAY_MS, HOUR_MS, MINUTE_MS, WRONG_ADDRESS, WRONG_RECEIVER, Failure, script
from sim.virtual.desk import VirtualDesk

BEGIN_MS = 1_767_225_600_000  # 2026-01-01
COLUMNS = 19
CENTRE, OTHER_CENTRE = "nko-102", "akmola-102"
KEY, OTHER_KEY = bytes(range(32)), bytes(range(1, 33))
BEAT_MS = 15 * MINUTE_MS  # 30 s in the street: a year of 20 million messages would take a day
LIMITS = Limits(wire_ms=40 * MINUTE_MS, stall_ms=11 * MINUTE_MS)
LOOK_MS = 5 * MINUTE_MS
DRILL_MS = 20 * HOUR_MS  # within a day of each other, as in the street
AGAIN_MS = 5 * MINUTE_MS
ROUND_MS = 60 * DAY_MS  # a technician presses every button
SOON_MS = 2000
LOST_WILL = 0.1  # of the losses of which not even the broker tells
LAT, LON = 54.87, 69.15


class City:
    """A context manager. `days` from `BEGIN_MS` on; the same seed is the same city."""

    def __init__(self, folder: Path, seed: int, days: int, columns: int = COLUMNS) -> None:
        self.seed, self.days, self._rng = seed, days, random.Random(seed)
        self.end_ms = BEGIN_MS + days * DAY_MS
        names = [f"sos-{number:02}" for number in range(1, columns + 1)]
        self._rows: list[dict[str, Any]] = [
            {
                "device_id": name, "region": "nko", "address": f"Abay {number}", "site": "public", "stream": ["rtsp"],
                "geo": f"geo:{LAT + number / 500:.4f},{LON + number % 5 / 300:.4f};u=5",
            }
            for number, name in enumerate(names, 1)
        ]  # fmt: skip
        self._roster = {"v": 1, "centre": CENTRE, "columns": self._rows}
        self.desk = VirtualDesk(folder / "desk.db", BEGIN_MS, parse(self._roster, "city"), KEY, LIMITS)
        other = {**self._roster, "centre": OTHER_CENTRE}
        self.other = VirtualDesk(folder / "other.db", BEGIN_MS, parse(other, "other"), OTHER_KEY, LIMITS)
        self.columns = {
            row["device_id"]: Column(row["device_id"], row["address"], row["geo"], self.desk, CENTRE, KEY)
            for row in self._rows
        }  # fmt: skip
        self.failures = script(seed, names, BEGIN_MS, days)
        self._plan: list[tuple[int, int, Callable[[], object]]] = []
        self._number = 0
        self._held: set[str] = set()
        """Columns that cannot drill: their failure has hold of them."""

    def __enter__(self) -> Self:
        self.desk.begin()
        self.other.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.desk.end()
        self.other.end()

    # Time

    def at(self, at_ms: int, act: Callable[[], object]) -> None:
        """What happens then."""
        self._number += 1
        heapq.heappush(self._plan, (at_ms, self._number, act))

    def perform(self, say: Callable[[int], None] = lambda day: None) -> None:
        """The whole time."""
        self._begin()
        while self._plan and self._plan[0][0] < self.end_ms:
            at_ms, _, act = heapq.heappop(self._plan)
            self._pass_until(at_ms)
            act()
            self.desk.tick()
            say((self.desk.now_ms - BEGIN_MS) // DAY_MS)
        self._pass_until(self.end_ms)

    def _pass_until(self, at_ms: int) -> None:
        self.desk.run(at_ms - self.desk.now_ms, LOOK_MS)

    def _begin(self) -> None:
        for column in self.columns.values():
            column.start()
            self.at(BEGIN_MS + self._rng.randint(MINUTE_MS, HOUR_MS), partial(self._drill, column))
            self.at(BEGIN_MS + self._rng.randint(HOUR_MS, DAY_MS // 2), partial(self._round, column))
        self.desk.tick()
        self.at(BEGIN_MS + BEAT_MS, self._beat)
        for failure in self.failures:
            self.at(failure.from_ms, partial(self._fail, failure))

    # What columns and technicians do

    def _beat(self) -> None:
        for column in self.columns.values():
            column.beat()
        self.at(self.desk.now_ms + BEAT_MS, self._beat)

    def _drill(self, column: Column) -> None:
        passed = False
        if column.is_there and column.name not in self._held:
            passed = column.drill() is not None
            for failure in self.failures:
                if column.name in failure.columns and failure.from_ms <= self.desk.now_ms < failure.to_ms:
                    failure.drills.setdefault(column.name, self.desk.now_ms)
        self.at(self.desk.now_ms + (DRILL_MS if passed else AGAIN_MS), lambda: self._drill(column))

    def _round(self, column: Column) -> None:
        """A technician presses the button, and the operator closes the call."""
        if column.is_there:
            ident = column.press()
            self.desk.answer(ident)
            self.desk.tick()
            with contextlib.suppress(LedgerError):  # in maintenance it is a test, and nobody's call
                self.desk.duty.close(ident, "other", "technician")
        self.at(self.desk.now_ms + ROUND_MS, lambda: self._round(column))

    # What befalls them

    def _fail(self, failure: Failure) -> None:
        columns = [self.columns[name] for name in failure.columns]
        acts: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "broker away": (partial(self.desk.stand, False), partial(self._broker_back, columns)),
            "desk away": (partial(self._desk_away, failure), lambda: None),
            "camera dead": (self._each(columns, "stream-down", True), self._each(columns, "stream-down", False)),
            "maintenance": (partial(self._maintain, columns[0], failure), partial(self._maintained, columns[0])),
            WRONG_RECEIVER: (partial(self._misdirect, columns), partial(self._redirect, columns)),
            WRONG_ADDRESS: (partial(self._misplace, columns), partial(self._replace, columns)),
        }
        other = partial(self._lose, columns, failure), partial(self._come_back, columns, failure)
        begin, end = acts.get(failure.kind, other)
        begin()
        if failure.kind != "desk away":
            self.at(failure.to_ms, end)

    def _each(self, columns: list[Column], fault: str, is_up: bool) -> Callable[[], None]:
        def act() -> None:
            for column in columns:
                column.fault(fault, is_up)

        return act

    def _lose(self, columns: list[Column], failure: Failure) -> None:
        if failure.kind == "housing broken open":
            columns[0].fault("tamper", True)
            self.desk.tick()
        if failure.kind == "street dug up, with an order":
            for column in columns:
                self.desk.duty.open_order(
                    column.name, "clerk", what="the street is dug up", who="contractor", cause="works",
                    until_ms=failure.to_ms, maintenance=False,
                )  # fmt: skip
        if failure.kind == "program crashes again and again":
            columns[0].start("panic")
            columns[0].fault("boot-loop", True)
            return
        for number, column in enumerate(columns):
            self._held.add(column.name)
            self.desk.now_ms += SOON_MS * bool(number)
            column.vanish() if self._rng.random() < LOST_WILL else column.lose()

    def _come_back(self, columns: list[Column], failure: Failure) -> None:
        if failure.kind == "program crashes again and again":
            columns[0].fault("boot-loop", False)
            columns[0].start("soft")
            return
        for column in columns:
            self._held.discard(column.name)
            if failure.kind == "housing broken open":
                column.faults.discard("tamper")
                column.say("fault/tamper", None)
            self._return(column, failure)
            self.desk.now_ms += SOON_MS
            self.desk.tick()
            self._drill_soon(column)
            for order in [one for one in self.desk.duty.keeper.orders.values() if one.device_id == column.name]:
                self.desk.duty.finish_order(order.n, "contractor")

    def _return(self, column: Column, failure: Failure) -> None:
        ran_on = column.name in failure.run_on or failure.cause == "link"
        if failure.cause == "works":  # the cable was cut, or the power: it depends
            ran_on = ran_on or self._rng.random() < 0.5
        if ran_on:
            column.connect()
        else:
            column.start("watchdog" if failure.cause == "firmware" else "power-on")

    def _drill_soon(self, column: Column) -> None:
        """Whoever has repaired it tries it."""
        self.at(self.desk.now_ms + MINUTE_MS, column.drill)

    def _broker_back(self, columns: list[Column]) -> None:
        self.desk.stand(True)
        for column in columns:
            self.desk.now_ms += SOON_MS
            if column.is_there:
                column.connect()

    def _desk_away(self, failure: Failure) -> None:
        self.desk.end()
        self.desk.now_ms = failure.to_ms
        self.desk.begin()
        for column in self.columns.values():
            column.beat()

    def _maintain(self, column: Column, failure: Failure) -> None:
        self.desk.duty.open_order(
            column.name, "clerk", what="yearly check", who="technician", cause="maintenance",
            until_ms=failure.to_ms + HOUR_MS, maintenance=True,
        )  # fmt: skip
        self._held.add(column.name)
        self.desk.tick()
        column.lose()
        self.at(failure.to_ms - 10 * MINUTE_MS, lambda: column.start("power-on"))
        self.at(failure.to_ms - 5 * MINUTE_MS, column.press)

    def _maintained(self, column: Column) -> None:
        order = self.desk.duty.keeper.maintenance(column.name)
        assert order is not None, "maintenance ended by itself"
        self.desk.duty.finish_order(order.n, "technician")
        self._held.discard(column.name)
        column.drill()

    def _misdirect(self, columns: list[Column]) -> None:
        """A contractor has set it up for another centre, on the broker that both centres share."""
        for column in columns:
            column.answers = self.other

    def _redirect(self, columns: list[Column]) -> None:
        for column in columns:
            column.answers = self.desk
            self._drill_soon(column)

    def _misplace(self, columns: list[Column]) -> None:
        """The configuration of another column was flashed."""
        for column in columns:
            column.location = {**column.location, "address": "Abay 99"}
            column.start("soft")

    def _replace(self, columns: list[Column]) -> None:
        rows = {row["device_id"]: row for row in self._rows}
        for column in columns:
            column.location = {**column.location, "address": rows[column.name]["address"]}
            column.start("soft")
            self._drill_soon(column)
