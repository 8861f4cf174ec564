"""Desks in virtual time, a street that presses, and officers of whom a test says what becomes of a telling."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from contract_examples import packed
from duty_rig import alarm_of, topic_of

from contract import validator
from desk.escalation import FAILED, SENT, UNCERTAIN
from desk.ladder import Plan, parse
from desk.ledger import Incident
from desk.register import Reading
from desk.rungs import Telling
from desk.telling import OnTold
from sim.search.answering.broker import Broker
from sim.search.answering.room import Room
from sim.virtual.timeline import US_PER_MS, US_PER_S, Timeline

START_MS = 4_000_000_000_000  # later than any real clock says: the ladder begins with the calls of now
PLAN = parse(
    {
        "officer": {"duty": {}, "chief": {}},
        "ladder": [
            {
                "steps": [
                    {"after_s": 15, "tell": "desks"},
                    {"after_s": 30, "tell": "duty"},
                    {"after_s": 60, "tell": "chief"},
                ]
            }
        ],
    }
)
Fate = Callable[[Telling], str]


class Told(NamedTuple):
    """What an officer has received."""

    at_s: float
    desk: str
    tell: str
    key: str
    repeated: bool


class Street:
    """`fate(telling)`: sent, failed, uncertain (it arrived, and nobody knows), or lost (the same, and it did not)."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("desk-1",), plan: Plan = PLAN) -> None:
        self.timeline = Timeline()
        self.broker = Broker(self.timeline)
        self.broker.heard.append(self._hear)
        self.told: list[Told] = []
        self.acks: list[dict[str, Any]] = []
        self.fate: Fate = lambda telling: "sent"
        self.dies: Callable[[Room, str], bool] = lambda room, point: False
        self.rooms = [
            Room(name, folder, self.timeline, self.broker, plan, START_MS, self._tell, self._is_mortal)
            for name in names
        ]
        for room in self.rooms:
            room.start()
        self.run_s(1)

    @property
    def now_s(self) -> float:
        return self.timeline.now_us / US_PER_S

    def _is_mortal(self, room: Room, point: str) -> bool:
        return self.dies(room, point)

    def _tell(self, room: Room, telling: Telling, incident: Incident, on_told: OnTold) -> None:
        fate = self.fate(telling)
        if fate in (SENT, UNCERTAIN):
            self.told.append(Told(self.now_s, room.name, telling.tell, telling.key, telling.repeated))
        state = {"lost": UNCERTAIN}.get(fate, fate)
        assert state in (SENT, FAILED, UNCERTAIN, "never")
        if state != "never":
            self.timeline.after(500 * US_PER_MS, lambda: on_told(telling, state, "HTTP 200" if state == SENT else "x"))

    def _hear(self, topic: str, payload: bytes) -> None:
        validator.validate(topic, payload, qos=1, retain=False)
        if topic.endswith("/ack"):
            self.acks.append(json.loads(payload))

    def press(self, device_id: str = "petropavl-01", **changes: Any) -> str:
        alarm = alarm_of(device_id, **changes)
        self.broker.publish(topic_of(device_id, "alarm"), packed(alarm))
        return str(alarm["id"])

    def run_s(self, seconds: float) -> None:
        self.timeline.advance_to(self.timeline.now_us + round(seconds * US_PER_S))

    def accept(self, incident_id: str, room: int = 0, by: str = "anna") -> None:
        self.rooms[room].do(lambda duty: duty.accept(incident_id, by))

    def timeline_of(self, incident_id: str, room: int = 0) -> list[tuple[str, str]]:
        """(kind, who was told) of the ladder's entries."""
        with contextlib.closing(Reading(self.rooms[room].path)) as reading:
            row = reading.incident(incident_id)
        assert row is not None
        return [(one["kind"], one["detail"]["tell"]) for one in row["timeline"] if one["kind"].startswith("step-")]

    def said(self, incident_id: str) -> list[tuple[str, str]]:
        """The ladder's entries of all desks."""
        return [entry for number in range(len(self.rooms)) for entry in self.timeline_of(incident_id, number)]


@contextlib.contextmanager
def street(folder: Path, *names: str, plan: Plan = PLAN) -> Iterator[Street]:
    made = Street(folder, names or ("desk-1",), plan)
    yield made
    for room in made.rooms:
        if room.register is not None:
            room.register.close()
