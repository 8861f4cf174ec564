"""The register: every incident with all that came of it, in one SQLite file that survives a power cut.

What is true is decided by `desk.ledger`; this keeps it. Writing and reading have a connection each, so that a
long statistic never holds up an alarm. From top to bottom: what is read, what is written.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from desk import evidence, own_folder, trouble
from desk.disk import has_no_room
from desk.evidence import Chain
from desk.ledger import NEVER_S, Column, Decision, Incident, Ledger, Waiting, milliseconds
from desk.limits import DRILLS_MAX, INCIDENTS_IN_MEMORY
from desk.register_file import RegisterError, connect, lock, open_checked

INCIDENTS_LIMIT = 1000
EVENTS_MAX = 500  # of one column, here and below: the oldest go
PRESENCES_MAX = 5000
ENTRIES_MAX = 300  # of one incident: then presses and repeats are only counted
VIOLATIONS_MAX = 1000
TOPIC_MAX, WHY_MAX = 200, 500  # characters of a violation
SHARED_BYTES = 64 * 1024  # what SQLite needs beside the register for two connections, and for a write
COUNTED = ("press", "repeat")
ALIVE = "alive_ms"
WRONG_SHOWN = 3  # of the evidence, at a start
__all__ = ["Reading", "Register", "RegisterError"]
log = logging.getLogger(__name__)

_FIRST = (
    "id", "region", "device_id", "raised_ms", "clock", "age_ms", "received_ms", "registered_ms", "first_press"
)  # fmt: skip
_UPDATED = (
    "status", "site", "late", "press", "transmissions", "reopened", "state", "by", "outcome", "alarm", "last_ms",
    "accepted_ms", "accepted_by", "dispatched_ms", "closed_ms", "waiting_opening", "waiting_ms", "unanswered_s",
    "origin", "misuse",
)  # fmt: skip


# What is read, and what is written


class Reading:
    """The reading half of Register: what was committed last. It never waits for writing, and never holds it up."""

    def __init__(self, path: Path) -> None:
        self._reading: AbstractContextManager[Any] = threading.Lock()
        self._reader: sqlite3.Connection = connect(path)
        self._reader.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the file; a second time it does nothing."""
        with self._reading:
            self._reader.close()

    def alive_ms(self) -> int:
        """When the desk was last known to run; 0 if never."""
        return self.number(ALIVE) or 0

    # What is read

    def restore(self) -> Ledger:
        """The ledger as it was at the last commit. It reads older incidents from here when they are asked for."""
        ledger = Ledger(self.fetch)
        newest = "SELECT id FROM incident ORDER BY received_ms DESC, rowid DESC LIMIT ?"
        where = f"id IN ({newest}) ORDER BY received_ms, rowid"
        for row in self.ask(f"SELECT * FROM incident WHERE {where}", INCIDENTS_IN_MEMORY):
            ledger.keep(_incident(row))
        where = f"incident_id IN ({newest}) OR incident_id NOT IN (SELECT id FROM incident) ORDER BY rowid"
        for row in self.ask(f"SELECT * FROM decision WHERE {where}", INCIDENTS_IN_MEMORY):
            ledger.recall(row["incident_id"], row["press"], row["state"], _decision(row))
        for row in self.columns():
            heard_s = NEVER_S if row["heard_ms"] is None else row["heard_ms"] / 1000
            ledger.columns[row["device_id"]] = Column(
                *(row["region"], row["device_id"], heard_s, row["online"], row["boot"]),
                *(row["info"], row["heartbeat"], row["faults"]),
            )
        return ledger

    def fetch(self, incident_id: str) -> Incident | None:
        """An incident as the ledger keeps it; None: there is none."""
        rows = self.ask("SELECT * FROM incident WHERE id = ?", incident_id)
        if not rows:
            return None
        incident = _incident(rows[0])
        for row in self.ask("SELECT * FROM decision WHERE incident_id = ? ORDER BY rowid", incident_id):
            incident.decisions[row["press"], row["state"]] = _decision(row)
        return incident

    def shifts(self, limit: int) -> list[dict[str, Any]]:
        """Newest first; those that go on, and those whose note nobody has read, whatever the limit."""
        must = "to_ms IS NULL OR (note != '' AND read_ms IS NULL)"
        newest = "SELECT n FROM shift ORDER BY n DESC LIMIT ?"
        return self.ask(f"SELECT * FROM shift WHERE {must} OR n IN ({newest}) ORDER BY n DESC", limit)

    def exercised(self) -> dict[str, list[dict[str, Any]]]:
        """What operators said the place was, and how exercises ended, by incident."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.ask("SELECT * FROM entry WHERE kind IN ('readback', 'exercise-ended') ORDER BY n"):
            found.setdefault(row["incident_id"], []).append({**row, "detail": json.loads(row["detail"])})
        return found

    def number(self, name: str) -> int | None:
        """A number that the desk keeps for itself."""
        rows = self.ask("SELECT value FROM desk WHERE name = ?", name)
        return int(rows[0]["value"]) if rows else None

    def ladder_from_ms(self) -> int:
        """Calls that came before that do not climb the ladder."""
        return self.number("ladder_from_ms") or 0

    def rungs(self, incident_id: str) -> list[dict[str, Any]]:
        """The steps of the ladder that were taken for a call, in their order."""
        return self.ask("SELECT * FROM rung WHERE incident_id = ? ORDER BY opening, after_s, rowid", incident_id)

    def rungs_begun(self) -> list[dict[str, Any]]:
        """Those of which nobody knows how they ended."""
        return self.ask("SELECT * FROM rung WHERE state = 'begun'")

    def rungs_ended(self, desk: str, from_ms: int) -> list[dict[str, Any]]:
        """The steps towards officers that this desk has taken since then."""
        where = "desk = ? AND at_ms >= ? AND state IN ('sent', 'failed', 'uncertain') AND tell != 'desks'"
        return self.ask(f"SELECT * FROM rung WHERE {where} ORDER BY at_ms", desk, from_ms)

    def unanswered(self) -> list[str]:
        """Incidents whose latest answer the broker may lack."""
        return [row["id"] for row in self.ask("SELECT id FROM incident WHERE unanswered ORDER BY received_ms")]

    def incidents(
        self,
        *,
        state: str = "all",
        status: str = "all",
        device_id: str | None = None,
        site: str | None = None,
        outcome: str | None = None,
        from_ms: int | None = None,
        to_ms: int | None = None,
        limit: int = INCIDENTS_LIMIT,
    ) -> list[dict[str, Any]]:
        """Incidents, newest first: the rows of the table, `alarm` as a document, `late` as a bool.

        `state`: "open", "closed", "all", or one of the ledger's. `status`: "actual", "exercise", "drill" (a test or
        an exercise), "all". `from_ms` <= received_ms < `to_ms`."""
        terms: list[tuple[str, Any]] = [
            ("device_id = ?", device_id), ("site = ?", site), ("outcome = ?", outcome),
            ("received_ms >= ?", from_ms), ("received_ms < ?", to_ms),
        ]  # fmt: skip
        if state != "all":
            terms.append(("state != ?", "closed") if state == "open" else ("state = ?", state))
        if status != "all":
            is_drill = status == "drill"
            terms.append(("status != ?", "actual") if is_drill else ("status = ?", status))
        used = [(term, value) for term, value in terms if value is not None]
        where = " AND ".join(["TRUE", *(term for term, _ in used)])
        sql = f"SELECT * FROM incident WHERE {where} ORDER BY received_ms DESC, rowid DESC LIMIT ?"
        return [_shown(row) for row in self.ask(sql, *(value for _, value in used), limit)]

    def incident(self, incident_id: str) -> dict[str, Any] | None:
        """One incident with its `timeline`: [{at_ms, kind, by, detail}], oldest first. None: there is none."""
        rows = self.ask("SELECT * FROM incident WHERE id = ?", incident_id)
        if not rows:
            return None
        sql = 'SELECT at_ms, kind, "by", detail FROM entry WHERE incident_id = ? ORDER BY at_ms, n'
        timeline = [{**row, "detail": json.loads(row["detail"])} for row in self.ask(sql, incident_id)]
        return {**_shown(rows[0]), "timeline": timeline}

    def columns(self) -> list[dict[str, Any]]:
        """What each column last said, and its `presence`: up, silent, offline, or None if nobody can tell yet."""
        parsed = ("info", "heartbeat", "faults")
        return [
            {
                **row,
                **{name: json.loads(row[name]) for name in parsed},
                "online": None if row["online"] is None else bool(row["online"]),
            }
            for row in self.ask("SELECT * FROM column ORDER BY device_id")
        ]

    def presence(self, device_id: str, from_ms: int = 0) -> list[dict[str, Any]]:
        """{from_ms, to_ms (None: still), kind} that reach beyond `from_ms`, oldest first. Gaps: nobody can tell."""
        where = "device_id = ? AND (to_ms IS NULL OR to_ms > ?)"
        return self.ask(f"SELECT from_ms, to_ms, kind FROM presence WHERE {where} ORDER BY rowid", device_id, from_ms)

    def events(self, device_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """{at_ms, event, detail}, newest first."""
        sql = "SELECT at_ms, event, detail FROM event WHERE device_id = ? ORDER BY n DESC LIMIT ?"
        return [{**row, "detail": json.loads(row["detail"])} for row in self.ask(sql, device_id, limit)]

    def violations(self, limit: int = 100) -> list[dict[str, Any]]:
        """{at_ms, topic, why}, newest first."""
        return self.ask("SELECT at_ms, topic, why FROM violation ORDER BY n DESC LIMIT ?", limit)

    def ask(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows; those of other parts' tables are read by them (desk/upkeep/store.py, desk/openings.py)."""
        with self._reading:
            return [dict(row) for row in self._reader.execute(sql, values)]


class Register(Reading):
    """The register in the file `path`, made if there is none. A context manager; any thread may use it.

    Raises RegisterError when another process has it, when it is damaged, or when a newer version made it. Writing
    raises sqlite3.Error when the disk does not take it. Each method that writes is one transaction, unless it runs
    inside `transaction()`. What can be read: see `Reading`.

    `trouble`: why it takes nothing as it is opened. Opened on a full disk it has one connection for reading and
    writing; `share` gives reading its own again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.RLock()
        self._depth = 0
        self._closed = False
        if path.is_dir():  # SQLite takes it for one that may not be read
            raise RegisterError(f"{path}: is no file: put a backup in its place, or move it away")
        try:
            own_folder.made(path.parent)
            path.touch(mode=0o600)
            self._lock = lock(path)
        except OSError as error:
            raise RegisterError(f"{trouble.of_opening(error, path).text}") from None
        try:
            self._open()
            for wrong in evidence.check(self._db, path, whole=False)[:WRONG_SHOWN]:
                log.error("%s: the evidence is not whole: %s", path, wrong)
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        self._db, self.trouble = open_checked(self.path)
        try:
            self._chain = Chain(self._db, self.path)
        except OSError as error:  # its keys
            self._db.close()
            raise RegisterError(trouble.of_opening(error, self.path).text) from None
        if self.trouble.code:
            self._reading, self._reader = self._mutex, self._db
        else:
            super().__init__(self.path)

    def share(self) -> None:
        """Now and then: there may be room for two connections again, so that nobody who reads holds up a writer.
        Raises sqlite3.Error."""
        with self._mutex:
            if self._reader is self._db and not self._depth and not has_no_room(self.path, SHARED_BYTES):
                self._db.close()
                try:
                    self._open()
                except RegisterError as error:
                    raise sqlite3.OperationalError(str(error)) from None

    def close(self) -> None:
        """Close the file, and let others have it. A second time it does nothing."""
        with self._mutex:
            if not self._closed:
                super().close()
                self._db.close()
                self._lock.release()
                self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside reach the disk, or none does. May be nested."""
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
        self._chain.committed()

    def change(self, sql: str, *values: Any) -> int:
        """The other half of `ask`. The number of the row that was made last."""
        return self._write(sql, *values).lastrowid or 0

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
                    'INSERT INTO decision (incident_id, press, state, at_ms, "by", outcome, misuse)'
                    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms,"
                    ' "by" = excluded."by", outcome = excluded.outcome, misuse = excluded.misuse'
                    ' WHERE (at_ms, "by", outcome, misuse)'
                    ' != (excluded.at_ms, excluded."by", excluded.outcome, excluded.misuse)',
                    *(incident_id, press, state, *decision),
                )

    def put_entry(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        """One line of an incident's timeline; the same line again changes nothing."""
        with self.transaction():
            (count,) = self._db.execute("SELECT count(*) FROM entry WHERE incident_id = ?", (incident_id,)).fetchone()
            if kind in COUNTED and count >= ENTRIES_MAX:
                return
            values = incident_id, at_ms, kind, by, _packed(detail)
            if self._write("INSERT OR IGNORE INTO entry VALUES (NULL, ?, ?, ?, ?, ?)", *values).rowcount:
                self._chain.add(incident_id, at_ms, kind, by, detail)

    def put_link(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        """Evidence that is no line of the timeline."""
        with self.transaction():
            self._chain.add(incident_id, at_ms, kind, by, detail)

    def put_note(self, incident_id: str, note: str) -> None:
        """What is to be remembered of an incident's end; in the place of an earlier note."""
        self._write("UPDATE incident SET note = ? WHERE id = ?", note, incident_id)

    def put_rung(self, **rung: Any) -> None:
        """A step of the ladder, as it is now."""
        names, marks = ", ".join(rung), ", ".join("?" for _ in rung)
        self._write(f"INSERT OR REPLACE INTO rung ({names}) VALUES ({marks})", *rung.values())

    def put_answered(self, incident_id: str, registered_ms: int | None, answered_ms: int) -> None:
        """The broker has taken the latest answer, which left at `answered_ms`. Only the times of the first
        answer are kept. `registered_ms`: when the press was on the disk."""
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
                for table, key in (
                    *(("entry", "incident_id"), ("decision", "incident_id"), ("rung", "incident_id")),
                    ("incident", "id"),
                ):
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

    def put_shift(self, name: str, from_ms: int) -> None:
        """Somebody is on duty from now on."""
        self._write("INSERT INTO shift (name, from_ms) VALUES (?, ?)", name, from_ms)

    def end_shift(self, name: str, to_ms: int, note: str) -> bool:
        """Whether somebody of that name was on duty until now."""
        ended = self._write("UPDATE shift SET to_ms = ?, note = ? WHERE name = ? AND to_ms IS NULL", to_ms, note, name)
        return ended.rowcount > 0

    def read_shift(self, n: int, name: str, read_ms: int) -> None:
        """Somebody has read its note; the first one counts."""
        self._write("UPDATE shift SET read_by = ?, read_ms = ? WHERE n = ? AND read_ms IS NULL", name, read_ms, n)

    def put_number(self, name: str, value: int) -> None:
        """Keep a number for the desk itself."""
        self._write("INSERT OR REPLACE INTO desk VALUES (?, ?)", name, str(value))

    def put_alive(self, now_ms: int) -> None:
        """The desk runs, and has done so until now."""
        self.put_number(ALIVE, now_ms)

    def desk_id(self) -> str:
        """This register's unique name; it never changes."""
        for row in self.ask("SELECT value FROM desk WHERE name = 'id'"):
            return str(row["value"])
        self._write("INSERT INTO desk VALUES ('id', ?)", made := uuid.uuid4().hex[:12])
        return made


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(row["at_ms"], row["by"], row["outcome"], row["misuse"])


def _incident(row: dict[str, Any]) -> Incident:
    return Incident(
        *(row["id"], row["region"], row["device_id"], row["received_ms"] / 1000, row["last_ms"] / 1000),
        json.loads(row["alarm"]),
        press=row["press"],
        transmissions=row["transmissions"],
        late=bool(row["late"]),
        actual=row["status"] == "actual",
        waiting=None
        if row["waiting_ms"] is None
        else Waiting(row["waiting_opening"], row["waiting_ms"], row["unanswered_s"]),
        origin=row["origin"],
        first_press=row["first_press"],
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "alarm": json.loads(row["alarm"]), "late": bool(row["late"]), "unanswered": bool(row["unanswered"])}


def row_of(incident: Incident) -> dict[str, Any]:
    """A row for a call that is in no register, as `incidents` gives those that are."""
    row = {**_row(incident), "note": "", "registered_ms": None, "answered_ms": None, "unanswered": True}
    return {**row, "alarm": incident.alarm, "late": incident.late}


def _row(incident: Incident) -> dict[str, Any]:
    alarm = incident.alarm
    accepted, dispatched, closed = (
        (incident.decisive(state) or (None, 0))[0] for state in ("accepted", "dispatched", "closed")
    )
    return {
        **{name: getattr(incident, name) for name in ("id", "region", "device_id", "press", "transmissions")},
        **{name: getattr(incident, name) for name in ("reopened", "state", "by", "outcome", "origin", "misuse")},
        "first_press": incident.first_press,
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
        "waiting_opening": incident.waiting and incident.waiting.opening,
        "waiting_ms": incident.waiting and incident.waiting.since_ms,
        "unanswered_s": incident.unanswered_s,
    }


def _packed(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _cut(text: str, longest: int) -> str:
    """Text that SQLite takes, however hostile."""
    return text[:longest].encode("utf-8", "replace").decode("utf-8")
