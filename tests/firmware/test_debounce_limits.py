"""The debouncer at its limits, to the millisecond: when a look is a stall, what a stall is worth, and what is noise."""

from collections.abc import Callable

import pytest
from debounce_waves import PRESS_MS, RELEASE_MS, STALL_MS, debouncer, sample

from firmware import debounce
from firmware.debounce import _BOUNCE_MAX_MS, _QUIET_MS, Debouncer
from firmware.outcomes import NOTHING, PRESS, PRESS_IN_STALL, RELEASE

UNSEEN_MS = 8  # of a stall that a look at its end vouches for
Looks = list[tuple[int, bool]]


def watched(filter_: Debouncer, looks: Looks) -> list[int]:
    """What it says to looks (ms since the last, closed) after waits that watched the contact."""
    return [sample(filter_, dt_ms, closed, 0, True) for dt_ms, closed in looks]


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
    assert sample(filter_, dt_ms, False, 1, False) == outcome


# -- what a gap shorter than a stall hides


def opened_in_a_gap(seen_ms: int, gap_ms: int, closures: int | None = 0) -> int:
    """Seen closed for so long; nobody saw when it opened."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (seen_ms, True)])
    return sample(filter_, gap_ms, False, closures, False)


def closed_in_a_gap(gap_ms: int, seen_ms: int, closures: int | None = 1) -> int:
    """Nobody saw when it closed; then it was seen closed for so long."""
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert sample(filter_, gap_ms, True, closures, False) == NOTHING, "a contact that is closed is looked at"
    return watched(filter_, [(seen_ms, True), (0, False)])[-1]


@pytest.mark.parametrize("closures", [0, None])
@pytest.mark.parametrize(("seen_ms", "gap_ms"), [(5, 35), (10, 30), (20, 20), (25, 15), (30, 10)])
def test_the_end_of_a_press_in_a_gap(seen_ms: int, gap_ms: int, closures: int | None) -> None:
    """All of the gap may have been closed: it counts from 40 ms in all. Goes red without `_most`."""
    assert opened_in_a_gap(seen_ms, gap_ms, closures) == PRESS_IN_STALL
    assert opened_in_a_gap(seen_ms - 1, gap_ms, closures) == NOTHING


@pytest.mark.parametrize("closures", [1, None])
@pytest.mark.parametrize(("gap_ms", "seen_ms"), [(35, 5), (30, 10), (20, 20), (15, 25), (10, 30)])
def test_the_beginning_of_a_press_in_a_gap(gap_ms: int, seen_ms: int, closures: int | None) -> None:
    assert closed_in_a_gap(gap_ms, seen_ms, closures) == PRESS_IN_STALL
    assert closed_in_a_gap(gap_ms, seen_ms - 1, closures) == NOTHING


def test_both_ends_of_a_press_in_gaps() -> None:
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert sample(filter_, 17, True, 1, False) == NOTHING
    assert watched(filter_, [(6, True)]) == [NOTHING]
    assert sample(filter_, 17, False, 0, False) == PRESS_IN_STALL
    assert watched(filter_, [(RELEASE_MS, False)]) == [RELEASE], "it is let go as any other"


def test_a_press_that_goes_on_behind_the_gap_is_one_for_certain() -> None:
    """Half of the gap is taken for closed; the doubt is not needed, and the press is counted once."""
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert sample(filter_, 20, True, 1, False) == NOTHING
    assert watched(filter_, [(29, True), (1, True), (60, True)]) == [NOTHING, PRESS, NOTHING]
    assert watched(filter_, [(0, False), (RELEASE_MS, False)]) == [NOTHING, RELEASE]


def test_in_a_gap_of_less_than_10_ms_half_is_closed_and_no_more() -> None:
    """A press of 45 ms loses 5 of them at most, and 40 count."""
    assert opened_in_a_gap(35, 9) == PRESS
    assert opened_in_a_gap(34, 9) == NOTHING
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert sample(filter_, 9, True, 1, False) == NOTHING
    assert watched(filter_, [(35, True), (1, True)]) == [NOTHING, PRESS]


def test_a_contact_that_opened_and_closed_again_in_a_gap_was_not_closed_all_over_it() -> None:
    """Looks that fall into step with mains pickup, 10 ms closed and 10 open, see it closed each time."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True)])
    assert [sample(filter_, 20, True, 1, False) for _ in range(50)] == [NOTHING] * 50
    held = debouncer()
    watched(held, [(1000, False), (1, True)])
    assert [sample(held, 20, True, 0, False) for _ in range(2)] == [NOTHING, PRESS], "negative control: no edge"


@pytest.mark.parametrize(("dt_ms", "outcome"), [(9, PRESS), (10, NOTHING)])
def test_below_10_ms_a_spike_between_two_looks_is_only_a_spike(dt_ms: int, outcome: int) -> None:
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True)])
    assert max(sample(filter_, dt_ms, True, 1, False) for _ in range(5)) == outcome


def test_what_closed_and_opened_again_in_a_gap_was_open() -> None:
    """39 ms closed, then 11 ms open with a spike in them: 26.6 are left, and 13.4 are wanting."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (38, True), (1, False)])
    assert sample(filter_, 10, False, 1, False) == NOTHING
    assert watched(filter_, [(1, True), (13, True), (1, True)]) == [NOTHING, NOTHING, PRESS]


@pytest.mark.parametrize(("seen_ms", "outcome"), [(4, NOTHING), (5, PRESS_IN_STALL)])
def test_a_contact_that_is_closed_from_the_first_look_on(seen_ms: int, outcome: int) -> None:
    filter_ = debouncer()
    assert sample(filter_, 0, True, None, False) == NOTHING
    assert watched(filter_, [(seen_ms, True)]) == [NOTHING]
    assert sample(filter_, 39, False, 0, False) == outcome


def test_what_was_seen_before_a_stall_is_not_seen_behind_it() -> None:
    """20 ms closed, a stall full of interference, and a spike in a gap. Goes red when the 20 ms still count."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (20, True)])
    assert sample(filter_, 300, False, 76, False) == NOTHING
    assert sample(filter_, 39, True, 1, False) == NOTHING
    assert watched(filter_, [(1, True), (0, False)]) == [NOTHING, NOTHING]


@pytest.mark.parametrize(("seen_ms", "outcome"), [(4, NOTHING), (5, PRESS_IN_STALL)])
def test_what_is_seen_behind_a_stall_counts_from_its_end(seen_ms: int, outcome: int) -> None:
    filter_ = debouncer()
    watched(filter_, [(1000, False)])
    assert sample(filter_, 300, True, 76, False) == NOTHING
    assert watched(filter_, [(seen_ms, True)]) == [NOTHING]
    assert sample(filter_, 39, False, 0, False) == outcome


def test_a_contact_that_never_closed_is_settled() -> None:
    filter_ = debouncer()
    assert sample(filter_, 20, False, 0, False) == NOTHING and filter_.is_settled()


def test_interference_in_a_gap_gets_no_benefit() -> None:
    """The limit is one closure in 4 ms."""
    assert closed_in_a_gap(20, 20, 5) == PRESS_IN_STALL
    assert closed_in_a_gap(20, 20, 6) == NOTHING


def test_a_spike_in_a_gap_gets_no_benefit() -> None:
    assert closed_in_a_gap(39, 5) == PRESS_IN_STALL
    assert closed_in_a_gap(39, 4) == NOTHING


@pytest.mark.parametrize(("bounce_ms", "outcome"), [(10, PRESS_IN_STALL), (11, NOTHING)])
def test_what_did_more_than_bounce_gets_no_benefit(bounce_ms: int, outcome: int) -> None:
    """Two rejected closures, so far apart, before the one whose end falls into the gap."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (bounce_ms - 1, True), (1, False)])
    watched(filter_, [(30, False), (1, True), (25, True)])
    assert sample(filter_, 20, False, 0, False) == outcome


@pytest.mark.parametrize(("quiet_ms", "outcome"), [(_QUIET_MS - 1, NOTHING), (_QUIET_MS, PRESS_IN_STALL)])
def test_what_did_more_than_bounce_is_forgiven_after_a_quiet_second(quiet_ms: int, outcome: int) -> None:
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (50, True), (1, False)])
    watched(filter_, [(quiet_ms - 26, False), (1, True)])
    assert sample(filter_, 25, True, 0, False) == NOTHING
    assert sample(filter_, 20, False, 0, False) == outcome


@pytest.mark.parametrize(
    ("guard", "value", "case"),
    [
        ("_SEEN_MIN_MS", 0, lambda: closed_in_a_gap(39, 4)),
        ("_CLOSURE_MIN_MS", 0, lambda: closed_in_a_gap(20, 20, 6)),
        ("_GAP_MS", 0, lambda: opened_in_a_gap(34, 9)),
    ],
)
def test_guards_of_a_gap_are_needed(
    monkeypatch: pytest.MonkeyPatch, guard: str, value: int, case: Callable[[], int]
) -> None:
    """Negative control: with the guard gone, what is refused above is a press."""
    assert case() == NOTHING
    monkeypatch.setattr(debounce, guard, value)
    assert case() == PRESS_IN_STALL


# -- a held contact that chatters in a stall


def test_a_contact_that_is_open_after_it_was_open_for_8_ms() -> None:
    filter_ = held()
    watched(filter_, [(1, False)])
    assert sample(filter_, STALL_MS, False, 3, False) == NOTHING
    assert watched(filter_, [(RELEASE_MS - UNSEEN_MS - 1, False), (1, False)]) == [NOTHING, RELEASE]
    assert filter_.is_settled()


def test_a_contact_that_is_closed_after_it_has_not_begun_to_open() -> None:
    filter_ = held()
    watched(filter_, [(1, False)])
    assert sample(filter_, STALL_MS, True, 3, False) == NOTHING
    assert sample(filter_, 1, False, 0, False) == NOTHING
    assert watched(filter_, [(RELEASE_MS - 1, False), (1, False)]) == [NOTHING, RELEASE]


# -- noise


def after_two_spikes(apart_ms: int, *quiet_ms: int) -> int:
    """Two closures too short for a press, then quiet, then a stall in which it closed once."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (apart_ms - 1, True), (1, False)])
    for ms in quiet_ms:
        assert sample(filter_, ms, False, 0, False) == NOTHING
    return sample(filter_, 300, False, 1, False)


@pytest.mark.parametrize(("apart_ms", "outcome"), [(_BOUNCE_MAX_MS - 1, PRESS_IN_STALL), (_BOUNCE_MAX_MS, NOTHING)])
def test_spikes_that_a_bounce_does_not_last_for_are_noise(apart_ms: int, outcome: int) -> None:
    """With the millisecond from the second one to the stall."""
    assert after_two_spikes(apart_ms, 1) == outcome


@pytest.mark.parametrize(("apart_ms", "outcome"), [(_QUIET_MS - 1, NOTHING), (_QUIET_MS, PRESS_IN_STALL)])
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
    assert sample(filter_, 300, False, 1, False) == NOTHING


def test_a_press_in_a_stall_ends_the_noise() -> None:
    """What bounced before it was its own; the next stall is judged by itself."""
    filter_ = debouncer()
    watched(filter_, [(1000, False), (1, True), (1, False), (100, True), (1, False)])
    assert sample(filter_, 300, False, 1, False) == PRESS_IN_STALL
    watched(filter_, [(150, True), (1, False)])
    assert sample(filter_, 300, False, 1, False) == PRESS_IN_STALL
