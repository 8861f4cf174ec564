"""False calls: their kinds, shares and patterns; and that none of it ever holds a press back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from desk_rig import DeskRig, Speaker
from ladder_rig import Street, street

from desk import evidence, misuse
from desk.export import read_csv
from desk.ledger import LedgerError
from desk.misuse import MISUSES, REPEATED_MIN
from sim.servers.broker import Mosquitto

MONDAY_MS = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)
MINUTE_MS, DAY_MS = 60_000, 24 * 3_600_000
PRESSES = 12


def row(day: int, minute: float, outcome: str = "false", kind: str = "", **changes: Any) -> dict[str, Any]:
    at_ms = MONDAY_MS + day * DAY_MS + round(minute * MINUTE_MS)
    return {
        "device_id": "a", "state": "closed", "outcome": outcome, "misuse": kind, "received_ms": at_ms + 90,
        "raised_ms": at_ms, "age_ms": 90, "clock": "ntp", **changes,
    }  # fmt: skip


def test_false_calls_are_a_share_and_their_kinds_are_counted() -> None:
    rows = [row(0, 0, kind="prank"), row(9, 400, kind="prank"), row(20, 800, kind="technical"), row(40, 1200)]
    rows += [row(1, 0, "help-given"), row(2, 0, state="received", outcome=""), row(3, 0, "criminal", device_id="b")]
    (found,) = misuse.summary(rows, UTC)
    assert (found["device_id"], found["closed"], found["false"], found["share"]) == ("a", 5, 4, 0.8)
    assert found["kinds"] == {"prank": 2, "technical": 1, "unsaid": 1}
    assert (found["repeated"], found["hour"], found["weekday"]) == (False, None, None), "they have nothing in common"


def test_the_worst_column_comes_first() -> None:
    rows = [row(n, 0) for n in range(2)] + [row(n, 0, device_id="b") for n in range(3)] + [row(5, 0, "other")]
    assert [one["device_id"] for one in misuse.summary(rows, UTC)] == ["b", "a"]


def test_a_pattern_is_seen_over_midnight_and_in_the_desks_own_time() -> None:
    """Red when the hour is cut at the full hour, at midnight, or in UTC."""
    late = [row(0, 23 * 60 + 40), row(10, 30), row(20, 23 * 60 + 55), row(33, 12 * 60)]
    (found,) = misuse.summary(late, UTC)
    assert found["hour"] == {"minute": 23 * 60 + 40, "n": 3}
    (found,) = misuse.summary(late, timezone(timedelta(hours=5)))
    assert found["hour"] == {"minute": 4 * 60 + 40, "n": 3}
    (found,) = misuse.summary([row(4 + 7 * n, 1200 - 200 * n) for n in range(3)], UTC)
    assert (found["weekday"], found["hour"]) == ({"day": 4, "n": 3}, None)


def test_patterns_are_what_a_slow_count_finds() -> None:
    """Against each pair of calls, in drawn lives. Red when the window of an hour or a week has another length."""
    dice = random.Random(14)
    for seed in range(60):
        at = [(dice.randrange(30), dice.randrange(1440)) for _ in range(dice.randrange(1, 14))]
        (found,) = misuse.summary([row(*one) for one in at], UTC)
        minutes = [minute for _, minute in at]
        hour = max(sum((other - one) % 1440 < 60 for other in minutes) for one in minutes)
        whole = [day * 1440 + minute for day, minute in at]
        week = max(sum(0 <= other - one < 7 * 1440 for other in whole) for one in whole)
        assert found["most_in_a_week"] == week, (seed, at)
        is_pattern = hour >= REPEATED_MIN and 2 * hour >= len(at)
        assert (found["hour"] or {"n": 0})["n"] == (hour if is_pattern else 0), (seed, at)


def story(made: Street, incident_id: str) -> list[str]:
    found = made.rooms[0].register.incident(incident_id)  # type: ignore[union-attr]
    assert found is not None
    return [one["kind"] for one in found["timeline"]]


def test_no_press_is_ever_held_back(tmp_path: Path) -> None:
    """A column with nothing but pranks calls as one without: the same answers, the same ladder, the same officers. Red
    when intake, ladder or escalation look at what was misused."""
    with street(tmp_path) as made:
        for number in range(PRESSES):
            prank = made.press("petropavl-01", id=f"petropavl-01-16-{number}")
            made.run_s(2)
            made.rooms[0].duty.close(prank, "false", "anna", misuse="prank")  # type: ignore[union-attr]
        made.run_s(1)
        rows = made.rooms[0].register.incidents()  # type: ignore[union-attr]
        (found,) = misuse.summary(rows)
        assert (found["share"], found["kinds"], found["repeated"]) == (1.0, {"prank": PRESSES}, True)
        told = len(made.told)
        calls = [made.press("petropavl-01"), made.press("petropavl-02")]
        made.run_s(70)
        bad, good = (story(made, call) for call in calls)
        assert bad == good and "step-sent" in bad and "received" in bad
        assert len(made.told) - told == 4, "duty and chief, for each of the two"


def test_only_a_false_call_has_a_kind(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        call = made.press()
        made.run_s(2)
        for outcome, kind in (("help-given", "prank"), ("false", "nonsense")):
            with pytest.raises(LedgerError):
                made.rooms[0].duty.close(call, outcome, "anna", misuse=kind)  # type: ignore[union-attr]
        assert "closed" not in story(made, call)


def test_the_second_desk_counts_what_the_first_one_closed(tmp_path: Path) -> None:
    """Its table is the same, also of what it heard only when it was there again, after its own restart, and in its
    evidence. Red when the kind stays at the desk that closed the call, in memory or in the register."""
    with street(tmp_path, "desk-1", "desk-2") as made:
        for number, kind in enumerate(("prank", "enquiry", "", "prank")):
            call = made.press(id=f"petropavl-01-16-{number}")
            made.run_s(2)
            if number == 2:
                made.rooms[1].cut(30_000_000)
            made.rooms[0].duty.close(call, "false", "anna", misuse=kind)  # type: ignore[union-attr]
            made.run_s(1)
        made.run_s(60)
        made.rooms[1].kill()
        made.run_s(60)
        made.press(id="petropavl-01-16-0")  # what is closed is entered again, as a repeat
        made.run_s(2)
        first, second = (misuse.summary(room.register.incidents()) for room in made.rooms)  # type: ignore[union-attr]
        assert [{**one, "last_ms": 0} for one in first] == [{**one, "last_ms": 0} for one in second]
        assert second[0]["kinds"] == {"prank": 2, "enquiry": 1, "unsaid": 1}
        for room in made.rooms:
            assert evidence.check(room.register._db, room.path) == []  # type: ignore[union-attr]
            entry = room.register.incident("petropavl-01-16-0")["timeline"][-2]  # type: ignore[union-attr,index]
            assert (entry["kind"], entry["detail"]["misuse"]) == ("closed", "prank")


# -- over the wire


@pytest.fixture
def desk(broker: Mosquitto, tmp_path: Path) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", broker)
    yield rig
    rig.close()


@pytest.mark.mosquitto
def test_a_kind_from_the_closing_to_the_table(desk: DeskRig, broker: Mosquitto) -> None:
    columns = Speaker(broker)
    assert desk.get("/api/config").json["misuses"] == list(MISUSES)
    for number in range(1, 4):
        one = f"/api/incidents/{columns.press(number=number)}"
        columns.hears("ack", state="received")
        assert desk.post(one + "/close", {"outcome": "help-given", "misuse": "prank"}).status == 400
        assert desk.post(one + "/close", {"outcome": "false", "misuse": "fun"}).status == 400
        closed = desk.post(
            one + "/close", {"outcome": "false", "misuse": "by-mistake"} if number > 1 else {"outcome": "false"}
        )
        assert (closed.json["outcome"], closed.json["misuse"]) == ("false", "by-mistake" if number > 1 else "")
        assert columns.hears("ack", state="closed").get("misuse", "") == closed.json["misuse"]
    (found,) = desk.get("/api/statistics").json["misuse"]
    assert found["kinds"] == {"by-mistake": 2, "unsaid": 1} and found["hour"]["n"] == 3
    (line,) = read_csv(desk.get("/api/misuse.csv").body.decode())
    assert (line["device_id"], line["false"], line["by-mistake"], line["unsaid"]) == ("petropavl-01", "3", "2", "1")
    assert (line["share"], line["prank"], line["hour_n"]) == ("1.000", "0", "3")
    columns.close()
