"""The journal on a flash that flips bits, tears writes, fills up and fails."""

import random
from collections.abc import Callable

import pytest
from fake_board import ENOSPC, FakeFlash, FlashMode, PowerCut
from incident_rig import Rig

from firmware import journal as module
from firmware import record
from firmware.journal import COMPACT_ABOVE_BYTES, FILE, QUARANTINE, QUARANTINE_MAX_BYTES, UNREAD

LONGEST_RECORD_BYTES = 150


def written(presses: int = 4) -> Rig:
    """A journal with some incidents, a further press and an answer."""
    rig = Rig()
    for _ in range(presses):
        rig.incidents.press(0)
        rig.incidents.released()
        rig.board.advance(600_000)
    rig.incidents.answered(rig.open_ids()[0], "accepted")
    return rig


def rebooted_with(data: bytes) -> Rig:
    rig = Rig()
    rig.board.flash.files[FILE] = data
    return rig.reboot()


def check_bit_flips(rig: Rig) -> None:
    data = rig.board.flash.files[FILE]
    lines = record.split(data)[0]
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            good, bad = record.split(bytes(flipped))
            lost = [line for line in lines if line not in good]
            assert len(lost) <= 1 and set(good) <= set(lines), f"bit {bit} of byte {position}"
            assert bad or not lost, "what is lost is quarantined"


def test_every_bit_flip_costs_at_most_its_record() -> None:
    check_bit_flips(written())


def test_bit_flips_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the CRC, flipped bits read back as good."""

    def trusting(data: bytes) -> tuple[list[bytes], list[bytes]]:
        return [line[9:] for line in data.split(b"\n") if line], []

    rig = written()
    monkeypatch.setattr(record, "split", trusting)
    with pytest.raises(AssertionError):
        check_bit_flips(rig)


def test_a_damaged_record_is_quarantined_and_the_file_made_good() -> None:
    data = bytearray(written().board.flash.files[FILE])
    data[data.index(b'"open"') + 2] ^= 4
    again = rebooted_with(bytes(data))
    assert again.incidents.count() == 3 and again.journal.quarantined == 1
    assert b'"k"' in again.board.flash.files[QUARANTINE]
    third = again.reboot()
    assert third.journal.quarantined == 0 and third.essence() == again.essence()


def test_truncation_at_every_byte() -> None:
    rig = written()
    data, everything = rig.board.flash.files[FILE], rig.open_ids()
    found = []
    for length in range(len(data) + 1):
        ids = rebooted_with(data[:length]).open_ids()
        assert ids == everything[: len(ids)]
        found.append(len(ids))
    assert found == sorted(found) and found[-1] == len(everything)


def test_power_cut_at_every_byte_of_an_append() -> None:
    """Nothing before it is lost, and the record after the torn one is readable again."""
    rig = written()
    data, everything = rig.board.flash.files[FILE], rig.open_ids()
    for cut_bytes in range(LONGEST_RECORD_BYTES):
        rig = rebooted_with(data)
        rig.board.advance(600_000)
        rig.board.flash.mode, rig.board.flash.cut_bytes = FlashMode.CUT, cut_bytes
        with pytest.raises(PowerCut):
            rig.incidents.answered(everything[-1], "closed")
            rig.incidents.press(0)
        rig.board.flash.mode = FlashMode.OK
        again = rig.reboot()
        assert set(everything[:-1]) <= set(again.open_ids()) <= set(everything)
        again.incidents.answered(everything[0], "closed")
        fresh = again.incidents.press(0).id
        assert again.reboot().open_ids()[-1] == fresh


def test_power_cut_in_a_compaction_changes_nothing() -> None:
    rig = written()
    before = rig.board.flash.files[FILE]
    rig.board.flash.mode = FlashMode.CUT
    with pytest.raises(PowerCut):
        rig.incidents.compact()
    assert rig.board.flash.files[FILE] == before


@pytest.mark.parametrize(
    ("mode", "fault"),
    [(FlashMode.FULL, "flash-full"), (FlashMode.FULL_STUCK, "flash-full"), (FlashMode.WRITE_ERROR, "journal")],
)
def test_a_flash_that_refuses_stops_no_alarm(mode: FlashMode, fault: str) -> None:
    rig = Rig()
    rig.board.flash.files[QUARANTINE] = b"old"
    rig.board.flash.mode = mode
    for _ in range(5):
        one = rig.incidents.press(0)
        rig.board.advance(600_000)
    assert rig.incidents.count() == 5 and one.is_due() and list(rig.faults) == [fault]
    assert FILE not in rig.board.flash.files
    rig.step_for(20_000)
    assert list(rig.faults) == [fault], "still refused, still told"
    rig.board.flash.mode = FlashMode.OK
    rig.step_for(8000)
    assert rig.faults == {}, "written as soon as it works"
    assert rig.reboot().open_ids() == rig.open_ids()
    assert (QUARANTINE in rig.board.flash.files) == (mode is not FlashMode.FULL), "a full flash spares the quarantine"


def test_a_press_has_the_room_that_the_quarantine_took_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait in RAM for the next try, where a power cut would lose it."""
    rig = Rig()
    flash = rig.board.flash
    flash.files[QUARANTINE] = b"old"
    append = flash.append

    def no_room(name: str, data: bytes) -> None:
        if QUARANTINE in flash.files:
            raise OSError(ENOSPC, "no space left")
        append(name, data)

    monkeypatch.setattr(flash, "append", no_room)
    rig.incidents.press(0)
    assert b'"open"' in flash.files[FILE] and QUARANTINE not in flash.files
    assert rig.faults == {}


def refused(presses: int) -> Rig:
    """An incident with so many presses that the flash refused, and then a flash that works."""
    rig = Rig()
    rig.board.flash.mode = FlashMode.WRITE_ERROR
    for _ in range(presses):
        rig.incidents.press(0)
    rig.board.flash.mode = FlashMode.OK
    rig.step_for(8000)
    return rig


def test_more_presses_than_the_queue_holds_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the compaction that follows, the record that opened the incident is gone."""
    rig = refused(module._UNSAVED_MAX + 20)
    assert rig.reboot().essence() == rig.essence() and rig.faults == {}
    monkeypatch.setattr(module.Journal, "wants_compaction", lambda journal: False)
    rig = refused(module._UNSAVED_MAX + 20)
    assert rig.reboot().essence() != rig.essence()


def test_an_unreadable_journal_is_a_fault_and_no_crash() -> None:
    rig = written()
    rig.board.flash.mode = FlashMode.READ_ERROR
    again = rig.reboot()
    assert again.incidents.count() == 0 and "journal" in again.faults
    assert again.incidents.press(0).is_due()


def kept_after_a_failed_read() -> None:
    """A journal that could not be read once is not overwritten by what comes later."""
    rig = written()
    before = rig.board.flash.files[FILE]
    rig.board.flash.mode = FlashMode.READ_ERROR
    again = rig.reboot()
    again.board.flash.mode = FlashMode.OK
    assert again.faults["journal"].endswith("kept as " + UNREAD)
    fresh = again.incidents.press(0).id
    again.incidents.compact()
    assert again.board.flash.files[UNREAD] == before
    assert again.reboot().open_ids() == [fresh]


def test_a_journal_that_cannot_be_read_is_kept_aside() -> None:
    kept_after_a_failed_read()


def test_a_journal_that_is_overwritten_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a flash that does not rename."""
    monkeypatch.setattr(FakeFlash, "rename", lambda flash, old, new: None)
    with pytest.raises((AssertionError, KeyError)):
        kept_after_a_failed_read()


def test_a_journal_that_cannot_be_kept_aside_stops_no_alarm() -> None:
    rig = written()
    rig.board.flash.mode = FlashMode.READ_ERROR

    def refuses(old: str, new: str) -> None:
        raise OSError(5, "flash rename")

    rig.board.flash.rename = refuses  # type: ignore[method-assign]
    again = rig.reboot()
    assert "journal" in again.faults and again.incidents.press(0).is_due()


def largest_file(rig: Rig, operations: int) -> int:
    """Presses and answers for 10,000 operations, an incident of the first minute unanswered all the time."""
    dice = random.Random(5)
    kept = rig.incidents.press(0).id
    rig.board.advance(600_000)
    largest = 0
    for _ in range(operations):
        one = rig.incidents.press(0)
        rig.incidents.released()
        if dice.random() < 0.3:
            rig.incidents.answered(one.id, dice.choice(["received", "accepted", "closed"]))
        rig.step_for(2000)
        largest = max(largest, rig.board.flash.size(FILE))
        if dice.random() < 0.01 and one.id != kept:
            rig.incidents.answered(one.id, "closed")
    assert kept in rig.open_ids() and kept in rig.reboot().open_ids(), "an alarm is never evicted"
    assert rig.reboot().essence() == rig.essence()
    return largest


def test_bounded_over_10_000_operations() -> None:
    assert largest_file(Rig(), 10_000) <= COMPACT_ABOVE_BYTES + 5 * LONGEST_RECORD_BYTES


def test_bound_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without compaction the file grows beyond the bound."""
    never: Callable[[object], bool] = lambda journal: False  # noqa: E731
    monkeypatch.setattr(module.Journal, "wants_compaction", never)
    assert largest_file(Rig(), 500) > COMPACT_ABOVE_BYTES + 5 * LONGEST_RECORD_BYTES


def test_the_quarantine_is_bounded() -> None:
    rig = Rig()
    for _ in range(200):
        rig.board.flash.files[FILE] = b"\nx" * 100 + b"\n" + b"y" * 5000
        rig = rig.reboot()
    assert rig.board.flash.size(QUARANTINE) <= 2 * QUARANTINE_MAX_BYTES
