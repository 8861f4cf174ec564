"""How soon people answer, held against the target. Pure: rows of the register in.

An answer's time runs from the call's arrival at this desk to the first person who accepted it: what the network took
before is in the other statistics. A call that nobody accepted counts against the target. Shifts are those that people
really began and handed over (desk/shifts.py), with the hours of the day beside them for desks where nobody does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from desk.exercises import MISSED
from desk.shifts import Shift, whose
from desk.statistics import percentiles

Row = Mapping[str, Any]
Rows = Sequence[Row]
Days = Mapping[int, list[Shift]]
"""Days since the epoch -> the shifts that were on duty within: a year of calls asks for few shifts each."""
DAY_MS = 86_400_000
Figures = Callable[[Rows], dict[str, Any]]
Readings = Mapping[str, Rows]
"""The entries of exercises, by their id."""
TARGET_S, TARGET_SHARE = 15, 0.9
HOURS = {"night": range(0, 8), "day": range(8, 16), "evening": range(16, 24)}
"""Of the desk's own time zone."""
SHIFTS_MAX = 62


def summary(
    rows: Rows,
    readings: Readings,
    shifts: Sequence[Shift] = (),
    sees: Callable[[str], bool] = lambda name: True,
    zone: tzinfo | None = None,
) -> dict[str, Any]:
    """`rows`: incidents, drills too; `sees`: of whom whoever asks may see the figures by name."""
    by_day: dict[int, list[Shift]] = defaultdict(list)
    for shift in shifts:
        for day in range(shift.from_ms // DAY_MS, max(end for *_, end in shift.duties) // DAY_MS + 1):
            by_day[day].append(shift)
    calls = [row for row in rows if row["status"] == "actual"]
    exercises = [row for row in rows if row["status"] == "exercise"]
    return {
        "target": {"s": TARGET_S, "share": TARGET_SHARE},
        "answers": _all_ways(calls, _answered, by_day, sees, zone),
        "exercises": _all_ways(exercises, lambda mine: _exercised(mine, readings), by_day, sees, zone),
    }


def _all_ways(
    rows: Rows, figures: Figures, by_day: Days, sees: Callable[[str], bool], zone: tzinfo | None
) -> dict[str, Any]:
    people: dict[str, list[Row]] = defaultdict(list)
    hours: dict[str, list[Row]] = {name: [] for name in HOURS}
    on_duty: dict[Shift | None, list[Row]] = defaultdict(list)
    for row in rows:
        hour = datetime.fromtimestamp(row["received_ms"] / 1000, zone).hour
        hours[next(name for name, some in HOURS.items() if hour in some)].append(row)
        shifts = by_day.get(row["received_ms"] // DAY_MS, [])
        on_duty[whose(shifts, row["received_ms"], row["accepted_by"] or "")].append(row)
        if row["accepted_by"] and sees(row["accepted_by"]):
            people[row["accepted_by"]].append(row)
    off_duty = on_duty.pop(None, [])
    known = sorted(((one, mine) for one, mine in on_duty.items() if one), key=lambda pair: -pair[0].from_ms)
    return {
        "all": figures(rows),
        "by_hours": {name: figures(each) for name, each in hours.items()},
        "by_shift": [{**_shift(one, sees), **figures(mine)} for one, mine in known[:SHIFTS_MAX]],
        "off_duty": figures(off_duty),
        "by_person": {name: figures(each) for name, each in sorted(people.items())},
    }


def _shift(shift: Shift, sees: Callable[[str], bool]) -> dict[str, Any]:
    names = [name for name in shift.names if sees(name)]
    return {"from_ms": shift.from_ms, "to_ms": shift.to_ms, "people": len(shift.names), "names": names}


def _answered(rows: Rows) -> dict[str, Any]:
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


def _exercised(rows: Rows, readings: Readings) -> dict[str, Any]:
    """The same, and what became of them: `missed`, and the address that was read back."""
    entries = [one for row in rows for one in readings.get(row["id"], ())]
    read = Counter(bool(one["detail"].get("right")) for one in entries if one["kind"] == "readback")
    missed = sum(one["kind"] == "exercise-ended" and one["detail"].get("why") == MISSED for one in entries)
    return {**_answered(rows), "missed": missed, "address_right": read[True], "address_wrong": read[False]}
