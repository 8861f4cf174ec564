"""The button: a real loop of looks over a waveform, what it reports, and what it asks the loop for."""

import random
from typing import Any

import pytest
from debounce_waves import CLASSES
from fake_board import FakeBoard

from firmware import button as button_module
from firmware.button import ACTIVE_MS, Button

CONFIG = {"press_ms": 40, "release_ms": 60, "stall_ms": 40, "stuck_s": 60}
SEED = 77


class Rig:
    def __init__(self, *, closed: bool = False, held_at_boot: bool = False, counts: bool = True) -> None:
        self.board = FakeBoard()
        self.board.contact.counts = counts
        if closed:
            self.board.contact.set(True)
        self.presses: list[tuple[int, bool]] = []  # (age_ms, in_stall)
        self.seen_ms: list[int] = []
        self.releases = 0
        self.stuck: list[bool] = []
        make: Any = Button
        self.button = make(self.board, CONFIG, self._press, self._release, self.stuck.append, held_at_boot)

    def _press(self, age_ms: int, in_stall: bool) -> None:
        self.presses.append((age_ms, in_stall))
        self.seen_ms.append(self.board.now_ms)

    def _release(self) -> None:
        self.releases += 1

    def run(self, ms: int) -> None:
        """The firmware's loop: step, wait, look."""
        end_ms = self.board.now_ms + ms
        while self.board.now_ms < end_ms:
            wait_ms = min(self.button.step(), end_ms - self.board.now_ms)
            self.button.look(self.board.wait(wait_ms))

    def look_after(self, ms: int) -> None:
        """One look after a wait of exactly so long, all of it watched."""
        self.board.advance(ms)
        self.button.look(0)

    def stall(self, ms: int) -> None:
        """The loop does something else: the next look knows that it did not watch."""
        self.board.advance(ms)
        self.button.look(-1)


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


# -- stalls


@pytest.mark.parametrize(("counts", "expected"), [(True, 1), (False, 0)])
def test_press_inside_a_stall(counts: bool, expected: int) -> None:
    """With a counter it counts; without one (C3) it is lost, as documented."""
    rig = Rig(counts=counts)
    rig.run(2000)
    rig.board.contact.wave((100, 1), (250, 0))
    rig.stall(500)
    rig.run(500)
    assert len(rig.presses) == expected
    assert rig.presses == [(500, True)] * expected
    assert rig.releases == expected


@pytest.mark.parametrize("counts", [True, False])
def test_press_that_began_just_before_the_stall(counts: bool) -> None:
    rig = Rig(counts=counts)
    rig.run(2000)
    rig.board.contact.wave((10, 1), (150, 0))
    rig.run(30)
    assert rig.presses == []
    rig.stall(500)
    rig.run(500)
    assert len(rig.presses) == 1 and rig.releases == 1


def test_button_that_is_still_held_after_the_stall_counts_once() -> None:
    rig = Rig()
    rig.run(2000)
    rig.board.contact.wave((100, 1), (900, 0))
    rig.stall(500)
    rig.run(1500)
    assert len(rig.presses) == 1 and rig.releases == 1


def test_interference_in_a_stall_is_nothing() -> None:
    rig = Rig()
    rig.run(2000)
    rig.board.contact.wave(*[(1.2 * n, n % 2) for n in range(1, 400)], (490, 0))
    rig.stall(500)
    rig.run(500)
    assert rig.presses == []


@pytest.mark.parametrize(("unseen_ms", "presses"), [(39, 0), (40, 1)])
def test_a_stall_at_the_end_of_a_wait(unseen_ms: int, presses: int) -> None:
    """However long the wait: nobody knows what the contact did in its last part, and the counter saw it close.

    Goes red when the whole wait is believed to have watched, or none of it.
    """
    rig = Rig()
    rig.run(2000)
    rig.board.contact.wave((1900, 1), (1901, 0))
    rig.board.advance(1940)
    rig.button.look(unseen_ms)
    rig.run(300)
    assert len(rig.presses) == presses


def test_what_a_wait_watched_is_believed_to_the_millisecond() -> None:
    """Closed for 35 ms before it, and for all the 5 ms of the wait but the last."""
    for watched_ms, presses in ((5, 1), (4, 0)):
        rig = Rig()
        rig.board.contact.wave((0, 1), (35 + watched_ms, 0))
        rig.look_after(1)
        rig.look_after(34)
        rig.board.advance(6)
        rig.button.look(6 - watched_ms)
        assert len(rig.presses) == presses


def test_the_age_of_a_press_whose_end_nobody_saw() -> None:
    """It counts from the closure: 30 ms before the gap, and 20 ms of it."""
    rig = Rig()
    rig.run(2000)
    rig.board.contact.wave((0, 1), (45, 0))
    rig.run(30)
    rig.stall(20)
    rig.run(300)
    ((age_ms, in_stall),) = rig.presses
    assert age_ms == pytest.approx(50, abs=3) and in_stall
    assert rig.releases == 1


def test_the_age_of_a_press_counts_from_its_closure_also_over_a_stall() -> None:
    """Without a counter it takes a few more looks to believe in it."""
    rig = Rig(counts=False)
    rig.board.contact.set(True)
    rig.look_after(1)
    rig.stall(300)
    rig.run(100)
    ((age_ms, in_stall),) = rig.presses
    assert age_ms == pytest.approx(335, abs=3) and not in_stall


def test_two_looks_in_one_tick_lose_no_time() -> None:
    rig = Rig()
    rig.board.contact.wave((5, 1))
    for _ in range(400):  # looks every 0.25 ms
        rig.board.advance(0.25)
        rig.button.look(0)
    assert len(rig.presses) == 1


def test_a_closure_between_the_two_questions_of_a_look_counts_once() -> None:
    """Level and counter are asked one after the other, and the contact may close in between, in a stall of the loop."""
    rig = Rig()
    contact = rig.board.contact
    honest = {"level": contact.is_closed, "counter": contact.closures}
    asked: list[str] = []

    def ask(what: str) -> Any:
        asked.append(what)
        answer = honest[what]()
        if len(asked) == 1:
            contact.wave((0, 1), (120, 0))
        return answer

    rig.run(100)
    contact.is_closed = lambda: ask("level")  # type: ignore[method-assign]
    contact.closures = lambda: ask("counter")  # type: ignore[method-assign]
    rig.stall(100)
    rig.run(500)
    assert len(rig.presses) == 1 and rig.releases == 1
