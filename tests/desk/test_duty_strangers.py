"""Ids that somebody invents: no number of them keeps a real call out, and none of them costs memory without bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_examples import example, packed
from duty_rig import PureDesk, alarm_of, row_of, topic_of
from duty_wire import Wire
from paho.mqtt import client as mqtt

from common.ports import HOST
from desk import duty as duty_module
from desk import limits
from desk.duty import Duty
from desk.register import Register

REAL = "real-01"
INVENTED = 100_000
HOUR_MS = 3_600_000
BEAT = packed(example("heartbeat")[1])


def test_a_new_columns_call_is_answered_after_a_hundred_thousand_invented_ones() -> None:
    desk = PureDesk("desk")
    for number in range(INVENTED):
        desk.take(topic_of(f"x-{number}", "heartbeat"), BEAT, number)
    assert len(desk.ledger.columns) == limits.COLUMNS_MAX
    (answer,) = desk.take(topic_of(REAL, "alarm"), alarm_of(REAL), INVENTED)
    assert answer["state"] == "received" and answer["id"] == alarm_of(REAL)["id"]
    assert len(desk.ledger.columns) == limits.COLUMNS_MAX and REAL not in desk.ledger.columns


def test_a_column_of_which_nothing_was_heard_for_long_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COLUMNS_MAX", 3)
    desk = PureDesk("desk")
    for number in range(3):
        desk.take(topic_of(f"x-{number}", "heartbeat"), BEAT, number)
    desk.take(topic_of("x-0", "alarm"), alarm_of("x-0"), 10)
    desk.take(topic_of("x-1", "heartbeat"), BEAT, HOUR_MS)
    desk.take(topic_of(REAL, "heartbeat"), BEAT, HOUR_MS)
    assert REAL not in desk.ledger.columns  # the control: nothing is forgotten that was heard of late
    desk.take(topic_of(REAL, "heartbeat"), BEAT, HOUR_MS + 5_000)
    assert set(desk.ledger.columns) == {"x-0", "x-1", REAL}  # the one that waits for help stays


def test_a_further_call_of_a_column_with_too_many_gets_in_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OPEN_MAX", 3)
    desk, (burst, per_second) = PureDesk("desk"), limits.OPEN_MORE
    topic = topic_of(REAL, "alarm")
    for number in range(3 + burst):
        assert desk.take(topic, alarm_of(REAL, seq=number), number)
    assert desk.take(topic, alarm_of(REAL, seq=99), 1000) == [] and "come in slowly" in desk.refused[0]
    assert desk.take(topic, alarm_of(REAL, seq=99), 1000 + round(1000 / per_second))


# With a register: what is not in memory is as good


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    with Register(tmp_path / "register.db") as opened:
        opened._db.execute("PRAGMA synchronous = OFF")
        yield opened


@pytest.fixture
def wire(register: Register) -> Wire:
    return Wire(register)


@pytest.fixture
def duty(register: Register, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Duty:
    monkeypatch.setattr(duty_module, "INCIDENTS_IN_MEMORY", 50)
    monkeypatch.setattr("desk.register.INCIDENTS_IN_MEMORY", 50)
    made = Duty(register, HOST, 1)
    wire.join(made)
    return made


def hear(duty: Duty, device_id: str, **changes: Any) -> str:
    alarm = alarm_of(device_id, **changes)
    message = mqtt.MQTTMessage(1, topic_of(device_id, "alarm").encode())
    message.qos, message.payload = 1, packed(alarm)
    duty._calls.hear(message)
    return str(alarm["id"])


def test_an_incident_that_is_not_in_memory_is_the_same_one(duty: Duty, register: Register, wire: Wire) -> None:
    first = hear(duty, REAL)
    duty.accept(first, "operator 4")
    for number in range(200):
        hear(duty, f"x-{number}")
    assert len(duty._ledger.incidents) == 50 and first not in duty._ledger.incidents
    assert len(wire.sent) == 2 * 201 + 1  # a receipt and an answer each
    hear(duty, REAL)  # it says it again
    row = row_of(register, first)
    assert (row["state"], row["accepted_by"], row["transmissions"]) == ("accepted", "operator 4", 2)
    for number in range(200, 260):
        hear(duty, f"x-{number}")
    duty.close(first, "false", "operator 5")
    assert row_of(register, first)["outcome"] == "false"
    hear(duty, REAL, press=2)
    assert row_of(register, first)["reopened"] == 1


def test_a_desk_that_starts_again_has_the_newest_in_memory_and_all_in_reach(duty: Duty, register: Register) -> None:
    first = hear(duty, REAL)
    for number in range(60):
        hear(duty, f"x-{number}")
    ledger = register.restore()
    assert len(ledger.incidents) == 50 and first not in ledger.incidents
    found = ledger.find(first)
    assert found is not None and found.state == "received" and ledger.find("nobody-1-1") is None
