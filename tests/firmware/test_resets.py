"""Why the board restarted: breadcrumb, record, and what can be believed after which kind of reset."""

import pytest
from fake_board import FakeBoard, FlashMode

from firmware import record, resets
from firmware.resets import ADDRESS_FILE, RECORD_FILE, crumb


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
    known = {"cause": cause, "culprit": culprit, "traceback": None, "clock_trusted": trusted}
    assert report == {**known, "resets": 0, "why": None}


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
    resets.certify(board, 5, True)
    board.flash.mode = FlashMode.READ_ERROR
    resets.last(board)
    assert len(board.logged) == 3


# -- what a healthy boot certifies

NEW, OLD = record.frame(b'{"new":1}'), record.frame(b'{"old":1}')


def on_trial(*, had_one_before: bool) -> FakeBoard:
    """A column that was flashed: another configuration in the folder b, the old one in a."""
    board = FakeBoard()
    board.flash.files |= {resets.TRIAL_FILE: NEW, resets.GOOD_FILE: OLD, resets.ACTIVE_FILE: b"ba"}
    if had_one_before:
        board.flash.files[ADDRESS_FILE] = record.frame(b"broker.example 10.0.0.2")
    return board


@pytest.mark.parametrize(("had_one_before", "has_one"), [(False, False), (False, True), (True, True)])
def test_what_does_what_the_one_before_did_is_certified(had_one_before: bool, has_one: bool) -> None:
    board = on_trial(had_one_before=had_one_before)
    assert resets.certify(board, 7, has_one)
    files = board.flash.files
    assert files[resets.GOOD_FILE] == NEW and resets.TRIAL_FILE not in files and files[resets.ACTIVE_FILE] == b"b"
    assert record.split(files[resets.BOOT_FILE]) == ([b'{"n":7,"u":0}'], [])


def test_a_configuration_without_a_session_is_not_good_where_there_was_one() -> None:
    """Red when `certify` asks for no session: the last configuration that worked is lost, and so is the way back."""
    board = on_trial(had_one_before=True)
    before = dict(board.flash.files)
    assert not resets.certify(board, 7, False)
    assert board.flash.files == before, "and the boots that do no duty are counted on"
    assert resets.certify(board, 7, True), "it came up after all"


def test_an_outage_makes_no_column_loop() -> None:
    """Nothing is new: without a broker a boot is as healthy as ever. Nor is there a way back from files put by hand."""
    board = on_trial(had_one_before=True)
    board.flash.files[resets.ACTIVE_FILE] = b"b"
    assert not resets.certify(board, 7, False), "the configuration stays on trial"
    assert resets.BOOT_FILE in board.flash.files and board.flash.files[resets.GOOD_FILE] == OLD
    writes = board.flash.writes
    resets.certify(board, 7, False)
    assert board.flash.writes == writes, "looked at again and again, it wears no flash"
    del board.flash.files[resets.TRIAL_FILE]
    assert resets.certify(board, 7, False)
