"""Figures of the register: counts, how long it took, how much of the time a column was there. Pure: no files, no clock.

Drills and tests are never counted among the actual calls. Times are integer milliseconds since the epoch, UTC; a
month is one of the desk's own time zone, since that is how reports are written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

Row = Mapping[str, Any]

DAY_MS = 24 * 3600 * 1000
WINDOWS_MS = {"days7": 7 * DAY_MS, "months12": 365 * DAY_MS}
PERCENTS = (50, 95, 99)


def pressed_ms(incident: Row) -> int:
    """When the contact closed, by the desk's best knowledge: the column's own time only if the network had set its
    clock, and else its age when it arrived, which is a lower bound after a restart. A column may say anything: what
    lies in the future, or more than a year back, is taken for the moment of its arrival or for a year back.
    """
    received_ms, raised_ms = incident["received_ms"], incident["raised_ms"]
    trusted = incident["clock"] == "ntp" and raised_ms is not None
    pressed = raised_ms if trusted else received_ms - incident["age_ms"]
    return int(min(max(pressed, received_ms - WINDOWS_MS["months12"]), received_ms))


def percentiles(values: Iterable[int]) -> dict[str, int | None]:
    """p50, p95 and p99 by nearest rank (a value that was measured, none in between), and how many there are."""
    ordered = sorted(values)
    count = len(ordered)
    found: dict[str, int | None] = {
        f"p{percent}": ordered[(percent * count + 99) // 100 - 1] if ordered else None for percent in PERCENTS
    }
    return {**found, "n": count}


def availability(presence: Iterable[Row], from_ms: int, to_ms: int) -> float | None:
    """The share of the known time between the two in which the column was `up`; None when nothing is known.

    A row holds until its `to_ms` (None: still), or until the next one begins. Times of which no row tells are not
    known: the desk was off, or the column did not stand yet.
    """
    rows = sorted(presence, key=lambda row: row["from_ms"])
    known = up = 0
    begins = [row["from_ms"] for row in rows]
    for row, next_ms in zip(rows, [*begins[1:], to_ms], strict=False):
        end = min(next_ms, to_ms) if row["to_ms"] is None else min(next_ms, to_ms, row["to_ms"])
        lasts = max(0, end - max(row["from_ms"], from_ms))
        known += lasts
        up += lasts if row["kind"] == "up" else 0
    return up / known if known else None


def summary(
    incidents: Sequence[Row], presence: Mapping[str, Sequence[Row]], now_ms: int, zone: tzinfo | None = None
) -> dict[str, Any]:
    """Everything that the desk shows as statistics. `presence`: its rows by column; `zone`: None is the machine's."""
    actual = [incident for incident in incidents if incident["status"] == "actual"]
    drills = [incident for incident in incidents if incident["status"] != "actual"]
    return {
        **_counts(actual, zone),
        "availability": [
            {"device_id": device_id}
            | {name: availability(rows, now_ms - window_ms, now_ms) for name, window_ms in WINDOWS_MS.items()}
            for device_id, rows in sorted(presence.items())
        ],
        "drills": {**_counts(drills, zone), "last_ms": _last_by_column(drills)},
        "time_zone": datetime.fromtimestamp(now_ms / 1000, zone).astimezone(zone).strftime("UTC%z"),
    }


def _counts(incidents: Sequence[Row], zone: tzinfo | None) -> dict[str, Any]:
    closed = [incident for incident in incidents if incident["state"] == "closed"]
    accepted = [incident for incident in incidents if incident["accepted_ms"] is not None]
    return {
        "total": len(incidents),
        "open": len(incidents) - len(closed),
        "by_outcome": dict(sorted(Counter(incident["outcome"] for incident in closed).items())),
        "by_site": dict(sorted(Counter(incident["site"] for incident in incidents).items())),
        "by_month": dict(sorted(Counter(_month(pressed_ms(incident), zone) for incident in incidents).items())),
        "press_to_desk_ms": {
            **percentiles(each["received_ms"] - pressed_ms(each) for each in incidents if not _is_later(each)),
            "left_out": sum(_is_later(each) for each in incidents),
        },
        "press_to_accept_ms": percentiles(each["accepted_ms"] - pressed_ms(each) for each in accepted),
    }


def _is_later(incident: Row) -> bool:
    """Whether this desk first heard of it at a later press: its age is that of the first one, which another centre may
    have had."""
    return (incident["first_press"] or 1) > 1


def _month(at_ms: int, zone: tzinfo | None) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).strftime("%Y-%m")


def _last_by_column(incidents: Iterable[Row]) -> dict[str, int]:
    last: dict[str, int] = {}
    for incident in incidents:
        device_id = incident["device_id"]
        last[device_id] = max(last.get(device_id, 0), incident["received_ms"])
    return dict(sorted(last.items()))
