"""What can be asked of the register. Reading never waits for writing, and never holds it up."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

from desk.ledger import NEVER_S, Column, Decision, Incident, Ledger
from desk.limits import INCIDENTS_IN_MEMORY
from desk.register_file import connect

INCIDENTS_LIMIT = 1000


class Reading:
    """The reading half of Register: what was committed last."""

    def __init__(self, path: Path) -> None:
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection = connect(path)
        self._reader.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the file; a second time it does nothing."""
        with self._reading:
            self._reader.close()

    def alive_ms(self) -> int:
        """When the desk was last known to run; 0 if never."""
        row = self._read("SELECT value FROM desk WHERE name = 'alive_ms'")
        return int(row[0]["value"]) if row else 0

    # What is read

    def restore(self) -> Ledger:
        """The ledger as it was at the last commit. It reads older incidents from here when they are asked for."""
        ledger = Ledger(self.fetch)
        newest = "SELECT id FROM incident ORDER BY received_ms DESC, rowid DESC LIMIT ?"
        where = f"id IN ({newest}) ORDER BY received_ms, rowid"
        for row in self._read(f"SELECT * FROM incident WHERE {where}", INCIDENTS_IN_MEMORY):
            ledger.keep(_incident(row))
        where = f"incident_id IN ({newest}) OR incident_id NOT IN (SELECT id FROM incident) ORDER BY rowid"
        for row in self._read(f"SELECT * FROM decision WHERE {where}", INCIDENTS_IN_MEMORY):
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
        rows = self._read("SELECT * FROM incident WHERE id = ?", incident_id)
        if not rows:
            return None
        incident = _incident(rows[0])
        for row in self._read("SELECT * FROM decision WHERE incident_id = ? ORDER BY rowid", incident_id):
            incident.decisions[row["press"], row["state"]] = _decision(row)
        return incident

    def unanswered(self) -> list[str]:
        """Incidents whose latest answer the broker may lack."""
        return [row["id"] for row in self._read("SELECT id FROM incident WHERE unanswered ORDER BY received_ms")]

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

        `state`: "open", "closed", "all", or one of the ledger's. `status`: "actual", "drill" (a test or an exercise),
        "all". `from_ms` <= received_ms < `to_ms`."""
        terms: list[tuple[str, Any]] = [
            ("device_id = ?", device_id), ("site = ?", site), ("outcome = ?", outcome),
            ("received_ms >= ?", from_ms), ("received_ms < ?", to_ms),
        ]  # fmt: skip
        if state != "all":
            terms.append(("state != ?", "closed") if state == "open" else ("state = ?", state))
        if status != "all":
            terms.append(("status = ?" if status == "actual" else "status != ?", "actual"))
        used = [(term, value) for term, value in terms if value is not None]
        where = " AND ".join(["TRUE", *(term for term, _ in used)])
        sql = f"SELECT * FROM incident WHERE {where} ORDER BY received_ms DESC, rowid DESC LIMIT ?"
        return [_shown(row) for row in self._read(sql, *(value for _, value in used), limit)]

    def incident(self, incident_id: str) -> dict[str, Any] | None:
        """One incident with its `timeline`: [{at_ms, kind, by, detail}], oldest first. None: there is none."""
        rows = self._read("SELECT * FROM incident WHERE id = ?", incident_id)
        if not rows:
            return None
        sql = 'SELECT at_ms, kind, "by", detail FROM entry WHERE incident_id = ? ORDER BY at_ms, n'
        timeline = [{**row, "detail": json.loads(row["detail"])} for row in self._read(sql, incident_id)]
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
            for row in self._read("SELECT * FROM column ORDER BY device_id")
        ]

    def presence(self, device_id: str, from_ms: int = 0) -> list[dict[str, Any]]:
        """{from_ms, to_ms (None: still), kind} that reach beyond `from_ms`, oldest first. Gaps: nobody can tell."""
        where = "device_id = ? AND (to_ms IS NULL OR to_ms > ?)"
        return self._read(f"SELECT from_ms, to_ms, kind FROM presence WHERE {where} ORDER BY rowid", device_id, from_ms)

    def events(self, device_id: str, limit: int = 100) -> list[dict[str, Any]]:
        """{at_ms, event, detail}, newest first."""
        sql = "SELECT at_ms, event, detail FROM event WHERE device_id = ? ORDER BY n DESC LIMIT ?"
        return [{**row, "detail": json.loads(row["detail"])} for row in self._read(sql, device_id, limit)]

    def violations(self, limit: int = 100) -> list[dict[str, Any]]:
        """{at_ms, topic, why}, newest first."""
        return self._read("SELECT at_ms, topic, why FROM violation ORDER BY n DESC LIMIT ?", limit)

    def _read(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self._reading:
            return [dict(row) for row in self._reader.execute(sql, values)]


def _decision(row: dict[str, Any]) -> Decision:
    return Decision(row["at_ms"], row["by"], row["outcome"])


def _incident(row: dict[str, Any]) -> Incident:
    return Incident(
        *(row["id"], row["region"], row["device_id"], row["received_ms"] / 1000, row["last_ms"] / 1000),
        json.loads(row["alarm"]),
        press=row["press"],
        transmissions=row["transmissions"],
        late=bool(row["late"]),
        actual=row["status"] == "actual",
    )


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "alarm": json.loads(row["alarm"]), "late": bool(row["late"]), "unanswered": bool(row["unanswered"])}
