"""The journal alone, at its limits: what it keeps, in which order it writes, and when it wants to be compacted."""

from typing import Any

import pytest
from fake_board import FakeBoard, FlashMode

from firmware import journal as module
from firmware.journal import COMPACT_ABOVE_BYTES, FILE, QUARANTINE, QUARANTINE_MAX_BYTES, SEALED, UNREAD, Journal
from firmware.record import frame, split

RETRY_MS = 5000
CUT_BYTES = 256  # of a damaged line


class Rig:
    def __init__(self) -> None:
        self.board = FakeBoard()
        self.flash = self.board.flash
        self.told: list[tuple[str, bool]] = []  # (fault, is it up)
        make: Any = Journal
        self.journal = make(self.board, lambda fault, detail: self.told.append((fault, detail is not None)))

    def fill(self, count: int, first: int = 0) -> list[bool]:
        return [self.journal.add({"k": "press", "id": "p", "n": first + number}) for number in range(count)]

    def numbers(self) -> list[int]:
        return [entry["n"] for entry in self.journal.restore() if entry != SEALED]


def test_add_says_whether_it_is_on_flash() -> None:
    rig = Rig()
    assert rig.fill(1) == [True]
    rig.flash.mode = FlashMode.WRITE_ERROR
    assert rig.fill(1) == [False]
    rig.flash.mode = FlashMode.OK
    assert rig.fill(1, first=2) == [True] and rig.numbers() == [0, 0, 2], "what was refused goes first"


def test_what_was_refused_is_tried_every_5_s_and_a_journal_at_rest_writes_nothing() -> None:
    rig = Rig()
    rig.flash.mode = FlashMode.WRITE_ERROR
    rig.fill(1)
    rig.flash.mode = FlashMode.OK
    rig.board.advance(RETRY_MS - 1)
    assert rig.journal.step() == RETRY_MS and rig.flash.writes == 0
    rig.board.advance(1)
    rig.journal.step()
    assert rig.numbers() == [0] and rig.flash.writes == 1
    rig.board.advance(RETRY_MS)
    rig.journal.step()
    assert rig.flash.writes == 1, "flash wears out"


@pytest.mark.parametrize(("refused", "too_many"), [(module._UNSAVED_MAX, False), (module._UNSAVED_MAX + 1, True)])
def test_only_a_queue_that_overflowed_needs_a_compaction(refused: int, too_many: bool) -> None:
    rig = Rig()
    assert rig.journal.wants_compaction() is False
    rig.flash.mode = FlashMode.WRITE_ERROR
    rig.fill(refused)
    assert rig.journal.wants_compaction() is too_many
    rig.flash.mode = FlashMode.OK
    rig.journal.compact([{"k": "release"}])
    assert rig.journal.wants_compaction() is False


def test_a_queue_that_overflowed_keeps_the_newest() -> None:
    rig = Rig()
    rig.flash.mode = FlashMode.WRITE_ERROR
    rig.fill(module._UNSAVED_MAX + 7)
    rig.flash.mode = FlashMode.OK
    rig.board.advance(RETRY_MS)
    rig.journal.step()
    assert rig.numbers() == list(range(7, module._UNSAVED_MAX + 7))


@pytest.mark.parametrize(("size", "wanted"), [(COMPACT_ABOVE_BYTES, False), (COMPACT_ABOVE_BYTES + 1, True)])
def test_it_wants_to_be_compacted_above_4_kb(size: int, wanted: bool) -> None:
    rig = Rig()
    rig.flash.files[FILE] = b"x" * size
    assert rig.journal.wants_compaction() is wanted


@pytest.mark.parametrize(("mode", "fault"), [(FlashMode.FULL, "flash-full"), (FlashMode.WRITE_ERROR, "journal")])
def test_a_compaction_writes_what_matters_and_clears_both_faults(mode: FlashMode, fault: str) -> None:
    rig = Rig()
    rig.flash.mode = mode
    rig.fill(3)
    rig.journal.compact([])
    assert set(rig.told) == {(fault, True)}, "nothing is cleared while it is refused"
    rig.told.clear()
    rig.flash.mode = FlashMode.OK
    rig.journal.compact([{"k": "press", "id": "p", "n": number} for number in (2, 1)])
    assert split(rig.flash.files[FILE])[1] == [] and rig.numbers() == [2, 1]
    assert sorted(rig.told) == [("flash-full", False), ("journal", False)]
    rig.board.advance(RETRY_MS)
    rig.journal.step()
    assert rig.numbers() == [2, 1], "the three are not written again"


# -- damage


def test_only_an_object_with_its_checksum_is_a_record() -> None:
    """A line of JSON without a checksum is damage, and so is a number with one."""
    rig = Rig()
    rig.flash.files[FILE] = b'{"k":"press","id":"p","n":1}\n' + frame(b"7") + frame(b'{"k":"press","id":"p","n":2}')
    assert rig.numbers() == [2] and rig.journal.quarantined == 2
    assert rig.flash.files[QUARANTINE] == b'{"k":"press","id":"p","n":1}\n7\n'
    assert rig.numbers() == [2], "and the file is good again"


def test_a_damaged_line_is_cut_in_the_quarantine() -> None:
    rig = Rig()
    rig.flash.files[FILE] = b"a" * 1000 + b"\n" + b"b" * CUT_BYTES
    assert rig.numbers() == []
    assert rig.flash.files[QUARANTINE] == b"a" * CUT_BYTES + b"\n" + b"b" * CUT_BYTES + b"\n"


@pytest.mark.parametrize(("size", "grows"), [(QUARANTINE_MAX_BYTES - 1, True), (QUARANTINE_MAX_BYTES, False)])
def test_a_full_quarantine_takes_no_more(size: int, grows: bool) -> None:
    rig = Rig()
    rig.flash.files[QUARANTINE] = b"q" * size
    rig.flash.files[FILE] = b"damage"
    assert rig.numbers() == []
    assert (rig.flash.size(QUARANTINE) > size) is grows


def test_a_second_unreadable_journal_does_not_replace_the_first() -> None:
    rig = Rig()
    rig.fill(1)
    first = rig.flash.files[FILE]
    for _ in range(2):
        rig.flash.mode = FlashMode.OK
        rig.flash.read = lambda name: (_ for _ in ()).throw(OSError(5, name))  # type: ignore[method-assign]
        assert list(rig.journal.restore()) == []
        rig.fill(1, first=1)
    assert rig.flash.files[UNREAD] == first and FILE in rig.flash.files


def test_a_quarantine_that_cannot_be_spared_is_logged() -> None:
    rig = Rig()
    rig.flash.files[QUARANTINE] = b"old"
    rig.flash.mode = FlashMode.FULL_STUCK
    assert rig.fill(1) == [False]
    assert f"{QUARANTINE} cannot be removed" in rig.board.logged[-1]
