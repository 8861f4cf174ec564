"""The virtual board: time, contact, watchdog, power, memory."""

import pytest
from world_probe import Probe

from sim.virtual.board import VirtualBoard
from sim.virtual.clocks import PERIOD, UNSET_EPOCH_MS
from sim.virtual.costs import Costs
from sim.virtual.endings import ChipReset, PowerCut
from sim.virtual.flash import FlashFault
from sim.virtual.timeline import WorldError

TICK_US = Costs().tick_us


def test_a_wait_ends_on_a_tick_and_a_shorter_one_is_exact() -> None:
    probe = Probe()
    probe.board.wait(5_000)
    assert probe.timeline.now_us == 5_000_000 + TICK_US
    probe.board.wait(4)
    assert probe.timeline.now_us == 5_000_000 + TICK_US + 4_000 + Costs().turn_us


def test_a_quiet_year_of_waiting_costs_a_handful_of_events() -> None:
    probe = Probe()
    for _ in range(365):
        probe.board.wait(86_400_000)
    assert probe.timeline.now_us >= 365 * 86_400 * 1_000_000


def test_a_press_wakes_the_wait() -> None:
    for seed in range(50):
        probe = Probe(seed)
        assert not probe.board.contact.is_closed()
        probe.wave((100, 1), (300, 0))
        pressed_us = probe.timeline.now_us + 100_000
        assert probe.board.wait(5_000) == 0
        assert 0 <= probe.timeline.now_us - pressed_us <= Costs().wake_us
        assert probe.board.contact.is_closed()


def test_without_interrupts_a_press_waits_for_the_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control `poll-only` of the storms; and a pulse between two looks is seen by the counter only."""
    monkeypatch.setattr(VirtualBoard, "interrupts", False)
    probe = Probe()
    assert not probe.board.contact.is_closed()
    probe.wave((103, 1), (107, 0), (123, 1))
    began_us = probe.timeline.now_us
    probe.board.wait(5_000)
    assert probe.timeline.now_us == 13 * TICK_US and began_us < TICK_US
    assert probe.board.contact.closures() == 2
    assert probe.board.contact.closures() == 0


def test_input_wakes_nobody_before_the_tick() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.wait_for(lambda: not probe.network.input_waiting())
    probe.timeline.at(probe.timeline.now_us + 12_345, lambda: setattr(probe.network, "input_waiting", lambda: True))
    probe.board.wait(1_000)
    assert probe.timeline.now_us % TICK_US == 0 and not stream.certificate()


def test_a_press_that_begins_while_the_board_waits_wakes_it() -> None:
    probe = Probe()
    assert not probe.board.contact.is_closed()
    probe.timeline.at(probe.timeline.now_us + 200_000, lambda: probe.wave((0, 1)))
    before_us = probe.timeline.now_us
    probe.board.wait(1_000)
    assert 200_000 <= probe.timeline.now_us - before_us <= 205_000


def test_a_chip_without_counter_says_none() -> None:
    contact = Probe(chip="esp32c3").board.contact
    assert contact.closures() is None and contact.counts is False
    assert Probe(chip="esp32s3").board.contact.counts is True


def test_ticks_start_before_the_wrap_and_pass_it() -> None:
    board = Probe().board
    first = board.ticks_ms()
    assert 0 < PERIOD - first <= 120_000
    board.wait(130_000)
    later = board.ticks_ms()
    assert later < first
    assert 0 <= board.ticks_diff(later, first) - 130_000 <= TICK_US // 1_000
    assert board.ticks_add(first, board.ticks_diff(later, first)) == later


def test_the_epoch_clock_is_unset_and_drifts() -> None:
    probe = Probe(costs=Costs(clock_drift_ppm=0))
    assert 0 <= probe.board.epoch_ms() - UNSET_EPOCH_MS < 10
    probe.board.set_epoch_ms(1_900_000_000_000)
    probe.board.wait(1_000_000)
    assert 0 <= probe.board.epoch_ms() - 1_900_001_000_000 <= TICK_US // 1_000
    drifting = [Probe(seed).hardware.clock for seed in range(20)]
    assert len({clock._drift_ppm for clock in drifting}) > 5


def test_the_watchdog_bites_in_wait_and_in_a_long_operation() -> None:
    probe = Probe()
    watchdog = probe.board.watchdog(8_000)
    probe.board.wait(7_900)
    watchdog.feed()
    fed_us = probe.timeline.now_us
    with pytest.raises(ChipReset) as caught:
        probe.board.wait(60_000)
    assert caught.value.cause == "watchdog"
    assert probe.timeline.now_us == fed_us + 8_000_000

    probe = Probe()
    probe.board.watchdog(2_000)
    with pytest.raises(ChipReset):
        probe.virtual.spend(3_000_000)


def test_a_watchdog_that_is_fed_in_time_never_bites() -> None:
    probe = Probe()
    watchdog = probe.board.watchdog(2_000)
    for _ in range(1_000):
        probe.board.wait(1_990)
        watchdog.feed()


def test_reset_ends_this_life() -> None:
    board = Probe().board
    contact = board.contact
    with pytest.raises(ChipReset) as caught:
        board.reset()
    assert caught.value.cause == "soft"
    append = lambda: board.flash.append("a", b"b")  # noqa: E731
    for operation in (contact.is_closed, board.link.start, append, lambda: board.wait(1)):
        with pytest.raises(ChipReset):
            operation()
    with pytest.raises(ChipReset):
        board.lamp.show(1, 2, 3)


def _cut(probe: Probe, after_us: int) -> None:
    def cut() -> None:
        raise PowerCut

    probe.timeline.at(probe.timeline.now_us + after_us, cut)


def test_a_cut_inside_a_flash_write_gives_the_old_file_or_the_new_one() -> None:
    seen = set()
    for seed in range(40):
        probe = Probe(seed)
        probe.board.flash.append("journal.log", b"old ")
        _cut(probe, 1_000)
        with pytest.raises(PowerCut):
            probe.board.flash.append("journal.log", b"new ")
        seen.add(probe.store.files["journal.log"])
    assert seen == {b"old ", b"old new "}


def test_a_cut_inside_a_rename_leaves_one_state_or_the_other() -> None:
    seen = set()
    for seed in range(40):
        probe = Probe(seed)
        probe.board.flash.replace("a", b"A")
        probe.board.flash.replace("b", b"B")
        _cut(probe, 1_000)
        with pytest.raises(PowerCut):
            probe.board.flash.rename("a", "b")
        seen.add(tuple(sorted(probe.store.files.items())))
    assert seen == {(("a", b"A"), ("b", b"B")), (("b", b"A"),)}


def test_nothing_of_the_firmware_can_swallow_a_power_cut() -> None:
    probe = Probe()
    _cut(probe, 500_000)
    with pytest.raises(PowerCut):
        while True:
            try:
                probe.board.wait(1_000)
            except Exception:
                pytest.fail("a power cut must not be an Exception")


def test_an_error_of_the_world_is_not_taken_for_one_of_the_firmware() -> None:
    probe = Probe()
    probe.timeline.at(1_000, lambda: [][1])
    with pytest.raises(WorldError) as caught:
        probe.board.wait(10)
    assert isinstance(caught.value.__cause__, IndexError)


def test_flash_faults_by_name() -> None:
    probe = Probe()
    flash, store = probe.board.flash, probe.store
    store.start(FlashFault.FULL)
    with pytest.raises(OSError) as caught:
        flash.append("a", b"x")
    assert caught.value.errno == 28 and flash.free_bytes() == 0
    store.stop(FlashFault.FULL)
    store.start(FlashFault.WRITE_ERROR)
    with pytest.raises(OSError) as caught:
        flash.replace("a", b"x")
    assert caught.value.errno == 5
    store.stop(FlashFault.WRITE_ERROR)
    assert flash.read("a") is None

    store.start(FlashFault.CORRUPT_BIT)
    flash.replace("a", bytes(100))
    data = flash.read("a") or b""
    assert sum(byte.bit_count() for byte in data) == 1 and len(data) == 100
    store.stop(FlashFault.CORRUPT_BIT)
    store.start(FlashFault.TRUNCATE)
    flash.replace("a", bytes(100))
    assert flash.size("a") < 100
    store.stop(FlashFault.TRUNCATE)

    flash.replace("a", b"\0")
    store.flip_bit("a", 3)
    assert flash.read("a") == b"\x08"


def test_flash_has_a_capacity_and_counts_its_wear() -> None:
    probe = Probe()
    probe.store.capacity_bytes = 100
    probe.board.flash.replace("a", bytes(60))
    with pytest.raises(OSError):
        probe.board.flash.replace("b", bytes(60))
    assert probe.store.writes == 1 and probe.store.written_bytes == 60
    probe.board.flash.remove("a")
    probe.board.flash.remove("a")
    assert probe.board.flash.free_bytes() == 100


def test_a_flash_write_takes_milliseconds_and_an_erase_tens_of_them() -> None:
    probe = Probe()
    times_ms = []
    for _ in range(300):
        before_us = probe.timeline.now_us
        probe.board.flash.append("a", b"record")
        times_ms.append((probe.timeline.now_us - before_us) / 1000)
    assert min(times_ms) >= 2 and 40 <= max(times_ms) <= 110
    assert sum(t < 9 for t in times_ms) > 250


def test_scratch_memory_is_bounded() -> None:
    board = Probe().board
    board.scratch.write(b"uplink\0")
    assert board.scratch.read() == b"uplink\0"
    with pytest.raises(ValueError):
        board.scratch.write(bytes(2049))


def test_a_hang_begins_with_the_breadcrumb_and_ends_with_the_watchdog() -> None:
    probe = Probe()
    probe.board.watchdog(8_000)
    probe.hardware.hang = "uplink"
    probe.board.scratch.write(b"lamp\0")
    with pytest.raises(ChipReset) as caught:
        probe.board.scratch.write(b"uplink\0T")
    assert caught.value.cause == "watchdog" and probe.hardware.scratch == b"uplink\0T"


def test_an_error_is_described_without_paths_of_this_machine() -> None:
    board = Probe().board
    try:
        raise ValueError("nonsense")
    except ValueError as error:
        text = board.describe_error(error)
    assert "test_board.py" in text and "/" not in text and text.endswith("ValueError: nonsense")
