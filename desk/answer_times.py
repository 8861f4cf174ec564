"""How soon people answer, held against the target. Pure: rows of the register in.

An answer's time runs from the call's arrival at this desk to the first person who accepted it: what the network took
before is in the other statistics. A call that nobody accepted counts against the target.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from desk.exercises import MISSED
from desk.statistics import percentiles

Row = Mapping[str, Any]
TARGET_S, TARGET_SHARE = 15, 0.9
SHIFTS = {"night": range(0, 8), "day": range(8, 16), "evening": range(16, 24)}
"""By the hour of the desk's own time zone."""


def summary(rows: Sequence[Row], readings: Mapping[str, Sequence[Row]], zone: tzinfo | None = None) -> dict[str, Any]:
    """`rows`: incidents, drills too; `readings`: the entries of exercises, by their id."""
    calls = [row for row in rows if row["status"] == "actual"]
    exercises = [row for row in rows if row["status"] == "exercise"]
    return {
        "target": {"s": TARGET_S, "share": TARGET_SHARE},
        "answers": _all_ways(calls, zone),
        "exercises": {**_all_ways(exercises, zone), **_exercised(readings)},
    }


def _all_ways(rows: Sequence[Row], zone: tzinfo | None) -> dict[str, Any]:
    people: dict[str, list[Row]] = defaultdict(list)
    shifts: dict[str, list[Row]] = {name: [] for name in SHIFTS}
    for row in rows:
        hour = datetime.fromtimestamp(row["received_ms"] / 1000, zone).hour
        shifts[next(name for name, hours in SHIFTS.items() if hour in hours)].append(row)
        if row["accepted_by"]:
            people[row["accepted_by"]].append(row)
    return {
        "all": _answered(rows),
        "by_shift": {name: _answered(each) for name, each in shifts.items()},
        "by_person": {name: _answered(each) for name, each in sorted(people.items())},
    }


def _answered(rows: Sequence[Row]) -> dict[str, Any]:
    """`within`: the share of all that came, so that a call without an answer counts."""
    over = [row for row in rows if row["accepted_ms"] is not None or row["state"] == "closed"]
    took = [max(0, row["accepted_ms"] - row["received_ms"]) for row in over if row["accepted_ms"] is not None]
    ordered = sorted(took)
    p90 = ordered[(90 * len(ordered) + 99) // 100 - 1] if ordered else None
    good = sum(each <= TARGET_S * 1000 for each in took)
    return {
        "n": len(over), "unaccepted": len(over) - len(took), "p50_ms": percentiles(took)["p50"], "p90_ms": p90,
        "within": good / len(over) if over else None,
    }  # fmt: skip


def _exercised(readings: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    entries = [one for each in readings.values() for one in each]
    read = Counter(bool(one["detail"].get("right")) for one in entries if one["kind"] == "readback")
    missed = sum(one["kind"] == "exercise-ended" and one["detail"].get("why") == MISSED for one in entries)
    return {"missed": missed, "address_right": read[True], "address_wrong": read[False]}
