"""Exercises: marked on the wire, rung as a call, never in a call's way; and what is told of the answers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_rig import DeskRig, Speaker, add_account, wait_for
from ladder_rig import street

from desk import answer_times
from desk.exercises import MISSED_MS, WEEK_MS, Exercises, is_right
from desk.register import Register
from sim.servers.broker import Mosquitto

EXERCISE: dict[str, Any] = {"status": "exercise", "event_type": "drill"}


def kinds(made: Any, incident_id: str) -> list[tuple[str, Any]]:
    row = made.rooms[0].register.incident(incident_id)
    return [(one["kind"], one["detail"].get("why")) for one in row["timeline"] if one["kind"] == "exercise-ended"]


def state(made: Any, incident_id: str) -> str:
    return str(made.rooms[0].register.incident(incident_id)["state"])


def test_a_real_call_ends_an_exercise_at_once(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        exercise = made.press(**EXERCISE)
        made.run_s(3)
        assert state(made, exercise) == "received"
        call = made.press("petropavl-02")
        made.run_s(3)
        assert state(made, exercise) == "closed" and kinds(made, exercise) == [("exercise-ended", "real-call")]
        assert state(made, call) == "received"


def test_an_exercise_that_nobody_accepts_ends_as_missed_and_wakes_no_officer(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        exercise = made.press(**EXERCISE)
        for _ in range(MISSED_MS // 1000 + 5):
            made.run_s(1)
            made.rooms[0].duty.tick()  # type: ignore[union-attr]
        assert kinds(made, exercise) == [("exercise-ended", "missed")] and made.told == []


def test_an_accepted_exercise_is_the_operators_to_close(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        exercise = made.press(**EXERCISE)
        made.run_s(2)
        made.accept(exercise)
        duty = made.rooms[0].duty
        assert duty is not None
        for _ in range(MISSED_MS // 1000 + 5):
            made.run_s(1)
            duty.tick()
        assert state(made, exercise) == "accepted"


class Counted(dict[str, Any]):
    """How often somebody looked at all of it."""

    looks = 0

    def values(self) -> Any:
        self.looks += 1
        return super().values()


def test_a_tick_looks_at_all_incidents_once(tmp_path: Path) -> None:
    """Thousands are in memory, and an alarm waits for the lock. Red while ladder, exercises and attendance each looked
    at all of them."""
    with street(tmp_path) as made:
        made.press(**EXERCISE)
        made.press("petropavl-02")
        made.run_s(3)
        ledger = made.rooms[0].duty._ledger  # type: ignore[union-attr]
        ledger.incidents = counted = Counted(ledger.incidents)
        made.rooms[0].duty.tick()  # type: ignore[union-attr]
        assert counted.looks == 1


def test_the_next_one_cannot_be_told_from_the_last(tmp_path: Path) -> None:
    """Drawn anew each time, kept over a restart, and as many as were asked for."""
    with Register(tmp_path / "register.db") as register:
        now_ms, begun = 0, []
        for restart in range(4):
            exercises = Exercises("desk-1", 7.0, random.Random(restart))
            for _ in range(25):
                now_ms += WEEK_MS // 100
                if exercises.is_due(register, now_ms):
                    begun.append(now_ms)
        assert 2 <= len(begun) <= 16, begun
        assert len({after - before for before, after in zip(begun, begun[1:], strict=False)}) > 1
        assert not Exercises("desk-1", 0.0).is_due(register, 10 * now_ms), "none were asked for"


@pytest.mark.parametrize(
    ("read", "right"),
    [
        ("Конституции 23, Петропавл", True),
        ("петропавл конституциясы көшесі 23", True),
        ("Конституциясы көшесі 32", False),
        ("23", False),
        ("где-то на вокзале, дом 23", False),
        ("", False),
    ],
)
def test_an_address_read_back_names_the_number_and_the_street(read: str, right: bool) -> None:
    address = "Петропавл, Конституциясы көшесі, 23"
    assert is_right(read.replace("Конституции", "Конституциясы"), address) is right


# -- the figures


def row(number: int, took_s: float | None, **changes: Any) -> dict[str, Any]:
    at_ms = 1_800_000_000_000 + number * 3_600_000
    accepted = None if took_s is None else at_ms + round(took_s * 1000)
    return {
        "id": f"a-1-{number}", "status": "actual", "device_id": "a", "received_ms": at_ms, "accepted_ms": accepted,
        "accepted_by": None if took_s is None else "anna", "state": "closed", "outcome": "help-given", **changes,
    }  # fmt: skip


def test_a_call_that_nobody_accepted_counts_against_the_target() -> None:
    rows = [*(row(number, 5) for number in range(9)), row(9, 200), row(10, None), row(11, 3, status="exercise")]
    found = answer_times.summary(rows, {})["answers"]
    assert found["all"] == {"n": 11, "unaccepted": 1, "p50_ms": 5000, "p90_ms": 5000, "within": 9 / 11}
    assert sum(one["n"] for one in found["by_hours"].values()) == 11 and found["by_person"]["anna"]["n"] == 10
    assert answer_times.summary([row(0, None, state="received")], {})["answers"]["all"]["n"] == 0, "it still waits"


# -- over the wire


@pytest.fixture
def desk(broker: Mosquitto, tmp_path: Path) -> Iterator[DeskRig]:
    folder = tmp_path / "desk"
    add_account(folder, "chief", "chief")
    add_account(folder, "anna")
    rig = DeskRig(folder, broker)
    yield rig
    rig.close()


@pytest.mark.mosquitto
def test_an_exercise_from_the_order_to_the_figures(desk: DeskRig, broker: Mosquitto) -> None:
    columns = Speaker(broker)
    desk.log_in("anna")
    columns.say("info")
    wait_for(lambda: desk.get("/api/columns").json, "the column")
    path = "/api/columns/petropavl-01/exercise"
    assert (desk.post(path).status, desk.post(path).json["code"]) == (403, "role-chief")
    desk.log_in("chief")
    assert desk.post(path).status == 202
    assert columns.hears("cmd", cmd="drill")["status"] == "exercise"
    exercise = columns.press(**EXERCISE)
    columns.hears("ack", id=exercise, state="received")
    assert desk.post(path).json["code"] == "calls-open", "one at a time"
    desk.log_in("anna")
    one = f"/api/incidents/{exercise}"
    assert desk.get("/api/incidents?state=open&status=exercise").json[0]["id"] == exercise
    assert desk.post(one + "/dispatch").json["code"] == "exercise-dispatch"
    assert desk.post(one + "/accept").json["accepted_by"] == "anna"
    address = desk.get(one).json["location"]["address"]
    assert desk.post(one + "/readback", {"text": address}).status == 200
    desk.post(one + "/close", {"outcome": "other"})
    found = desk.get("/api/statistics").json
    assert found["exercises"]["by_person"]["anna"]["address_right"] == found["exercises"]["all"]["address_right"] == 1
    assert found["exercises"]["off_duty"]["n"] == 1, "nobody had begun a shift"
    assert found["total"] == found["answers"]["all"]["n"] == 0, "it is no call"
    columns.close()
