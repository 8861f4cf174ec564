"""The register: every incident with all that came of it, in one SQLite file that survives a power cut.

What is true is decided by `desk.ledger`; this keeps it. Writing and reading have a connection each, so that a
long statistic never holds up an alarm.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from desk import trouble
from desk.ledger import Column, Decision, Incident, milliseconds
from desk.limits import DRILLS_MAX
from desk.register_file import RegisterError, lock, open_checked
from desk.register_reading import Reading

EVENTS_MAX = 500  # of one column, here and below: the oldest go
PRESENCES_MAX = 5000
ENTRIES_MAX = 300  # of one incident: then presses and repeats are only counted
VIOLATIONS_MAX = 1000
TOPIC_MAX, WHY_MAX = 200, 500  # characters of a violation
COUNTED = ("press", "repeat")

_FIRST = ("id", "region", "device_id", "raised_ms", "clock", "age_ms", "received_ms", "registered_ms")
_UPDATED = (
    "status", "site", "late", "press", "transmissions", "reopened", "state", "by", "outcome", "alarm", "last_ms",
    "accepted_ms", "accepted_by", "dispatched_ms", "closed_ms",
)  # fmt: skip

__all__ = ["Register", "RegisterError"]


class Register(Reading):
    """The register in the file `path`, made if there is none. A context manager; any thread may use it.

    Raises RegisterError when another process has it, when it is damaged, or when a newer version made it. Writing
    raises sqlite3.Error when the disk does not take it. Each method that writes is one transaction, unless it runs
    inside `transaction()`. What can be read: see `Reading`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._lock = lock(path)
        except OSError as error:
            raise RegisterError(f"{trouble.of_opening(error, path).text}") from None
        try:
            self._db = open_checked(path)
            super().__init__(path)
        except BaseException:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Close the file, and let others have it. A second time it does nothing."""
        with self._mutex:
            if self._lock >= 0:
                super().close()
                self._db.close()
                os.close(self._lock)
                self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is there afterwards, on the disk, or nothing of it. May be nested."""
        with self._mutex:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1 and self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._commit()
            finally:
                self._depth -= 1

    def _commit(self) -> None:
        try:
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write(self, sql: str, *values: Any) -> sqlite3.Cursor:
        with self.transaction():
            return self._db.execute(sql, values)

    # What the desk writes

    def put_incident(self, incident: Incident, *, registered_ms: int, unanswered: bool) -> None:
        """Enter an incident as it is now, with its decisions."""
        row = {**_row(incident), "registered_ms": registered_ms, "unanswered": int(unanswered)}
        names = [*_FIRST, *_UPDATED, "unanswered"]
        updates = ", ".join(f'"{name}" = excluded."{name}"' for name in _UPDATED)
        updates += ", unanswered = max(unanswered, excluded.unanswered)"
        columns = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" for _ in names)
        with self.transaction():
            self._write(
                f"INSERT INTO incident ({columns}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {updates}",
                *[row[name] for name in names],
            )
            self.put_decisions(incident.id, incident.decisions)

    def put_decisions(self, incident_id: str, decisions: dict[tuple[int, str], Decision]) -> None:
        """Enter what was decided about an incident, which need not be known yet."""
        with self.transaction():
            for (press, state), decision in decisions.items():
                self._write(
                    "INSERT INTO decision VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    ' SET at_ms = excluded.at_ms, "by" = excluded."by", outcome = excluded.outcome'
                    ' WHERE (at_ms, "by", outcome) != (excluded.at_ms, excluded."by", excluded.outcome)',
                    *(incident_id, press, state, *decision),
                )

    def put_entry(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        """One line of an incident's timeline; the same line again changes nothing."""
        with self.transaction():
            (count,) = self._db.execute("SELECT count(*) FROM entry WHERE incident_id = ?", (incident_id,)).fetchone()
            if kind in COUNTED and count >= ENTRIES_MAX:
                return
            values = incident_id, at_ms, kind, by, _packed(detail)
            self._write("INSERT OR IGNORE INTO entry VALUES (NULL, ?, ?, ?, ?, ?)", *values)

    def put_note(self, incident_id: str, text: str) -> None:
        """The note that stands with the incident's outcome."""
        self._write("UPDATE incident SET note = ? WHERE id = ?", text, incident_id)

    def put_answered(self, incident_id: str, registered_ms: int | None, answered_ms: int) -> None:
        """The broker has taken the latest answer, which left at `answered_ms`. Of the first one the times are kept;
        `registered_ms`: when it was on the disk, which the row itself could not tell."""
        self._write(
            "UPDATE incident SET unanswered = 0, answered_ms = coalesce(answered_ms, ?),"
            " registered_ms = CASE WHEN answered_ms IS NULL THEN coalesce(?, registered_ms) ELSE registered_ms END"
            " WHERE id = ?",
            *(answered_ms, registered_ms, incident_id),
        )

    def put_column(self, column: Column, presence: str | None, silent_since_ms: int | None) -> None:
        """Enter a column as it is now."""
        self._write(
            "INSERT INTO column VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " region = excluded.region, online = excluded.online, boot = excluded.boot, info = excluded.info,"
            " heartbeat = excluded.heartbeat, faults = excluded.faults, heard_ms = excluded.heard_ms,"
            " presence = excluded.presence, silent_since_ms = excluded.silent_since_ms",
            *(column.device_id, column.region, column.online, column.boot, _packed(column.info)),
            *(_packed(column.heartbeat), _packed(column.faults)),
            *(round(column.heard_s * 1000) if column.heard_s > 0 else None, presence, silent_since_ms),
        )

    def put_presence(self, device_id: str, kind: str, at_ms: int) -> None:
        """From `at_ms` on the column is `kind`: up, silent or offline."""
        with self.transaction():
            self._write(
                "UPDATE presence SET to_ms = max(from_ms, ?) WHERE device_id = ? AND to_ms IS NULL", at_ms, device_id
            )
            self._write("INSERT INTO presence VALUES (?, ?, NULL, ?)", device_id, at_ms, kind)
            self._trim("presence", "device_id", device_id, PRESENCES_MAX)

    def end_presences(self, at_ms: int) -> None:
        """From `at_ms` on nobody is there to tell."""
        self._write("UPDATE presence SET to_ms = max(from_ms, ?) WHERE to_ms IS NULL", at_ms)

    def put_event(self, device_id: str, at_ms: int, event: str, detail: Any) -> None:
        """Something that happened once: a column's event, a command or its result."""
        with self.transaction():
            self._write("INSERT INTO event VALUES (NULL, ?, ?, ?, ?)", device_id, at_ms, event, _packed(detail))
            self._trim("event", "device_id", device_id, EVENTS_MAX)

    def put_violation(self, at_ms: int, topic: str, why: str) -> None:
        """A message that was refused."""
        with self.transaction():
            topic, why = (_cut(text, longest) for text, longest in ((topic, TOPIC_MAX), (why, WHY_MAX)))
            self._write("INSERT INTO violation VALUES (NULL, ?, ?, ?)", at_ms, topic, why)
            self._write("DELETE FROM violation WHERE n <= (SELECT max(n) FROM violation) - ?", VIOLATIONS_MAX)

    def _trim(self, table: str, key: str, value: str, most: int) -> None:
        self._write(
            f"DELETE FROM {table} WHERE {key} = ? AND rowid <= ("
            f"SELECT rowid FROM {table} WHERE {key} = ? ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
            *(value, value, most),
        )

    def drop_old_drills(self, device_id: str) -> list[str]:
        """Drop the oldest drills of a column that has too many; the ids of what went."""
        sql = (
            "SELECT id FROM incident WHERE device_id = ? AND status != 'actual'"
            " ORDER BY received_ms DESC, rowid DESC LIMIT -1 OFFSET ?"
        )
        with self.transaction():
            gone = [name for (name,) in self._db.execute(sql, (device_id, DRILLS_MAX))]
            for name in gone:
                for table, key in (("entry", "incident_id"), ("decision", "incident_id"), ("incident", "id")):
                    self._write(f"DELETE FROM {table} WHERE {key} = ?", name)
        return gone

    def drop_column(self, device_id: str) -> None:
        """Drop what a column last said, its events and its presence; its incidents stay."""
        with self.transaction():
            for table in ("column", "event", "presence"):
                self._write(f"DELETE FROM {table} WHERE device_id = ?", device_id)

    def drop_decisions(self, incident_id: str) -> None:
        """Drop what was decided about an incident that never came."""
        self._write("DELETE FROM decision WHERE incident_id = ?", incident_id)

    def put_alive(self, now_ms: int) -> None:
        """The desk runs, and has done so until now."""
        self._write("INSERT OR REPLACE INTO desk VALUES ('alive_ms', ?)", str(now_ms))

    def desk_id(self) -> str:
        """A name that no other register has; the same for ever."""
        self._write("INSERT OR IGNORE INTO desk VALUES ('id', ?)", uuid.uuid4().hex[:12])
        return str(self._read("SELECT value FROM desk WHERE name = 'id'")[0]["value"])


def _row(incident: Incident) -> dict[str, Any]:
    alarm = incident.alarm
    accepted, dispatched, closed = (
        (incident.decisive(state) or (None, 0))[0] for state in ("accepted", "dispatched", "closed")
    )
    return {
        **{name: getattr(incident, name) for name in ("id", "region", "device_id", "press", "transmissions")},
        **{name: getattr(incident, name) for name in ("reopened", "state", "by", "outcome")},
        "status": "actual" if incident.actual else alarm["status"],
        "site": alarm["location"]["site"],
        "raised_ms": None if alarm["raised_at"] is None else milliseconds(alarm["raised_at"]),
        "clock": alarm["clock"],
        "age_ms": alarm["age_ms"],
        "late": int(incident.late),
        "alarm": _packed(alarm),
        "received_ms": round(incident.first_s * 1000),
        "last_ms": round(incident.last_s * 1000),
        "accepted_ms": accepted and accepted.at_ms,
        "accepted_by": accepted and accepted.by,
        "dispatched_ms": dispatched and dispatched.at_ms,
        "closed_ms": closed.at_ms if closed and not incident.is_open else None,
    }


def _packed(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str, longest: int) -> str:
    """Text that SQLite takes, however hostile."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8")
