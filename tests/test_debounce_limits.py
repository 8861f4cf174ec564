"""The debouncer at its limits, to the millisecond: when a look is a stall, what a stall is worth, and what is noise."""

import pytest
from debounce_waves import PRESS_MS, RELEASE_MS, STALL_MS, debouncer

from firmware.debounce import _BOUNCE_MAX_MS, _QUIET_MS, NOTHING, PRESS, PRESS_IN_STALL, RELEASE, Debouncer

UNSEEN_MS = 8  # of a stall that a look at its end vouches for
Looks = list[tuple[int, bool]]


def watched(filter_: Debouncer, looks: Looks) -> list[int]:
    """What it says to looks (ms since the last, closed) after waits that watched the contact."""
    return [filter_.sample(dt_ms, closed, 0, True) for dt_ms, closed in looks]


def held() -> Debouncer:
    filter_ = debouncer()
    assert watched(filter_, [(1000, False), (1, True), (PRESS_MS, True)]) == [NOTHING, NOTHING, PRESS]
    assert filter_.is_settled(), "a hold needs no looks"
    return filter_


# -- what is a stall


@pytest.mark.parametrize(("dt_ms", "outcome"), [(STALL_MS - 1, NOTHING), (STALL_MS, PRESS_IN_STALL)])
def test_nobody_looked_for_so_long_is_a_stall(dt_ms: int, outcome: int) -> None:
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert filter_.sample(dt_ms, False, 1, False) == outcome


def test_the_contact_changed_in_the_middle_of_a_look_that_nobody_watched() -> None:
    """15 of 31 ms were closed as far as anybody knows, 15 open."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (30, True)])
    assert filter_.sample(31, False, 0, False) == NOTHING
    assert watched(filter_, [(1, True), (12, True), (1, True)]) == [NOTHING, NOTHING, PRESS]


# -- a held contact that chatters in a stall


def test_a_contact_that_is_open_after_it_was_open_for_8_ms() -> None:
    filter_ = held()
    watched(filter_, [(1, False)])
    assert filter_.sample(STALL_MS, False, 3, False) == NOTHING
    assert watched(filter_, [(RELEASE_MS - UNSEEN_MS - 1, False), (1, False)]) == [NOTHING, RELEASE]
    assert filter_.is_settled()


def test_a_contact_that_is_closed_after_it_has_not_begun_to_open() -> None:
    filter_ = held()
    watched(filter_, [(1, False)])
    assert filter_.sample(STALL_MS, True, 3, False) == NOTHING
    assert filter_.sample(1, False, 0, False) == NOTHING
    assert watched(filter_, [(RELEASE_MS - 1, False), (1, False)]) == [NOTHING, RELEASE]


# -- noise


def after_two_spikes(apart_ms: int, *quiet_ms: int) -> int:
    """Two closures too short for a press, then quiet, then a stall in which it closed once."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (apart_ms - 1, True), (1, False)])
    watched(filter_, [(ms, False) for ms in quiet_ms])
    return filter_.sample(300, False, 1, False)


@pytest.mark.parametrize(("apart_ms", "outcome"), [(_BOUNCE_MAX_MS - 1, PRESS_IN_STALL), (_BOUNCE_MAX_MS, NOTHING)])
def test_spikes_that_a_bounce_does_not_last_for_are_noise(apart_ms: int, outcome: int) -> None:
    """With the millisecond from the second one to the stall."""
    assert after_two_spikes(apart_ms, 1) == outcome


@pytest.mark.parametrize(("apart_ms", "outcome"), [(_QUIET_MS, NOTHING), (_QUIET_MS + 1, PRESS_IN_STALL)])
def test_a_quiet_second_between_two_spikes_begins_anew(apart_ms: int, outcome: int) -> None:
    assert after_two_spikes(apart_ms, 1) == outcome


@pytest.mark.parametrize(("quiet_ms", "outcome"), [(_QUIET_MS - 1, NOTHING), (_QUIET_MS, PRESS_IN_STALL)])
def test_noise_is_over_after_a_quiet_second(quiet_ms: int, outcome: int) -> None:
    assert after_two_spikes(500, quiet_ms) == outcome
    assert after_two_spikes(500, 300, quiet_ms - 300) == outcome, "in two looks"


def test_noise_adds_up_over_many_spikes() -> None:
    """Each pair of them is as close as in a bounce; together they last longer than any."""
    filter_ = debouncer()
    watched(filter_, [(1000, False)] + [(1, True), (1, False), (50, False)] * 6)
    assert filter_.sample(300, False, 1, False) == NOTHING


def test_a_press_in_a_stall_ends_the_noise() -> None:
    """What bounced before it was its own; the next stall is judged by itself."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (100, True), (1, False)])
    assert filter_.sample(300, False, 1, False) == PRESS_IN_STALL
    watched(filter_, [(150, True), (1, False)])
    assert filter_.sample(300, False, 1, False) == PRESS_IN_STALL
