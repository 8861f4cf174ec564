"""One column under test, the same on every runtime: what a person, the street and the centre do, and what they see.

Behaviour tests use only what stands in `Rig`; rig_virtual.py and rig_real.py say how it is done. Times are
milliseconds of `now_ms()`, which begins anew with each `install`.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from firmware.lamp import COLOURS

PATIENCE_MS = 15_000  # the longest that any test waits for something that has no limit of its own
READY_MS = 10_000
TELLING_MS = 1_000  # what the column says of itself comes another way than its alarms, and may be later
SHOWN = 60  # events in the message of a failed test
DEVICE_ROOT = "sos/v1/nko/{}/"
ANSWERED_LAMPS = ("answered", "help-coming")
RUNTIMES = ("virtual", "cpython", "micropython32", "micropython32-newest")  # 64 bits: test_power.py and others
TASKS = (
    *("button", "uplink", "incidents", "column", "lamp", "relay", "link"),
    *("telemetry", "clock", "commands", "drills", "looks"),
)
# Ways for a broker to be away: SIGTERM, SIGKILL, SIGSTOP, CONNACK 5, and a port that accepts and says nothing.
OUTAGES = ("stop", "kill", "freeze", "refuse", "black-hole")

ANSWER_S, WATCHDOG_S, STUCK_S, HEALTHY_S = 2, 3, 5, 1
# Shorter than a column in the street has them, so that a test waits seconds and not minutes.
QUICK: dict[str, dict[str, Any]] = {
    "broker": {"keepalive_s": 3, "connect_timeout_s": 3, "puback_timeout_s": 1, "retry_max_s": 1},
    "incident": {"answer_s": ANSWER_S, "repeat_s": 1, "repeat_max_s": 2},
    "telemetry": {"heartbeat_s": 1},
    "watchdog": {"timeout_s": WATCHDOG_S, "healthy_s": HEALTHY_S},
    "button": {"stuck_s": STUCK_S},
}

_PRESS = re.compile(r"press: incident (\S+) press (\d+)")
BOOT = re.compile(r"boot: number=(\d+) cause=(\S+) mode=(\S+)")
_STATES = {tuple(colour): state for state, colour in COLOURS.items()}

Event = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Alarm:
    """One incident as the centre has it. `body`: one of its transmissions."""

    id: str
    press: int
    copies: int
    late: bool
    body: dict[str, Any]


class Rig(ABC):
    """`slack_ms`: how much later than on the chip something may be seen (a busy machine; 0 in virtual time)."""

    slack_ms = 0

    def __init__(self, runtime: str, device_id: str, seed: int) -> None:
        self.runtime, self.device_id, self.seed = runtime, device_id, seed
        self.root = DEVICE_ROOT.format(device_id)
        self.events: list[Event] = []
        self._read: dict[str, int] = {}  # kind of event -> how many entries of `events` were waited through
        self._commands = 0

    # -- what happens to the column

    def start(self, **sections: dict[str, Any]) -> None:
        """Flash, switch on and wait until the lamp says ready. `sections` replace keys of the quick configuration."""
        self.install(self.document(**sections))
        self.power_on()
        self.wait_lamp("ready", READY_MS)

    def document(self, **sections: dict[str, Any]) -> dict[str, Any]:
        """A complete configuration for this rig's broker."""
        document = self.base_document()
        for changes in (QUICK, sections):
            for section, values in changes.items():
                document.setdefault(section, {}).update(deepcopy(values))
        return document

    @abstractmethod
    def base_document(self) -> dict[str, Any]: ...

    @abstractmethod
    def install(self, document: dict[str, Any]) -> None:
        """Switch off, and put a configuration on flash, valid or not; what the column wrote stays there."""

    @abstractmethod
    def power_on(self) -> None: ...

    @abstractmethod
    def power_off(self) -> None: ...

    @abstractmethod
    def press(self, for_ms: int = 120) -> None: ...

    @abstractmethod
    def wave(self, edges: list[tuple[int, int]]) -> None:
        """(microseconds from now, 1 = closed)"""

    def hold(self) -> None:
        self.wave([(0, 1)])

    def release(self) -> None:
        self.wave([(0, 0)])

    @abstractmethod
    def link(self, up: bool) -> None: ...

    @abstractmethod
    def hang(self, task: str) -> None: ...

    # -- what happens to the broker and the centre

    @abstractmethod
    def break_broker(self, outage: str) -> None:
        """One of OUTAGES begins."""

    @abstractmethod
    def mend_broker(self) -> None:
        """The outage ends, if there is one."""

    @abstractmethod
    def silence_centre(self) -> None:
        """From now on the centre hears and says nothing."""

    @abstractmethod
    def centre_answers(self) -> None:
        """Undo it: the next transmission of each alarm is answered `received`."""

    @abstractmethod
    def camera(self, up: bool = True, status: int | None = 200) -> dict[str, Any]:
        """From now on the camera can be reached or not, and answers that status (None: nothing). Its URIs by kind."""

    @abstractmethod
    def asked(self) -> list[bytes]:
        """What the camera was asked, the latest."""

    @abstractmethod
    def answer(self, ident: str, state: str) -> None:
        """The operator's word: accepted, dispatched or closed."""

    @abstractmethod
    def publish(self, kind: str, payload: bytes) -> None:
        """Somebody sends this to the column's topic `kind`, QoS 1, not retained."""

    def send(self, kind: str, **body: Any) -> None:
        self.publish(kind, json.dumps({"v": 1, **body}).encode())

    def command(self, cmd: str, *, ident: str | None = None, valid_s: float = 30) -> str:
        """A command; returns its id, under which `result` finds the answer."""
        self._commands += 1
        ident = ident or f"cmd-{self._commands}"
        expires = datetime.fromtimestamp(self.epoch_ms() / 1000 + valid_s, UTC)
        self.send("cmd", id=ident, cmd=cmd, expires=expires.isoformat(timespec="seconds").replace("+00:00", "Z"))
        return ident

    @abstractmethod
    def epoch_ms(self) -> int:
        """The true time of the rig's world."""

    # -- what is seen

    @abstractmethod
    def now_ms(self) -> float: ...

    @abstractmethod
    def until(self, look: Callable[[], T | None], within_ms: float, what: str) -> T:
        """Let time pass until `look()` is true, and return its value. Fails with the history."""

    @abstractmethod
    def alarms(self) -> dict[str, Alarm]:
        """The centre's ledger of this column, by incident id."""

    @abstractmethod
    def heard(self, kind: str) -> dict[str, Any] | None:
        """The latest document on info, heartbeat, state or fault/<id>; None before the first, or when cleared."""

    @abstractmethod
    def happened(self) -> list[dict[str, Any]]:
        """The documents on `event`, oldest first."""

    @abstractmethod
    def result(self, ident: str) -> dict[str, Any] | None: ...

    @abstractmethod
    def retained(self, kind: str) -> dict[str, Any] | None:
        """What somebody who connects now finds under that kind."""

    @abstractmethod
    def violations(self) -> list[str]:
        """Whatever broke the contract, the protocol or (in virtual time) an invariant."""

    @abstractmethod
    def close(self) -> None: ...

    def pass_time(self, for_ms: float) -> None:
        """For what nobody sees: a contact that has opened again."""
        end_ms = self.now_ms() + for_ms
        self.until(lambda: self.now_ms() >= end_ms, for_ms + 1000, "the end of a pause")

    # -- the history

    def saw(self, event: str, t_ms: float, **details: Any) -> None:
        self.events.append({"t_ms": t_ms, "event": event, **details})

    def wait_event(self, event: str, within_ms: float = PATIENCE_MS, **details: Any) -> Event:
        """The next event of that kind with those details; what came before it is passed over."""

        def find() -> Event | None:
            for i in range(self._read.get(event, 0), len(self.events)):
                found = self.events[i]
                if found["event"] == event and all(found.get(key) == value for key, value in details.items()):
                    self._read[event] = i + 1
                    return found
            return None

        return self.until(find, within_ms, f"{event} {details or ''}")

    def wait_lamp(self, state: str, within_ms: float = PATIENCE_MS) -> float:
        """When the lamp next comes to show this state."""
        return float(self.wait_event("lamp", within_ms, state=state)["t_ms"])

    def wait_log(self, text: str, within_ms: float = PATIENCE_MS) -> str:
        """The first line of the console, from the beginning, that has `text` in it."""
        return self.until(
            lambda: next((line for line in self.logs() if text in line), None), within_ms, f"log line {text!r}"
        )

    def wait_alarms(self, count: int = 1, within_ms: float = PATIENCE_MS) -> list[Alarm]:
        """All alarms, once the centre has so many."""
        return self.until(
            lambda: list(self.alarms().values()) if len(self.alarms()) >= count else None, within_ms, f"{count} alarms"
        )

    def wait_heard(self, kind: str, within_ms: float = PATIENCE_MS, **values: Any) -> dict[str, Any]:
        """The document on `kind`, once it has these values."""

        def look() -> dict[str, Any] | None:
            body = self.heard(kind)
            return body if body is not None and all(body.get(k) == v for k, v in values.items()) else None

        return self.until(look, within_ms, f"{kind} with {values}; there is {self.heard(kind)}")

    def wait_healthy(self) -> None:
        """Until what this boot runs on counts as good: the loop has gone on for two seconds more than `healthy_s`."""
        boot = self.boots()[-1]["boot"]

        def look() -> bool:
            beat = self.heard("heartbeat")
            return beat is not None and beat["boot"] == boot and beat["uptime_s"] >= HEALTHY_S + 2

        self.until(look, PATIENCE_MS, "a healthy column")

    def wait_happened(self, name: str, within_ms: float = PATIENCE_MS) -> dict[str, Any]:
        return self.until(
            lambda: next((e for e in self.happened() if e["event"] == name), None), within_ms, f"event {name}"
        )

    def wait_result(self, ident: str, within_ms: float = PATIENCE_MS) -> dict[str, Any]:
        return self.until(lambda: self.result(ident), within_ms, f"result of {ident}")

    def mark(self) -> int:
        return len(self.events)

    def lamps(self, since: int = 0) -> list[str]:
        """The lamp's states, one entry a change."""
        return [e["state"] for e in self.events[since:] if e["event"] == "lamp"]

    def lamp(self) -> str:
        return (self.lamps() or ["dark"])[-1]

    def logs(self) -> list[str]:
        return [e["text"] for e in self.events if e["event"] == "log"]

    def boots(self) -> list[Event]:
        return [e for e in self.events if e["event"] == "boot"]

    def resets(self) -> list[Event]:
        return [e for e in self.events if e["event"] == "reset"]

    def noted(self) -> dict[str, int]:
        """By the column's own word: the incidents that it raised, and the presses of each."""
        found = [match for line in self.logs() if (match := _PRESS.search(line))]
        return {match[1]: int(match[2]) for match in found}

    def history(self) -> str:
        """For the message of a failed test."""
        head = f"seed {self.seed}, {self.runtime}, now {self.now_ms():.0f}:"
        lines = [" ".join(str(value) for value in event.values()) for event in self.events[-SHOWN:]]
        return "\n".join([head, *lines, *(str(alarm) for alarm in self.alarms().values())])

    # -- what must be true after every test

    def check(self) -> None:
        broken = self.violations()
        assert not broken, "\n".join([*broken, self.history()])
        what = "press for each alarm: there is one that nobody pressed"
        self.until(lambda: self.actual().keys() <= self.noted().keys(), TELLING_MS, what)
        if not self.alarms():
            assert not set(self.lamps()) & set(ANSWERED_LAMPS), f"answered by nobody\n{self.history()}"

    def check_all_arrived_once(self) -> None:
        """Each incident is at the centre, once, with all its presses, and there is no other."""
        self.until(
            lambda: {a.id: a.press for a in self.alarms().values()} == self.noted(),
            TELLING_MS,
            "agreement of the centre with the column",
        )

    def actual(self) -> dict[str, int]:
        """Incident id -> presses, as the centre has them; drills are nobody's."""
        return {a.id: a.press for a in self.alarms().values() if a.body["status"] == "actual"}


def state_of(colour: tuple[int, int, int]) -> str | None:
    """The lamp's state by its colour; None for a black phase or the second colour of a pattern."""
    return _STATES.get(colour)
