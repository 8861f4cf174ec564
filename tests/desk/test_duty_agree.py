"""Two desks, each with a register of its own, agree on every incident: whatever the order in which messages reach them,
however often, whatever their operators do meanwhile, however their clocks differ. Pure: no broker, no disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from contract_examples import packed
from duty_rig import PureDesk, alarm_of, topic_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from desk import ledger as rules
from desk.ledger import STATES, Decision, Incident, Ledger, LedgerError

DEVICE = "petropavl-01"
INCIDENT = alarm_of()["id"]
PRESSES = 3
# A desk's operator decides by what that desk knows; a message arrives out of any place of the queue, once or twice.
ENDS = (("administrative", ""), ("false", ""), ("false", "prank"), ("false", "enquiry"))  # outcome and kind of misuse
PRESS = st.tuples(st.just("press"), st.integers(1, PRESSES))
ARRIVE = st.tuples(st.just("arrive"), st.integers(0, 1), st.integers(0, 30), st.booleans())
DECIDE = st.tuples(
    st.just("decide"), st.integers(0, 1), st.sampled_from(STATES[2:]), st.sampled_from(ENDS), st.integers(-3, 3)
)
STEPS = st.lists(st.one_of(PRESS, ARRIVE, ARRIVE, DECIDE), max_size=40)
RULES = settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
CONTROL = settings(RULES, database=None, max_examples=2000, report_multiple_bugs=False)


class Two:
    """Two desks and what is on its way to each of them."""

    def __init__(self) -> None:
        self.desks = PureDesk("desk-a"), PureDesk("desk-b")
        self.ways: tuple[list[tuple[str, Any]], ...] = ([], [])
        self.now_ms = 1_800_000_000_000
        self.closed_at = {0}
        """The highest press that each closing's operator had heard of."""

    def send(self, kind: str, document: dict[str, Any]) -> None:
        for way in self.ways:
            way.append((topic_of(DEVICE, kind), document))

    def press(self, press: int) -> None:
        self.send("alarm", alarm_of(press=press))

    def arrive(self, which: int, place: int, again: bool) -> None:
        way = self.ways[which]
        if not way:
            return
        self.now_ms += 100  # slower than what the desk takes for a flood
        message = way[place % len(way)] if again else way.pop(place % len(way))
        for answer in self.desks[which].take(*message, self.now_ms):
            self.send("ack", answer)

    def decide(self, which: int, state: str, end: tuple[str, str], skew: int) -> None:
        desk, self.now_ms = self.desks[which], self.now_ms + 1
        try:
            outcome, misuse = end if state == "closed" else ("", "")
            answer = desk.decide(INCIDENT, state, f"operator {which}", outcome, self.now_ms + skew, misuse)
        except LedgerError:
            return
        if state == "closed":
            self.closed_at.add(desk.ledger.incidents[INCIDENT].press)
        self.send("ack", answer)

    def settle(self) -> None:
        """Everything arrives; this ends, since an answer is not answered."""
        for _ in range(2000):
            if not any(self.ways):
                return
            for which in (0, 1):
                self.arrive(which, which - 1, again=False)  # one takes the oldest first, the other the newest
        raise AssertionError("the desks answer each other for ever")


def told(desk: PureDesk) -> dict[str, Any] | None:
    """What a desk says of the incident."""
    incident = desk.ledger.incidents.get(INCIDENT)
    if incident is None:
        return None
    names = ("state", "by", "outcome", "misuse", "press", "reopened")
    ways = {state: incident.decisive(state) for state in STATES[1:]}
    return {name: getattr(incident, name) for name in names} | ways


def play(steps: list[tuple[Any, ...]]) -> None:
    two = Two()
    for name, *arguments in steps:
        getattr(two, name)(*arguments)
    two.settle()
    first, second = (told(desk) for desk in two.desks)
    assert first == second, "the desks disagree"
    assert not any(desk.refused for desk in two.desks)
    if first is not None and first["state"] == "closed":
        assert first["press"] in two.closed_at, "a press that nobody knew of is closed"


EARLY_CLOSING = [
    *[("press", 1), ("press", 2), ("arrive", 0, 0, False), ("arrive", 0, 0, False)],
    *[("decide", 0, "closed", ("false", "prank"), 0), ("arrive", 1, -1, False), ("arrive", 1, 0, False)],
    ("decide", 1, "closed", ("false", ""), 0),
]
"""Desk b closes what it knows, with desk a's later closing already at hand: it must say its own."""


@RULES
@given(STEPS)
@example(EARLY_CLOSING)
def test_two_desks_agree_in_every_order_of_messages(steps: list[tuple[Any, ...]]) -> None:
    play(steps)


def highest_state_wins(incident: Incident) -> None:
    """Wrong: what was closed stays closed, whatever was pressed since."""
    if incident.decisions:
        _, state = max(incident.decisions, key=lambda key: STATES.index(key[1]))
        least = min(decision for (_, each), decision in incident.decisions.items() if each == state)
        incident.state, incident.by, incident.outcome = state, least.by, least.outcome


def last_heard_wins(ledger: Ledger, ack: dict[str, Any], now_ms: int) -> bool:
    """Wrong: the order in which decisions arrive tells who was first."""
    return agree(ledger, {**ack, "at": "2000-01-01T00:00:00.000Z" if now_ms % 200 else ack["at"]}, now_ms)


def kinds_stay(ledger: Ledger, ack: dict[str, Any], now_ms: int) -> bool:
    """Wrong: what kind of false call it was is not heard."""
    return agree(ledger, {key: value for key, value in ack.items() if key != "misuse"}, now_ms)


def without_press(ledger: Ledger, ack: dict[str, Any], now_ms: int) -> bool:
    """Wrong: a closing covers whatever press this desk knows of."""
    incident = ledger.incidents.get(ack["id"])
    return agree(ledger, {**ack, "press": incident.press if incident else 1}, now_ms)


agree = Ledger.agree


@pytest.mark.parametrize(
    ("place", "name", "wrong"),
    [(rules, "_settle", highest_state_wins), (Ledger, "agree", last_heard_wins), (Ledger, "agree", without_press)],
    ids=["highest", "last", "pressless"],
)
def test_other_rules_do_not_hold(
    place: Any, name: str, wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, name, wrong)

    @CONTROL
    @given(STEPS)
    def property_of_wrong_rules(steps: list[tuple[Any, ...]]) -> None:
        play(steps)

    with pytest.raises(AssertionError, match=r"disagree|nobody knew"):
        property_of_wrong_rules()


def test_a_kind_that_is_not_heard_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: what kind of false call it was stays at the desk that closed it."""
    steps = [("press", 1), ("arrive", 0, 0, False), ("decide", 0, "closed", ("false", "prank"), 0)]
    play(steps)
    monkeypatch.setattr(Ledger, "agree", kinds_stay)
    with pytest.raises(AssertionError, match="disagree"):
        play(steps)


def test_of_two_who_accept_the_earlier_has_it_on_both_desks() -> None:
    two = Two()
    two.press(1)
    for which in (0, 1):
        two.arrive(which, 0, again=False)
    two.decide(1, "accepted", ("", ""), skew=0)
    two.decide(0, "accepted", ("", ""), skew=-50)
    two.settle()
    for desk in two.desks:
        assert desk.ledger.incidents[INCIDENT].by == "operator 0"


def test_a_closing_does_not_end_a_press_that_its_operator_had_not_heard_of() -> None:
    two = Two()
    two.press(1)
    for which in (0, 1):
        two.arrive(which, 0, again=False)
    two.press(2)
    two.arrive(1, 0, again=False)  # desk b knows of the second press
    two.decide(0, "closed", ("false", ""), skew=0)  # desk a does not
    two.settle()
    for desk in two.desks:
        incident = desk.ledger.incidents[INCIDENT]
        assert (incident.state, incident.press, incident.reopened) == ("received", 2, 1)


def test_a_desk_that_does_not_know_of_kinds_takes_none_back() -> None:
    """An older desk repeats the closing without it, a newer one has a word of its own. Red when the smaller decision of
    the two is the one that says less, when a closing falls with a word in it, and when the kind is lost on the way."""
    first, second = PureDesk("desk-a"), PureDesk("desk-b")
    for desk in (first, second):
        desk.take(topic_of(DEVICE, "alarm"), alarm_of(), 1)
    closing = first.decide(INCIDENT, "closed", "operator 1", "false", 2, "prank")
    old = {key: value for key, value in closing.items() if key != "misuse"}
    for heard in ({**closing, "misuse": "word-of-tomorrow"}, closing, old):
        for desk in (first, second):
            desk.take(topic_of(DEVICE, "ack"), heard, 3)
        assert second.ledger.incidents[INCIDENT].state == "closed" and not second.refused
    assert [desk.ledger.incidents[INCIDENT].misuse for desk in (first, second)] == ["prank", "prank"]
    assert second.timeline.count((INCIDENT, "closed")) == 2, "what it learnt later is a line of its own"


def test_an_answer_that_comes_before_its_alarm_is_kept_for_it() -> None:
    desk, other = PureDesk("desk-a"), PureDesk("desk-b")
    topic, alarm = topic_of(DEVICE, "alarm"), alarm_of()
    other.take(topic, alarm, 1)
    closing = other.decide(INCIDENT, "closed", "operator 1", "other", 2)
    assert desk.take(topic_of(DEVICE, "ack"), closing, 3) == []
    (answer,) = desk.take(topic, alarm, 4)
    assert (answer["state"], answer["by"], answer["at"]) == ("closed", "operator 1", closing["at"])


def test_a_closing_of_a_press_that_nobody_has_heard_of_ends_nothing() -> None:
    """Else one message would silence a column for as long as its incident lasts."""
    desk = PureDesk("desk-a")
    desk.take(topic_of(DEVICE, "alarm"), alarm_of(), 1)
    closing = {"v": 1, "id": INCIDENT, "state": "closed", "outcome": "false", "press": 1000, "by": "mallory"}
    desk.take(topic_of(DEVICE, "ack"), closing, 2)
    desk.take(topic_of(DEVICE, "alarm"), alarm_of(press=2), 3)
    assert desk.ledger.incidents[INCIDENT].state == "received"


def test_an_answer_that_does_not_say_what_it_had_heard_of_counts_for_the_first_press_only() -> None:
    desk = PureDesk("desk-a")
    for press in (1, 2):
        desk.take(topic_of(DEVICE, "alarm"), alarm_of(press=press), press)
    closing = {"v": 1, "id": INCIDENT, "state": "closed", "outcome": "false"}
    desk.take(topic_of(DEVICE, "ack"), closing, 3)
    assert desk.ledger.incidents[INCIDENT].is_open
    desk.take(topic_of(DEVICE, "ack"), {**closing, "heard": 2}, 4)
    assert not desk.ledger.incidents[INCIDENT].is_open


def test_what_two_desks_say_is_the_contract() -> None:
    """`take` holds what it reads against the schemas: a desk that sent anything else would be refused by the other."""
    desk = PureDesk("desk-a")
    desk.take(topic_of(DEVICE, "ack"), packed({"v": 1, "id": INCIDENT, "state": "received", "press": 0}), 1)
    assert "press" in desk.refused[0]


def test_early_answers_are_bounded() -> None:
    desk = PureDesk("desk-a")
    for number in range(rules.KEPT_EARLY + 10):
        desk.ledger.agree({"id": f"{DEVICE}-1-{number}", "state": "received"}, 0)
    gone = desk.ledger.drop_early()
    assert len(gone) == 10 and len(desk.ledger.early) == rules.KEPT_EARLY
    for number in range(rules.KEPT_DECISIONS + 10):
        desk.ledger.agree({"id": f"{DEVICE}-2-1", "state": "received", "press": number + 1}, 0)
    assert len(desk.ledger.early[f"{DEVICE}-2-1"]) == rules.KEPT_DECISIONS
    assert desk.ledger.early[f"{DEVICE}-2-1"][1, "received"] == Decision(0, "", "")
