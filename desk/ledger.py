"""What the control centre knows: incidents, columns, and messages that broke the contract. Pure: no network,
no clock.

Repeats of an alarm are normal (MQTT's QoS 1 is "at least once"; an unanswered column re-sends): the incident
is told by its id, its highest press number counts, and its state only moves forward, except that a *new*
press on a closed incident opens it again: somebody pressed before the closing had reached the column.

Two desks agree without asking each other: an incident's state is a function of the *set* of presses and decisions
that were heard (see `_settle`), so the order in which they arrive does not matter. A decision says which press it
knew of: a closing ends the presses up to that one, and never one that its operator had not heard of.
"""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from contract import validator
from desk import origin
from desk.admission import read
from desk.misuse import FALSE, MISUSES

NEW = "new"
NEVER_S = float("-inf")
STATES = (NEW, "received", "accepted", "dispatched", "closed")
OUTCOMES = ("administrative", "criminal", "help-given", "false", "other")
KEPT_EVENTS = 200
KEPT_VIOLATIONS = 1000
KEPT_DECISIONS = 64  # of one incident, and of incidents that are not known yet
KEPT_EARLY = 256  # incidents whose answer came before the alarm
BY_MAX = 80  # characters of a name that are kept
TWO_BOARDS = "desk.two-boards"  # no column can have a fault of that name: it is the desk's own
BOARDS_S = 24 * 3600.0  # without a further change, it was a repair after all


class LedgerError(ValueError):
    """An operator asked for something that cannot be: unknown incident or column, a step back, a wrong
    outcome. `code` and `values`: see desk.web.refusal.Refusal."""

    def __init__(self, text: str, *, code: str = "", **values: str | int) -> None:
        super().__init__(text)
        self.code, self.values = code, values


class Decision(NamedTuple):
    """What a centre did with an incident. The smallest of several is the one that counts: the earlier, then by name."""

    at_ms: int
    by: str
    outcome: str
    """"" unless it is a closing."""
    misuse: str = ""
    """Of a false call: a word of MISUSES, or "" where nobody said."""

    @property
    def rank(self) -> tuple[int, str, str, bool, str]:
        """The order of decisions. A desk that does not know of `misuse` repeats a closing without it: that takes back
        nothing."""
        return self.at_ms, self.by, self.outcome, not self.misuse, self.misuse


Decisions = dict[tuple[int, str], Decision]
"""(the highest press that the decider had heard of, state) -> the decision that counts."""


class Waiting(NamedTuple):
    """How long a call has waited for a person. `unanswered_s`: so long, and the column and all desks were told; 0: not
    yet."""

    opening: int
    since_ms: int
    unanswered_s: int = 0


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
    misuse: str = ""
    press: int = 0
    first_press: int | None = None
    """At which press this desk first heard of it; None: nobody knows any more."""
    transmissions: int = 0
    reopened: int = 0
    late: bool = False
    """Whether any transmission came from the journal after a restart."""
    actual: bool = False
    """Whether any transmission asked for help; else it is a test or an exercise."""
    origin: str = origin.NO_KEY
    """How well it is proven that its column said so."""
    decisions: Decisions = field(default_factory=dict)
    opening: int = 0
    """The press up to which it was closed when it was last opened: names the wait for somebody who accepts."""
    waiting: Waiting | None = None

    @property
    def unanswered_s(self) -> int:
        """For how long nobody has accepted, if that was long enough to tell everybody; else 0."""
        told = self.waiting is not None and self.waiting.opening == self.opening and self.state in (NEW, "received")
        return self.waiting.unanswered_s if self.waiting is not None and told else 0

    @property
    def is_open(self) -> bool:
        """Whether an operator still has something to do here."""
        return self.state != "closed"

    @property
    def repeats(self) -> int:
        """Transmissions that brought no new press."""
        return self.transmissions - self.press

    def decisive(self, state: str) -> tuple[Decision, int] | None:
        """The decision that brought the incident into `state` since it was last opened, and the press that it knew of;
        None if it was not in it."""
        closings = sorted(press for press, each in self.decisions if each == "closed" and press <= self.press)
        current = closings if self.is_open else closings[:-1]
        after = current[-1] if current else 0
        found = ((one, press) for (press, each), one in self.decisions.items() if each == state and press > after)
        if state == "closed":  # one that knew of more presses than have arrived counts when they do
            found = ((one, press) for one, press in found if press <= self.press)
        return min(found, key=lambda each: (each[0].rank, each[1]), default=None)


@dataclass
class Column:
    """What one column last said. Documents are as received, {} before the first."""

    region: str
    device_id: str
    heard_s: float = NEVER_S
    """When it last said something itself."""
    online: bool | None = None
    boot: int = -1
    info: dict[str, Any] = field(default_factory=dict)
    heartbeat: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    board_before: tuple[str, float] | None = None
    """The `uid` of another board that had this name, and when it was last heard."""


@dataclass(frozen=True)
class Violation:
    """A message that broke the contract, and how."""

    topic: str
    payload: bytes
    why: str


class Ledger:
    """Fed with messages by `take`, with the operator's decisions by `advance`. Not thread-safe: see Centre.

    `fetch`: an incident that is kept elsewhere, with its decisions."""

    def __init__(self, fetch: Callable[[str], Incident | None] = lambda incident_id: None) -> None:
        self._fetch = fetch
        self.incidents: dict[str, Incident] = {}
        """Those in memory; `find` knows the others, too."""
        self._by_column: defaultdict[str, dict[str, Incident]] = defaultdict(dict)
        self.columns: dict[str, Column] = {}
        self.violations: deque[Violation] = deque(maxlen=KEPT_VIOLATIONS)
        self.early: dict[str, Decisions] = {}
        """Answers of another desk to alarms that have not arrived here."""
        self.messages = 0

    def take(
        self, topic: str, payload: bytes, now_s: float, *, qos: int | None = None, retain: bool = False
    ) -> Incident | None:
        """Enter one message; returns the incident if it was an alarm. A message against the contract is kept
        in
        `violations` and has no other effect. `retain`: it came out of the broker's store."""
        self.messages += 1
        try:
            parts, document = read(topic, payload, qos=qos, retain=retain)
        except validator.ContractError as error:
            self.violations.append(Violation(topic, payload, str(error)))
            return None
        if parts.kind in ("ack", "cmd"):  # the centre's own, or another desk's
            return None
        return self.enter(parts, document, now_s, retain=retain)

    def find(self, incident_id: str) -> Incident | None:
        """The incident, wherever it is kept."""
        incident = self.incidents.get(incident_id)
        if incident is None:
            incident = self._fetch(incident_id)
            if incident is not None:
                self.keep(incident)
        return incident

    def keep(self, incident: Incident) -> None:
        """Have it in memory."""
        self.incidents[incident.id] = incident
        self._by_column[incident.device_id][incident.id] = incident
        _settle(incident)

    def cool(self, most: int) -> None:
        """Keep the `most` newest in memory; the others are to be fetched."""
        while len(self.incidents) > most:
            self.forget(next(iter(self.incidents)))

    def enter(
        self,
        parts: validator.Topic,
        document: dict[str, Any],
        now_s: float,
        *,
        retain: bool = False,
        watched: bool = True,
        word: str = origin.NO_KEY,
    ) -> Incident | None:
        """Enter what a column has said, as `read` gives it; returns the incident if it was an alarm. `watched`: false
        for a call from a column whose telemetry is not kept. `word`: of desk/origin.py."""
        column = self._column(parts, now_s, retain) if watched else Column(parts.region, parts.device_id)
        if parts.kind == "alarm":
            return self._take_alarm(parts, document, now_s, word)
        self._take_telemetry(column, parts, document)
        if parts.kind == "heartbeat" and word == origin.PROVEN:
            _agree_on_faults(column, document["faults"])
        return None

    def advance(
        self, incident_id: str, state: str, by: str, outcome: str = "", at_ms: int = 0, misuse: str = ""
    ) -> Incident:
        """Move an incident forward to `state`. Raises LedgerError."""
        incident = self.find(incident_id)
        if incident is None:
            known = ", ".join(list(self.incidents)[-10:]) or "none"
            raise LedgerError(f"no incident {incident_id!r}; the last known: {known}", code="no-incident")
        if state not in STATES or STATES.index(state) <= STATES.index(incident.state):
            why = f"{incident_id} is {incident.state!r}: it cannot become {state!r}"
            raise LedgerError(why, code="state-passed", state=incident.state)
        if (state == "closed") != (outcome in OUTCOMES):
            raise LedgerError(
                f"{incident_id}: outcome {outcome!r}; when closing give one of {', '.join(OUTCOMES)}, else ''"
            )
        if misuse and (outcome != FALSE or misuse not in MISUSES):
            raise LedgerError(f"misuse {misuse!r}: only of a false call, one of {', '.join(MISUSES)}")
        incident.decisions[incident.press, state] = Decision(at_ms, by[:BY_MAX], outcome, misuse)
        _settle(incident)
        return incident

    def agree(self, ack: dict[str, Any], now_ms: int) -> bool:
        """Enter a valid acknowledgement that another desk has sent (or this one: then nothing changes); whether
        it changed anything. If it does not say what it had heard of, it counts for the first press only."""
        incident = self.find(ack["id"])
        decisions = incident.decisions if incident else self.early.setdefault(ack["id"], {})
        key = key_of(ack)
        at_ms = milliseconds(ack["at"]) if "at" in ack else now_ms
        told = Decision(at_ms, ack.get("by", "")[:BY_MAX], ack.get("outcome", ""), misuse_of(ack))
        if key in decisions and decisions[key].rank <= told.rank:
            return False
        if key not in decisions and len(decisions) >= KEPT_DECISIONS:
            return False
        decisions[key] = told
        if incident is not None:
            _settle(incident)
        return True

    def recall(self, incident_id: str, press: int, state: str, decision: Decision) -> None:
        """Enter a decision that was kept elsewhere."""
        incident = self.incidents.get(incident_id)
        decisions = incident.decisions if incident else self.early.setdefault(incident_id, {})
        decisions[press, state] = decision
        if incident is not None:
            _settle(incident)

    def drop_early(self) -> list[str]:
        """Forget the oldest answers to alarms that never came, when there are too many; the ids of what went."""
        gone = list(self.early)[: max(0, len(self.early) - KEPT_EARLY)]
        for incident_id in gone:
            del self.early[incident_id]
        return gone

    def forget(self, incident_id: str) -> None:
        """Drop an incident from memory, when there are too many of its kind. If nobody else keeps it, its id would then
        open a new one."""
        incident = self.incidents.pop(incident_id, None)
        if incident is not None:
            mine = self._by_column[incident.device_id]
            mine.pop(incident_id, None)
            if not mine:
                del self._by_column[incident.device_id]

    def open_incidents(self) -> list[Incident]:
        """Incidents that are not closed, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    def asking(self) -> list[Incident]:
        """Those of them that ask somebody: no drills. Nobody closes these, and in a year there are thousands."""
        return [
            incident
            for incident in self.incidents.values()
            if incident.state != "closed" and (incident.actual or incident.alarm["status"] != "test")
        ]

    def of(self, device_id: str) -> list[Incident]:
        """All incidents of one column, oldest first."""
        return list(self._by_column.get(device_id, {}).values())

    def copy(self) -> Ledger:
        """An independent copy, for readers in other threads."""
        return copy.deepcopy(self)

    def _column(self, parts: validator.Topic, now_s: float, retain: bool) -> Column:
        column = self.columns.setdefault(parts.device_id, Column(parts.region, parts.device_id))
        if not retain:  # what the broker had in store is no sign of life
            column.heard_s = now_s
        return column

    def _take_alarm(self, parts: validator.Topic, alarm: dict[str, Any], now_s: float, word: str) -> Incident:
        incident = self.find(alarm["id"])
        if incident is None:
            incident = Incident(alarm["id"], parts.region, parts.device_id, now_s, now_s, alarm, origin=word)
            incident.first_press = alarm["press"]
            incident.decisions = self.early.pop(incident.id, {})
            self.keep(incident)
        elif incident.origin in origin.DOUBTFUL and word in origin.AUTHENTIC:
            incident.press = 0  # what was said in the column's name ends where it speaks itself
        incident.origin = origin.better(incident.origin, word)
        if alarm["press"] >= incident.press:
            incident.press, incident.alarm = alarm["press"], alarm
        incident.transmissions += 1
        incident.last_s = now_s
        incident.late = incident.late or alarm["late"]
        incident.actual = incident.actual or alarm["status"] == "actual"
        _settle(incident)
        return incident

    def _take_telemetry(self, column: Column, parts: validator.Topic, document: dict[str, Any]) -> None:
        match parts.kind:
            case "state":
                self._take_state(column, document)
            case "info":
                _see_board(column, document)
                column.info = document
            case "heartbeat":
                column.heartbeat = document
            case "event":
                column.events.append(document)
            case "result":
                column.results[document["id"]] = document
                while len(column.results) > KEPT_EVENTS:
                    del column.results[next(iter(column.results))]
            case "fault" if document:
                column.faults[parts.rest] = document
            case "fault":
                column.faults.pop(parts.rest, None)

    def _take_state(self, column: Column, document: dict[str, Any]) -> None:
        online = document["state"] == "online"
        if not online and document["boot"] < column.boot:
            return  # the last will of a session that a newer boot has replaced
        column.online, column.boot = online, document["boot"]


def _see_board(column: Column, info: dict[str, Any]) -> None:
    """One board after another is a repair; the first one again is two boards under one name, that take each other's
    place at the broker: neither can be relied upon."""
    was, now = (document.get("hw", {}).get("uid") for document in (column.info, info))
    known = column.faults.get(TWO_BOARDS)
    if known is not None and column.heard_s - known["at_s"] > BOARDS_S:
        del column.faults[TWO_BOARDS]
    if not was or not now or was == now:
        return
    before, column.board_before = column.board_before, (was, column.heard_s)
    if before is not None and before[0] == now and column.heard_s - before[1] <= BOARDS_S:
        since = column.faults.get(TWO_BOARDS, {}).get("since")
        boards = ", ".join(sorted((was, now)))
        column.faults[TWO_BOARDS] = {
            "v": 1, "id": TWO_BOARDS, "since": since, "detail": f"boards {boards}", "at_s": column.heard_s,
        }  # fmt: skip


def _agree_on_faults(column: Column, proven: list[str]) -> None:
    """What a proven heartbeat says: a broker can neither end a fault nor keep it to itself for longer."""
    for ident in [one for one in column.faults if one not in proven and one != TWO_BOARDS]:
        del column.faults[ident]
    for ident in proven:
        column.faults.setdefault(ident, {"v": 1, "id": ident, "since": None, "detail": ""})


def key_of(ack: dict[str, Any]) -> tuple[int, str]:
    """Where an acknowledgement belongs among the decisions."""
    return ack.get("press", ack.get("heard", 1)), ack["state"]


def misuse_of(ack: dict[str, Any]) -> str:
    """What kind of false call it was. A newer desk's word of its own is none: the closing counts all the same."""
    misuse = str(ack.get("misuse", ""))
    return misuse if misuse in MISUSES and ack.get("outcome") == FALSE else ""


def join(incident: Incident, decisions: Decisions) -> None:
    """Enter decisions that were heard apart from the incident."""
    for key, decision in decisions.items():
        known = incident.decisions.get(key)
        incident.decisions[key] = decision if known is None else min(known, decision, key=lambda one: one.rank)
    _settle(incident)


def milliseconds(time: str) -> int:
    """A time of the contract as milliseconds since the epoch."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _settle(incident: Incident) -> None:
    """The incident's state, from what was pressed and what was decided, in whatever order it was heard.

    A closing counts once its press has been heard. While there is a press that no closing knew of, the incident is
    open, and what was decided since the last closing counts."""
    closings = {press for press, state in incident.decisions if state == "closed" and press <= incident.press}
    incident.reopened = sum(press < incident.press for press in closings)
    incident.opening = max(closings, default=0)
    if incident.press in closings:
        incident.state, closing = "closed", incident.decisions[incident.press, "closed"]
        incident.by, incident.outcome, incident.misuse = closing.by, closing.outcome, closing.misuse
        return
    incident.misuse = ""
    after = max(closings, default=0)
    current = [(state, decision) for (press, state), decision in incident.decisions.items() if press > after]
    current = [(state, decision) for state, decision in current if state != "closed"]
    if not current:
        incident.state, incident.by, incident.outcome = NEW, "", ""
        return
    top = max(STATES.index(state) for state, _ in current)
    incident.state, incident.outcome = STATES[top], ""
    incident.by = min((one for state, one in current if state == STATES[top]), key=lambda one: one.rank).by
