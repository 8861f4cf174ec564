"""Why the board restarted: breadcrumb, record, and what can be believed after which kind of reset."""

import pytest
from fake_board import FakeBoard, FlashMode

from firmware import record, resets
from firmware.resets import RECORD_FILE, crumb


def after(cause: str, scratch: bytes = b"", reset_record: bytes | None = None) -> tuple[FakeBoard, dict[str, object]]:
    board = FakeBoard()
    board.cause = cause
    board.scratch.data = scratch
    if reset_record is not None:
        board.flash.files[RECORD_FILE] = reset_record
    return board, resets.last(board)


@pytest.mark.parametrize(
    ("cause", "culprit", "trusted"),
    [("watchdog", "uplink", True), ("hard", "uplink", True), ("soft", None, True), ("power-on", None, False)],
)
def test_breadcrumb(cause: str, culprit: str | None, trusted: bool) -> None:
    _, report = after(cause, crumb("uplink", True))
    assert report == {"cause": cause, "culprit": culprit, "traceback": None, "clock_trusted": trusted}


def test_clock_that_was_never_set_is_not_trusted() -> None:
    assert after("watchdog", crumb("uplink", False))[1]["clock_trusted"] is False


def test_kept_record_names_culprit_and_place_and_is_told_once() -> None:
    board = FakeBoard()
    resets.keep(board, "telemetry", "Traceback: line 7\nValueError: x")
    board.cause = "watchdog"
    board.scratch.data = crumb("lamp", False)
    report = resets.last(board)
    assert (report["culprit"], report["traceback"]) == ("telemetry", "Traceback: line 7\nValueError: x")
    assert resets.last(board)["traceback"] is None


def test_a_long_traceback_keeps_its_end() -> None:
    board = FakeBoard()
    resets.keep(board, "uplink", "x" * 10_000 + "the end")
    traceback = resets.last(board)["traceback"]
    assert len(traceback) == 600 and traceback.endswith("the end")


@pytest.mark.parametrize("scratch", [b"", b"\xff\xfe\0T", b"no terminator", b"\0", bytes(range(256))])
@pytest.mark.parametrize("kept", [None, b"", b"junk", record.frame(b"[]"), record.frame(b"7"), record.frame(b"{")])
def test_damage_is_no_crash_and_blames_nobody(scratch: bytes, kept: bytes | None) -> None:
    _, report = after("watchdog", scratch, kept)
    assert report["culprit"] is None and report["cause"] == "watchdog"


def test_a_flash_that_fails_is_logged() -> None:
    board = FakeBoard()
    board.flash.mode = FlashMode.WRITE_ERROR
    resets.keep(board, "uplink", "x")
    resets.certify(board, 5)
    board.flash.mode = FlashMode.READ_ERROR
    resets.last(board)
    assert len(board.logged) == 3
