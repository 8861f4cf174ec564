"""The button: a real loop of looks over a waveform, what it reports, and what it asks the loop for."""

import random

import pytest
from button_rig import Rig

from firmware import button as button_module
from firmware.button import ACTIVE_MS
from sim.bench.contacts import CLASSES

SEED = 77


def test_press_and_release() -> None:
    rig = Rig()
    rig.board.contact.wave((100, 1), (220, 0))
    rig.run(1000)
    assert rig.seen_ms == [pytest.approx(143, abs=3)] and rig.releases == 1
    age_ms, in_stall = rig.presses[0]
    assert 40 <= age_ms <= 45 and in_stall is False


def test_idle_asks_for_nothing_and_activity_for_every_millisecond() -> None:
    rig = Rig()
    rig.run(100)
    assert rig.button.step() >= 1000 and not rig.button.is_busy()
    rig.board.contact.set(True)
    rig.run(10)
    assert rig.button.step() == ACTIVE_MS and rig.button.is_busy()
    rig.run(200)
    assert not rig.button.is_busy(), "a hold needs no looks"


def test_corpus_through_the_real_loop() -> None:
    """500 waveforms in one run over the wrap of the ticks: pauses of a second between them."""
    print(f"corpus: seed {SEED}")
    dice = random.Random(SEED)
    rig = Rig()
    for index in range(500):
        kind = CLASSES[index % len(CLASSES)]
        wave, count = kind(dice)
        before = len(rig.presses)
        start_ms = dice.uniform(5, 10)
        rig.board.contact.wave(*[(start_ms + t_us / 1000, level) for t_us, level in wave])
        rig.run(int(start_ms + wave[-1][0] / 1000) + 1000)
        assert len(rig.presses) - before == count, f"{kind.__name__}, number {index}: {wave}"


@pytest.mark.parametrize("counts", [True, False])
def test_presses_and_closures_are_counted_since_the_boot(counts: bool) -> None:
    """A press that bounces, a spike, a press in a stall, a press. Without a counter there are no closures to count."""
    rig = Rig(counts=counts)
    assert (rig.button.presses, rig.button.closures) == (0, 0)
    rig.board.contact.wave((10, 1), (11, 0), (12, 1), (13, 0), (14, 1), (120, 0), (700, 1), (701, 0))
    rig.run(1000)
    assert (rig.button.presses, rig.button.closures) == (1, 4 * counts)
    rig.board.contact.wave((2000, 1), (2150, 0))
    rig.run(1900)
    rig.stall(500)
    rig.run(500)
    assert (rig.button.presses, rig.button.closures) == (1 + counts, 5 * counts)
    rig.board.contact.wave((10, 1), (120, 0))
    rig.run(300)
    assert rig.button.presses == 2 + counts


def test_panic_burst_counts_up() -> None:
    rig = Rig()
    edges = [(100 + 250 * n + offset, level) for n in range(12) for offset, level in ((0, 1), (120, 0))]
    rig.board.contact.wave(*edges)
    rig.run(4000)
    assert len(rig.presses) == 12 and rig.releases == 12


def test_calm_is_wanted_while_a_press_is_decided_and_for_300_ms_at_most() -> None:
    rig = Rig()
    assert not rig.button.wants_calm()
    rig.board.contact.set(True)
    rig.look_after(1)
    for _ in range(button_module.CALM_MAX_MS - 1):  # 1 ms closed, 1 ms open: never decided
        rig.board.contact.wave((0.5, rig.board.now_ms % 2))
        assert rig.button.wants_calm()
        rig.look_after(1)
    assert rig.button.is_busy()
    rig.look_after(1)
    assert rig.button.is_busy() and not rig.button.wants_calm()


# -- at boot


def test_held_at_boot_counts_once() -> None:
    rig = Rig(closed=True)
    rig.run(5000)
    assert len(rig.presses) == 1
    rig.board.contact.set(False)
    rig.run(500)
    assert len(rig.presses) == 1 and rig.releases == 1


def test_held_while_the_board_boots_counts_at_the_first_look() -> None:
    """The rest of the start takes its time, and nobody looks meanwhile."""
    rig = Rig(closed=True)
    rig.stall(500)
    assert [in_stall for _, in_stall in rig.presses] == [False]


def test_held_since_before_the_boot_does_not_count_again() -> None:
    rig = Rig(closed=True, held_at_boot=True)
    rig.run(5000)
    assert rig.presses == []
    rig.board.contact.wave((0, 0), (300, 1), (400, 0))
    rig.run(1000)
    assert len(rig.presses) == 1 and rig.releases == 2


def test_held_control() -> None:
    """Negative control: without the journal's word the same contact is a press."""
    rig = Rig(closed=True, held_at_boot=False)
    rig.run(5000)
    assert len(rig.presses) == 1


def test_let_go_while_the_board_was_down() -> None:
    rig = Rig(closed=False, held_at_boot=True)
    assert rig.releases == 1, "told at once: the journal must not believe it for another boot"
    rig.board.contact.wave((10, 1), (110, 0))
    rig.run(500)
    assert len(rig.presses) == 1


def test_let_go_while_the_board_booted() -> None:
    """Closed for so short after the boot that nothing was decided: the next press is a new one."""
    rig = Rig(closed=True, held_at_boot=True)
    rig.board.contact.wave((20, 0), (120, 1), (300, 0))
    rig.run(1000)
    assert len(rig.presses) == 1


@pytest.mark.parametrize(("open_ms", "presses"), [(59, 0), (60, 1)])
def test_a_gap_as_long_as_a_release_makes_it_a_new_press(open_ms: int, presses: int) -> None:
    rig = Rig(closed=True, held_at_boot=True)
    rig.board.contact.wave((1, 0), (1 + open_ms, 1))
    for ms in (1, open_ms, 100):
        rig.look_after(ms)
    assert len(rig.presses) == presses


def test_a_bounce_at_boot_does_not_make_the_held_button_a_new_press() -> None:
    rig = Rig(closed=True, held_at_boot=True)
    rig.board.contact.wave((10, 0), (40, 1))
    rig.run(2000)
    assert rig.presses == []


# -- stuck


def test_stuck_is_told_once_and_clears_on_release() -> None:
    rig = Rig()
    rig.board.contact.wave((10, 1))
    rig.run(60_000)
    assert rig.stuck == [] and len(rig.presses) == 1
    rig.run(60_000)
    assert rig.stuck == [True] and len(rig.presses) == 1
    rig.board.contact.set(False)
    rig.run(500)
    assert rig.stuck == [True, False] and rig.releases == 1 and not rig.button.is_stuck
    rig.board.contact.wave((10, 1), (200, 0))
    rig.run(500)
    assert len(rig.presses) == 2, "a cleared button works again"


def test_stuck_begins_with_the_60th_second() -> None:
    rig = Rig()
    rig.board.contact.set(True)
    rig.look_after(1)
    rig.look_after(40)
    for ms, stuck in ((59_999, []), (1, [True])):
        rig.board.advance(ms)
        rig.button.step()
        assert rig.stuck == stuck


def test_held_for_59_s_is_not_stuck() -> None:
    rig = Rig()
    rig.board.contact.wave((10, 1), (59_000, 0))
    rig.run(120_000)
    assert rig.stuck == []


def test_stuck_since_before_the_boot_is_told() -> None:
    rig = Rig(closed=True, held_at_boot=True)
    rig.run(62_000)
    assert rig.stuck == [True] and rig.presses == []
