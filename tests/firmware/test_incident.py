"""One incident: states only go up, and only the centre's own message says that somebody knows."""

from typing import Any

import pytest
from fake_board import FakeBoard
from hypothesis import given, settings
from hypothesis import strategies as st
from incident_rig import CONFIG, at_broker

from firmware import incident as module
from firmware.incident import ACCEPTED, CLOSED, DISPATCHED, RAISED, RECEIVED, SENT, Incident

make: Any = Incident


def raised(age_ms: int = 0, **more: Any) -> tuple[FakeBoard, Any]:
    board = FakeBoard()
    return board, make(board, "petropavl-01-7-1", CONFIG["incident"], age_ms, **more)


def test_the_usual_way() -> None:
    _, one = raised()
    assert one.lamp() == "calling" and one.is_due()
    one.transmitted()
    assert not one.is_due() and one.lamp() == "calling"
    one.at_broker(1)
    assert one.lamp() == "sent"
    for state, lamp in ((RECEIVED, "answered"), (ACCEPTED, "help-coming"), (DISPATCHED, "help-coming")):
        assert one.answered(state) and one.lamp() == lamp
    assert one.answered(CLOSED) and not one.is_due()


@pytest.mark.parametrize("high", [RECEIVED, ACCEPTED, DISPATCHED, CLOSED])
def test_states_only_go_up(high: int) -> None:
    _, one = raised()
    one.answered(high)
    for lower in (RECEIVED, ACCEPTED, DISPATCHED, CLOSED):
        if lower <= high:
            assert not one.answered(lower)
            assert one.state == high
    at_broker(one)
    assert one.state == high, "a PUBACK takes nothing back"


OPERATIONS = ("press", "send", "puback", "late puback", "lost", "wait", "long wait")
operations = st.lists(st.sampled_from(OPERATIONS), max_size=40)


def only_the_centre_answers(steps: list[str]) -> None:
    board, one = raised()
    for step in steps:
        if step == "press":
            one.press_again(45)
        elif step == "send":
            one.transmitted()
        elif step == "puback":
            one.at_broker(one.press)
        elif step == "late puback":
            one.at_broker(max(1, one.press - 1))
        elif step == "lost":
            one.lost()
        else:
            board.advance(900 if step == "wait" else 11_000)
        assert one.lamp() in ("calling", "sent", "not-delivered")
        assert one.state in (RAISED, SENT)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(operations)
def test_nothing_but_the_centre_leads_to_answered(steps: list[str]) -> None:
    only_the_centre_answers(steps)


def test_nothing_but_the_centre_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a PUBACK that is taken for an answer is found."""
    monkeypatch.setattr(module, "SENT", RECEIVED)
    with pytest.raises(AssertionError):
        only_the_centre_answers(["send", "puback"])


def test_puback_of_an_older_press_does_not_say_sent() -> None:
    _, one = raised()
    one.transmitted()
    one.press_again(45)
    one.at_broker(1)
    assert one.lamp() == "calling" and one.is_due(), "press 2 is not there yet"
    at_broker(one)
    assert one.lamp() == "sent"


def test_not_delivered_after_10_s_without_an_answer() -> None:
    board, one = raised()
    at_broker(one)
    board.advance(9_999)
    assert one.lamp() == "sent"
    assert one.lamp_changes_in_ms(500) == 1
    board.advance(1)
    assert one.lamp() == "not-delivered"
    one.answered(RECEIVED)
    assert one.lamp() == "answered", "a late answer is an answer"


def test_the_age_of_the_press_counts() -> None:
    board, one = raised(age_ms=4000)
    board.advance(6000)
    assert one.lamp() == "not-delivered" and one.age.ms() == 10_000


def test_repeats_back_off_from_15_to_60_s_until_the_centre_answers() -> None:
    board, one = raised()
    waits = []
    for _ in range(5):
        at_broker(one)
        waits.append(one.due_in_ms(999_999))
        board.advance(waits[-1] - 1)
        assert not one.is_due()
        board.advance(1)
        assert one.is_due()
    assert waits == [15_000, 30_000, 60_000, 60_000, 60_000]
    at_broker(one)
    one.answered(RECEIVED)
    board.advance(3_600_000)
    assert not one.is_due() and one.due_in_ms(4711) == 4711


def test_a_further_press_goes_out_at_once_even_when_answered() -> None:
    board, one = raised()
    at_broker(one)
    one.answered(ACCEPTED)
    one.press_again(45)
    assert one.is_due() and one.lamp() == "calling", "it felt the press"
    board.advance(1000)
    assert one.lamp() == "help-coming", "and the centre is still dealing with it"
    at_broker(one)
    assert one.due_in_ms(4711_000) == 15_000, "PUBACK is no answer to a further press either: a broker may drop it"
    assert not one.answered(ACCEPTED), "nothing new"
    assert not one.is_due() and one.due_in_ms(4711) == 4711, "answered and delivered: no repeats"


def test_a_press_that_crossed_the_closing_is_not_lost_with_it() -> None:
    _, one = raised()
    at_broker(one)
    one.answered(RECEIVED)
    one.press_again(45)
    assert not one.answered(CLOSED) and one.state == RECEIVED, "said before the broker had the second press"
    assert one.is_due()
    at_broker(one)
    assert one.answered(CLOSED), "the answer to the second press"


def test_a_closing_is_asked_for_again_when_only_the_broker_has_the_last_press() -> None:
    board, one = raised()
    at_broker(one)
    one.answered(RECEIVED)
    one.press_again(45)
    at_broker(one)
    assert not one.answered(CLOSED) and one.is_due(), "it may have crossed the press: ask"
    one.transmitted()
    assert not one.answered(CLOSED), "the question is not even there"
    one.at_broker(2)
    board.advance(15_000)
    assert one.is_due(), "no answer: ask again"
    one.transmitted()
    one.at_broker(2)
    assert one.answered(CLOSED)


def test_an_operator_who_goes_on_is_no_answer_to_a_further_press() -> None:
    _, one = raised()
    at_broker(one)
    one.answered(RECEIVED)
    one.press_again(45)
    at_broker(one)  # and the broker threw it away
    assert one.answered(ACCEPTED) and one.due_in_ms(4711_000) == 15_000
    assert one.answered(DISPATCHED) and not one.answered(CLOSED) and one.is_due()
    at_broker(one)  # now it did not
    assert not one.answered(RECEIVED), "the centre opened it again"
    assert not one.is_due() and one.state == DISPATCHED


def test_an_answer_from_before_the_last_press_does_not_vouch_for_it() -> None:
    """A centre that was cut off had all of this waiting to be sent."""
    _, one = raised()
    at_broker(one)
    one.answered(RECEIVED)
    one.press_again(45)
    at_broker(one)
    assert not one.answered(RECEIVED) and one.answered(ACCEPTED) and not one.answered(CLOSED)
    assert one.is_due(), "ask"


def test_after_a_lost_connection_the_centre_is_asked_where_it_stands() -> None:
    board, one = raised()
    at_broker(one)
    one.answered(RECEIVED)
    one.lost()
    at_broker(one)
    board.advance(15_000)
    assert one.is_due(), "it may have been closed meanwhile, and nobody heard the question"
    one.transmitted()
    one.at_broker(1)
    assert not one.answered(RECEIVED) and not one.is_due() and one.due_in_ms(4711) == 4711


def test_a_press_is_repeated_until_an_answer_has_heard_of_it() -> None:
    """Goes red when `heard` is not looked at: what says nothing new would be the answer to press 2."""
    _, one = raised()
    at_broker(one)
    assert one.answered(RECEIVED, 1) and one.due_in_ms(4711) == 4711
    one.press_again(45)
    at_broker(one)
    assert not one.answered(RECEIVED, 1) and one.due_in_ms(4711_000) == 15_000, "it answers a repeat of press 1"
    assert one.answered(ACCEPTED, 1) and one.due_in_ms(4711_000) == 15_000, "nobody but press 1 was accepted"
    assert not one.answered(ACCEPTED, 2) and one.due_in_ms(4711) == 4711


def test_a_closing_that_has_not_heard_of_the_last_press_closes_nothing() -> None:
    """Goes red when `heard` is not looked at: the second old `closed` would be taken for the answer to the question,
    and press 2, which the broker dropped, would be gone."""
    _, one = raised()
    at_broker(one)
    one.answered(RECEIVED, 1)
    one.press_again(45)
    at_broker(one)
    for _ in range(3):
        assert not one.answered(CLOSED, 1) and one.state == RECEIVED and one.due_in_ms(4711_000) == 15_000
    assert one.answered(CLOSED, 2)


def test_a_closing_that_has_heard_of_the_last_press_is_not_asked_about() -> None:
    _, one = raised()
    one.press_again(45)
    one.transmitted()
    assert one.answered(CLOSED, 2), "the centre's answer overtook the broker's PUBACK"


def test_what_the_journal_says_is_not_in_doubt() -> None:
    _, one = raised()
    one.press_again(45)
    one.restored(CLOSED)
    assert one.state == CLOSED


def test_an_answer_does_not_stop_a_press_that_is_not_there_yet() -> None:
    _, one = raised()
    one.transmitted()
    one.press_again(45)
    one.answered(RECEIVED)
    one.lost()
    assert one.is_due()


def test_a_lost_connection_makes_it_due_again() -> None:
    _, one = raised()
    at_broker(one)
    assert not one.is_due()
    one.lost()
    assert one.is_due() and not one.in_flight


def test_open_window_of_600_s() -> None:
    board, one = raised()
    board.advance(599_999)
    assert one.takes_presses(600_000)
    board.advance(1)
    assert not one.takes_presses(600_000)
    one.press_again(0)
    assert one.takes_presses(600_000)
    one.restored(CLOSED)
    assert not one.takes_presses(600_000)


def test_date_when_the_clock_is_set_later() -> None:
    board, one = raised(age_ms=50)
    board.advance(5000)
    one.date(1_800_000_000_000, "ntp")
    assert (one.raised_at, one.clock) == (1_800_000_000_000 - 5050, "ntp")
    one.date(1_900_000_000_000, "ntp")
    assert one.raised_at == 1_800_000_000_000 - 5050, "the first date stays"


def test_a_late_one_gets_its_true_age_and_no_invented_date() -> None:
    _, one = raised(late=True)
    one.date(1_800_000_000_000, "ntp")
    assert one.raised_at is None, "nobody knows how long the power was off"
    one.raised_at = 1_800_000_000_000 - 3_600_000
    one.date(1_800_000_000_000, "ntp")
    assert one.age.ms() == 3_600_000
