"""What is kept of the upkeep: the rows of `desk.upkeep.tables`, in the desk's register."""

from __future__ import annotations

from typing import Any

from desk.register import Register
from desk.upkeep.hearing import FIELDS, Heard
from desk.upkeep.life import Revision, Span
from desk.upkeep.orders import WorkOrder

Statement = tuple[str, tuple[Any, ...]]
"""One write, to be done in the batch's transaction."""

SPANS_MAX = 20_000  # of one column: a year of one that goes and comes every hour
ORDER = (
    "n, device_id, cause, what, who, maintenance, opened_ms, opened_by, down_ms, until_ms, repaired_ms, closed_ms,"
    " closed_by"
)


# Written


def put_proof(device_id: str, link: str, at_ms: int, how: str) -> Statement:
    return (
        "INSERT INTO proof VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, how = excluded.how"
        " WHERE excluded.at_ms > at_ms",
        (device_id, link, at_ms, how),
    )


def put_first(device_id: str, at_ms: int, uid: str) -> Statement:
    return "INSERT OR IGNORE INTO first_session VALUES (?, ?, ?)", (device_id, at_ms, uid)


def put_span(span: Span) -> list[Statement]:
    """What the column had from there on gives way."""
    oldest = "SELECT from_ms FROM span WHERE device_id = ? ORDER BY from_ms DESC LIMIT 1 OFFSET ?"
    return [
        ("DELETE FROM span WHERE device_id = ? AND from_ms >= ?", (span.device_id, span.from_ms)),
        ("INSERT INTO span VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", tuple(span)),
        (
            f"DELETE FROM span WHERE device_id = ? AND from_ms <= ({oldest})",
            (span.device_id, span.device_id, SPANS_MAX),
        ),
    ]


def put_heard(device_id: str, month: str, heard: Heard, boot: int) -> Statement:
    """Beside what was counted before."""
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in FIELDS)
    marks = ", ".join("?" for _ in FIELDS)
    return (
        f"INSERT INTO hearing (device_id, month, {', '.join(FIELDS)}, boot) VALUES (?, ?, {marks}, ?)"
        f" ON CONFLICT DO UPDATE SET {added}, boot = excluded.boot",
        (device_id, month, *(getattr(heard, name) for name in FIELDS), boot),
    )


def revise(revision: Revision, now_ms: int) -> list[Statement]:
    """By later evidence: a person's word stands, and what says nothing new is not noted."""
    device_id, from_ms, cause, why = revision
    where = "device_id = ? AND from_ms = ? AND by = '' AND cause != ?"
    return [
        (
            f"INSERT INTO correction SELECT NULL, device_id, from_ms, ?, cause, ?, '', ? FROM span WHERE {where}",
            (now_ms, cause, why, device_id, from_ms, cause),
        ),
        (f"UPDATE span SET cause = ?, why = ? WHERE {where}", (cause, why, device_id, from_ms, cause)),
    ]


def correct(span: Span, cause: str, by: str, reason: str, now_ms: int) -> list[Statement]:
    """By a person, with a reason."""
    where = (span.device_id, span.from_ms)
    return [
        ("INSERT INTO correction VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", (*where, now_ms, span.cause, cause, by, reason)),
        ("UPDATE span SET cause = ?, by = ?, why = ? WHERE device_id = ? AND from_ms = ?", (cause, by, reason, *where)),
    ]


def put_order(order: WorkOrder) -> Statement:
    return f"INSERT OR REPLACE INTO work_order ({ORDER}) VALUES ({', '.join('?' * 13)})", tuple(order)


# Read


def proofs(register: Register) -> dict[str, dict[str, tuple[int, str]]]:
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for row in register.ask("SELECT * FROM proof"):
        found.setdefault(row["device_id"], {})[row["link"]] = (row["at_ms"], row["how"])
    return found


def first_sessions(register: Register) -> dict[str, int]:
    return {row["device_id"]: row["at_ms"] for row in register.ask("SELECT device_id, at_ms FROM first_session")}


def boots(register: Register) -> dict[str, int]:
    """The latest boot number of each column that was counted."""
    latest = "SELECT max(month) FROM hearing WHERE device_id = one.device_id"
    sql = f"SELECT device_id, boot FROM hearing AS one WHERE month = ({latest})"
    return {row["device_id"]: row["boot"] for row in register.ask(sql)}


def heard(register: Register, month: str) -> dict[str, Heard]:
    """Of every column, in that month."""
    rows = register.ask("SELECT * FROM hearing WHERE month = ?", month)
    return {row["device_id"]: Heard(*(row[name] for name in FIELDS)) for row in rows}


def latest_spans(register: Register) -> list[Span]:
    sql = "SELECT * FROM span AS one WHERE from_ms = (SELECT max(from_ms) FROM span WHERE device_id = one.device_id)"
    return [_span(row) for row in register.ask(sql)]


def spans(register: Register, from_ms: int, to_ms: int) -> dict[str, list[Span]]:
    """Of every column, those that reach into that time, oldest first."""
    sql = (
        "SELECT * FROM span AS one WHERE from_ms < ? AND from_ms >= coalesce((SELECT max(from_ms) FROM span"
        " WHERE device_id = one.device_id AND from_ms <= ?), 0) ORDER BY device_id, from_ms"
    )
    found: dict[str, list[Span]] = {}
    for row in register.ask(sql, to_ms, from_ms):
        found.setdefault(row["device_id"], []).append(_span(row))
    return found


def span(register: Register, device_id: str, from_ms: int) -> Span | None:
    rows = register.ask("SELECT * FROM span WHERE device_id = ? AND from_ms = ?", device_id, from_ms)
    return _span(rows[0]) if rows else None


def corrections(register: Register, limit: int = 200) -> list[dict[str, Any]]:
    """{device_id, from_ms, at_ms, was, cause, by, reason}, newest first."""
    sql = "SELECT device_id, from_ms, at_ms, was, cause, by, reason FROM correction ORDER BY n DESC LIMIT ?"
    return register.ask(sql, limit)


def orders(register: Register, *, is_open: bool, limit: int = 1000) -> list[WorkOrder]:
    """Open ones, or those that are closed; newest first."""
    term = "IS NULL" if is_open else "IS NOT NULL"
    sql = f"SELECT {ORDER} FROM work_order WHERE closed_ms {term} ORDER BY n DESC LIMIT ?"
    return [WorkOrder(**{**row, "maintenance": bool(row["maintenance"])}) for row in register.ask(sql, limit)]


def next_order(register: Register) -> int:
    return int(register.ask("SELECT coalesce(max(n), 0) + 1 AS n FROM work_order")[0]["n"])


def _span(row: dict[str, Any]) -> Span:
    return Span(*(row[name] for name in Span._fields))
