"""Durations over the wrap of the ticks, and over times much longer than half their period."""

from typing import Any

from fake_board import TICKS_PERIOD, FakeBoard
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.timing import Deadline, Stopwatch

deadline_of: Any = Deadline
DAY_MS = 86_400_000


def test_stopwatch_over_the_wrap() -> None:
    board = FakeBoard(ticks=TICKS_PERIOD - 10)
    watch = Stopwatch(board)
    board.advance(25)
    assert board.ticks_ms() == 15, "the ticks have wrapped"
    assert watch.ms() == 25


def test_stopwatch_over_20_days_in_steps() -> None:
    board = FakeBoard()
    watch = Stopwatch(board, 7)
    for _ in range(20):
        board.advance(DAY_MS)
        watch.ms()
    assert watch.ms() == 20 * DAY_MS + 7


def test_20_days_in_one_step_is_beyond_it() -> None:
    """Negative control, and the documented limit: nobody may look at it less than once in six days."""
    board = FakeBoard()
    watch = Stopwatch(board)
    board.advance(20 * DAY_MS)
    assert watch.ms() != 20 * DAY_MS


@settings(deadline=None, derandomize=True)
@given(st.integers(0, TICKS_PERIOD - 1), st.lists(st.integers(0, TICKS_PERIOD // 2 - 1), max_size=20))
def test_stopwatch_adds_up_from_any_tick(ticks: int, steps: list[int]) -> None:
    board = FakeBoard(ticks=ticks)
    watch = Stopwatch(board)
    for step_ms in steps:
        board.advance(step_ms)
        watch.ms()
    assert watch.ms() == sum(steps)


def test_deadline() -> None:
    board = FakeBoard(ticks=TICKS_PERIOD - 5)
    deadline = deadline_of(board)
    assert not deadline.running() and not deadline.expired() and deadline.left_ms(42) == 42
    deadline.start(10)
    board.advance(9)
    assert deadline.running() and not deadline.expired() and deadline.left_ms(42) == 1
    board.advance(1)
    assert deadline.expired() and deadline.left_ms(42) == 0
    board.advance(3 * DAY_MS)
    assert deadline.expired(), "it stays expired"
    deadline.start(10)
    assert not deadline.expired()
    deadline.stop()
    board.advance(100)
    assert not deadline.expired() and not deadline.running()


def test_deadline_of_20_days() -> None:
    board = FakeBoard()
    deadline = deadline_of(board, 20 * DAY_MS)
    for _ in range(20):
        assert not deadline.expired()
        board.advance(DAY_MS)
    assert deadline.expired()
