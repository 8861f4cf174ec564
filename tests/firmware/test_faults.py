"""Faults that last: told once when they come, once when they go, and all again to a new session."""

from typing import Any

from fake_board import FakeBoard
from incident_rig import FakeClock

from firmware.faults import KNOWN, Faults


def make(source: str = "ntp") -> tuple[FakeBoard, Any, list[tuple[str, Any]]]:
    board = FakeBoard()
    told: list[tuple[str, Any]] = []
    construct: Any = Faults
    return board, construct(FakeClock(board, source), board.log, lambda *what: told.append(what)), told


def test_told_once_and_cleared_once() -> None:
    board, faults, told = make()
    since_ms = board.epoch_ms()
    for _ in range(3):
        faults.set("tamper", "the housing is open")
        board.advance(1000)
    assert told == [("tamper", (since_ms, "the housing is open"))] and faults.has("tamper")
    for _ in range(3):
        faults.set("tamper", None)
    assert told[1:] == [("tamper", None)] and faults.ids() == []
    assert len(board.logged) == 2


def test_no_invented_time() -> None:
    _, faults, told = make(source="none")
    faults.set("clock-unset", "no time since power-up")
    assert told == [("clock-unset", (None, "no time since power-up"))]


def test_a_new_session_hears_all_and_the_first_one_clears_what_an_older_boot_left() -> None:
    _, faults, told = make()
    faults.set("journal", "x")
    faults.set("config", "y")
    told.clear()
    faults.publish_all(False)
    assert [ident for ident, _ in told] == ["config", "journal"] and all(fault for _, fault in told)
    told.clear()
    faults.publish_all(True)
    assert {ident for ident, _ in told} == set(KNOWN)
    assert [ident for ident, fault in told if fault] == ["config", "journal"]
    assert faults.ids() == ["config", "journal"]
