"""What the page shows of calls, held against their evidence: an edit of the register that leaves the chain alone is
named. Only what the chain tells: a call of before there was one, or of which it begins in the middle, is passed over.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from desk.ledger import milliseconds

RECORDED = "recorded"
APART = ("alarm", "answer", RECORDED)
"""Links that are no lines of the timeline: what the column said, and was told, byte for byte; a recording's hash."""
BEGINNINGS = ("press", "alarm")
PASSING = ("age_ms", "late", "raised_at", "clock", "status", "n", "mac")
"""What differs between two transmissions of one press, or is the desk's own."""
DECISIONS = ("accepted", "dispatched", "closed")
"""By people. When a call was received the desk may have to write again, after a full disk."""


@dataclass
class Told:
    """What the chain says of one call."""

    begins: bool = False
    region_and_device: set[tuple[str, ...]] = field(default_factory=set)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    has_first: bool = False
    """The first of them is the call's first: it was no drill then."""
    decided: set[tuple[str, int, str]] = field(default_factory=set)
    """(state, at_ms, by)"""
    closings: set[tuple[str, str, str]] = field(default_factory=set)
    """(by, key, text) of outcome, note and misuse"""
    recorded: dict[str, str] = field(default_factory=dict)
    """file -> its hash"""
    received_ms: int | None = None
    is_closed: bool = False

    def take(self, link: dict[str, Any]) -> None:
        kind, at_ms, by, detail = (link[key] for key in ("kind", "at_ms", "by", "detail"))
        self.begins |= link["k"] == 1 and kind in BEGINNINGS
        if kind == "alarm":
            self.alarms.append(json.loads(detail["payload"]))
            self.has_first |= at_ms == self.received_ms
            self.region_and_device.add(tuple(detail["topic"].split("/")[2:4]))
        if kind == RECORDED:
            self.recorded[detail["file"]] = detail["sha256"]
        if kind in BEGINNINGS:
            self.received_ms = at_ms if self.received_ms is None else self.received_ms
            self.is_closed = False
        if kind in DECISIONS:
            self.decided.add((kind, at_ms, by))
        if kind == "closed":
            self.is_closed = True
            self.closings |= {(by, key, detail.get(key, "")) for key in ("outcome", "note", "misuse")}


def check(db: sqlite3.Connection) -> list[str]:
    """Every call, its decisions, timeline and recordings; what does not agree, in words."""
    told: dict[str, Told] = defaultdict(Told)
    lines = _timeline(db)
    wrong: list[str] = []
    since_ms: int | None = None
    for (body,) in db.execute("SELECT body FROM link ORDER BY n"):
        with contextlib.suppress(ValueError, RecursionError, KeyError, TypeError):  # who checks links names it
            link = json.loads(body)
            since_ms = link["at_ms"] if since_ms is None else since_ms
            told[link["incident"]].take(link)
            if link["kind"] not in APART:
                wrong += _line(link, lines)
    wrong += [f"{key[2]} of {key[0]} at {key[1]} was put into the timeline" for key in lines if key[0] in told]
    return [*wrong, *_calls(db, told, since_ms), *_decisions(db, told), *_recordings(db, told)]


def _timeline(db: sqlite3.Connection) -> dict[tuple[Any, ...], str]:
    rows = db.execute(
        'SELECT incident_id, at_ms, kind, entry."by", detail FROM entry JOIN incident ON incident.id = incident_id'
        " WHERE status = 'actual'"
    )
    return {tuple(row[:4]): row[4] for row in rows}


def _line(link: dict[str, Any], lines: dict[tuple[Any, ...], str]) -> Iterator[str]:
    found = lines.pop((link["incident"], link["at_ms"], link["kind"], link["by"]), None)
    if found is None or _document(found) != link["detail"]:
        what = "is missing in" if found is None else "was changed in"
        yield f"{link['kind']} of {link['incident']} at {link['at_ms']} {what} the timeline"


def _calls(db: sqlite3.Connection, told: dict[str, Told], since_ms: int | None) -> Iterator[str]:
    found = db.execute("SELECT * FROM incident WHERE status = 'actual'")
    names = [one[0] for one in found.description]
    for values in found:
        row = dict(zip(names, values, strict=True))
        name = row["id"]
        if name not in told:
            if since_ms is not None and row["received_ms"] > since_ms:
                yield f"{name} was put into the register: there is no evidence of it"
        elif told[name].begins and (columns := _as_called(row, told[name]) + _as_decided(row, told[name])):
            yield f"{name} was changed in the register: {', '.join(columns)}"


def _as_called(row: dict[str, Any], told: Told) -> list[str]:
    """What the row says of the call, and not the chain: its columns."""
    columns: list[str] = []
    if told.alarms:
        alarm, first = _document(row["alarm"]), told.alarms[0]
        if (row["region"], row["device_id"]) not in told.region_and_device:
            columns.append("region, device_id")
        if lasting(alarm) not in map(lasting, told.alarms):
            columns.append("alarm")
        if row["site"] not in [one["location"]["site"] for one in told.alarms]:
            columns.append("site")
        if row["press"] not in [one["press"] for one in told.alarms]:
            columns.append("press")
        raised_ms = None if first["raised_at"] is None else milliseconds(first["raised_at"])
        if told.has_first and (row["raised_ms"], row["clock"], row["age_ms"]) != (
            *(raised_ms, first["clock"], first["age_ms"]),
        ):
            columns.append("raised_ms, clock, age_ms")
        if told.has_first and (row["first_press"] or 0) > first["press"]:  # less where the disk was full then
            columns.append("first_press")
    if told.received_ms is None or row["received_ms"] > told.received_ms:  # earlier where the disk was full then
        columns.append("received_ms")
    return columns


def _as_decided(row: dict[str, Any], told: Told) -> list[str]:
    """... and of what was decided about it."""
    columns: list[str] = []
    by_of = {"accepted": row["accepted_by"]}
    for state in DECISIONS:
        at_ms = row[f"{state}_ms"]
        if at_ms is not None and not any(
            (kind, at) == (state, at_ms) and by_of.get(state, by) == by for kind, at, by in told.decided
        ):
            columns.append(f"{state}_ms" + (f", {state}_by" if state in by_of else ""))
    if row["state"] in DECISIONS and (row["state"], row["by"]) not in {(kind, by) for kind, _, by in told.decided}:
        columns.append("state, by")
    if (row["state"] == "closed") != (row["closed_ms"] is not None) or (told.is_closed and row["state"] != "closed"):
        columns.append("state, closed_ms")
    if row["state"] == "closed":
        said = {(key, text) for _, key, text in told.closings}
        empty = {("note", ""), ("misuse", "")}
        if not {(key, row[key]) for key in ("outcome", "note", "misuse")} <= said | empty:
            columns.append("outcome, note, misuse")
    return columns


def _document(text: str) -> dict[str, Any]:
    """Like no other, if somebody has damaged it."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"damaged": text}
    return found if isinstance(found, dict) else {"damaged": text}


def lasting(alarm: dict[str, Any]) -> dict[str, Any]:
    """What all transmissions of a press have in common."""
    return {key: value for key, value in alarm.items() if key not in PASSING}


def _decisions(db: sqlite3.Connection, told: dict[str, Told]) -> Iterator[str]:
    """What the state follows from, at the next start too."""
    left = {(name, state) for name, one in told.items() if one.begins for state, _, _ in one.decided}
    rows = db.execute('SELECT incident_id, state, at_ms, "by", outcome, misuse FROM decision ORDER BY 1, 3')
    for name, state, at_ms, by, outcome, misuse in rows:
        if name not in told or not told[name].begins or state not in DECISIONS:
            continue
        left.discard((name, state))
        said = {(by, key, text) for key, text in (("outcome", outcome), ("misuse", misuse)) if text}
        if (state, at_ms, by) not in told[name].decided or not said <= told[name].closings:
            yield f"the decision {state!r} of {name} at {at_ms} was changed, or put in"
    for name, state in sorted(left):
        yield f"the decision {state!r} of {name} is missing in the register"


def _recordings(db: sqlite3.Connection, told: dict[str, Told]) -> Iterator[str]:
    """Those of before their hashes were evidence are passed over."""
    there = {(row[0], row[1]): row[2] for row in db.execute("SELECT incident_id, file, sha256 FROM recording")}
    for name, one in told.items():
        for file, known in one.recorded.items():
            if there.get((name, file)) != known:
                yield f"the recording {file!r} of {name} was changed in the register, or is missing there"
