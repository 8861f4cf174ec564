"""Shifts: who was on duty at this desk when, and the note that one shift leaves to the next.

Nobody begins while a note of somebody else has been read by nobody: what is to be known is known. No call waits for
that; it is accepted by whoever is there, on duty or not.
"""

from __future__ import annotations

from typing import Any

from desk.ledger import BY_MAX, LedgerError
from desk.limits import wording
from desk.register import Register

NOTE_MAX = 2000
SHOWN = 100


class Shifts:
    """Of one desk: another desk's are its own. Each method that changes something raises LedgerError, and sqlite3.Error
    when the disk does not take it."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def shown(self) -> dict[str, Any]:
        """`on_duty`, `unread` (notes that nobody has read) and `recent`, newest first: rows of the table."""
        rows = self._register.shifts(SHOWN)
        return {
            "on_duty": [row for row in rows if row["to_ms"] is None],
            "unread": [row for row in rows if row["note"] and row["read_ms"] is None],
            "recent": rows,
        }

    def begin(self, name: str, now_ms: int) -> None:
        """Be on duty from now on."""
        name, known = wording(name, "name", BY_MAX), self.shown()
        if any(row["name"] == name for row in known["on_duty"]):
            raise LedgerError(f"{name} is on duty already", code="shift-begun")
        if any(row["name"] != name for row in known["unread"]):
            raise LedgerError("a note of the last shift has not been read", code="shift-unread")
        self._register.put_shift(name, now_ms)

    def hand_over(self, name: str, note: str, now_ms: int) -> None:
        """End it; `note`: what the next shift must know, "" for nothing."""
        name = wording(name, "name", BY_MAX)
        note = wording(note, "note", NOTE_MAX) if note else ""
        if not self._register.end_shift(name, now_ms, note):
            raise LedgerError(f"{name} is not on duty", code="shift-none")

    def read(self, n: int, name: str, now_ms: int) -> None:
        """Somebody else has read the note of shift `n`."""
        name = wording(name, "name", BY_MAX)
        note = next((row for row in self.shown()["unread"] if row["n"] == n), None)
        if note is None or note["name"] == name:
            raise LedgerError("there is no such note that is to be read", code="shift-read")
        self._register.read_shift(n, name, now_ms)
