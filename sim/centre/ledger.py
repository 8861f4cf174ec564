"""What the control centre knows: incidents, columns, and messages that broke the contract. Pure: no network,
no clock.

Repeats of an alarm are normal (MQTT's QoS 1 is "at least once"; an unanswered column re-sends): the incident
is told by its id, its highest press number counts, and its state only moves forward, except that a *new*
press on a closed incident opens it again: somebody pressed before the closing had reached the column.
"""

from __future__ import annotations

import copy
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sim import schema

NEW = "new"
STATES = (NEW, "received", "accepted", "dispatched", "closed")
OUTCOMES = ("administrative", "criminal", "help-given", "false", "other")
KEPT_EVENTS = 200
KEPT_VIOLATIONS = 1000
NEVER_RETAINED = ("alarm", "ack", "event", "cmd", "result", "heartbeat")


class LedgerError(ValueError):
    """An operator asked for something that cannot be: unknown incident or column, a step back, a wrong
    outcome."""


@dataclass
class Incident:
    """One alarm id. Times are seconds of the caller's clock."""

    id: str
    region: str
    device_id: str
    first_s: float
    last_s: float
    alarm: dict[str, Any]
    """The transmission with the highest press number, the latest of these."""
    state: str = NEW
    by: str = ""
    outcome: str = ""
    press: int = 0
    transmissions: int = 0
    reopened: int = 0
    late: bool = False
    """Whether any transmission came from the journal after a restart."""

    @property
    def is_open(self) -> bool:
        """Whether an operator still has something to do here."""
        return self.state != "closed"

    @property
    def repeats(self) -> int:
        """Transmissions that brought no new press."""
        return self.transmissions - self.press


@dataclass
class Column:
    """What one column last said. Documents are as received, {} before the first."""

    region: str
    device_id: str
    heard_s: float
    online: bool | None = None
    boot: int = -1
    info: dict[str, Any] = field(default_factory=dict)
    heartbeat: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    results: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Violation:
    """A message that broke the contract, and how."""

    topic: str
    payload: bytes
    why: str


class Ledger:
    """Fed with messages by `take`, with the operator's decisions by `advance`. Not thread-safe: see
    Centre."""

    def __init__(self) -> None:
        self.incidents: dict[str, Incident] = {}
        self.columns: dict[str, Column] = {}
        self.violations: deque[Violation] = deque(maxlen=KEPT_VIOLATIONS)
        self.messages = 0

    def take(
        self, topic: str, payload: bytes, now_s: float, *, qos: int | None = None, retain: bool = False
    ) -> Incident | None:
        """Enter one message; returns the incident if it was an alarm. A message against the contract is kept
        in
        `violations` and has no other effect. `retain`: it came out of the broker's store."""
        self.messages += 1
        try:
            schema.validate(topic, payload, qos=qos)
            parts = schema.topic_kind(topic)
            if retain and parts.kind in NEVER_RETAINED:
                raise schema.ContractError(f"{topic}: retain flag: found True, should be False: nobody sent this now")
        except schema.ContractError as error:
            self.violations.append(Violation(topic, payload, str(error)))
            return None
        document = json.loads(payload) if payload else {}
        if parts.kind in ("ack", "cmd"):  # the centre's own, or another desk's
            return None
        column = self._column(parts, now_s)
        if parts.kind == "alarm":
            return self._take_alarm(parts, document, now_s)
        self._take_telemetry(column, parts, document)
        return None

    def advance(self, incident_id: str, state: str, by: str, outcome: str = "") -> Incident:
        """Move an incident forward to `state`. Raises LedgerError."""
        incident = self.incidents.get(incident_id)
        if incident is None:
            raise LedgerError(f"no incident {incident_id!r}; known: {', '.join(self.incidents) or 'none'}")
        if state not in STATES or STATES.index(state) <= STATES.index(incident.state):
            raise LedgerError(f"{incident_id} is {incident.state!r}: it cannot become {state!r}")
        if (state == "closed") != (outcome in OUTCOMES):
            raise LedgerError(
                f"{incident_id}: outcome {outcome!r}; when closing give one of {', '.join(OUTCOMES)}, else ''"
            )
        incident.state, incident.by, incident.outcome = state, by, outcome
        return incident

    def open_incidents(self) -> list[Incident]:
        """Incidents that are not closed, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    def of(self, device_id: str) -> list[Incident]:
        """All incidents of one column, oldest first."""
        return [incident for incident in self.incidents.values() if incident.device_id == device_id]

    def copy(self) -> Ledger:
        """An independent copy, for readers in other threads."""
        return copy.deepcopy(self)

    def _column(self, parts: schema.Topic, now_s: float) -> Column:
        column = self.columns.setdefault(parts.device_id, Column(parts.region, parts.device_id, now_s))
        column.heard_s = now_s
        return column

    def _take_alarm(self, parts: schema.Topic, alarm: dict[str, Any], now_s: float) -> Incident:
        incident = self.incidents.get(alarm["id"])
        if incident is None:
            incident = Incident(alarm["id"], parts.region, parts.device_id, now_s, now_s, alarm)
            self.incidents[incident.id] = incident
        elif incident.state == "closed" and alarm["press"] > incident.press:
            incident.state, incident.by, incident.outcome = NEW, "", ""
            incident.reopened += 1
        if alarm["press"] >= incident.press:
            incident.press, incident.alarm = alarm["press"], alarm
        incident.transmissions += 1
        incident.last_s = now_s
        incident.late = incident.late or alarm["late"]
        return incident

    def _take_telemetry(self, column: Column, parts: schema.Topic, document: dict[str, Any]) -> None:
        match parts.kind:
            case "state":
                self._take_state(column, document)
            case "info":
                column.info = document
            case "heartbeat":
                column.heartbeat = document
            case "event":
                column.events.append(document)
            case "result":
                column.results[document["id"]] = document
            case "fault" if document:
                column.faults[parts.rest] = document
            case "fault":
                column.faults.pop(parts.rest, None)

    def _take_state(self, column: Column, document: dict[str, Any]) -> None:
        online = document["state"] == "online"
        if not online and document["boot"] < column.boot:
            return  # the last will of a session that a newer boot has replaced
        column.online, column.boot = online, document["boot"]
