"""Shifts: who was on duty at this desk when, and the note that one shift leaves to the next.

Nobody begins while a note of somebody else has been read by nobody: what is to be known is known. No call waits for
that; it is accepted by whoever is there, on duty or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from desk.ledger import BY_MAX, LedgerError
from desk.limits import wording
from desk.register import Register

NOTE_MAX = 2000
SHOWN = 100


class Shift(NamedTuple):
    """People who were on duty together. `to_ms`: None while it goes on; `duties`: of each, when it began and ended."""

    from_ms: int
    to_ms: int | None
    duties: tuple[tuple[str, int, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _, _ in self.duties))

    def has(self, at_ms: int, name: str = "") -> bool:
        """Whether somebody (of that name) of it was on duty then."""
        return any(begin <= at_ms < end for one, begin, end in self.duties if not name or one == name)


def together(rows: Iterable[Mapping[str, Any]], now_ms: int) -> list[Shift]:
    """The shifts that rows of the table make, oldest first. Whose duty overlaps with that of the first one by more than
    half of the shorter of the two is of the same shift; the minutes of a hand-over do not make two shifts one."""
    found: list[Shift] = []
    live: list[int] = []  # those whose first duty may overlap with what comes: rows come by their begin
    for row in sorted(rows, key=lambda row: (row["from_ms"], row["n"])):
        begin, end = row["from_ms"], now_ms + 1 if row["to_ms"] is None else row["to_ms"]
        mine = (row["name"], begin, end)
        live = [number for number in live if found[number].duties[0][2] > begin]
        for number in live:
            one = found[number]
            _, first, last = one.duties[0]
            if 2 * (min(end, last) - max(begin, first)) > min(end - begin, last - first):
                to_ms = None if None in (row["to_ms"], one.to_ms) else max(end, one.to_ms or 0)
                found[number] = Shift(one.from_ms, to_ms, (*one.duties, mine))
                break
        else:
            live.append(len(found))
            found.append(Shift(begin, row["to_ms"], (mine,)))
    return found


def whose(shifts: Sequence[Shift], at_ms: int, by: str = "") -> Shift | None:
    """The shift that a call of that time was for: of who accepted it, else the one that began last; None: nobody was on
    duty."""
    there = [shift for shift in shifts if shift.has(at_ms)]
    theirs = [shift for shift in there if by and shift.has(at_ms, by)]
    return max(theirs or there, key=lambda shift: shift.from_ms, default=None)


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

    def within(self, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
        """The rows of the table that reach into that time."""
        where = "from_ms <= ? AND (to_ms IS NULL OR to_ms > ?)"
        return self._register.ask(f"SELECT * FROM shift WHERE {where} ORDER BY n", to_ms, from_ms)

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
