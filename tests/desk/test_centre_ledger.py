"""The ledger: what counts as one incident, what moves it, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from contract_examples import example, packed

from desk.ledger import Incident, Ledger, LedgerError


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def alarm(ledger: Ledger, at_s: float = 0.0, **changes: Any) -> Incident:
    """Enter the contract's example alarm, with changes."""
    topic, document = example("alarm")
    incident = ledger.take(topic, packed({**document, **changes}), at_s)
    assert incident is not None
    return incident


def say(ledger: Ledger, kind: str, **changes: Any) -> None:
    topic, document = example(kind)
    assert ledger.take(topic, packed({**document, **changes}), 0.0) is None


def test_repeats_are_one_incident_with_the_highest_press(ledger: Ledger) -> None:
    for at_s, press in enumerate([1, 3, 2, 3]):
        incident = alarm(ledger, at_s, press=press)
    assert list(ledger.incidents) == [incident.id]
    assert (incident.press, incident.transmissions, incident.repeats) == (3, 4, 1)
    assert (incident.first_s, incident.last_s, incident.alarm["press"]) == (0, 3, 3)


def test_another_id_is_another_incident(ledger: Ledger) -> None:
    first = alarm(ledger)
    second = alarm(ledger, id=f"{first.device_id}-99-1", late=True)
    assert ledger.of(first.device_id) == [first, second]
    assert (first.late, second.late) == (False, True)


def test_a_drill_asks_nobody_and_an_exercise_does(ledger: Ledger) -> None:
    """Nobody closes drills: a year has thousands, and the desk looks at what asks somebody ten times a second."""
    made = {
        status: alarm(ledger, id=f"petropavl-01-{number}-1", status=status, event_type=event_type)
        for number, (status, event_type) in enumerate((("actual", "sos"), ("test", "drill"), ("exercise", "drill")), 1)
    }
    for incident in made.values():
        ledger.advance(incident.id, "received", "desk 1")
    assert ledger.open_incidents() == list(made.values())
    assert ledger.asking() == [made["actual"], made["exercise"]]
    ledger.advance(made["actual"].id, "closed", "desk 1", "criminal")
    assert ledger.asking() == [made["exercise"]]
    alarm(ledger, id=made["test"].id, press=2)  # a person at a column that was being tried
    assert ledger.asking() == [made["test"], made["exercise"]]


def test_an_incident_only_moves_forward(ledger: Ledger) -> None:
    incident = alarm(ledger)
    for state in ("received", "accepted", "dispatched"):
        ledger.advance(incident.id, state, "desk 1")
        assert (incident.state, incident.by) == (state, "desk 1")
        with pytest.raises(LedgerError, match="cannot become"):
            ledger.advance(incident.id, state, "desk 2")
    ledger.advance(incident.id, "closed", "desk 1", "criminal")
    assert not incident.is_open and not ledger.open_incidents()
    with pytest.raises(LedgerError, match="closed"):
        ledger.advance(incident.id, "accepted", "desk 1")


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("closed", ""), ("closed", "nothing"), ("accepted", "false"), ("new", ""), ("done", "")],
)
def test_wrong_steps_are_refused(ledger: Ledger, state: str, outcome: str) -> None:
    incident = alarm(ledger)
    with pytest.raises(LedgerError):
        ledger.advance(incident.id, state, "desk", outcome)
    assert incident.state == "new"


def test_an_unknown_incident_is_refused_by_name(ledger: Ledger) -> None:
    known = alarm(ledger)
    with pytest.raises(LedgerError, match=f"'x-1-1'.*{known.id}"):
        ledger.advance("x-1-1", "accepted", "desk")


def test_a_new_press_opens_a_closed_incident_again_and_a_repeat_does_not(ledger: Ledger) -> None:
    incident = alarm(ledger)
    ledger.advance(incident.id, "closed", "desk", "false")
    alarm(ledger)
    assert (incident.state, incident.reopened) == ("closed", 0)
    alarm(ledger, press=2)
    assert (incident.state, incident.outcome, incident.reopened) == ("new", "", 1)
    assert ledger.open_incidents() == [incident]


@pytest.mark.parametrize(
    "changes",
    [{"event_type": "fire"}, {"id": "other-1-1"}, {"device_id": "other"}, {"press": 0}, {"late": None}],
)
def test_what_breaks_the_contract_is_kept_apart(ledger: Ledger, changes: dict[str, Any]) -> None:
    topic, document = example("alarm")
    assert ledger.take(topic, packed({**document, **changes}), 0.0) is None
    assert not ledger.incidents and not ledger.columns
    (violation,) = ledger.violations
    assert violation.topic == topic and next(iter(changes)) in violation.why


def test_a_stored_alarm_is_a_phantom(ledger: Ledger) -> None:
    topic, document = example("alarm")
    assert ledger.take(topic, packed(document), 0.0, retain=True) is None
    assert not ledger.incidents and "retain" in ledger.violations[0].why


def test_the_quality_of_service_is_checked_when_it_is_known(ledger: Ledger) -> None:
    topic, document = example("alarm")
    assert ledger.take(topic, packed(document), 0.0, qos=0) is None
    assert "QoS" in ledger.violations[0].why
    assert ledger.take(topic, packed(document), 0.0, qos=1) is not None


def test_a_column_is_what_it_said_last(ledger: Ledger) -> None:
    for kind in ("info", "heartbeat", "event", "result"):
        say(ledger, kind)
    (column,) = ledger.columns.values()
    assert column.info == example("info")[1] and column.heartbeat == example("heartbeat")[1]
    assert list(column.events) == [example("event")[1]]
    assert list(column.results.values()) == [example("result")[1]]


def test_a_fault_stands_until_it_is_cleared(ledger: Ledger) -> None:
    topic, document = example("fault")
    ledger.take(topic, packed(document), 0.0)
    (column,) = ledger.columns.values()
    assert column.faults == {document["id"]: document}
    ledger.take(topic, b"", 0.0)
    assert not column.faults and not ledger.violations


def test_the_last_will_of_an_older_boot_changes_nothing(ledger: Ledger) -> None:
    say(ledger, "state", state="online", boot=7)
    (column,) = ledger.columns.values()
    say(ledger, "state", state="offline", boot=6)
    assert (column.online, column.boot) == (True, 7)
    say(ledger, "state", state="offline", boot=7)
    assert column.online is False


def test_what_the_centre_sends_is_only_checked(ledger: Ledger) -> None:
    for kind in ("ack", "cmd"):
        say(ledger, kind)
    assert not ledger.columns and not ledger.violations and ledger.messages == 2
    say(ledger, "ack", state="seen")
    assert len(ledger.violations) == 1


def test_a_copy_does_not_follow(ledger: Ledger) -> None:
    incident = alarm(ledger)
    copy = ledger.copy()
    ledger.advance(incident.id, "accepted", "desk")
    assert copy.incidents[incident.id].state == "new"
