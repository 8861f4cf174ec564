"""What operators do about calls and columns."""

from __future__ import annotations

import uuid
from typing import Any

from desk import exercises
from desk.batch import Batch
from desk.duty_part import DutyPart
from desk.exercises import Exercises
from desk.ledger import BY_MAX, LedgerError
from desk.limits import NOTE_MAX, wording
from desk.mqtt_client import utc
from desk.register import Register
from desk.trouble import Trouble

COMMANDS = ("report", "identify", "selftest", "drill", "restart")
COMMAND_VALID_MS = 30_000


class Operators(DutyPart):
    """The half of Duty that decisions and commands are in."""

    _batch: Batch
    _exercises: Exercises
    _disk_trouble: Trouble
    register: Register

    def accept(self, incident_id: str, by: str) -> None:
        """A person has taken the incident. Raises LedgerError, as all of these do, when that cannot be."""
        self._decide(incident_id, "accepted", by)

    def dispatch(self, incident_id: str, by: str) -> None:
        """Help is on its way. No patrol goes out for an exercise."""
        with self._lock:
            exercises.refuse_patrol(self._ledger.find(incident_id))
        self._decide(incident_id, "dispatched", by)

    def close(self, incident_id: str, outcome: str, by: str, note: str = "", misuse: str = "") -> None:
        """The incident is over. `outcome`: one of OUTCOMES. `note`: what else is to be remembered; `misuse`: one of
        MISUSES, if it was false: the other desks learn it, the note stays here."""
        note = wording(note, "note", NOTE_MAX) if note else ""
        self._decide(incident_id, "closed", by, outcome, note=note, misuse=misuse)

    def note(self, incident_id: str, by: str, text: str) -> None:
        """Add a line to the timeline."""
        by, text = wording(by, "name", BY_MAX), wording(text, "note", NOTE_MAX)
        with self._changing():
            if self._ledger.find(incident_id) is None:
                raise LedgerError(f"no incident {incident_id!r}", code="no-incident")
            self._batch.entries.append((incident_id, self._now_ms(), "note", by, {"text": text}))
            self._commit()

    def read_back(self, incident_id: str, by: str, text: str) -> None:
        """Where an exercise comes from, as the operator says it: right or not, it stands in the timeline."""
        by, text = wording(by, "name", BY_MAX), wording(text, "address", NOTE_MAX)
        with self._changing():
            self._exercises.read_back(self._batch, self._ledger.find(incident_id), by, text, self._now_ms())
            self._commit()

    def exercise(self, device_id: str, by: str) -> str:
        """Have a column raise a call that asks for no help; the command's id. Real calls come first."""
        with self._changing():
            exercises.refuse_while_open(self._ledger.incidents.values())
            return self._order(device_id, "drill", by, {"status": "exercise"})

    def command(self, device_id: str, cmd: str, by: str = "") -> str:
        """Send a command; its id is the one in the column's event "result". It is not kept for later."""
        with self._changing():
            return self._order(device_id, cmd, by, {})

    def _order(self, device_id: str, cmd: str, by: str, more: dict[str, Any]) -> str:
        column = self._ledger.columns.get(device_id)
        if column is None:
            raise LedgerError(f"column {device_id!r} has not been heard of yet", code="column-unheard")
        if cmd not in COMMANDS:
            raise LedgerError(f"command {cmd!r}: give one of {', '.join(COMMANDS)}")
        if not self._calls.stands:
            why = f"{device_id}: {cmd} cannot be sent, the desk has no broker: {self._calls.trouble.text}"
            raise LedgerError(why, code="no-broker")
        return self._command(column.region, device_id, cmd, by, more)

    def _command(self, region: str, device_id: str, cmd: str, by: str, more: dict[str, Any]) -> str:
        now_ms, command_id = self._now_ms(), uuid.uuid4().hex[:12]
        detail = {"id": command_id, "cmd": cmd, "by": by[:BY_MAX]}
        self._batch.events.append((device_id, now_ms, "command", detail))
        self._commit()
        document = {"v": 1, "id": command_id, "cmd": cmd, "expires": utc(now_ms + COMMAND_VALID_MS), **more}
        self._publish(region, device_id, "cmd", document)
        return command_id

    def _decide(
        self, incident_id: str, state: str, by: str, outcome: str = "", *, misuse: str = "", note: str = ""
    ) -> None:
        by = wording(by, "name", BY_MAX)
        with self._changing():
            self._refuse_unwritten(incident_id)
            now_ms = self._now_ms()
            self._ledger.advance(incident_id, state, by, outcome, now_ms, misuse)
            said = {"outcome": outcome, "note": note, "misuse": misuse}
            detail = {key: text for key, text in said.items() if text}
            self._batch.entries.append((incident_id, now_ms, state, by, detail))
            self._batch.answer(incident_id)
            if note:
                self._batch.notes.append((incident_id, note))
            self._commit()

    def _refuse_unwritten(self, incident_id: str) -> None:
        """While the register takes nothing, of a call that it does not have: what is decided there would be undone, and
        its ladder would have ended in between. Raises LedgerError."""
        code = self._disk_trouble.code
        if code and not self.register.ask("SELECT 1 FROM incident WHERE id = ?", incident_id):
            raise LedgerError("nothing was done, the register takes nothing", code="register-write", why=code)
