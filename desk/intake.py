"""What becomes of one message at the desk: refused with a reason, or entered into the ledger. No network, no disk, no
clock: what there is to write goes into the batch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from contract import validator
from desk import limits, proven
from desk.admission import read
from desk.agreement import lasting
from desk.batch import Batch
from desk.escalation import Escalation
from desk.ledger import BY_MAX, NEW, Incident, Ledger, key_of, milliseconds, misuse_of
from desk.origin import AUTHENTIC, DOUBTFUL, LATER_KINDS, NO_KEY, PROVEN, REPLAYED, SEALED_KINDS, UNCONFIRMED, Origins
from desk.silence import UP, Silence
from desk.upkeep.keeper import Keeper

FLOOD_TOLD = (1, 1 / 60)
"""How often a flood is entered as a violation: once, and once a minute."""
CALL_KINDS = ("alarm", "ack")  # what the line for calls brings
FULL_MS = 1000
MAKE_ROOM_MS = 1000  # between two looks for columns that may be forgotten
INCIDENT_ID = re.compile(rb'"id"\s*:\s*"([a-z0-9-]{1,60})"')
EVENT_MAX = 64  # characters of an event's name
DESKS_OWN = ("command", "result")
"""What the desk enters among a column's events by itself: a column's event of that name must not pass for it."""


class Heard(NamedTuple):
    """A message as it came, and how far it is proven."""

    topic: str
    payload: bytes
    word: str


class Intake:
    """`name`: who says `received`. `escalation`: hears what other desks do for calls that nobody accepts; `keeper`: of
    the columns' upkeep, if there is one; `elsewhere`: a call that could not be entered, and climbs the ladder."""

    def __init__(
        self,
        ledger: Ledger,
        silence: Silence,
        name: str,
        escalation: Escalation | None = None,
        keeper: Keeper | None = None,
        origins: Origins | None = None,
        elsewhere: Callable[[str], Incident | None] = lambda incident_id: None,
    ) -> None:
        self._ledger, self._silence, self._name, self._elsewhere = ledger, silence, name, elsewhere
        self._escalation, self._keeper, self._origins = escalation, keeper, origins or Origins()
        self._flood, self._told = limits.Flood(), limits.Flood(*FLOOD_TOLD)
        self._wrong, self._open_more = limits.Flood(*limits.WRONG), limits.Flood(*limits.OPEN_MORE)
        self._made_room_ms = 0
        self._full_ms: dict[str, int] = {}
        """When a column was found to have no room for a further call."""

    def take(self, batch: Batch, topic: str, payload: bytes, *, retain: bool, now_ms: int) -> None:
        """Enter one message, or a violation."""
        if self.admits(batch, topic, payload, now_ms):
            self.enter(batch, topic, payload, retain=retain, now_ms=now_ms)

    def admits(self, batch: Batch, topic: str, payload: bytes, now_ms: int) -> bool:
        """Whether to enter the message; False: its sender is flooding. Call once for each message; it is fast."""
        sender = "/".join(topic.split("/")[3:5])[:80]
        if not self._flood.admits(sender, now_ms) and not self._is_new_call(sender, topic, payload, now_ms):
            if self._told.admits(sender, now_ms):
                why = f"more than {limits.PER_SECOND:g} messages a second: what is too much is not read"
                batch.violations.append((now_ms, topic, why))
            return False
        return True

    def enter(self, batch: Batch, topic: str, payload: bytes, *, retain: bool, now_ms: int) -> None:
        """Enter a message that was admitted."""
        try:
            if len(payload) > limits.PAYLOAD_MAX:
                raise validator.ContractError(f"payload: {len(payload)} bytes, should be {limits.PAYLOAD_MAX} at most")
            parts, document = read(topic, payload, retain=retain)
            if parts.device_id in self._origins.keys.revoked:
                raise validator.ContractError(f"{topic}: {parts.device_id} is revoked: nothing in its name counts")
            word = self._word(parts, topic, payload, document)
            self._refuse(batch, parts, document, now_ms, word)
        except validator.ContractError as error:
            batch.violations.append((now_ms, topic, str(error)))
            return
        if parts.kind == "ack":
            self._agree(batch, document, now_ms)
            batch.unheard += [document["id"]] if document.get("listening_s") == 0 else []
            incident = self._ledger.find(document["id"]) or self._elsewhere(document["id"])
            if self._escalation is not None and incident is not None:
                self._escalation.heard(batch, incident, document, now_ms)
        elif parts.kind != "cmd" and (word != REPLAYED or parts.kind == "alarm"):
            self._enter(batch, parts, document, retain, now_ms, Heard(topic, payload, word))
        self._settle(batch)

    def _word(self, parts: validator.Topic, topic: str, payload: bytes, document: dict[str, Any]) -> str:
        """How far the message is proven. Raises ContractError for one that must be and is not."""
        if parts.kind not in ("ack", *SEALED_KINDS, *LATER_KINDS):
            return NO_KEY
        word = self._origins.judge(parts, topic, payload, document)
        known = self._ledger.find(document["id"]) if parts.kind == "alarm" else None
        is_covered = word in DOUBTFUL and known is not None and known.origin in AUTHENTIC
        if is_covered or not self._origins.takes(parts, document, word):
            raise validator.ContractError(f"{topic}: {word}: nobody with the key of {parts.device_id} wrote this")
        return word

    def _settle(self, batch: Batch) -> None:
        """What a column has said of its calls that were in doubt, and that it has proven something."""
        batch.upkeep += map(proven.noted, self._origins.noted)
        self._origins.noted.clear()
        for incident_id, word in self._origins.settled:
            incident = self._ledger.find(incident_id)
            if incident is None or incident.origin != UNCONFIRMED:
                continue
            # What is over by now, as a drill is at once, the column need not know any more.
            if word == PROVEN or incident.actual and incident.is_open:
                incident.origin = word
                batch.incidents.setdefault(incident_id, False)
        self._origins.settled.clear()

    def flooding(self, now_ms: int) -> list[str]:
        """The device ids of the columns that say too much now."""
        return sorted({sender.split("/")[0] for sender in self._flood.flooding(now_ms)})

    def flooding_with_calls(self, now_ms: int) -> set[str]:
        """Those of them whose calls are too many."""
        senders = (sender.partition("/") for sender in self._flood.flooding(now_ms))
        return {device_id for device_id, _, kind in senders if kind in CALL_KINDS}

    def _is_new_call(self, sender: str, topic: str, payload: bytes, now_ms: int) -> bool:
        """A new call is admitted even from a flooding column: after a long outage of the desk everything arrives at
        once, and the column may not live to repeat it. The id alone rules out most messages, before any parsing, so
        that a flood stays cheap."""
        if not topic.endswith("/alarm") or len(payload) > limits.PAYLOAD_MAX:
            return False
        named = INCIDENT_ID.search(payload)
        if named is None or not self._wrong.has(sender, now_ms):
            return False
        known = self._ledger.incidents.get(named[1].decode())
        if known.is_open if known is not None else not self._had_room(sender.partition("/")[0], now_ms):
            return False
        if self._is_valid_new_call(topic, payload):
            return True
        self._wrong.admits(sender, now_ms)
        return False

    def _had_room(self, device_id: str, now_ms: int) -> bool:
        """`_has_room`; a `False` is remembered for FULL_MS, because counting is expensive in a flood."""
        if 0 <= now_ms - self._full_ms.get(device_id, -FULL_MS) < FULL_MS:
            return False
        if self._has_room(device_id):
            return True
        if len(self._full_ms) >= limits.COLUMNS_MAX:
            self._full_ms.clear()
        self._full_ms[device_id] = now_ms
        return False

    def _is_valid_new_call(self, topic: str, payload: bytes) -> bool:
        try:
            parts, alarm = read(topic, payload)
        except validator.ContractError:
            return False
        known = self._ledger.find(alarm["id"])
        if known is not None:
            return not known.is_open and alarm["press"] > known.press
        return alarm["status"] == "actual" and self._has_room(parts.device_id)

    def _has_room(self, device_id: str) -> bool:
        return sum(one.actual and one.is_open for one in self._ledger.of(device_id)) < limits.OPEN_MAX

    def _refuse(self, batch: Batch, parts: validator.Topic, document: dict[str, Any], now_ms: int, word: str) -> None:
        """Raises ContractError for a valid message that is implausible or over a limit."""
        column = self._ledger.columns.get(parts.device_id)
        if column is None and parts.kind not in ("alarm", "ack", "cmd") and not self._has_place(batch, now_ms):
            raise validator.ContractError(f"a column more than the {limits.COLUMNS_MAX} that there may be")
        if why := limits.unstorable(document):
            raise validator.ContractError(f"payload: {why}")
        if parts.kind in ("ack", "cmd"):
            return
        if parts.kind == "alarm":
            self._refuse_alarm(parts, document, now_ms, word)
        elif column is None:
            return
        elif parts.region != column.region:
            presence = self._silence.presence(parts.device_id)
            if presence is not None and presence.kind == UP:
                raise validator.ContractError(f"region: found {parts.region}; the column is up in {column.region}")
            column.region = parts.region
        elif parts.kind == "fault" and parts.rest not in column.faults and len(column.faults) >= limits.FAULTS_MAX:
            raise validator.ContractError(f"a fault more than the {limits.FAULTS_MAX} that a column may have")

    def _has_place(self, batch: Batch, now_ms: int) -> bool:
        """Whether one more column can be kept; one that was not heard of for long, and asks for nothing, makes room."""
        columns = self._ledger.columns
        if len(columns) < limits.COLUMNS_MAX:
            return True
        if 0 <= now_ms - self._made_room_ms < MAKE_ROOM_MS:
            return False
        self._made_room_ms = now_ms
        since_s = now_ms / 1000 - limits.COLUMN_FORGOTTEN_S
        for column in [one for one in columns.values() if one.heard_s < since_s]:
            if not any(incident.is_open for incident in self._ledger.of(column.device_id)):
                del columns[column.device_id]
                self._silence.forget(column.device_id)
                batch.forget_column(column.device_id)
        return len(columns) < limits.COLUMNS_MAX

    def _refuse_alarm(self, parts: validator.Topic, alarm: dict[str, Any], now_ms: int, word: str) -> None:
        """These limits only delay a call: its column repeats it, and it gets in then. Invented ones keep no proven one
        out."""
        known = self._ledger.find(alarm["id"])
        if known is not None:
            if known.region != parts.region:
                raise validator.ContractError(f"region: found {parts.region}; {known.id} came from {known.region}")
            return
        if alarm["status"] != "actual" or word == PROVEN or self._has_room(parts.device_id):
            return
        if not self._open_more.admits(parts.device_id, now_ms):
            raise validator.ContractError(f"a column with {limits.OPEN_MAX} open incidents: more come in slowly")

    def _enter(
        self, batch: Batch, parts: validator.Topic, document: dict[str, Any], retain: bool, now_ms: int, heard: Heard
    ) -> None:
        said = document
        is_muted = parts.kind == "alarm" and document["status"] == "actual" and self._mutes(parts.device_id, now_ms)
        if is_muted:
            batch.entries.append((document["id"], now_ms, "maintenance", parts.device_id, {"press": document["press"]}))
            document = {**document, "status": "test"}
        known = self._ledger.find(document["id"]) if parts.kind == "alarm" else None
        speaks_itself = known is not None and known.origin in DOUBTFUL and heard.word in AUTHENTIC
        before = (known.press, known.reopened) if known and not speaks_itself else (0, 0)
        was = known.alarm if known else None
        watched = parts.device_id in self._ledger.columns or self._has_place(batch, now_ms)
        is_old = retain or not self._origins.is_sign(parts, heard.word, now_ms)  # it counts, and is no sign of life
        incident = self._ledger.enter(parts, document, now_ms / 1000, retain=is_old, watched=watched, word=heard.word)
        if watched:
            if not is_old:
                self._silence.heard(self._ledger.columns[parts.device_id], now_ms)
            batch.columns.add(parts.device_id)
            if self._keeper is not None:
                self._keeper.heard(parts, said, retain=retain, now_ms=now_ms)
        if incident is not None:
            self._press(batch, incident, document, before, now_ms, heard)
            if was is not None and incident.press == before[0] and lasting(incident.alarm) != lasting(was):
                self._link(batch, incident, now_ms, heard)  # a repeat that says something else, and is shown
            if is_muted and not incident.actual:
                self._close(batch, incident, now_ms)
        elif parts.kind == "event":
            event = document["event"][:EVENT_MAX]
            name = f"event-{event}" if event in DESKS_OWN else event
            batch.events.append((parts.device_id, now_ms, name, document["detail"]))
        elif parts.kind == "result" and not self._origins.is_challenge(parts.device_id, document["id"]):
            batch.events.append((parts.device_id, now_ms, "result", document))

    def _mutes(self, device_id: str, now_ms: int) -> bool:
        """Whether a press there is entered as a test, which rings nowhere, and said to be one: in maintenance."""
        return self._keeper is not None and self._keeper.mutes(device_id, now_ms)

    def _press(
        self,
        batch: Batch,
        incident: Incident,
        alarm: dict[str, Any],
        before: tuple[int, int],
        now_ms: int,
        heard: Heard,
    ) -> None:
        press, reopened = before
        kind = "press" if incident.press > press else "repeat"
        detail = {key: alarm[key] for key in ("press", "age_ms", "late", "clock", "raised_at")}
        if heard.word:
            detail["origin"] = heard.word
        batch.entries.append((incident.id, now_ms, kind, incident.device_id, detail))
        if kind == "press":
            self._link(batch, incident, now_ms, heard)
        if before == (0, 0):
            self._enter_early(batch, incident, now_ms)
        if incident.reopened > reopened:
            batch.entries.append((incident.id, now_ms, "reopened", incident.device_id, {"press": incident.press}))
        self._receive(batch, incident, now_ms)
        batch.answer(incident.id)

    def _link(self, batch: Batch, incident: Incident, now_ms: int, heard: Heard) -> None:
        """The alarm byte for byte."""
        sent = {"topic": heard.topic, "payload": heard.payload.decode()}
        batch.links.append((incident.id, now_ms, "alarm", incident.device_id, sent))

    def _enter_early(self, batch: Batch, incident: Incident, now_ms: int) -> None:
        """What other desks decided before the call came here stands in its timeline, too."""
        for (_, state), decision in incident.decisions.items():
            told = {"outcome": decision.outcome, "misuse": decision.misuse}
            detail = {key: text for key, text in told.items() if text}
            line = (incident.id, decision.at_ms, state, decision.by, {**detail, "heard_ms": now_ms})
            if line[:4] not in [one[:4] for one in batch.entries]:
                batch.entries.append(line)

    def _receive(self, batch: Batch, incident: Incident, now_ms: int) -> None:
        """An incident that nobody has answered is received now."""
        if incident.state == NEW:
            self._ledger.advance(incident.id, "received", self._name, at_ms=now_ms)
            batch.entries.append((incident.id, now_ms, "received", self._name, {}))
            batch.answer(incident.id)

    def _close(self, batch: Batch, incident: Incident, now_ms: int) -> None:
        """A press in maintenance, of which nobody here is asked anything: the column would go on with the call, and
        take the next press, when it is back, for one more of it."""
        if incident.is_open:
            self._ledger.advance(incident.id, "closed", self._name, "other", now_ms)
            batch.entries.append((incident.id, now_ms, "closed", self._name, {"outcome": "other"}))
            batch.answer(incident.id)

    def _agree(self, batch: Batch, ack: dict[str, Any], now_ms: int) -> None:
        """Another desk, or this one's echo."""
        incident = self._ledger.find(ack["id"])
        known = incident and incident.decisions.get(key_of(ack))
        if not self._ledger.agree(ack, now_ms):
            return
        if incident is None:
            batch.early.add(ack["id"])
            return
        at_ms, by = milliseconds(ack["at"]) if "at" in ack else now_ms, ack.get("by", "")[:BY_MAX]
        if known and (known.at_ms, known.by) == (at_ms, by):
            at_ms = now_ms  # the same decision, and more of it: a line of its own
        told = {"outcome": ack.get("outcome"), "misuse": misuse_of(ack)}
        detail = {key: text for key, text in told.items() if text}
        batch.entries.append((incident.id, at_ms, ack["state"], by, {**detail, "heard_ms": now_ms}))
        batch.incidents.setdefault(incident.id, False)
        self._receive(batch, incident, now_ms)
