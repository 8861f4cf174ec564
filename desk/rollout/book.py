"""What a rollout has decided, on the disk before anybody is told: SQLite in its folder. A kill at any point loses
nothing. Whoever pauses, resumes or aborts leaves a wish here, and the one that runs takes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from desk import own_folder
from desk.rollout.plan import Column, Limits, Plan

FILE = "rollout.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS rollout (
    one INTEGER PRIMARY KEY CHECK (one = 1), digest TEXT, version TEXT, first TEXT, state TEXT, why TEXT,
    stage INTEGER, since_ms INTEGER, wish TEXT);
CREATE TABLE IF NOT EXISTS columns (
    device_id TEXT PRIMARY KEY, region TEXT, latitude REAL, longitude REAL, state TEXT, since_ms INTEGER,
    tries INTEGER, why TEXT, counts INTEGER);
CREATE TABLE IF NOT EXISTS log (at_ms INTEGER, text TEXT);
"""


class Book:
    """Raises sqlite3.Error when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._db = sqlite3.connect(own_folder.made(folder) / FILE, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def release(self) -> str | None:
        """The digest of the release that this folder is about."""
        row = self._db.execute("SELECT digest FROM rollout").fetchone()
        return str(row[0]) if row else None

    def restore(self, limits: Limits) -> Plan | None:
        row = self._db.execute("SELECT digest, version, first, state, why, stage, since_ms FROM rollout").fetchone()
        if row is None:
            return None
        plan = Plan(row[0], row[1], limits, row[2])
        plan.state, plan.why, plan.stage, plan.since_ms = row[3:]
        for one in self._db.execute("SELECT * FROM columns"):
            place = None if one[2] is None else (one[2], one[3])
            state, since_ms, tries, why, counts = one[4:]
            plan.columns[one[0]] = Column(one[0], one[1], place, state, since_ms, tries, why, bool(counts))
        return plan

    def keep(self, plan: Plan, now_ms: int, said: list[str]) -> None:
        """All that changed, in one transaction."""
        with self._db:
            self._db.execute(
                "INSERT INTO rollout VALUES (1, ?, ?, ?, ?, ?, ?, ?, '') ON CONFLICT (one) DO UPDATE SET"
                " state = excluded.state, why = excluded.why, stage = excluded.stage, since_ms = excluded.since_ms",
                (plan.digest, plan.version, plan.first, plan.state, plan.why, plan.stage, plan.since_ms),
            )
            for one in plan.take_changed():
                place = one.place or (None, None)
                values = (one.device_id, one.region, *place, one.state, one.since_ms, one.tries, one.why, one.counts)
                self._db.execute("INSERT OR REPLACE INTO columns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            self._db.executemany("INSERT INTO log VALUES (?, ?)", [(now_ms, text) for text in said])

    def wish(self, what: str) -> bool:
        """False: there is no rollout."""
        with self._db:
            return self._db.execute("UPDATE rollout SET wish = ?", (what,)).rowcount == 1

    def wished(self) -> str:
        """What nobody has taken yet."""
        row = self._db.execute("SELECT wish FROM rollout").fetchone()
        return str(row[0] or "") if row else ""

    def take_wish(self) -> str:
        wish = self.wished()
        if wish:
            with self._db:
                self._db.execute("UPDATE rollout SET wish = ''")
        return wish

    def log(self) -> list[tuple[int, str]]:
        return list(self._db.execute("SELECT at_ms, text FROM log ORDER BY rowid"))
