"""A town: a broker, a desk, and columns in real time, for the script to act on.

It watches over the truth: whatever a lamp says is held against what the desk has really answered, and whatever passes
the broker is held against the contract, QoS and retain flag included.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from common.sentences import LANGUAGES
from contract import validator
from desk.ledger import STATES
from sim.demo.columns import COLUMNS, DemoColumn, configuration
from sim.demo.desk_client import DeskClient
from sim.demo.desk_process import DeskProcess
from sim.real.column import RealColumn
from sim.servers.broker import EmbeddedBroker, Published

LOOK_S = 0.05
# What the desk must at least have said before a lamp may say this.
CLAIMS = {"answered": "received", "unanswered": "received", "help-coming": "accepted"}

Event = dict[str, Any]
T = TypeVar("T")


class ColumnLike(Protocol):
    """What the town does to a column; `sim.real.column.RealColumn` is one."""

    def power_on(self) -> None: ...
    def power_off(self) -> None: ...
    def press(self, duration_ms: float) -> None: ...
    def wave(self, edges: Sequence[tuple[int, int]]) -> None: ...
    def link(self, up: bool) -> None: ...
    def hang(self, task: str) -> None: ...
    def now_ms(self) -> int: ...
    def close(self) -> None: ...


ColumnMaker = Callable[[dict[str, Any], Callable[[Event], None]], ColumnLike]


def real_column(runtime: str = "cpython") -> ColumnMaker:
    """Makes columns whose chips run the firmware on `runtime`."""
    return lambda config, on_event: RealColumn(config, runtime=runtime, on_event=on_event)


@dataclass(frozen=True)
class Lamp:
    """The lamp began to show `state` at `t_ms` of its column's clock."""

    t_ms: int
    state: str


@dataclass
class Post:
    """One column and what a person in front of it sees."""

    place: DemoColumn
    real: ColumnLike
    lamp: str = "dark"
    relay_closed: bool = False
    boots: int = 0
    lamps: list[Lamp] = field(default_factory=list)
    resets: list[Event] = field(default_factory=list)

    @property
    def device_id(self) -> str:
        return self.place.device_id


class Town:
    """A context manager: inside, everything runs. All methods may be called from any thread.

    `patience` multiplies every timeout of `wait_for`; `language`: of the desk's log. Raises
    DeskError when the desk does not start.
    """

    def __init__(
        self,
        places: Sequence[DemoColumn] = COLUMNS,
        make_column: ColumnMaker | None = None,
        patience: float = 1.0,
        language: str = LANGUAGES[0],
    ) -> None:
        self.patience, self._language = patience, language
        self.false_answers: list[str] = []
        self.breaches: list[str] = []
        self.posts: list[Post] = []
        self._said: dict[str, tuple[str, str]] = {}  # incident id -> (device id, what the desk has said last)
        self._changed = threading.Condition()
        self._life = contextlib.ExitStack()
        self._make_column = make_column or real_column()
        self._places = tuple(places)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as life:
            folder = Path(life.enter_context(tempfile.TemporaryDirectory(prefix="sos-town-")))
            self.broker = life.enter_context(EmbeddedBroker(on_publish=self._on_publish))
            said = ("--lang", self._language)
            desk = DeskProcess(folder, self.broker.host, self.broker.port, arguments=said)
            self.desk = life.enter_context(desk)
            self.register = DeskClient(self.desk.url)
            for place in self._places:
                life.callback(self._build(place).real.close)
            for post in self.posts:
                post.real.power_on()
            self._life = life.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.close()

    def broker_away(self) -> None:
        """The broker's machine loses its power."""
        self.broker.stop()

    def broker_back(self) -> None:
        """The broker comes back on its port, having forgotten everything."""
        self.broker.start()

    def wait_for(self, predicate: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Wait until `predicate()` is true and return its value. Raises TimeoutError, which says `what`."""
        timeout_s *= self.patience
        end_s = time.monotonic() + timeout_s
        while True:
            if result := predicate():
                return result
            if time.monotonic() > end_s:
                raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
            with self._changed:
                self._changed.wait(LOOK_S)

    # How it works

    def _build(self, place: DemoColumn) -> Post:
        config = configuration(place, self.broker.host, self.broker.port)
        number = len(self.posts)
        real = self._make_column(config, lambda event: self._on_event(self.posts[number], event))
        self.posts.append(Post(place, real))
        return self.posts[number]

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
                case "reset":
                    post.resets.append(event)
            self._changed.notify_all()

    def _on_lamp(self, post: Post, lamp: Lamp) -> None:
        post.lamp = lamp.state
        post.lamps.append(lamp)
        needed = CLAIMS.get(lamp.state)
        if needed and not self._has_said(post.device_id, needed):
            self.false_answers.append(
                f"{post.device_id} at {lamp.t_ms} ms: {lamp.state}, and no open alarm is {needed}"
            )

    def _has_said(self, device_id: str, needed: str) -> bool:
        """Whether the desk's last word on an alarm of the column is `needed` or more, and it is not closed."""
        return any(
            device_id == of and STATES.index(needed) <= STATES.index(state) < len(STATES) - 1
            for of, state in self._said.values()
        )

    def _on_publish(self, message: Published) -> None:
        """In the broker's thread, for each PUBLISH."""
        if not message.topic.startswith("sos/v1/"):
            return  # the desk's own proof that it is heard
        try:
            validator.validate(message.topic, message.payload, qos=message.qos, retain=message.retain)
        except validator.ContractError as error:
            with self._changed:
                self.breaches.append(f"{message.client_id}: {error}")
            return
        topic = validator.topic_kind(message.topic)
        with self._changed:
            if topic.kind == "ack":
                document = json.loads(message.payload)
                self._said[document["id"]] = (topic.device_id, document["state"])
            self._changed.notify_all()
