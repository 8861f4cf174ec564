"""What goes wrong between columns and brokers: a seeded plan of faults that all heal, and the threads that perform it.

The plan is the same for the same seed; what it meets is not, since this is real time.
"""

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sim.search.brokers.broker_side import DENY_ALARMS, Book, BrokerSide
from sim.servers.proxy import DOWN, FAIR, UP, Proxy, Weather

LANE_KINDS = ("latency", "drip", "reset", "black-hole", "refuse", "cut-up", "cut-down")
BROKER_KINDS = (
    "kill",  # SIGKILL; starts again empty
    "kill-keeping",  # SIGKILL; starts again with what it had stored
    "freeze",  # SIGSTOP
    "restart",
    "restart-keeping",
    "deny",  # the access list throws alarms away, and PUBACK comes
    "no-subscriber",  # the centre is away
    "mute",  # the centre hears and does not answer
)
KINDS = frozenset(LANE_KINDS + BROKER_KINDS)
LANE_PAUSE_S, LANE_LASTS_S = (0.3, 2.0), (0.3, 3.0)
PLACE_PAUSE_S, PLACE_LASTS_S = (3.0, 7.0), (0.5, 4.0)
LATENCY_MS = (20, 400)
DRIP_MS = (1, 3)
CUT_BYTES = {UP: 1200, DOWN: 200}  # where lanes without a saw are cut
CUT_LASTS_S = 1.5  # then a cut that was not reached is given up
POLL_S = 0.01


class Fault(NamedTuple):
    kind: str
    after_s: float  # pause before it
    lasts_s: float
    value: int  # what the kind needs a number for


def plan(seed: int, name: str, kinds: tuple[str, ...]) -> Iterator[Fault]:
    """Endless. Each kind comes once before any comes twice."""
    dice = random.Random(f"{seed} {name}")
    is_lane = kinds == LANE_KINDS
    pause_s, lasts_s = (LANE_PAUSE_S, LANE_LASTS_S) if is_lane else (PLACE_PAUSE_S, PLACE_LASTS_S)
    while True:
        for kind in dice.sample(kinds, len(kinds)):
            yield Fault(kind, dice.uniform(*pause_s), dice.uniform(*lasts_s), dice.randrange(1 << 16))


class Saw:
    """Byte positions at which a session shall be cut: each once, shared by the lanes that saw."""

    def __init__(self, lengths: dict[str, int]) -> None:
        """`lengths`: of a whole session, by direction."""
        self._lock = threading.Lock()
        self._left = [(way, at) for way in (DOWN, UP) for at in reversed(range(lengths[way] + 1))]
        self.total = len(self._left)
        self.cut = 0

    def take(self) -> tuple[str, int] | None:
        with self._lock:
            return self._left.pop() if self._left else None

    def done(self, place: tuple[str, int], was_cut: bool) -> None:
        """A place that was not reached comes again, last."""
        with self._lock:
            if was_cut:
                self.cut += 1
            else:
                self._left.insert(0, place)


class Trouble(threading.Thread):
    """Performs a plan until it is stopped; heals what it broke. Its own failure is a complaint, never silence."""

    def __init__(self, name: str, book: Book, stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self.book, self.stopped = book, stop

    def run(self) -> None:
        try:
            self.perform()
        except Exception:
            self.book.complain(f"harness: {self.name} failed:\n{traceback.format_exc()}")

    def perform(self) -> None:
        raise NotImplementedError


class LaneTrouble(Trouble):
    """Between one column and its broker."""

    def __init__(self, proxy: Proxy, faults: Iterator[Fault], saw: Saw | None, *more: "str | Book | threading.Event"):
        super().__init__(*more)  # type: ignore[arg-type]
        self._proxy, self._faults, self._saw = proxy, faults, saw

    def perform(self) -> None:
        while self._saw is not None and not self.stopped.is_set() and (place := self._saw.take()) is not None:
            self._saw.done(place, self._cut(*place))
        for fault in self._faults:
            if self.stopped.wait(fault.after_s):
                return
            self._inflict(fault)

    def _inflict(self, fault: Fault) -> None:
        kind, proxy = fault.kind, self._proxy
        start_s = time.monotonic()
        if kind in ("cut-up", "cut-down"):
            way = kind.removeprefix("cut-")
            self._cut(way, fault.value % CUT_BYTES[way])
        elif kind == "reset":
            proxy.reset()
        else:
            if kind == "refuse":
                proxy.weather = Weather(refuse=True)
                proxy.reset()  # only who is not connected can be refused
            else:
                proxy.weather = _weather(kind, fault.value)
            self.stopped.wait(fault.lasts_s)
            proxy.weather = FAIR
        self.book.fire(kind, 0, time.monotonic() - start_s)

    def _cut(self, way: str, after_bytes: int) -> bool:
        """Cut a new connection there; False when it did not get that far."""
        before = self._proxy.fired[f"cut-{way}"]
        self._proxy.cut_next(way, after_bytes)
        end_s = time.monotonic() + CUT_LASTS_S
        while self._proxy.fired[f"cut-{way}"] == before:
            if time.monotonic() > end_s or self.stopped.wait(POLL_S):
                return False
        return True


def _weather(kind: str, value: int) -> Weather:
    if kind == "latency":
        return Weather(latency_ms=LATENCY_MS[0] + value % (LATENCY_MS[1] - LATENCY_MS[0]))
    if kind == "drip":
        return Weather(drip_ms=DRIP_MS[0] + value % (DRIP_MS[1] - DRIP_MS[0] + 1))
    return Weather(hole=True)


class BrokerTrouble(Trouble):
    """At a broker, or at its centre."""

    def __init__(self, place: BrokerSide, faults: Iterator[Fault], *more: "str | Book | threading.Event"):
        super().__init__(*more)  # type: ignore[arg-type]
        self._place, self._faults = place, faults

    def perform(self) -> None:
        for fault in self._faults:
            if self.stopped.wait(fault.after_s):
                return
            start_s = time.monotonic()
            heal = self._inflict(fault.kind)
            self.stopped.wait(fault.lasts_s)
            heal()
            self.book.fire(fault.kind, 1, time.monotonic() - start_s)

    def _inflict(self, kind: str) -> Callable[[], None]:
        """Begin it; what is returned ends it."""
        place, broker, centre = self._place, self._place.broker, self._place.centre
        if kind == "freeze":
            broker.freeze()
            return broker.thaw
        if kind == "no-subscriber":
            centre.stop()
            return centre.start
        if kind == "mute":
            centre.auto = None
            return lambda: setattr(centre, "auto", "received")
        if kind == "deny":
            broker.stop()
            broker.acl = DENY_ALARMS
            place.start_broker()
            return self._allow
        broker.persistence = kind.endswith("-keeping")
        (broker.kill if kind.startswith("kill") else broker.stop)()
        return place.start_broker

    def _allow(self) -> None:
        self._place.broker.stop()
        self._place.broker.acl = None
        self._place.start_broker()
