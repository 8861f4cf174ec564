"""Shifts: who was on duty when, and a note that the next one must read, in the register, by the API and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from browser_probe import Visitor
from desk_rig import DeskRig, add_account
from duty_rig import alarm_of
from playwright.sync_api import expect

from desk import answer_times
from desk.exercises import MISSED
from desk.ledger import Decision, Incident, LedgerError
from desk.register import Register
from desk.shifts import Shifts, together, whose
from sim.servers.broker import Mosquitto


@pytest.fixture
def shifts(tmp_path: Path) -> Iterator[Shifts]:
    with Register(tmp_path / "register.db") as register:
        yield Shifts(register)


def refused(code: str, act: object, *arguments: object) -> None:
    with pytest.raises(LedgerError) as raised:
        act(*arguments)  # type: ignore[operator]
    assert raised.value.code == code


def test_nobody_begins_before_the_note_was_read(shifts: Shifts) -> None:
    """Red where a note may be passed over, or where its writer may read it for the others."""
    shifts.begin("anna", 1000)
    refused("shift-begun", shifts.begin, "anna", 1500)
    shifts.hand_over("anna", "  column 7 is being repaired ", 2000)
    refused("shift-none", shifts.hand_over, "anna", "", 2500)
    (note,) = shifts.shown()["unread"]
    assert note["note"] == "column 7 is being repaired"
    refused("shift-unread", shifts.begin, "boris", 3000)
    refused("shift-read", shifts.read, note["n"], "anna", 3000)
    refused("shift-read", shifts.read, note["n"] + 1, "boris", 3000)
    shifts.read(note["n"], "boris", 3100)
    shifts.begin("boris", 3200)
    shown = shifts.shown()
    assert shown["unread"] == [] and [row["name"] for row in shown["on_duty"]] == ["boris"]
    assert [(row["name"], row["from_ms"], row["to_ms"], row["read_by"]) for row in shown["recent"]] == [
        ("boris", 3200, None, ""), ("anna", 1000, 2000, "boris"),
    ]  # fmt: skip


def test_who_has_nothing_to_say_holds_nobody_up(shifts: Shifts) -> None:
    shifts.begin("anna", 1000)
    shifts.begin("vera", 1000)
    shifts.hand_over("anna", "", 2000)
    shifts.begin("boris", 3000)
    assert {row["name"] for row in shifts.shown()["on_duty"]} == {"vera", "boris"}


# -- the figures by shift

HOUR_MS = 3_600_000


def duty(n: int, name: str, begin_h: float, end_h: float | None) -> dict[str, Any]:
    to_ms = None if end_h is None else round(end_h * HOUR_MS)
    return {"n": n, "name": name, "from_ms": round(begin_h * HOUR_MS), "to_ms": to_ms}


DUTIES = [
    duty(1, "anna", 8, 20), duty(2, "vera", 8.5, 19), duty(3, "boris", 19.75, 32), duty(4, "anna", 20.5, 21),
    duty(5, "vera", 31.9, None),
]  # fmt: skip
"""By day anna and vera; by night boris, to whom anna came back for half an hour; then vera, who is still there."""
NOW_MS = 40 * HOUR_MS


def call(at_h: float, took_s: float | None, by: str = "", **changes: Any) -> dict[str, Any]:
    at_ms = round(at_h * HOUR_MS)
    return {
        "id": f"a-1-{at_ms}", "status": "actual", "state": "closed", "received_ms": at_ms, "accepted_by": by or None,
        "accepted_ms": None if took_s is None else at_ms + round(took_s * 1000), **changes,
    }  # fmt: skip


def test_shifts_are_who_was_there_together() -> None:
    """A hand-over of a quarter of an hour joins no two shifts. Red when any overlap does, or none."""
    found = together(DUTIES, NOW_MS)
    assert [(one.from_ms // HOUR_MS, one.to_ms and one.to_ms // HOUR_MS, one.names) for one in found] == [
        (8, 20, ("anna", "vera")), (19, 32, ("boris", "anna")), (31, None, ("vera",)),
    ]  # fmt: skip


def test_a_call_is_for_the_shift_of_who_accepted_it() -> None:
    """In a hand-over; else for the one that began last. Red when the clock alone decides."""
    shifts = together(DUTIES, NOW_MS)
    at_hand_over = [whose(shifts, round(19.9 * HOUR_MS), by) for by in ("anna", "boris", "", "chief", "vera")]
    assert [*at_hand_over, whose(shifts, 3 * HOUR_MS, "anna"), whose(shifts, 39 * HOUR_MS)] == [
        shifts[0],
        shifts[1],
        shifts[1],
        shifts[1],
        shifts[1],
        None,
        shifts[2],
    ]


def test_answer_times_are_counted_by_real_shifts() -> None:
    calls = [call(9, 5, "anna"), call(10, 30, "vera"), call(19.9, 8, "anna"), call(23, None), call(2, 5, "boris")]
    exercises = [call(24, 9, "boris", status="exercise"), call(25, None, status="exercise")]
    readings = {
        exercises[0]["id"]: [{"kind": "readback", "detail": {"right": True}}],
        exercises[1]["id"]: [{"kind": "exercise-ended", "detail": {"why": MISSED}}],
    }
    found = answer_times.summary([*calls, *exercises], readings, together(DUTIES, NOW_MS), zone=UTC)
    night, day = found["answers"]["by_shift"]
    assert (day["names"], day["n"], day["p50_ms"], day["p90_ms"], day["within"]) == (
        ["anna", "vera"], 3, 8000, 30_000, 2 / 3,
    )  # fmt: skip
    assert (night["people"], night["n"], night["unaccepted"], night["within"]) == (2, 1, 1, 0.0)
    assert found["answers"]["off_duty"]["n"] == 1 and "missed" not in day
    (exercised,) = found["exercises"]["by_shift"]
    assert (exercised["from_ms"], exercised["n"], exercised["unaccepted"]) == (night["from_ms"], 2, 1)
    assert (exercised["missed"], exercised["address_right"], exercised["address_wrong"]) == (1, 1, 0)


def test_names_are_for_who_may_see_them() -> None:
    rows = [call(9, 5, "anna"), call(10, 30, "vera")]
    found = answer_times.summary(rows, {}, together(DUTIES, NOW_MS), lambda name: name == "vera", UTC)["answers"]
    assert (found["by_shift"][0]["people"], found["by_shift"][0]["names"]) == (2, ["vera"])
    assert list(found["by_person"]) == ["vera"] and found["all"]["n"] == 2


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskRig]:
    folder = tmp_path / "desk"
    for name in ("anna", "boris"):
        add_account(folder, name)
    add_account(folder, "chief", "chief")
    rig = DeskRig(folder, None)
    yield rig
    rig.close()


def test_the_shift_is_whoever_is_logged_in(desk: DeskRig) -> None:
    desk.log_in("anna")
    assert desk.post("/api/shifts/begin", {"by": "boris"}).json["on_duty"][0]["name"] == "anna"
    assert desk.post("/api/shifts/hand-over", {"note": "a\nb"}).json["unread"][0]["note"] == "a\nb"
    desk.log_in("boris")
    answer = desk.post("/api/shifts/begin")
    assert (answer.status, answer.json["code"]) == (409, "shift-unread")
    n = desk.get("/api/shifts").json["unread"][0]["n"]
    assert desk.post(f"/api/shifts/{n}/read").json["recent"][0]["read_by"] == "boris"
    assert desk.post("/api/shifts/x/read").status == 404
    assert desk.post("/api/shifts/begin").json["left"] == {"calls": [], "columns": []}


def test_an_operator_sees_their_own_figures_a_chief_everybodys(desk: DeskRig) -> None:
    """Red when the role is not looked at."""
    register = desk.server.desk.register
    for number, name in enumerate(("anna", "boris"), 1):
        Shifts(register).begin(name, 1000)
        call_of = ("petropavl-01", f"petropavl-01-17-{number}")
        incident = Incident(call_of[1], "nko", call_of[0], 2.0, 2.0, alarm_of(seq=number), press=1, actual=True)
        incident.decisions[1, "accepted"] = Decision(3000, name, "")
        register.put_incident(incident, registered_ms=2000, unanswered=False)
    seen = {}
    for name in ("anna", "chief"):
        desk.log_in(name)
        found = desk.get("/api/statistics").json["answers"]
        assert found["all"]["n"] == 2
        seen[name] = [*found["by_person"]], [names for one in found["by_shift"] for names in one["names"]]
    assert seen == {"anna": (["anna"], ["anna"]), "chief": (["anna", "boris"], ["anna", "boris"])}


@pytest.fixture
def calm(broker: Mosquitto, tmp_path: Path) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path / "desk", broker)
    yield rig
    rig.close()


@pytest.mark.chromium
@pytest.mark.mosquitto
@pytest.mark.xdist_group("browser")
@pytest.mark.timeout(240)
def test_a_hand_over_on_the_page(calm: DeskRig, visitor: Visitor) -> None:
    kept = Shifts(calm.server.desk.register)
    kept.begin("anna", 1_800_000_000_000)
    kept.hand_over("anna", "column 7: <b>works</b> until noon", 1_800_000_100_000)
    page = visitor.desk(calm.page)
    expect(page.get("shift-unread")).to_be_visible()
    page.get("shift-open").click()
    expect(page.get("shift")).to_contain_text("column 7: <b>works</b> until noon")
    expect(page.get("shift-begin")).to_be_disabled()
    page.get("shift-read-1").click()
    expect(page.get("shift-unread")).to_be_hidden()
    page.get("shift-begin").click()
    page.get("shift-write").fill("all is calm")
    page.get("shift-end").click()
    expect(page.get("shift-recent").locator("li")).to_have_count(2)
    page.until(lambda: kept.shown()["unread"] and kept.shown()["unread"][0]["note"] == "all is calm", "the note")
