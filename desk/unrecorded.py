"""The ladder while the register takes nothing: a full disk must not end a call in silence.

The steps are taken all the same. What was done is kept here until the register takes it: the steps, their lines of the
timeline (marked `unrecorded`), and since when calls wait, of calls too that are in no register: their columns are not
answered, but the officers are told. A page on the disk, made while there was room and written over in its place, says
before each telling that it leaves: a desk that is killed meanwhile knows at its next start what is uncertain.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from desk.batch import Batch
from desk.escalation import Escalation, is_waiting
from desk.ladder import DESKS
from desk.ledger import Incident, Ledger, Waiting, join
from desk.page import Page
from desk.register import Register
from desk.rungs import Rung, Telling, Word, rungs_of

SUFFIX = ".unrecorded"
KEPT_MS = 24 * 3_600_000
"""A step of a call that never came into the register is forgotten after that."""
MARK = "unrecorded"
HEARD = "step-heard"
"""Another desk says it, with each connection anew: once is enough."""
Entry = tuple[str, int, str, str, dict[str, Any]]
LOST = "after a restart an officer may be told again without notice"


class Unrecorded:
    """Of one desk, as long as its process lives; `path`: the register's."""

    def __init__(self, path: Path, now_ms: int) -> None:
        self._page = Page(path.with_name(path.name + SUFFIX), LOST)
        self.calls: dict[str, Incident] = {}
        """Calls that are in no register, as they were last heard."""
        self.words: list[Word] = []
        """For the other desks, when there is a connection."""
        self.heard: set[tuple[Any, ...]] = set()
        """What other desks have said of their ladder: the broker says it again until it can be written."""
        self.louder: set[str] = set()
        """Calls of which all desks are to be told."""
        self._shown: dict[str, str] = {}
        """`calls`, by their states, as people last saw them."""
        self._waits: dict[str, Waiting] = {}
        self._entries: list[Entry] = []
        known = [rung for rung in rungs_of(self._page.read()) if 0 <= now_ms - rung.at_ms < KEPT_MS]
        self._rungs = {_key(rung): rung for rung in known}
        for rung in known:
            self._wait_of(rung)

    def __bool__(self) -> bool:
        return bool(self.calls or self._rungs or self._entries or self._waits)

    def steps(self, incident_id: str) -> list[Rung]:
        """Those of a call that the register lacks."""
        return [rung for rung in self.all_steps() if rung.incident_id == incident_id]

    def all_steps(self) -> list[Rung]:
        return [replace(rung) for rung in self._rungs.values()]

    def has(self, rung: Rung) -> bool:
        """Whether more is known of it here than in the register."""
        return _key(rung) in self._rungs

    def resume(self, ledger: Ledger) -> None:
        """The ledger begins anew from the register, or has heard a call again: since when it waits is known here."""
        for incident_id in (self.calls.keys() | self._waits.keys()) & ledger.incidents.keys():
            incident, call = ledger.incidents[incident_id], self.calls.get(incident_id)
            for known in (self._waits.get(incident_id), None if call is None else call.waiting):
                if known is not None and known.opening == incident.opening:
                    incident.waiting = _longer(incident.waiting, known)
            if call is not None and call is not incident:
                incident.first_s = min(incident.first_s, call.first_s)
                incident.first_press = call.first_press  # what was heard and not written was heard all the same
                join(incident, call.decisions)

    def take(self, batch: Batch, ledger: Ledger, register: Register) -> list[Telling]:
        """The register did not take this batch: the ladder's part of it is kept here. Returns who is to be told now:
        what leaves is noted before."""
        self.resume(ledger)
        for incident_id in batch.incidents:
            self._notice(ledger.incidents.get(incident_id), register)
        self.listen(ledger)
        self.louder |= {rung.incident_id for rung in batch.rungs if rung.tell == DESKS} - self.calls.keys()
        self.words += [word for word in batch.words if word.incident_id not in self.calls]  # it would be an answer
        self.heard |= set(batch.heard)
        self._keep(batch.rungs, batch.entries)
        return batch.tellings

    def keep_back(self, batch: Batch, ledger: Ledger) -> None:
        """Before a batch is written: what it has of calls that are in no register waits for them."""
        if not self:
            return  # a flood comes this way
        self.resume(ledger)
        apart = self.calls.keys() - ledger.incidents.keys()
        if not apart:
            return
        batch.incidents = {name: owed for name, owed in batch.incidents.items() if name not in apart}
        batch.words = [word for word in batch.words if word.incident_id not in apart]
        rungs = [rung for rung in batch.rungs if rung.incident_id in apart]
        entries = [entry for entry in batch.entries if entry[0] in apart]
        batch.rungs = [rung for rung in batch.rungs if rung not in rungs]
        batch.entries = [entry for entry in batch.entries if entry not in entries]
        self._keep(rungs, entries)

    def climb(
        self, escalation: Escalation, open_: Iterable[Incident], now_ms: int, ledger: Ledger, register: Register
    ) -> list[Telling]:
        """Let these calls, and those that are in no register, climb; who is to be told now. Another desk has the time
        to say that it takes a step, whether or not it can be heard just now."""
        self.listen(ledger)
        batch, others = Batch(), [one for one in open_ if one.id not in self.calls]
        escalation.look(batch, [*others, *self.calls.values()], now_ms, together=True)
        return self.take(batch, ledger, register)

    def to_say(self, ledger: Ledger) -> tuple[list[Word], list[str]]:
        """There is a connection: the words for the other desks, and the calls of which all are told that nobody
        answers."""
        words, self.words = self.words, []
        waiting = (ledger.incidents.get(incident_id) for incident_id in self.louder)
        louder = [one.id for one in waiting if one is not None and is_waiting(one)]
        self.louder.clear()
        return words, louder

    def listen(self, ledger: Ledger) -> None:
        """What other desks have decided of the calls that are in no register here."""
        for incident_id in self.calls.keys() & ledger.early.keys():
            join(self.calls[incident_id], ledger.early[incident_id])

    def news(self) -> list[str]:
        """Calls that are in no register stand on the page all the same: those that are new, or that somebody took."""
        before, self._shown = self._shown, {one.id: one.state for one in self.calls.values()}
        return [name for name, state in self._shown.items() if before.get(name) != state]

    def unanswered_s(self, incident_id: str) -> int:
        """See Incident; as far as the register does not say it yet."""
        waiting = self._waits.get(incident_id)
        return 0 if waiting is None else waiting.unanswered_s

    def debts(self, ledger: Ledger, beside: Batch) -> Batch:
        """What is to be written of calls that are in the register by now, behind the batch `beside`."""
        batch, newer = Batch(), {_key(rung) for rung in beside.rungs}
        if not self:
            return batch
        owing = {rung.incident_id for rung in self._rungs.values()} | {entry[0] for entry in self._entries}
        for incident_id in owing | self.calls.keys() | self._waits.keys():
            if ledger.find(incident_id) is not None:
                batch.incidents[incident_id] = False
        batch.rungs = [
            rung for key, rung in self._rungs.items() if key not in newer and rung.incident_id in batch.incidents
        ]
        batch.entries = [entry for entry in self._entries if entry[0] in batch.incidents]
        return batch

    def written(self, debts: Batch) -> None:
        """The register has taken them."""
        for incident_id in debts.incidents:
            self.calls.pop(incident_id, None)
            self._waits.pop(incident_id, None)
        self._entries = [entry for entry in self._entries if entry[0] not in debts.incidents]
        gone = [key for key in self._rungs if key[0] in debts.incidents]
        for key in gone:
            del self._rungs[key]
        if gone:
            self._note()
        if not self:
            self.heard.clear()

    def _notice(self, incident: Incident | None, register: Register) -> None:
        if incident is None or not incident.actual:
            return
        with contextlib.suppress(sqlite3.Error):  # where nothing can be read, it may be in the register
            if not register.ask("SELECT 1 FROM incident WHERE id = ?", incident.id):
                self.calls[incident.id] = incident
        if incident.waiting is not None:
            self._waits[incident.id] = incident.waiting

    def _wait_of(self, rung: Rung) -> None:
        """Since when its call had waited at the latest: a desk that begins anew goes on from there."""
        since_ms, told_s = rung.at_ms - rung.after_s * 1000, rung.after_s if rung.tell == DESKS else 0
        known = self._waits.get(rung.incident_id)
        if known is None or known.opening <= rung.opening:
            self._waits[rung.incident_id] = _longer(known, Waiting(rung.opening, since_ms, told_s))

    def _keep(self, rungs: Iterable[Rung], entries: Iterable[Entry] = ()) -> None:
        kept = {_key(rung): replace(rung) for rung in rungs}
        self._rungs |= kept
        for incident_id, at_ms, kind, by, detail in entries:
            is_known = kind == HEARD and any((incident_id, kind, by) == (one[0], *one[2:4]) for one in self._entries)
            if kind.startswith("step-") and not is_known:
                self._entries.append((incident_id, at_ms, kind, by, {**detail, MARK: True}))
        if kept:
            self._note()

    def _note(self) -> None:
        self._page.write([vars(rung) for rung in self._rungs.values()])


def _longer(one: Waiting | None, other: Waiting) -> Waiting:
    """What is known of one wait at two places."""
    if one is None or one.opening != other.opening:
        return other
    return Waiting(one.opening, min(one.since_ms, other.since_ms), max(one.unanswered_s, other.unanswered_s))


def _key(rung: Rung) -> tuple[str, int, str]:
    return rung.incident_id, rung.opening, rung.step
