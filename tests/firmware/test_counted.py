"""The debouncer in the pulse counter: presses in stalls, and a counter that lies (corpus: test_counted_corpus.py)."""

import re
from typing import Any

import pytest
from button_rig import Rig
from debounce_waves import PRESS_MS, RELEASE_MS

from firmware.counted import Counted


def counted(*, closed: bool = False, held_at_boot: bool = False) -> Rig:
    rig = Rig(closed=closed, held_at_boot=held_at_boot, integrates=True)
    assert rig.button.decides() == "counter"
    return rig


@pytest.mark.parametrize(("closed_ms", "expected"), [(25, 0), (38, 0), (41, 1), (150, 1)])
def test_a_press_in_a_stall_is_as_long_as_it_is(closed_ms: int, expected: int) -> None:
    """A measurement, and no guess: a knock is none, and a press is one, wherever the loop stood still."""
    rig = counted()
    rig.run(2000)
    rig.board.contact.wave((100, 1), (100 + closed_ms, 0))
    rig.stall(500)
    rig.run(500)
    assert len(rig.presses) == expected and rig.releases == expected
    assert all(in_stall for _, in_stall in rig.presses)
    assert rig.failures == [] and rig.button.is_busy() is False


def test_interference_all_over_a_stall_is_none() -> None:
    rig = counted()
    rig.run(2000)
    rig.board.contact.wave(*[(8 * n, n % 2) for n in range(1, 120)], (960, 0))
    rig.stall(1000)
    rig.run(500)
    assert rig.presses == []


def test_a_button_that_is_held_all_over_a_stall_is_one_press() -> None:
    rig = counted()
    rig.run(2000)
    rig.board.contact.wave((100, 1), (900, 0))
    rig.stall(500)
    rig.run(1500)
    assert [in_stall for _, in_stall in rig.presses] == [False] and rig.releases == 1


def test_a_release_needs_its_time_and_no_closure() -> None:
    rig = counted()
    rig.board.contact.wave((0, 1), (100, 0), (100 + RELEASE_MS - 5, 1), (300, 0))
    rig.run(1000)
    assert len(rig.presses) == 1 and rig.releases == 1


def test_a_press_that_the_journal_knows_is_not_raised_again() -> None:
    rig = counted(closed=True, held_at_boot=True)
    rig.board.contact.wave((500, 0), (800, 1))
    rig.run(700)
    assert rig.presses == [] and rig.releases == 1
    rig.run(500)
    assert len(rig.presses) == 1


def test_a_quiet_minute_and_knocks_speak_for_the_counter() -> None:
    """Knocks take away from what it has counted of the open contact; nobody may take that for a lie."""
    rig = counted()
    rig.run(10_000)
    rig.board.contact.wave(*[(500 * n + at_ms, level) for n in range(1, 5) for at_ms, level in ((0, 1), (10, 0))])
    rig.run(60_000)
    assert rig.failures == [] and rig.presses == []


# -- a counter that lies


def lies(rig: Rig, **answers: Any) -> None:
    for name, answer in answers.items():
        setattr(rig.board.contact.integrator, name, answer)


def test_pulses_that_cease_are_noticed_before_anybody_presses() -> None:
    rig = counted()
    rig.run(3000)
    lies(rig, is_broken=True)
    rig.run(6000)
    (why,) = rig.failures
    assert re.fullmatch(r"-\d+ pulses too many in \d+ ms", why) and rig.button.decides() == "interrupts"
    rig.board.contact.wave((0, 1), (100, 0))
    rig.run(500)
    assert len(rig.presses) == 1 and rig.releases == 1


def test_one_slip_is_none() -> None:
    """A loop that was held up between clock and counter makes up for it the next time."""
    rig = counted()
    rig.run(500)
    integrator = rig.board.contact.integrator
    assert integrator is not None
    true_ms = integrator.open_ms
    lies(rig, open_ms=lambda: true_ms() + 300)
    rig.run(8000)
    assert rig.failures == []


def test_a_press_that_it_does_not_count_is_one_by_the_looks() -> None:
    rig = counted()
    rig.run(3000)
    lies(rig, is_broken=True)
    rig.board.contact.wave((10, 1), (300, 0))
    rig.run(1000)
    assert len(rig.presses) == 1 and rig.releases == 1
    assert rig.failures == ["the contact is closed, and nothing was counted"]


def test_a_press_that_nobody_saw_is_believed_once() -> None:
    rig = counted()
    rig.run(3000)
    lies(rig, is_latched=lambda: True)
    rig.run(3000)
    assert len(rig.presses) == 1
    assert rig.failures == ["a press was counted, but the contact was open"]


def test_a_release_that_nobody_saw_is_none() -> None:
    rig = counted()
    rig.board.contact.wave((0, 1))
    rig.run(400)
    lies(rig, open_ms=lambda: 100)
    rig.run(3000)
    assert len(rig.presses) == 1 and rig.releases == 0
    assert rig.failures == ["a release was counted, but the contact was closed"]


def test_a_release_that_it_does_not_count_is_one_by_the_looks() -> None:
    rig = counted()
    rig.board.contact.wave((0, 1), (200, 0))
    rig.run(100)
    lies(rig, is_broken=True)
    rig.run(1000)
    assert len(rig.presses) == 1 and rig.releases == 1
    assert rig.failures == ["the contact is open, and nothing was counted"]


class Reading:
    """An integrator that says what it is told to."""

    def __init__(self) -> None:
        self.now_ms = 0

    def arm(self) -> None: ...

    def is_latched(self) -> bool:
        return False

    def open_ms(self) -> int:
        return self.now_ms


def test_what_a_knock_takes_away_is_no_lie() -> None:
    """Broken by holding counter and clock against each other while they are not both at rest."""
    reading = Reading()
    one: Any = Counted(reading, PRESS_MS, RELEASE_MS)
    one.sample(0, False, None)
    for knock in range(1, 5):
        reading.now_ms = 480 * knock + 20
        one.sample(500, False, 0)
        one.sample(1, True, 1)
        reading.now_ms -= 20
        one.sample(10, False, 0)
        assert one.failed == "", knock
