"""A desk that can be killed at any point: its real duty, ladder and register, at the pace of a virtual clock."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from desk import trouble
from desk.batch import Change
from desk.duty import Duty
from desk.escalation import is_waiting
from desk.ladder import Plan
from desk.ledger import Incident
from desk.line import Line
from desk.register import Register
from desk.rungs import Telling
from desk.telling import OnTold
from sim.search.answering.broker import Broker, VirtualClient, maker
from sim.virtual.timeline import US_PER_S, Timeline

POINTS = ("before-commit", "after-commit", "before-telling", "after-telling", "before-told")
"""Where a desk may be killed: around each write, and around what leaves after it."""
TICK_US = US_PER_S
Tell = Callable[[Telling, Incident, str, int, OnTold], None]


def no_room() -> sqlite3.OperationalError:
    """As SQLite says it."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


class Killed(BaseException):
    """kill -9, in the middle of whatever the desk does."""


class MortalRegister(Register):
    """`at(point)` is called around each transaction."""

    def __init__(self, path: Path, at: Callable[[str], None]) -> None:
        super().__init__(path)
        self._at = at
        self._db.execute("PRAGMA synchronous = OFF")  # a process is killed here, not a machine

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        outermost = self._depth == 0
        with super().transaction():
            yield
            if outermost:
                self._at("before-commit")
        if outermost:
            self._at("after-commit")


class Room:
    """One desk with its machine. `tell`: what becomes of a telling; `mortal(point)`: whether it dies there, now."""

    def __init__(
        self,
        name: str,
        folder: Path,
        timeline: Timeline,
        broker: Broker,
        plan: Plan,
        epoch_ms: int,
        tell: Callable[[Room, Telling, Incident, OnTold], None],
        mortal: Callable[[Room, str], bool] = lambda room, point: False,
        on_change: Callable[[Room, Change], None] = lambda room, change: None,
        down_us: Callable[[], int] = lambda: 30 * US_PER_S,
    ) -> None:
        self.name, self.timeline, self.broker, self.plan = name, timeline, broker, plan
        self.path = folder / f"{name}.sqlite"
        self._epoch_ms, self._tell, self._mortal, self._on_change = epoch_ms, tell, mortal, on_change
        self._down_us = down_us
        self.duty: Duty | None = None
        self.register: MortalRegister | None = None
        self.deaths: list[str] = []
        self.down_us: list[tuple[int, int]] = []
        """Spans in which it did not run, or had just begun."""
        self.full_us: list[tuple[int, int]] = []
        """Spans in which its disk took nothing."""
        self._died_us = 0
        self._ticks = False
        self._guarded: Callable[[Callable[[], None]], None] = lambda action: None
        """Runs an action in the present life of the desk."""

    @property
    def now_ms(self) -> int:
        return self._epoch_ms + self.timeline.now_us // 1000

    def start(self) -> None:
        """Begin, or begin again from the register, whether or not that takes anything."""
        if self.deaths:
            self.down_us.append((self._died_us, self.timeline.now_us))
        self.guard(self._start)

    def _start(self) -> None:
        self.register = MortalRegister(self.path, self._at)
        if self.is_full:
            self.register.trouble = trouble.of_register(no_room(), self.path)
        life = len(self.deaths)

        def guarded(action: Callable[[], None]) -> None:
            if life == len(self.deaths):
                self.guard(action)

        self.duty = Duty(
            self.register, "broker", 0, name=self.name, plan=self.plan, officers=_Officers(self, guarded),
            on_change=lambda change: self._on_change(self, change), now_ms=lambda: self.now_ms,
            make_client=maker(self.broker, guarded),
        )  # fmt: skip
        self._guarded, self._ticks = guarded, False
        self.duty.begin()

    def _tick_on(self) -> None:
        assert self.duty is not None
        self._ticks = False
        self.duty.tick()

    def is_busy(self) -> bool:
        """Whether time alone may bring something about."""
        duty = self.duty
        if duty is None:
            return False
        waits = any(is_waiting(one) for one in duty._ledger.incidents.values()) or bool(duty._unrecorded)
        return waits or bool(duty._batch) or bool(duty._answers._taken)

    def cut(self, for_us: int) -> None:
        """The desk's network fails for so long; the desk goes on."""
        if self.duty is None:
            return
        for line in (self.duty._calls, self.duty._telemetry):
            client = _client(line)
            if client.connected:
                client.drop()
                self.guard(line._on_disconnect)
                client.loop_start_in(for_us)
                self.down_us.append((self.timeline.now_us, self.timeline.now_us + for_us))

    @property
    def is_full(self) -> bool:
        return bool(self.full_us) and self.timeline.now_us < self.full_us[-1][1]

    def fill(self, for_us: int) -> None:
        """Its disk is full for so long; what can be read can be read."""
        if not self.is_full:
            self.full_us.append((self.timeline.now_us, self.timeline.now_us + for_us))

    def do(self, action: Callable[[Duty], Any]) -> bool:
        """Somebody sits there and does this, if the desk runs. What it refuses is refused; False: it has no room."""
        if self.duty is None:
            return True
        duty = self.duty
        try:
            self.guard(lambda: action(duty))
        except sqlite3.OperationalError:
            return False
        return True

    def guard(self, action: Callable[[], Any]) -> None:
        """The desk's own work, which may be its end."""
        try:
            action()
        except Killed as death:
            self.kill(str(death))
            return
        if not self._ticks and self.is_busy():
            self._ticks = True
            self.timeline.after(TICK_US, lambda guarded=self._guarded: guarded(self._tick_on))  # type: ignore[misc]

    def kill(self, point: str = "from outside") -> None:
        """kill -9; it comes again by itself."""
        self.deaths.append(point)
        self._died_us = self.timeline.now_us
        if self.duty is not None:
            for line in (self.duty._calls, self.duty._telemetry):
                _client(line).drop()
        self.duty = None
        if self.register is not None:
            self.register.close()
        self.timeline.after(self._down_us(), self.start)

    def _at(self, point: str) -> None:
        if self._mortal(self, point):
            raise Killed(point)
        if point == "before-commit" and self.is_full:
            raise no_room()

    def send(self, telling: Telling, incident: Incident, on_told: OnTold) -> None:
        """A telling leaves."""
        self._at("before-telling")
        self._tell(self, telling, incident, on_told)
        self._at("after-telling")


class _Officers:
    """As the duty knows them: what it asks for leaves the room, and comes back only to the same life of the desk."""

    def __init__(self, room: Room, guarded: Callable[[Callable[[], None]], None]) -> None:
        self._room, self._guarded = room, guarded

    def tell(self, telling: Telling, incident: Incident, desk: str, now_ms: int, on_told: OnTold) -> None:
        def told(one: Telling, state: str, why: str) -> None:
            def come_back() -> None:
                self._room._at("before-told")
                on_told(one, state, why)

            self._guarded(come_back)

        self._room.send(telling, incident, told)

    def wait(self) -> None:
        """Nothing waits here."""


def _client(line: Line) -> VirtualClient:
    client: Any = line._client
    return client
