"""Shifts: who was on duty when, and a note that the next one must read, in the register, by the API and on the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_probe import Visitor
from desk_rig import DeskRig, add_account
from playwright.sync_api import expect

from desk.ledger import LedgerError
from desk.register import Register
from desk.shifts import Shifts
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


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskRig]:
    folder = tmp_path / "desk"
    for name in ("anna", "boris"):
        add_account(folder, name)
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
