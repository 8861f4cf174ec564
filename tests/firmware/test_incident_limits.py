"""One incident at its limits: how it begins, the last millisecond of each window, and what a lost connection resets."""

from typing import Any

import pytest
from fake_board import FakeBoard
from incident_rig import CONFIG, at_broker

from firmware.incident import ACCEPTED, CLOSED, DISPATCHED, RAISED, RECEIVED, Incident

NOW_MS = 1_800_000_000_000
NEVER_MS = 999_999_999
make: Any = Incident


def raised(age_ms: int = 0, late: bool = False, **config: int) -> tuple[FakeBoard, Any]:
    board = FakeBoard()
    return board, make(board, "petropavl-01-7-1", CONFIG["incident"] | config, age_ms, late=late)


def test_it_begins_as_an_actual_alarm_that_nobody_has_yet() -> None:
    one = make(FakeBoard(), "petropavl-01-7-1", CONFIG["incident"])
    assert (one.id, one.status, one.late, one.press, one.state) == ("petropavl-01-7-1", "actual", False, 1, RAISED)
    assert (one.raised_at, one.clock, one.sent_press, one.in_flight, one.age.ms()) == (None, "none", 0, False, 0)


# -- when it goes out


def test_nothing_is_due_while_it_is_in_flight_or_closed() -> None:
    _, one = raised()
    assert one.due_in_ms(4711) == 0
    one.transmitted()
    assert not one.is_due() and one.due_in_ms(4711) == 4711
    one.lost()
    one.restored(CLOSED)
    assert not one.is_due() and one.due_in_ms(4711) == 4711


@pytest.mark.parametrize("state", [RECEIVED, ACCEPTED, DISPATCHED])
def test_one_answer_of_any_kind_ends_the_repeats(state: int) -> None:
    board, one = raised()
    at_broker(one)
    one.answered(state)
    board.advance(3_600_000)
    assert not one.is_due()


def test_an_answer_while_a_repeat_is_in_flight_ends_them_too() -> None:
    board, one = raised()
    at_broker(one)
    board.advance(15_000)
    one.transmitted()
    one.answered(RECEIVED)
    one.at_broker(1)
    assert one.due_in_ms(NEVER_MS) == NEVER_MS


def test_an_answer_to_an_earlier_press_does_not_end_them() -> None:
    """Negative control: one to this press does."""
    _, one = raised()
    at_broker(one)
    one.press_again(0)
    one.answered(RECEIVED)
    at_broker(one)
    assert one.due_in_ms(NEVER_MS) == 15_000
    one.answered(RECEIVED)
    assert one.due_in_ms(NEVER_MS) == NEVER_MS


def test_each_connection_begins_with_the_shortest_pause() -> None:
    board, one = raised()
    for _ in range(3):
        at_broker(one)
        board.advance(60_000)
    one.lost()
    at_broker(one)
    assert one.due_in_ms(NEVER_MS) == 15_000


def test_pauses_double_from_the_shortest_to_the_longest_that_can_be_configured() -> None:
    board, one = raised(repeat_s=1, repeat_max_s=3600)
    pauses_s = []
    for _ in range(14):
        at_broker(one)
        pauses_s.append(one.due_in_ms(NEVER_MS) // 1000)
        board.advance(pauses_s[-1] * 1000)
    assert pauses_s == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]


# -- a press that crosses the closing


def test_a_closing_of_the_only_press_is_never_in_doubt() -> None:
    """Also when it comes before the broker's PUBACK, and twice."""
    _, one = raised()
    one.transmitted()
    assert one.answered(CLOSED) and not one.answered(CLOSED)


def test_each_press_asks_anew() -> None:
    _, one = raised()
    for press in (2, 3):
        one.press_again(0)
        at_broker(one)
        assert not one.answered(CLOSED) and one.is_due(), press
        at_broker(one)
    assert one.answered(CLOSED)


def test_it_asks_once() -> None:
    """Doubled messages of the centre start no storm of questions."""
    _, one = raised()
    one.press_again(0)
    at_broker(one)
    assert not one.answered(CLOSED)
    one.transmitted()
    assert not one.answered(CLOSED) and not one.is_due()
    one.at_broker(1)
    assert one.is_due() and not one.answered(CLOSED), "the PUBACK of an older press: the broker has no question yet"


def test_a_question_does_not_end_the_repeats_by_its_puback() -> None:
    _, one = raised()
    at_broker(one)
    one.press_again(0)
    at_broker(one)
    one.answered(RECEIVED)
    one.press_again(0)
    at_broker(one)
    one.answered(CLOSED)
    at_broker(one)
    assert one.due_in_ms(NEVER_MS) == 15_000, "nobody has answered it"


def test_the_journal_takes_nothing_back() -> None:
    _, one = raised()
    one.restored(ACCEPTED)
    one.restored(RECEIVED)
    assert one.state == ACCEPTED


# -- its date and age


def test_a_clock_that_is_corrected_changes_no_age() -> None:
    """The stopwatch knows better."""
    board, one = raised(age_ms=50)
    one.date(NOW_MS, "ntp")
    board.advance(1000)
    one.date(NOW_MS + 3_600_000, "ntp")
    assert one.age.ms() == 1050


@pytest.mark.parametrize(("clock_ms", "age_ms"), [(NOW_MS - 1, 500), (NOW_MS, 500), (NOW_MS + 1, 1)])
def test_a_clock_that_says_before_or_now_knows_nothing_of_a_late_ones_age(clock_ms: int, age_ms: int) -> None:
    board, one = raised(late=True)
    one.raised_at = NOW_MS
    board.advance(500)
    one.date(clock_ms, "ntp")
    assert one.age.ms() == age_ms


# -- the lamp


@pytest.mark.parametrize(("state", "lamp"), [(RECEIVED, "answered"), (ACCEPTED, "help-coming")])
def test_a_further_press_shows_calling_for_a_second(state: int, lamp: str) -> None:
    board, one = raised()
    at_broker(one)
    one.answered(state)
    one.press_again(0)
    assert one.lamp_changes_in_ms(NEVER_MS) == 1000
    board.advance(999)
    assert one.lamp() == "calling"
    board.advance(1)
    assert one.lamp() == lamp


def test_an_answer_ends_the_calling_of_a_further_press() -> None:
    _, one = raised()
    one.answered(RECEIVED)
    one.press_again(0)
    one.answered(ACCEPTED)
    assert one.lamp() == "help-coming"


def test_the_lamp_may_change_after_one_second_and_after_ten() -> None:
    board, one = raised()
    for since_press_ms, changes_in_ms in ((0, 1000), (999, 1), (1000, 9000), (9999, 1), (10_000, NEVER_MS)):
        board.advance(since_press_ms - one.age.ms())
        assert one.lamp_changes_in_ms(NEVER_MS) == changes_in_ms
