"""What the desk has to write: collected from message to message, written in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from desk.answers import Answered
from desk.ledger import Ledger
from desk.line import Receipt
from desk.register import Register
from desk.rungs import Rung, Telling, Word
from desk.silence import UP, Silence
from desk.upkeep.store import Statement


class Change(NamedTuple):
    """What changed, and is in the register: `kind` is "incident", "column" or "status" (then `id` is empty). Of UNHEARD
    nothing is kept: a desk has told the column of that incident that it no longer hears the place."""

    kind: str
    id: str


STATUS = Change("status", "")
UNHEARD = "unheard"


@dataclass
class Batch:
    """Filled by the duty, written by `write`. Ids, not objects: what is written is what the ledger says then."""

    incidents: dict[str, bool] = field(default_factory=dict)
    """Id -> whether an answer has to leave."""
    columns: set[str] = field(default_factory=set)
    entries: list[tuple[str, int, str, str, dict[str, Any]]] = field(default_factory=list)
    """(incident, at_ms, kind, by, detail)"""
    links: list[tuple[str, int, str, str, dict[str, Any]]] = field(default_factory=list)
    """The same, for the evidence alone."""
    notes: list[tuple[str, str]] = field(default_factory=list)
    """(incident, note) of a closing at this desk"""
    events: list[tuple[str, int, str, Any]] = field(default_factory=list)
    """(device, at_ms, event, detail)"""
    violations: list[tuple[int, str, str]] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    presences: list[tuple[str, str, int]] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    """Columns whose place another one needs."""
    early: set[str] = field(default_factory=set)
    """Incidents that another desk has answered and this one does not know."""
    rungs: list[Rung] = field(default_factory=list)
    """Steps of the ladder, as they are when it is written."""
    unheard: list[str] = field(default_factory=list)
    """Incidents whose columns were told by a desk that it no longer hears the place."""
    words: list[Word] = field(default_factory=list)
    """For other desks, once it is written."""
    heard: list[tuple[Any, ...]] = field(default_factory=list)
    """What other desks have said of their ladder, each once."""
    tellings: list[Telling] = field(default_factory=list)
    """Of officers, once it is written, and once the words have left."""
    upkeep: list[Statement] = field(default_factory=list)
    """What desk.upkeep has to write."""
    receipts: list[Receipt] = field(default_factory=list)
    """Of the messages that this came from: for the broker, once it is written."""

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def answer(self, incident_id: str) -> None:
        """The incident has changed, or was transmitted again: its latest state is to leave."""
        self.incidents[incident_id] = True

    def forget_column(self, device_id: str) -> None:
        """Nothing but its incidents is kept of this column."""
        self.forgotten.add(device_id)
        self.columns.discard(device_id)
        self.presences = [row for row in self.presences if row[0] != device_id]

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self.incidents or self.early or self.entries or self.unheard)

    def changes(self) -> list[Change]:
        """What it changes, each once."""
        incidents = [*self.incidents, *(one[0] for one in self.entries), *(one[0] for one in self.answered)]
        columns = [*self.columns, *(event[0] for event in self.events)]
        kinds = {"incident": incidents, "column": columns, UNHEARD: self.unheard}
        return list(dict.fromkeys(Change(kind, each) for kind, ids in kinds.items() for each in ids))

    def write(self, register: Register, ledger: Ledger, silence: Silence, now_ms: int) -> bool:
        """Whether there was anything to write. Raises sqlite3.Error; then nothing is written."""
        if not any(what for name, what in vars(self).items() if name not in ("receipts", "words", "heard", "unheard")):
            return False
        with register.transaction():
            for answered in self.answered:  # first: it left before what this batch decides, which is owed still
                register.put_answered(*answered)
            for incident_id, unanswered in self.incidents.items():
                incident = ledger.incidents[incident_id]
                register.put_incident(incident, registered_ms=now_ms, unanswered=unanswered)
                if not incident.actual:
                    for gone in register.drop_old_drills(incident.device_id):
                        ledger.forget(gone)
            for incident_id in self.early:
                register.put_decisions(incident_id, ledger.early.get(incident_id, {}))
            for gone in ledger.drop_early():
                register.drop_decisions(gone)
            for entry in self.entries:
                register.put_entry(*entry)
            for link in self.links:
                register.put_link(*link)
            for note in self.notes:
                register.put_note(*note)
            for rung in self.rungs:
                register.put_rung(**vars(rung))
            self._write_columns(register, ledger, silence)
            for event in self.events:
                register.put_event(*event)
            for violation in self.violations:
                register.put_violation(*violation)
            for sql, values in self.upkeep:
                register.change(sql, *values)
        return True

    def _write_columns(self, register: Register, ledger: Ledger, silence: Silence) -> None:
        for device_id in self.forgotten - self.columns:
            register.drop_column(device_id)
        for device_id in self.columns:
            presence = silence.presence(device_id)
            kind, since_ms = presence or (None, None)
            register.put_column(ledger.columns[device_id], kind, None if kind == UP else since_ms)
        for presence_row in self.presences:
            register.put_presence(*presence_row)
