"""The order of the duty's steps, one at a time: a desk that is fed by hand, without a broker."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from duty_rig import alarm_of, topic_of
from duty_wire import DEVICE, Wire, said
from paho.mqtt import client as mqtt

from common.ports import HOST
from desk import trouble
from desk.duty import Duty
from desk.hearing import RECEIPTS_MAX
from desk.ledger import LedgerError
from desk.line import Line
from desk.register import Register

INCIDENT = alarm_of()["id"]


@pytest.fixture
def wire(register: Register) -> Wire:
    return Wire(register, INCIDENT)


@pytest.fixture
def duty(register: Register, wire: Wire) -> Duty:
    made = Duty(register, HOST, 1)
    wire.join(made)
    return made


def hear(duty: Duty, kind: str, mid: int, document: dict[str, Any] | None = None) -> None:
    (duty._calls if kind == "alarm" else duty._telemetry).hear(said(kind, mid, document))


def hear_together(duty: Duty, *messages: mqtt.MQTTMessage) -> None:
    """Calls that one read has brought."""
    for message in messages:
        duty._enter(duty._calls, message)
    duty._write_together()


def test_receipts_and_then_the_answer_in_the_order_of_the_messages(duty: Duty, wire: Wire) -> None:
    hear(duty, "event", 1)
    assert wire.sent == []  # nobody waits for it: it is written with the next
    hear(duty, "alarm", 2)
    assert wire.sent == [("receipt", 1), ("receipt", 2), ("answer", topic_of(DEVICE, "ack"))]
    hear(duty, "event", 3)
    duty.tick()
    assert wire.sent[3:] == [("receipt", 3)]


def test_the_broker_is_not_kept_waiting_for_receipts(duty: Duty, wire: Wire) -> None:
    """It sends no more than 20 messages that it has no receipt for, and an alarm may be behind them."""
    for mid in range(RECEIPTS_MAX):
        assert wire.sent == []
        hear(duty, "event", mid)
    assert len(wire.sent) == RECEIPTS_MAX


def test_a_receipt_belongs_to_its_connection(duty: Duty, wire: Wire) -> None:
    """On the next one its number may be another message's, which is not in the register yet."""
    hear(duty, "event", 1)
    wire.stand(duty, False)
    wire.stand(duty, True)
    duty.tick()
    assert wire.sent == []
    hear(duty, "event", 1)
    duty.tick()
    assert wire.sent == [("receipt", 1)]


@pytest.mark.parametrize("first", ["telemetry", "ticker"])
def test_what_is_owed_leaves_whoever_notices_the_connection_first(duty: Duty, wire: Wire, first: str) -> None:
    """A call that came before its line stood is answered as soon as it does, also when the other line, or the ticking
    thread, is a moment ahead of it. Red where one of them takes the answers for given."""
    wire.stand(duty, False)
    hear(duty, "alarm", 1)

    def later(line: Line) -> None:
        if first == "telemetry":
            duty._on_line(duty._telemetry)
        else:
            duty.tick()
        duty._on_line(line)

    duty._calls._on_change = later
    wire.stand(duty, True)
    assert wire.sent == [("receipt", 1), ("answer", topic_of(DEVICE, "ack"))]


def test_what_is_owed_leaves_on_a_connection_that_nobody_saw_fall(duty: Duty, wire: Wire) -> None:
    """The line may stand again before the thread that saw it fall has its turn. Red where the duty remembers that it
    stood, and not which one; and where what could not be read then is not tried again."""
    hear(duty, "alarm", 1)
    duty._calls._on_change = lambda line: None
    duty._calls._fall(trouble.GONE)
    duty._calls._stand()
    wire.sent.clear()
    for _ in range(2):
        duty._on_line(duty._calls)
    assert wire.sent == [("answer", topic_of(DEVICE, "ack"))], "once on each connection"
    duty._calls._fall(trouble.GONE)
    duty._calls._stand()
    duty.tick()
    assert wire.sent == [("answer", topic_of(DEVICE, "ack"))] * 2


def test_an_older_answer_does_not_pay_for_a_newer_one(duty: Duty, register: Register) -> None:
    hear(duty, "alarm", 1)
    duty.accept(INCIDENT, "operator 4")
    first, second = 101, 102
    duty._answers.on_taken(first)
    duty.tick()
    assert register.unanswered() == [INCIDENT]
    duty._answers.on_taken(second)
    duty.tick()
    assert register.unanswered() == []


def test_what_was_not_written_did_not_happen(
    duty: Duty, register: Register, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(duty, "alarm", 1)
    del wire.sent[:]

    def full(*_: Any, **__: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Register, "put_incident", full)
        with pytest.raises(sqlite3.OperationalError):
            duty.accept(INCIDENT, "operator 4")
        duty._failed_ms = 0  # a while later
        hear(duty, "alarm", 2, alarm_of(seq=9))
        assert wire.sent == [] and "disk is full" in duty.trouble
    with pytest.raises(LedgerError, match="the register takes nothing"):
        duty.accept(alarm_of(seq=9)["id"], "operator 4")
    duty.accept(INCIDENT, "operator 5")
    row = register.incident(INCIDENT)
    assert row is not None and row["accepted_by"] == "operator 5" and duty.trouble == ""


def test_without_a_connection_the_answer_is_owed(duty: Duty, register: Register, wire: Wire) -> None:
    hear(duty, "alarm", 1)
    wire.stand(duty, False)
    del wire.sent[:]
    duty.accept(INCIDENT, "operator 4")
    assert wire.sent == [] and register.unanswered() == [INCIDENT]
    wire.stand(duty, True)
    assert wire.sent == [("answer", topic_of(DEVICE, "ack"))]


def test_what_comes_together_is_written_together(
    duty: Duty, wire: Wire, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each writing waits for the disk, and a call waits for all that came before it. Red where each call is written by
    itself, or where receipts leave before the register has all of them."""
    wire._only, written = "", []
    commit = register._commit

    def note() -> None:
        written.append(list(wire.sent))
        commit()

    monkeypatch.setattr(register, "_commit", note)
    hear_together(duty, *(said("alarm", mid, alarm_of(seq=mid)) for mid in range(1, 9)))
    assert written[0] == [] and len(written) <= 2  # the second one: that the answers are evidence
    assert wire.sent == [("receipt", mid) for mid in range(1, 9)] + [("answer", topic_of(DEVICE, "ack"))] * 8


def test_what_cannot_be_written_takes_nothing_else_along(
    duty: Duty, wire: Wire, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what came with it has a receipt, so it comes again, and then each is written by itself. Red where all
    of them are thrown away, which is what becomes of one that is alone."""
    wire._only, gone = "", []
    put = Register.put_incident

    def refuse(self: Register, incident: Any, **options: Any) -> None:
        if incident.id == alarm_of(seq=2)["id"]:
            raise ValueError("it cannot be written")
        put(self, incident, **options)

    monkeypatch.setattr(Register, "put_incident", refuse)
    monkeypatch.setattr(duty._calls, "hang_up", lambda: gone.append("hung up"))
    calls = [said("alarm", mid, alarm_of(seq=mid)) for mid in (1, 2, 3)]
    hear_together(duty, *calls)
    assert wire.sent == [] and gone == ["hung up"]
    hear_together(duty, *calls)
    assert [mid for what, mid in wire.sent if what == "receipt"] == [1, 2, 3] and gone == ["hung up"]
    assert [register.incident(alarm_of(seq=seq)["id"]) is not None for seq in (1, 2, 3)] == [True, False, True]
