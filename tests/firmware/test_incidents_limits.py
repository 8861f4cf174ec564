"""The open incidents: what is due when, what the lamp tells, what is kept how long, and what a restart reads."""

from typing import Any

import pytest
from incident_rig import STATES, Rig

from firmware.incident import Incident

NEVER_MS = 999_999_999
DAY_MS = 86_400_000
WINDOW_MS = 600_000


def in_flight(rig: Rig) -> Any:
    """Transmit what is due, and only that."""
    one = rig.incidents.due()
    one.transmitted()
    return one


def test_it_counts_the_incidents_that_the_broker_does_not_have_yet() -> None:
    rig = Rig()
    counts = [(rig.incidents.waiting(), rig.incidents.is_waiting())]
    for _ in range(2):
        rig.incidents.press(0)
        rig.board.advance(WINDOW_MS)
        counts.append((rig.incidents.waiting(), rig.incidents.is_waiting()))
    rig.deliver()
    counts.append((rig.incidents.waiting(), rig.incidents.is_waiting()))
    assert counts == [(0, False), (1, True), (2, True), (0, False)]


def test_the_first_of_all_repeats_is_what_the_uplink_waits_for() -> None:
    rig = Rig()
    assert rig.incidents.due_in_ms(NEVER_MS) == NEVER_MS
    rig.incidents.press(0)
    rig.deliver()
    assert rig.incidents.due_in_ms(NEVER_MS) == 15_000
    assert rig.incidents.due_in_ms(100) == 100
    rig.board.advance(WINDOW_MS)
    rig.incidents.press(0)
    in_flight(rig)
    assert rig.incidents.due_in_ms(NEVER_MS) == 0, "the first one's repeat"
    in_flight(rig)
    assert rig.incidents.due_in_ms(NEVER_MS) == NEVER_MS


def test_a_drill_is_waited_for_like_an_alarm() -> None:
    rig = Rig()
    rig.incidents.start_drill()
    assert rig.incidents.due_in_ms(NEVER_MS) == 0
    in_flight(rig)
    assert rig.incidents.due_in_ms(4711) == 4711
    rig.incidents.connection_lost()
    assert rig.incidents.due_in_ms(NEVER_MS) == 0


def test_a_drill_has_10_s() -> None:
    rig = Rig()
    ident = rig.incidents.start_drill()
    rig.board.advance(9_999)
    rig.incidents.step()
    assert rig.drills == []
    rig.board.advance(1)
    rig.incidents.step()
    assert rig.drills == [(ident, False)]


# -- the lamp


def test_the_lamp_tells_of_what_nobody_answered_however_old_it_is() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    rig.step_for(2 * WINDOW_MS)
    assert rig.incidents.current() is one


def test_the_lamp_tells_of_an_answered_one_until_its_window_ends() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    rig.incidents.answered(one.id, "received")
    rig.board.advance(WINDOW_MS - 1)
    assert rig.incidents.current() is one
    rig.board.advance(1)
    assert rig.incidents.current() is None


def test_the_lamp_is_told_of_what_the_broker_and_the_centre_say_and_of_nothing_else() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    assert rig.changes == 0, "whoever presses tells the lamp himself, before anything else"
    rig.deliver()
    rig.incidents.answered(one.id, "received")
    assert rig.changes == 2
    rig.incidents.answered(one.id, "received")
    rig.incidents.answered("petropavl-02-7-1", "closed")
    assert rig.changes == 2


# -- how long


def test_an_answered_one_is_forgotten_after_exactly_its_retention() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    rig.incidents.at_broker(one, 1)
    rig.incidents.answered(one.id, "received")
    rig.board.advance(DAY_MS - 1)
    rig.incidents.step()
    assert rig.incidents.count() == 1
    rig.board.advance(1)
    rig.incidents.step()
    assert rig.incidents.count() == 0


# -- what a restart reads


def test_a_column_that_never_heard_of_a_press_holds_none() -> None:
    assert Rig().incidents.held is False


def test_a_closed_one_does_not_come_back() -> None:
    rig = Rig()
    rig.incidents.answered(rig.incidents.press(0).id, "closed")
    again = rig.reboot()
    assert again.incidents.count() == 0 and again.board.logged == []


def test_an_answered_one_comes_back_answered() -> None:
    """At once: `calling` is for somebody who presses now. Goes red when a restart passes for a press."""
    rig = Rig()
    rig.incidents.answered(rig.incidents.press(0).id, "received")
    current = rig.reboot().incidents.current()
    assert current is not None and current.lamp() == "answered"


def test_which_press_the_centre_has_heard_of_reaches_the_incident() -> None:
    """A closing that has heard of both presses closes; one that says nothing of it is asked about first."""
    for heard, closed in ((2, True), (None, False)):
        rig = Rig()
        one = rig.incidents.press(0)
        rig.incidents.press(0)
        rig.deliver()
        rig.incidents.answered(one.id, "closed", heard)
        assert (rig.closed == [one.id]) is closed


def test_a_closing_is_asked_for_again_also_when_the_presses_were_before_the_restart() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    rig.incidents.press(0)
    again = rig.reboot()
    again.deliver()
    again.incidents.answered(one.id, "closed")
    assert again.incidents.count() == 1 and again.incidents.due() is not None
    again.deliver()
    again.incidents.answered(one.id, "closed")
    assert again.incidents.count() == 0


@pytest.mark.parametrize("state", STATES[:-1])
def test_a_compaction_keeps_every_answer(state: str) -> None:
    rig = Rig()
    rig.incidents.answered(rig.incidents.press(0).id, state)
    rig.incidents.compact()
    again = rig.reboot()
    assert again.essence() == rig.essence() and again.board.logged == []


def test_a_compaction_keeps_a_button_that_is_held_though_its_incident_is_over() -> None:
    """Or the next boot would take the same press for a new one."""
    rig = Rig()
    rig.incidents.answered(rig.incidents.press(0).id, "closed")
    rig.incidents.compact()
    assert rig.reboot().incidents.held is True
    rig.incidents.released()
    rig.incidents.compact()
    assert rig.reboot().incidents.held is False


@pytest.mark.parametrize("given", [6, 7, 8])
def test_a_boot_number_that_the_journal_knows_is_not_used_again(given: int) -> None:
    """And no other one is changed: one more than the journal's may be with the centre already, of a boot whose flash
    refused to count it and to write down its alarm."""
    rig = Rig(boot=7)
    rig.incidents.press(0)
    rig.incidents.released()
    again = Rig(rig.board.flash, boot=given)
    assert again.board.logged == []
    assert again.incidents.boot == given if given != 7 else again.incidents.boot >= 1 << 25


def test_an_alarm_whose_open_is_damaged_has_no_date() -> None:
    rig = Rig()
    rig.incidents.restore([{"k": "press", "id": "petropavl-01-7-1", "n": 2}], 9)
    one: Incident = rig.incidents.due()
    assert (one.raised_at, one.clock, one.late, one.press) == (None, "none", True, 2)


def test_a_record_that_makes_no_sense_is_logged() -> None:
    rig = Rig()
    rig.incidents.restore([{"k": "open", "n": 5}], 9)
    assert len(rig.board.logged) == 1 and "'n': 5" in rig.board.logged[0]


def test_an_alarm_says_which_clock_dated_it() -> None:
    rig = Rig(source="kept")
    one = rig.incidents.press(50)
    assert (one.raised_at, one.clock) == (rig.board.epoch_ms() - 50, "kept")
