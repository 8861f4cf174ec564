"""Nobody is at the desk: no browser is open, or nobody touches one while a call waits."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from desk_rig import DeskRig
from duty_rig import alarm_of
from ladder_rig import street

from desk.attendance import GRACE_MS, HERE, NO_BROWSER, NO_SIGN, SIGN_MS, Attendance
from desk.ledger import Incident, Waiting


class Room:
    """A clock that a test turns, and a call that waits since then if it says so."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000
        self.calls: list[Incident] = []
        self.attendance = Attendance(lambda: self.now_ms)

    def call(self, press: int = 1) -> Incident:
        alarm = alarm_of()
        one = Incident(alarm["id"], "nko", alarm["device_id"], 0, 0, alarm, state="received", press=press, actual=True)
        one.waiting = Waiting(0, self.now_ms)
        self.calls.append(one)
        return one

    def later(self, ms: int) -> list[Incident]:
        self.now_ms += ms
        return self.attendance.look(self.calls, self.now_ms)


@pytest.fixture
def room() -> Room:
    return Room()


def test_an_empty_room_is_told_after_a_while_and_ends_with_a_browser(room: Room) -> None:
    assert room.later(GRACE_MS - 1) == [] and room.attendance.nobody == HERE
    call = room.call()
    assert room.later(1) == [call] and room.attendance.nobody == NO_BROWSER
    assert room.later(60_000) == [], "it stands in the call's timeline once"
    room.attendance.came()
    assert room.later(0) == [] and room.attendance.nobody == HERE
    room.attendance.went()
    room.later(GRACE_MS - 1)
    assert room.attendance.nobody == HERE, "a page that is loaded anew"


def test_a_browser_alone_is_no_person_while_a_call_waits(room: Room) -> None:
    """Red where an open browser counts as somebody, or where people are called away from a calm desk."""
    room.attendance.came()
    room.later(10 * SIGN_MS)
    assert room.attendance.nobody == HERE, "nothing waits: nobody has to touch anything"
    call = room.call()
    room.later(SIGN_MS - 1)
    assert room.attendance.nobody == HERE
    assert room.later(1) == [call] and room.attendance.nobody == NO_SIGN
    room.attendance.sign()
    room.later(SIGN_MS - 1)
    assert room.attendance.nobody == HERE
    room.later(1)
    assert room.attendance.nobody == NO_SIGN, "one sign is good for so long, and no longer"
    call.state = "accepted"
    room.later(1)
    assert room.attendance.nobody == HERE


def test_a_call_that_is_opened_again_says_it_again(room: Room) -> None:
    call = room.call()
    assert room.later(GRACE_MS) == [call]
    call.opening, call.waiting = 1, Waiting(1, room.now_ms)
    assert room.later(1000) == [call]


def test_the_log_says_it_once_and_the_timeline_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with street(tmp_path) as made, caplog.at_level(logging.WARNING, "desk.duty"):
        incident_id = made.press()
        made.run_s(120)
        register = made.rooms[0].register
        assert register is not None
        row = register.incident(incident_id)
        assert row is not None
        assert [one["detail"] for one in row["timeline"] if one["kind"] == "nobody-here"] == [{"why": NO_BROWSER}]
        duty = made.rooms[0].duty
        assert duty is not None
        duty.attendance.came()
        duty.attendance.sign()
        made.run_s(2)
    said = [record.getMessage() for record in caplog.records if "here" in record.getMessage()]
    assert said == ["desk desk-1: nobody is here: no browser is open", "desk desk-1: somebody is here again"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[DeskRig]:
    made = DeskRig(tmp_path / "desk", None)
    yield made
    made.close()


def test_a_browser_and_a_hand_at_it_reach_the_desk(rig: DeskRig, monkeypatch: pytest.MonkeyPatch) -> None:
    attendance = rig.server.desk.duty.attendance
    signs: list[int] = []
    monkeypatch.setattr(attendance, "sign", lambda: signs.append(1))
    monkeypatch.setattr(attendance, "_grace_ms", 0)
    attendance.look([], 2**60)
    assert rig.get("/healthz").json["nobody"] == NO_BROWSER
    with rig.watch() as watch:
        assert watch.next() is not None
        attendance.look([], 2**60)
        assert rig.get("/healthz").json["nobody"] == HERE
        rig.run(watch.socket.send_str("here"))
        rig.run(watch.socket.send_str("something else"))
        rig.post("/api/incidents/petropavl-01-17-3/accept")
        assert len(signs) == 2, "what else a browser says is nothing; what it asks for is a sign"
    attendance.look([], 2**60)
    assert rig.get("/healthz").json["nobody"] == NO_BROWSER
