"""False calls: what kind of misuse each was, whose share is high, and whether they come in a pattern. Pure.

It shows where a visit, a talk at the school or a repair would help. Nothing here is read by what takes calls in: no
press is ever held back, whatever its column was misused for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from common.spreadsheet import BOM, cell, line
from desk.export import utc
from desk.statistics import DAY_MS, pressed_ms

Row = Mapping[str, Any]
FALSE = "false"
MISUSES = ("prank", "by-mistake", "enquiry", "nobody-there", "technical")
"""What an operator may say of a call whose outcome is `false`: for fun; pressed without meaning to; somebody wanted
something else; nobody was found; nobody pressed, the column itself called."""
UNSAID = "unsaid"
REPEATED_DAYS = 7
REPEATED_MIN = 3
"""So many false calls of one column are a pattern: within so many days, or at one hour or on one weekday if these are
half of all of them."""
DAY_MIN, HOUR_MIN = 24 * 60, 60


def summary(calls: Iterable[Row], zone: tzinfo | None = None) -> list[dict[str, Any]]:
    """Columns with false calls, the worst first. `zone`: of hours and weekdays; None is the machine's."""
    of: dict[str, list[Row]] = defaultdict(list)
    for row in calls:
        if row["state"] == "closed":
            of[row["device_id"]].append(row)
    found = [_column(device_id, closed, zone) for device_id, closed in of.items()]
    return sorted(
        (one for one in found if one["false"]), key=lambda one: (-one["false"], -one["share"], one["device_id"])
    )


def _column(device_id: str, closed: Sequence[Row], zone: tzinfo | None) -> dict[str, Any]:
    false = [row for row in closed if row["outcome"] == FALSE]
    kinds = Counter(row["misuse"] or UNSAID for row in false)
    pressed = sorted(pressed_ms(row) for row in false)
    week_ms = REPEATED_DAYS * DAY_MS
    most = max((bisect_left(pressed, at + week_ms) - n for n, at in enumerate(pressed)), default=0)
    return {
        "device_id": device_id, "closed": len(closed), "false": len(false), "share": len(false) / len(closed),
        "kinds": {kind: kinds[kind] for kind in (*MISUSES, UNSAID) if kinds[kind]},
        "most_in_a_week": most, "repeated": most >= REPEATED_MIN,
        "hour": _hour(pressed, zone), "weekday": _weekday(pressed, zone),
        "last_ms": max((row["received_ms"] for row in false), default=0),
    }  # fmt: skip


def _hour(pressed: Sequence[int], zone: tzinfo | None) -> dict[str, int] | None:
    """{"minute", "n"}: within the hour from that minute of the day on; over midnight, too."""
    at_minute = Counter(at.hour * 60 + at.minute for at in (_local(each, zone) for each in pressed))
    within = Counter(
        {begin: sum(at_minute[(begin + later) % DAY_MIN] for later in range(HOUR_MIN)) for begin in at_minute}
    )
    return _pattern("minute", len(pressed), within)


def _weekday(pressed: Sequence[int], zone: tzinfo | None) -> dict[str, int] | None:
    """{"day", "n"}; Monday is 0."""
    return _pattern("day", len(pressed), Counter(_local(each, zone).weekday() for each in pressed))


def _pattern(name: str, of: int, counts: Counter[int]) -> dict[str, int] | None:
    value, n = max(counts.items(), key=lambda one: (one[1], -one[0]), default=(0, 0))
    return {name: value, "n": n} if n >= REPEATED_MIN and 2 * n >= of else None


def _local(at_ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, zone)


FIELDS = (
    *("device_id", "closed", "false", "share", *MISUSES, UNSAID, "most_in_a_week", "repeated"),
    *("hour_from", "hour_n", "weekday", "weekday_n", "last"),
)


def csv_text(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The summary as a table. `weekday`: 1 is Monday, as in ISO 8601."""
    yield BOM + line(FIELDS)
    for one in found:
        hour, weekday = one["hour"] or {}, one["weekday"] or {}
        minute = hour.get("minute")
        flat = {
            **dict.fromkeys((*MISUSES, UNSAID), 0), **one, **one["kinds"], "share": f"{one['share']:.3f}",
            "hour_from": None if minute is None else f"{minute // 60:02}:{minute % 60:02}", "hour_n": hour.get("n"),
            "weekday": weekday["day"] + 1 if weekday else None, "weekday_n": weekday.get("n"),
            "last": utc(one["last_ms"]),
        }  # fmt: skip
        yield line([cell(flat[name]) for name in FIELDS])
