"""Figures of the register against slow and obvious ones; drills never among the calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk import statistics

NOW_MS = 1_795_000_000_000  # in November 2026
HOUR_MS = 3_600_000
Rows = list[dict[str, Any]]

samples = st.lists(st.integers(-50, 50), max_size=250)
ends = st.one_of(st.none(), st.integers(0, 60))
presences = st.lists(
    st.fixed_dictionaries(
        {"from_ms": st.integers(0, 50), "to_ms": ends, "kind": st.sampled_from(("up", "silent", "offline"))}
    ),
    max_size=12,
)


# -- percentiles


def slow_percentile(values: Sequence[int], percent: int) -> int | None:
    """The smallest value such that at least `percent` of a hundred values are not above it."""
    for value in sorted(values):
        if 100 * sum(other <= value for other in values) >= percent * len(values):
            return value
    return None


def hold_percentiles(fast: Callable[[Sequence[int]], dict[str, int | None]]) -> None:
    @settings(max_examples=300, deadline=None, derandomize=True)
    @given(samples)
    def check(values: list[int]) -> None:
        slow = {f"p{percent}": slow_percentile(values, percent) for percent in (50, 95, 99)}
        assert fast(values) == {**slow, "n": len(values)}

    check()


def test_percentiles_are_values_that_were_measured() -> None:
    hold_percentiles(statistics.percentiles)


def test_a_percentile_one_rank_too_high_is_noticed() -> None:
    def broken(values: Sequence[int]) -> dict[str, int | None]:
        ordered = sorted(values)
        ranks = {p: min(len(ordered) - 1, p * len(ordered) // 100) for p in (50, 95, 99)}
        return {**{f"p{p}": ordered[rank] if ordered else None for p, rank in ranks.items()}, "n": len(ordered)}

    with pytest.raises(AssertionError):
        hold_percentiles(broken)


# -- availability


def slow_availability(rows: Rows, from_ms: int, to_ms: int) -> float | None:
    """Asks about each millisecond: which row began last, and does it still hold?"""
    known = up = 0
    for at_ms in range(from_ms, to_ms):
        begun = [row for row in sorted(rows, key=lambda row: row["from_ms"]) if row["from_ms"] <= at_ms]
        if begun and (begun[-1]["to_ms"] is None or at_ms < begun[-1]["to_ms"]):
            known += 1
            up += begun[-1]["kind"] == "up"
    return up / known if known else None


def hold_availability(fast: Callable[[Rows, int, int], float | None]) -> None:
    @settings(max_examples=500, deadline=None, derandomize=True)
    @given(presences, st.integers(0, 30), st.integers(0, 40))
    def check(rows: Rows, from_ms: int, lasts_ms: int) -> None:
        assert fast(rows, from_ms, from_ms + lasts_ms) == slow_availability(rows, from_ms, from_ms + lasts_ms)

    check()


def test_availability_is_the_share_of_the_known_time() -> None:
    hold_availability(statistics.availability)


def test_an_availability_that_takes_unknown_time_for_absence_is_noticed() -> None:
    def broken(rows: Rows, from_ms: int, to_ms: int) -> float | None:
        share = slow_availability(rows, from_ms, to_ms)
        held = sum(slow_availability(rows, at, at + 1) is not None for at in range(from_ms, to_ms))
        return share * held / (to_ms - from_ms) if share is not None else None

    with pytest.raises(AssertionError):
        hold_availability(broken)


def test_an_availability_that_looks_beyond_its_window_is_noticed() -> None:
    with pytest.raises(AssertionError):
        hold_availability(lambda rows, from_ms, to_ms: slow_availability(rows, 0, to_ms))


# -- when it was pressed


def incident(**changes: Any) -> dict[str, Any]:
    made = {
        "status": "actual", "site": "public", "device_id": "petropavl-01", "state": "closed", "outcome": "help-given",
        "clock": "ntp", "raised_ms": NOW_MS - 700, "age_ms": 61, "received_ms": NOW_MS, "accepted_ms": NOW_MS + 5000,
        "first_press": 1,
    }  # fmt: skip
    return {**made, **changes}


@pytest.mark.parametrize(
    ("changes", "before_ms"),
    [
        ({}, 700),
        ({"clock": "kept"}, 61),  # the column's time is not to be believed, its age is
        ({"clock": "none", "raised_ms": None, "age_ms": 94210}, 94210),
        ({"raised_ms": NOW_MS + 1500}, 0),  # its clock is ahead
        ({"raised_ms": -62_135_596_800_000}, 365 * 24 * HOUR_MS),  # the year 1
        ({"clock": "none", "raised_ms": None, "age_ms": 2**53 - 1}, 365 * 24 * HOUR_MS),
    ],
)
def test_when_it_was_pressed_is_known_as_well_as_the_clock_is(changes: dict[str, Any], before_ms: int) -> None:
    assert statistics.pressed_ms(incident(**changes)) == NOW_MS - before_ms


# -- all of it


def test_drills_are_never_counted_among_the_calls() -> None:
    calls = [
        incident(),
        incident(outcome="false", site="school"),
        incident(state="received", outcome="", accepted_ms=None),
    ]
    drills = [
        incident(status="test", outcome="other", received_ms=NOW_MS - HOUR_MS, raised_ms=NOW_MS - HOUR_MS - 10),
        incident(status="exercise", outcome="false", site="school"),
    ]
    found = statistics.summary([*calls, *drills], {}, NOW_MS, UTC)
    assert (found["total"], found["open"]) == (3, 1)
    assert found["by_outcome"] == {"false": 1, "help-given": 1}
    assert found["by_site"] == {"public": 2, "school": 1}
    assert found["press_to_desk_ms"] == {"p50": 700, "p95": 700, "p99": 700, "n": 3, "left_out": 0}
    assert found["press_to_accept_ms"] == {"p50": 5700, "p95": 5700, "p99": 5700, "n": 2}
    assert found["drills"]["by_outcome"] == {"false": 1, "other": 1}
    assert (found["drills"]["total"], found["drills"]["last_ms"]) == (2, {"petropavl-01": NOW_MS})
    # Control: the same drills as calls would show.
    mixed = statistics.summary([{**each, "status": "actual"} for each in [*calls, *drills]], {}, NOW_MS, UTC)
    assert mixed["total"] == 5 and mixed["by_outcome"] != found["by_outcome"]


def test_a_call_first_heard_at_a_later_press_says_nothing_of_the_way_to_this_desk() -> None:
    """Its age is that of the first press, which another centre may have had: minutes, and they were counted as this
    desk's. Red where it is not left out, and where one of before, of which nobody knows, is."""
    later = incident(first_press=2, raised_ms=NOW_MS - 600_000)
    found = statistics.summary([incident(), incident(first_press=None), later], {}, NOW_MS, UTC)
    assert found["press_to_desk_ms"] == {"p50": 700, "p95": 700, "p99": 700, "n": 2, "left_out": 1}
    assert found["total"] == 3 and found["press_to_accept_ms"]["n"] == 3


def test_a_month_is_one_of_the_desks_own_time() -> None:
    pressed = int(datetime(2026, 10, 31, 21, 30, tzinfo=UTC).timestamp() * 1000)
    call = incident(raised_ms=pressed, received_ms=pressed + 100)
    here = timezone(timedelta(hours=5))
    assert statistics.summary([call], {}, NOW_MS, here)["by_month"] == {"2026-11": 1}
    assert statistics.summary([call], {}, NOW_MS, UTC)["by_month"] == {"2026-10": 1}
    assert statistics.summary([], {}, NOW_MS, here)["time_zone"] == "UTC+0500"


def test_availability_of_each_column_over_both_windows() -> None:
    day_ms = 24 * HOUR_MS
    presence: dict[str, Rows] = {
        "b": [
            {"from_ms": NOW_MS - 30 * day_ms, "to_ms": NOW_MS - 20 * day_ms, "kind": "up"},
            {"from_ms": NOW_MS - 20 * day_ms, "to_ms": NOW_MS - 10 * day_ms, "kind": "silent"},
            {"from_ms": NOW_MS - 10 * day_ms, "to_ms": None, "kind": "up"},
        ],
        "a": [],
    }
    found = statistics.summary([], presence, NOW_MS)["availability"]
    assert found == [
        {"device_id": "a", "days7": None, "months12": None},
        {"device_id": "b", "days7": 1.0, "months12": 20 / 30},
    ]
