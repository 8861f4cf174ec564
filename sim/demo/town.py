"""A town: a broker, a control centre, and columns in real time. The script and the screen both act on it.

It also watches over the truth: whatever a lamp says is held against what the centre has really answered, and
whatever passes the broker is held against the contract, QoS and retain flag included.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from contract import validator
from desk.ledger import STATES, Incident, Ledger
from sim.demo.columns import COLUMNS, DemoColumn, configuration
from sim.real.column import RealColumn
from sim.servers.broker import EmbeddedBroker, Published
from sim.servers.centre import Centre

KEPT_NEWS = 500
# What the centre must at least have said before a lamp may say this.
CLAIMS = {"answered": "received", "help-coming": "accepted"}

Event = dict[str, Any]
T = TypeVar("T")


class PoleLike(Protocol):
    """What the town does to a column; `sim.real.column.RealColumn` is one."""

    def power_on(self) -> None: ...
    def power_off(self) -> None: ...
    def press(self, duration_ms: float) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    def wave(self, edges: Sequence[tuple[int, int]]) -> None: ...
    def link(self, up: bool) -> None: ...
    def hang(self, task: str) -> None: ...
    def now_ms(self) -> int: ...
    def close(self) -> None: ...


ColumnMaker = Callable[[dict[str, Any], Callable[[Event], None]], PoleLike]


def real_column(runtime: str = "cpython") -> ColumnMaker:
    """Makes columns whose chips run the firmware on `runtime`."""
    return lambda config, on_event: RealColumn(config, runtime=runtime, on_event=on_event)


@dataclass(frozen=True)
class Lamp:
    """The lamp began to show `state` at `t_ms` of its column's clock."""

    t_ms: int
    state: str


@dataclass(frozen=True)
class News:
    """Something that happened, for people to read. `at_s`: seconds since the town began."""

    at_s: float
    who: str
    text: str


@dataclass
class Post:
    """One column and what a person in front of it sees. Read it under the town's lock, or with a grain of
    salt."""

    place: DemoColumn
    real: PoleLike
    lamp: str = "dark"
    relay_closed: bool = False
    powered: bool = False
    link_up: bool = True
    held: bool = False
    boots: int = 0
    lamps: list[Lamp] = field(default_factory=list)
    resets: list[Event] = field(default_factory=list)

    @property
    def device_id(self) -> str:
        return self.place.device_id


class Town:
    """A context manager: inside, everything runs. All methods may be called from any thread.

    `patience` multiplies every timeout of `wait_for`.
    """

    def __init__(
        self, places: Sequence[DemoColumn] = COLUMNS, make_column: ColumnMaker | None = None, patience: float = 1.0
    ) -> None:
        self.patience = patience
        self._changed = threading.Condition()
        self._start_s = time.monotonic()
        self._news: deque[News] = deque(maxlen=KEPT_NEWS)
        self._news_count = 0
        self.false_answers: list[str] = []
        self.breaches: list[str] = []
        self.broker = EmbeddedBroker(on_publish=self._on_publish)
        self.centre = Centre(self.broker.host, self.broker.port, on_change=self._notify)
        self._make_column = make_column or real_column()
        self._places = tuple(places)
        self.posts: list[Post] = []

    def __enter__(self) -> Self:
        try:
            self.broker.start()
            self.centre.start()
            for place in self._places:
                self._build(place)
            for post in self.posts:
                self.power(post, on=True)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process and thread of it."""
        for post in self.posts:
            post.real.close()
        self.centre.stop()
        self.broker.stop()

    # What happens in a town

    def press(self, post: Post, duration_ms: float) -> None:
        """Somebody presses the button."""
        self.tell(post.device_id, f"button pressed for {duration_ms:.0f} ms")
        post.real.press(duration_ms)

    def hold(self, post: Post, *, closed: bool) -> None:
        """Somebody leans on the button, or lets go."""
        post.held = closed
        self.tell(post.device_id, "button held" if closed else "button released")
        (post.real.hold if closed else post.real.release)()

    def power(self, post: Post, *, on: bool) -> None:
        """Restore or cut a column's supply."""
        post.powered = on
        self.tell(post.device_id, "power on" if on else "power cut")
        (post.real.power_on if on else post.real.power_off)()

    def link(self, post: Post, *, up: bool) -> None:
        """Bring a column's network back or take it away."""
        post.link_up = up
        self.tell(post.device_id, "network is back" if up else "network is gone")
        post.real.link(up)

    def broker_away(self) -> None:
        """The broker's machine loses its power."""
        self.broker.stop()
        self.tell("broker", "away")

    def broker_back(self) -> None:
        """The broker comes back on its port, having forgotten everything."""
        self.broker.start()
        self.tell("broker", "back")

    # What can be known

    def wait_for(self, predicate: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Wait until `predicate()` is true and return its value. Raises TimeoutError, which says `what`."""
        timeout_s *= self.patience
        with self._changed:
            result = self._changed.wait_for(predicate, timeout_s)
        if not result:
            raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
        return result

    def incidents(self, post: Post) -> list[Incident]:
        """The centre's incidents of a column, oldest first."""
        return self.centre.look(lambda ledger: ledger.of(post.device_id))

    def news(self, since: int) -> tuple[list[News], int]:
        """News number `since` and later, and the number of the next."""
        with self._changed:
            missed = min(self._news_count - since, len(self._news))
            return (list(self._news)[-missed:] if missed > 0 else []), self._news_count

    def tell(self, who: str, text: str) -> None:
        """Add to the news."""
        with self._changed:
            self._news.append(News(time.monotonic() - self._start_s, who, text))
            self._news_count += 1

    # How it works

    def _build(self, place: DemoColumn) -> None:
        config = configuration(place, self.broker.host, self.broker.port)
        number = len(self.posts)
        real = self._make_column(config, lambda event: self._on_event(self.posts[number], event))
        self.posts.append(Post(place, real))

    def _on_event(self, post: Post, event: Event) -> None:
        """In the column's thread: what a person in front of it would see."""
        with self._changed:
            match event["event"]:
                case "lamp":
                    self._on_lamp(post, Lamp(event["t_ms"], event["state"]))
                case "relay":
                    post.relay_closed = event["closed"]
                case "boot":
                    post.boots = event["boot"]
                    self.tell(post.device_id, f"boot {event['boot']} after {event['cause']}")
                case "reset":
                    post.resets.append(event)
                    culprit = event.get("culprit") or "nobody"
                    self.tell(post.device_id, f"RESET by {event['cause']}, culprit: {culprit}")
            self._changed.notify_all()

    def _on_lamp(self, post: Post, lamp: Lamp) -> None:
        post.lamp = lamp.state
        post.lamps.append(lamp)
        self.tell(post.device_id, f"lamp {lamp.state}")
        needed = CLAIMS.get(lamp.state)
        if needed and not self.centre.look(lambda ledger: _is_true(ledger, post.device_id, needed)):
            self.false_answers.append(
                f"{post.device_id} at {lamp.t_ms} ms: {lamp.state}, and no open alarm is {needed}"
            )

    def _on_publish(self, message: Published) -> None:
        """In the broker's thread, for each PUBLISH."""
        try:
            validator.validate(message.topic, message.payload, qos=message.qos, retain=message.retain)
        except validator.ContractError as error:
            with self._changed:
                self.breaches.append(f"{message.client_id}: {error}")
                self.tell("contract", str(error))

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()


def _is_true(ledger: Ledger, device_id: str, needed: str) -> bool:
    return any(
        incident.is_open and STATES.index(incident.state) >= STATES.index(needed) for incident in ledger.of(device_id)
    )
