"""What the duty does about calls that nobody accepts: they climb the ladder, also while the register takes nothing."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections import deque
from collections.abc import Iterable

from desk.batch import Batch, Change
from desk.duty_part import DutyPart
from desk.escalation import FAILED, Escalation
from desk.ledger import NEW, Incident
from desk.mqtt_client import ack
from desk.register import Register
from desk.rungs import Telling, Word
from desk.telling import Tells
from desk.trouble import Trouble
from desk.unrecorded import Unrecorded

log = logging.getLogger(__name__)
SETTLE_MS = 10_000  # at the start: so long the ladder waits for what other desks have done meanwhile


class Climbing(DutyPart):
    """The part of Duty that the ladder is in. `_ended`: tellings that have ended, and are not entered yet."""

    name: str
    register: Register
    _batch: Batch
    _began_ms: int
    _disk_trouble: Trouble
    _ended: deque[tuple[Telling, str, str]]
    _escalation: Escalation
    _ladder_from_ms: int
    _officers: Tells
    _told: list[Change]
    _unrecorded: Unrecorded

    @property
    def connected(self) -> bool:
        raise NotImplementedError

    def _answer(self, incident_id: str, registered_ms: int | None) -> None:
        raise NotImplementedError

    def _escalate(self, open_: list[Incident], now_ms: int) -> None:
        """Let calls that nobody accepts climb the ladder."""
        if not self.connected and 0 <= now_ms - self._began_ms < SETTLE_MS:
            return
        waiting = [one for one in open_ if one.first_s * 1000 >= self._ladder_from_ms]
        if self._disk_trouble.code:
            self._climb_unrecorded(waiting, now_ms)
            return
        self._escalation.look(self._batch, waiting, now_ms, together=self._calls.stands)
        if self._unrecorded.calls:
            self._climb_unrecorded([], now_ms)

    def _climb_unrecorded(self, waiting: list[Incident], now_ms: int) -> None:
        """The register takes nothing, or does not have these calls yet: they climb all the same."""
        self._tell_officers(self._unrecorded.climb(self._escalation, waiting, now_ms, self._ledger, self.register))
        self._told += [Change("incident", name) for name in self._unrecorded.news()]
        if self._calls.stands:
            words, louder = self._unrecorded.to_say(self._ledger)
            for word in words:
                self._announce(word)
            for incident_id in louder:
                self._answer(incident_id, None)
                self._told.append(Change("incident", incident_id))

    def held(self) -> list[Incident]:
        """Calls that the register could not take."""
        with self._lock:
            return list(self._unrecorded.calls.values())

    def unanswered_s(self, incident_id: str) -> int:
        """For how long nobody has accepted a call, as far as the register could not take that."""
        return self._unrecorded.unanswered_s(incident_id)

    def _announce(self, word: Word) -> None:
        """To the other desks. What they do not hear they do themselves."""
        incident = self._ledger.find(word.incident_id)
        if incident is not None and incident.state != NEW and self._calls.stands:
            document = {**ack(incident), "ladder": word.ladder}
            self._publish(incident.region, incident.device_id, "ack", document)

    def _tell_officers(self, tellings: Iterable[Telling]) -> None:
        for telling in tellings:
            incident = self._unrecorded.calls.get(telling.incident_id) or self._ledger.find(telling.incident_id)
            assert incident is not None, telling
            try:
                self._officers.tell(telling, incident, self.name, self._now_ms(), self._officer_told)
            except Exception as error:  # there is no room for a thread: answers and other officers must not wait for it
                log.exception("desk %s: %s could not be told; a new try follows", self.name, telling.tell)
                self._ended.append((telling, FAILED, f"{type(error).__name__}: {error}"))

    def _officer_told(self, telling: Telling, state: str, why: str) -> None:
        """In the thread of the telling: how it ended."""
        self._ended.append((telling, state, why))
        with contextlib.suppress(sqlite3.Error), self._changing():
            self._enter_ended()

    def _enter_ended(self) -> None:
        """How tellings ended; at the next look, if the register could not be read just then."""
        while self._ended:
            telling, state, why = self._ended.popleft()
            if self._disk_trouble.code:
                apart = Batch()
                self._escalation.told(apart, telling, state, why, self._now_ms())
                self._tell_officers(self._unrecorded.take(apart, self._ledger, self.register))
            else:
                self._escalation.told(self._batch, telling, state, why, self._now_ms())
                self._commit()
