"""How columns live, at a real desk in virtual time: no minute without a state, and causes from what they report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from upkeep_rig import DAY, HOUR, MINUTE, START_MS, Desk, S

from desk.ledger import LedgerError
from desk.upkeep import life, report, store
from desk.upkeep.chain import CALL
from desk.upkeep.life import DOWN, PRESUMED, PROVEN, Span, minutes, summed

ALL = ("sos-01", "sos-02", "sos-03")
ONE = ALL[0]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "register.db") as made:
        yield made


def born(desk: Desk, *names: str) -> None:
    for name in names or ALL:
        desk.birth(name)
    desk.beat(MINUTE, *(names or ALL))


def away(desk: Desk, *names: str, rest: tuple[str, ...] = (), for_ms: int = 10 * MINUTE) -> None:
    """Lost, and told by the broker."""
    for name in names:
        desk.will(name)
        desk.run(5 * S)
    desk.beat(for_ms, *rest)


def last_down(desk: Desk, name: str) -> Span:
    return [span for span in desk.spans(name) if span.state == DOWN][-1]


def test_a_column_that_never_came_is_down_from_the_first_minute_on(desk: Desk) -> None:
    born(desk, *ALL[1:])
    assert desk.state(ONE) == (DOWN, "unknown")
    assert "never" in last_down(desk, ONE).why


def test_a_chain_is_proven_by_what_happened_and_for_a_day(desk: Desk) -> None:
    """Red when the absence of faults counts as a proof."""
    born(desk)
    assert desk.state(ONE) == (PRESUMED, "")
    assert desk.links(ONE) | {"picture": "?"} == {
        **dict.fromkeys(CALL, "unproven"),
        **dict.fromkeys(("contact", "network", "broker", "clock", "certificate"), "proven"),
        "supply": "absent", "voice": "absent", "picture": "?",
    }  # fmt: skip
    desk.drill(ONE)
    assert desk.links(ONE)["button"] == "unproven" and desk.state(ONE) == (PRESUMED, "")
    desk.alarm(ONE)
    desk.beat(MINUTE, *ALL)
    assert {state for link, state in desk.links(ONE).items() if link in CALL} == {"proven", "absent"}
    assert desk.state(ONE) == (PROVEN, "")
    desk.end()
    desk.now_ms += DAY
    desk.begin()
    desk.beat(MINUTE, *ALL)
    assert desk.links(ONE)["drill"] == "overdue" and desk.links(ONE)["button"] == "proven"
    assert desk.state(ONE) == (PRESUMED, "")


def test_looking_at_the_button_is_proven_by_each_heartbeat_and_the_button_by_none(desk: Desk) -> None:
    """A cut wire looks like a button that nobody presses. Red when any message but a press proves the button, or when
    what a column says on another way counts as its looking."""
    desk.birth(ONE)
    desk.beat(MINUTE, ONE)
    desk.drill(ONE)
    assert (desk.links(ONE)["contact"], desk.links(ONE)["button"]) == ("proven", "unproven")
    desk.run(DAY)
    desk.drill(ONE)
    assert desk.links(ONE)["contact"] == "overdue", "a drill needs no look at the contact"
    desk.heartbeat(ONE)
    assert (desk.links(ONE)["contact"], desk.links(ONE)["button"]) == ("proven", "unproven")


def test_where_the_contact_is_closed_at_rest_a_cut_wire_breaks_the_button(desk: Desk) -> None:
    """There a cut is a press that does not end (docs/wiring.md): the call proves nothing while the fault stands. Red
    when `button-stuck` breaks no link, or the last press counts for more."""
    desk.birth(ONE)
    desk.alarm(ONE)
    assert desk.links(ONE)["button"] == "proven"
    desk.fault(ONE, "button-stuck")
    desk.run(MINUTE)
    assert desk.links(ONE)["button"] == "broken" and desk.state(ONE)[0] != PROVEN
    desk.fault(ONE, "button-stuck", is_up=False)
    assert desk.links(ONE)["button"] == "proven"


def test_what_the_broker_had_in_store_proves_nothing(desk: Desk) -> None:
    desk.hear(ONE, "state", {"v": 1, "state": "online", "boot": 1, "at": None}, retain=True)
    desk.run(5 * S)
    assert set(desk.links(ONE).values()) == {"unproven", "absent"}


@pytest.mark.parametrize(
    ("cause", "right"), [("power-on", "supply"), ("watchdog", "firmware"), ("panic", "firmware"), ("hard", "works")]
)
def test_a_column_that_comes_back_tells_why_it_was_away(desk: Desk, cause: str, right: str) -> None:
    born(desk)
    away(desk, ONE, rest=ALL[1:])
    assert desk.state(ONE) == (DOWN, "unknown")
    desk.birth(ONE, cause)
    desk.beat(MINUTE, *ALL)
    assert last_down(desk, ONE).cause == right and desk.state(ONE)[0] == PRESUMED
    told = store.corrections(desk.register)
    assert [(one["was"], one["cause"], one["by"]) for one in told] == [("unknown", right, "")]


def test_a_column_that_ran_on_had_no_link(desk: Desk) -> None:
    born(desk)
    away(desk, ONE, rest=ALL[1:])
    desk.connect(ONE)
    desk.beat(MINUTE, *ALL)
    assert last_down(desk, ONE).cause == "link"


def test_a_housing_that_was_opened_before_is_vandalism(desk: Desk) -> None:
    born(desk)
    desk.fault(ONE, "tamper")
    desk.run(S)
    assert desk.state(ONE) == (DOWN, "vandalism")
    away(desk, ONE, rest=ALL[1:])
    desk.fault(ONE, "tamper", is_up=False)
    desk.birth(ONE)
    desk.beat(MINUTE, *ALL)
    assert last_down(desk, ONE).cause == "vandalism"


def test_several_that_were_lost_at_once_are_one_loss_and_tell_for_each_other(desk: Desk) -> None:
    """Two of three say that they started anew: the third's switch had no power either, though it ran on itself. Red
    when each is judged alone."""
    born(desk)
    away(desk, *ALL)
    assert len({last_down(desk, name).loss for name in ALL}) == 1
    desk.birth(ALL[1])
    desk.birth(ALL[2])
    desk.connect(ONE)
    desk.beat(MINUTE, *ALL)
    assert [last_down(desk, name).cause for name in ALL] == ["supply"] * 3
    lost = report.month(store.spans(desk.register, 0, desk.now_ms), [], START_MS, desk.now_ms)["losses"]
    assert lost == 1


def test_two_losses_at_different_times_are_two(desk: Desk) -> None:
    born(desk)
    away(desk, ONE, rest=ALL[1:])
    away(desk, ALL[1], rest=ALL[2:])
    assert last_down(desk, ONE).loss != last_down(desk, ALL[1]).loss


def test_without_a_broker_and_without_a_desk_all_are_down_for_that_reason(desk: Desk) -> None:
    born(desk)
    desk.stand(False)
    desk.run(2 * MINUTE)
    assert [desk.state(name) for name in ALL] == [(DOWN, "broker")] * 3
    desk.stand(True)
    desk.beat(MINUTE, *ALL)
    assert desk.state(ONE) == (PRESUMED, "")
    desk.end()
    desk.now_ms += HOUR
    desk.begin()
    assert desk.state(ONE) == (DOWN, "desk")
    desk.beat(MINUTE, *ALL)
    span = last_down(desk, ONE)
    assert span.cause == "desk" and desk.now_ms - span.from_ms > HOUR and desk.state(ONE) == (PRESUMED, "")


def test_every_minute_has_one_state_through_all_of_that(desk: Desk) -> None:
    born(desk)
    away(desk, ONE, rest=ALL[1:])
    desk.stand(False)
    desk.run(5 * MINUTE)
    desk.stand(True)
    desk.birth(ONE)
    desk.beat(5 * MINUTE, *ALL)
    desk.end()
    desk.now_ms += 7 * MINUTE
    desk.begin()
    desk.beat(3 * MINUTE, *ALL)
    for name in ALL:
        counted = summed(minutes(desk.spans(name), START_MS, desk.now_ms))
        assert counted["none"] == 0 and counted[DOWN] + counted[PROVEN] + counted[PRESUMED] == (
            -(-(desk.now_ms - START_MS) // MINUTE)
        )


def test_a_minute_without_a_state_is_counted() -> None:
    """The control of the one above."""
    spans = [Span("x", 3 * MINUTE, PROVEN)]
    assert summed(minutes(spans, 0, 10 * MINUTE))["none"] == 3


def test_a_minute_is_the_worst_of_what_was_in_it() -> None:
    spans = [
        Span("x", 0, PROVEN),
        Span("x", 90_000, DOWN, "link"),
        Span("x", 91_000, PROVEN),
        Span("x", 200_000, PRESUMED),
    ]
    codes = [life.CODES[code] for code in minutes(spans, 0, 6 * MINUTE)]
    assert codes == [PROVEN, "link", PROVEN, PRESUMED, PRESUMED, PRESUMED]
    assert life.availability(summed(minutes(spans, 0, 6 * MINUTE))) == pytest.approx(2 / 6)


def test_a_cause_is_corrected_with_a_reason_and_later_evidence_leaves_it(desk: Desk) -> None:
    born(desk)
    away(desk, ONE, rest=ALL[1:])
    span = last_down(desk, ONE)
    with pytest.raises(LedgerError, match="reason"):
        desk.duty.correct(ONE, span.from_ms, "works", "chief", " ")
    with pytest.raises(LedgerError):
        desk.duty.correct(ONE, span.from_ms + 1, "works", "chief", "dug up")
    desk.duty.correct(ONE, span.from_ms, "works", "chief", "the street was dug up")
    desk.birth(ONE)
    desk.beat(MINUTE, *ALL)
    kept = last_down(desk, ONE)
    assert (kept.cause, kept.by, kept.why) == ("works", "chief", "the street was dug up")
    (told,) = store.corrections(desk.register)
    assert (told["was"], told["cause"], told["by"], told["reason"]) == (
        *("unknown", "works", "chief", "the street was dug up"),
    )


def test_a_table_has_a_line_for_each_column_and_one_for_all(desk: Desk) -> None:
    born(desk)
    found = report.month(store.spans(desk.register, 0, desk.now_ms), [], START_MS, desk.now_ms)
    lines = "".join(report.month_csv(found)).splitlines()
    assert [line.split(";")[0] for line in lines] == ["\ufeffdevice_id", *ALL, "*"]
    assert lines[0].count(";") == lines[-1].count(";")
