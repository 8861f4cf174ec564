"""The button while nobody looks: presses in a stall of the loop, at the end of a wait, and between two questions."""

from typing import Any

import pytest
from button_rig import Rig


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
