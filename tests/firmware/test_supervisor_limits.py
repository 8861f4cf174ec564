"""The supervisor at its limits: what its breadcrumbs say of the clock, who is named, and how long it waits."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from fake_board import FakeBoard
from supervisor_rig import Hang, Looks, Task, fail, hang, make

from firmware import resets

HOUR_MS = 3_600_000


def report_after(board: FakeBoard) -> dict[str, Any]:
    board.cause = "watchdog"
    return resets.last(board)


# -- breadcrumbs


def nothing() -> None:
    pass


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("step", "wait", "culprit"),
    [(hang, nothing, "uplink"), (fail, nothing, "uplink"), (nothing, hang, "supervisor")],
)
def test_a_reset_keeps_the_time_only_when_it_was_right(
    step: Callable[[], None], wait: Callable[[], int | None], culprit: str, trusted: bool
) -> None:
    """Or the next boot would date alarms by a clock that was never set."""
    board, house = make(Task("uplink", 500, step))
    board.wait = lambda timeout_ms: wait() or 0  # type: ignore[method-assign]
    if trusted:
        house.trust_clock()
    with contextlib.suppress(Hang):
        house.turn()
    report = report_after(board)
    assert (report["culprit"], report["clock_trusted"]) == (culprit, trusted)


def test_a_look_that_raises_is_told_with_what_it_was() -> None:
    button: Any = Looks()
    button.look = lambda unseen_ms: fail()
    board, house = make(Task("lamp"), button=button)
    house.turn()
    assert "it broke here" in report_after(board)["traceback"]
    assert len(board.logged) == 1, "said once"


# -- how long it waits


def test_it_turns_for_ever() -> None:
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        if turns == 100:
            hang()

    _, house = make(Task("lamp", 10, count))
    with pytest.raises(Hang):
        house.run()
    assert turns == 100


def test_a_hurry_is_one_turn_without_a_wait() -> None:
    """A press that was decided after the uplink's step goes out in the next one, at once."""
    board, house = make(Task("slow", HOUR_MS))
    house.turn()
    house.hurry()
    house.turn()
    house.turn()
    assert board.waits == [2000, 0, 2000]


def test_a_hurry_goes_before_a_button_that_decides() -> None:
    button = Looks()
    button.busy = True
    board, house = make(Task("slow", HOUR_MS), button=button)
    house.hurry()
    house.turn()
    assert board.waits == [0]


def test_it_waits_for_the_first_task_that_is_due_and_never_less_than_nothing() -> None:
    late = Task("late", 100)
    board, house = make(Task("slow", 1700), late, Task("slower", HOUR_MS))
    house.turn()
    assert board.waits == [100]
    board.advance(5000)  # something else stalled
    late.every_ms = 0
    house.turn()
    assert board.waits == [100, 0] and late.steps == 2


@pytest.mark.parametrize(("idle_ms", "together"), [(1000, True), (999, False)])
def test_a_loop_that_was_idle_for_a_second_takes_along_what_is_due_within_another(idle_ms: int, together: bool) -> None:
    first, second = Task("first", idle_ms), Task("second", idle_ms + 1000)
    board, house = make(first, second)
    house.turn()
    assert board.waits == [idle_ms]
    board.now_us = idle_ms * 1000
    house.turn()
    assert (first.steps, second.steps) == (2, 2 if together else 1)


@pytest.mark.parametrize(("due_ms", "together"), [(150, True), (151, False)])
def test_a_busy_loop_takes_along_what_is_due_within_half_its_wait(due_ms: int, together: bool) -> None:
    first, second = Task("first", 300), Task("second", 300 + due_ms)
    board, house = make(first, second)
    house.turn()
    assert board.waits == [300]
    board.now_us = 300_000
    house.turn()
    assert (first.steps, second.steps) == (2, 2 if together else 1)
