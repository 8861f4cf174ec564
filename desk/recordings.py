"""What was recorded of calls: each file with its SHA-256 in the register, kept for some days, longer where it is held.

A row stays when its file goes: that there was a recording, its time and its hash are the register's for good.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from desk.agreement import RECORDED
from desk.batch import Change
from desk.duty import wall_ms
from desk.media.files import Part, orphans
from desk.register import Register

DAY_MS = 24 * 3600 * 1000
GB = 1_000_000_000
SPARE_BYTES = GB // 2  # of the disk: the register's
HELD, RELEASED, DELETED = "held", "released", "recording-deleted"  # kinds of a timeline's entries
log = logging.getLogger("desk")


@dataclass(frozen=True)
class Rules:
    """`folder`: where recordings are; `days`: that they are kept; `most`: bytes of all of them; `ahead`: whether the
    cameras are held open, so that the seconds before a press are there."""

    folder: Path
    days: float = 30
    most: int = 50 * GB
    ahead: bool = False

    @property
    def room(self) -> dict[str, Any]:
        """As desk.media.files.Room."""
        return {"folder": str(self.folder), "most": self.most, "spare": SPARE_BYTES}


class Recordings:
    """In `register`. Any thread; what writes raises sqlite3.Error."""

    def __init__(
        self, register: Register, rules: Rules | None, notify: Callable[[Change], None] = lambda _: None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:  # fmt: skip
        self._register, self.rules, self._notify, self._now_ms = register, rules, notify, now_ms

    def recover(self) -> int:
        """Enter files that nobody has entered; only while nothing is recorded. How many there were."""
        if self.rules is None:
            return 0
        known = {row["file"] for row in self._register.ask("SELECT file FROM recording")}
        found = orphans(self.rules.folder, known)
        for part in found:
            self.enter(part)
        return len(found)

    def enter(self, part: Part) -> None:
        """A file that is complete; the same again changes nothing. Its hash is evidence."""
        said = {name: getattr(part, name) for name in ("file", "from_ms", "to_ms", "size", "sha256")}
        with self._register.transaction():
            if not self._register.ask("SELECT 1 FROM recording WHERE file = ?", part.file):
                self._register.change(
                    f"INSERT OR IGNORE INTO recording (incident_id, {', '.join(said)}) VALUES (?, ?, ?, ?, ?, ?)",
                    *(part.incident_id, *said.values()),
                )
                self._register.put_link(part.incident_id, self._now_ms(), RECORDED, "", said)
        self._notify(Change("incident", part.incident_id))

    def of(self, incident_id: str) -> list[dict[str, Any]]:
        """The files of an incident, oldest first."""
        where = "incident_id = ? ORDER BY from_ms, n"
        return self._register.ask(f"SELECT * FROM recording WHERE {where}", incident_id)

    def counts(self) -> Mapping[str, int]:
        """By incident, how many files there are."""
        sql = "SELECT incident_id, count(*) AS files FROM recording WHERE deleted_ms IS NULL GROUP BY incident_id"
        return {row["incident_id"]: row["files"] for row in self._register.ask(sql)}

    def find(self, number: int) -> dict[str, Any] | None:
        """One file's row, with its `path`; None: there is none (any more)."""
        rows = self._register.ask("SELECT * FROM recording WHERE n = ? AND deleted_ms IS NULL", number)
        if not rows or self.rules is None:
            return None
        return {**rows[0], "path": self.rules.folder / rows[0]["file"]}

    def hold_of(self, incident_id: str) -> dict[str, Any] | None:
        """Who keeps the recordings of that incident, and why; None: nobody, they go in their time."""
        return next(iter(self._register.ask("SELECT * FROM hold WHERE incident_id = ?", incident_id)), None)

    def hold(self, incident_id: str, by: str, why: str) -> None:
        """Its recordings stay until `release`."""
        with self._register.transaction():
            at_ms = self._now_ms()
            self._register.change("INSERT OR REPLACE INTO hold VALUES (?, ?, ?, ?)", incident_id, at_ms, by, why)
            self._register.put_entry(incident_id, at_ms, HELD, by, {"note": why})
        self._notify(Change("incident", incident_id))

    def release(self, incident_id: str, by: str, why: str) -> None:
        """Its recordings go in their time again."""
        with self._register.transaction():
            self._register.change("DELETE FROM hold WHERE incident_id = ?", incident_id)
            self._register.put_entry(incident_id, self._now_ms(), RELEASED, by, {"note": why})
        self._notify(Change("incident", incident_id))

    def sweep(self) -> int:
        """Delete what has had its time: of closed calls, and nobody holds it. How many files went."""
        if self.rules is None:
            return 0
        now_ms = self._now_ms()
        rows = self._register.ask(
            "SELECT n, file, incident_id FROM recording WHERE deleted_ms IS NULL AND to_ms < ?"
            " AND incident_id NOT IN (SELECT incident_id FROM hold)"
            " AND incident_id NOT IN (SELECT id FROM incident WHERE state != 'closed' AND status = 'actual')",
            now_ms - round(self.rules.days * DAY_MS),
        )
        for row in rows:
            try:
                (self.rules.folder / row["file"]).unlink(missing_ok=True)
            except OSError as error:
                log.error("the recording %s has had its time and cannot be deleted: %s", row["file"], error)
                continue
            with self._register.transaction():
                self._register.change("UPDATE recording SET deleted_ms = ? WHERE n = ?", now_ms, row["n"])
                self._register.put_entry(row["incident_id"], now_ms, DELETED, "", {"file": row["file"]})
            self._notify(Change("incident", row["incident_id"]))
        return len(rows)
