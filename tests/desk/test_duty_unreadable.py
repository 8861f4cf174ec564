"""A register that cannot be read for a moment, and lines that change just then: nothing is lost, only later."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from duty_rig import alarm_of, topic_of
from duty_wire import DEVICE, Wire, said
from ladder_rig import PLAN
from paho.mqtt import client as mqtt
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from common.ports import HOST
from desk import trouble
from desk.duty import RETRY_MS, Duty
from desk.escalation import FAILED, SENT
from desk.ledger import Incident
from desk.line import Line, Login
from desk.mqtt_client import make_client
from desk.register import Register
from desk.rungs import Telling
from desk.telling import OnTold

CALL = alarm_of()["id"]
ANSWER = ("answer", topic_of(DEVICE, "ack"))
START_MS = 4_000_000_000_000
SUCCESS = ReasonCode(PacketTypes.CONNACK, "Success")


class Officers:
    """`fate`: what becomes of a telling: raises, or returns."""

    def __init__(self) -> None:
        self.told: list[tuple[Telling, OnTold]] = []
        self.fate: Callable[[], None] = lambda: None

    def tell(self, telling: Telling, incident: Incident, desk: str, now_ms: int, on_told: OnTold) -> None:
        self.fate()
        self.told.append((telling, on_told))

    def wait(self) -> None: ...


class Desk:
    """A duty that is fed by hand, at the pace of a clock of its own. `hung_up`: which lines, in order."""

    def __init__(self, register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
        self.register, self._patch, self.now_ms = register, monkeypatch, START_MS
        self.wire, self.officers = Wire(register), Officers()
        now_ms = lambda: self.now_ms  # noqa: E731
        self.duty = Duty(register, HOST, 1, now_ms=now_ms, plan=PLAN, officers=self.officers)
        self.wire.join(self.duty)
        self.sent = self.wire.sent
        self.hung_up: list[Line] = []
        monkeypatch.setattr(Line, "hang_up", lambda line: self.hung_up.append(line))

    def says(self, kind: str, mid: int, document: dict[str, Any] | None = None) -> None:
        line = self.duty._calls if kind == "alarm" else self.duty._telemetry
        line.hear(said(kind, mid, document))

    def later(self, looks: int = 1) -> None:
        for _ in range(looks):
            self.now_ms += RETRY_MS
            self.duty.tick()

    def unreadable(self, what: str = "restore", times: int = 1) -> None:
        """That part of the register fails so often, and then does what it always did."""
        left, whole = [times], getattr(Register, what)

        def fails(register: Register, *given: Any, **named: Any) -> Any:
            if left[0]:
                left[0] -= 1
                raise sqlite3.OperationalError("disk I/O error")
            return whole(register, *given, **named)

        self._patch.setattr(Register, what, fails)
        self.duty._stale = what == "restore"
        self.duty._ledger._fetch = self.register.fetch

    def step(self) -> tuple[str, int]:
        """(state, tries) of the officer's step."""
        (row,) = [row for row in self.register.rungs(CALL) if row["tell"] == "duty"]
        return row["state"], row["tries"]


@pytest.fixture
def desk(register: Register, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(register, monkeypatch)


# -- messages


def test_a_call_comes_again_when_the_register_could_not_be_asked_about_it(desk: Desk) -> None:
    """Red where that counts as the message's own fault: it had its receipt, and was in no register."""
    desk.unreadable("fetch")
    desk.says("alarm", 1)
    assert desk.sent == [] and desk.duty.why.code
    assert desk.hung_up == [desk.duty._calls], "so that the broker says it again"
    desk.later()
    desk.says("alarm", 2)
    assert desk.sent == [("receipt", 2), ANSWER]


def test_a_register_that_stays_like_that_does_not_cost_a_connection_a_message(desk: Desk) -> None:
    """Red without the pause: a broker locks out whoever connects ten times a second."""
    desk.unreadable("fetch", times=4)
    for mid in range(4):
        desk.says("alarm", mid)
    assert len(desk.hung_up) == 1
    desk.later()
    assert len(desk.hung_up) == 2 and desk.sent == []


def test_a_damaged_place_in_the_register_keeps_no_other_call_waiting(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """They come again together, that of the damaged place last. Red where the others are lost with it each time, and
    where it is tried for ever: a broker locks out whoever connects once a second."""
    damaged, fetch = alarm_of(seq=9), desk.register.fetch
    calls = [alarm_of(seq=1), alarm_of(seq=2), damaged]

    def fetched(register: Register, incident_id: str) -> Incident | None:
        if incident_id == damaged["id"]:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return fetch(incident_id)

    desk._patch.setattr(Register, "fetch", fetched)
    desk.duty._ledger._fetch = desk.register.fetch
    for connection in range(10):
        if connection == 0 or desk.hung_up:
            desk.hung_up.clear()
            for mid, call in enumerate(calls):
                if ("receipt", mid) not in desk.sent:
                    desk.duty._enter(desk.duty._calls, said("alarm", mid, call))
            desk.duty._write_together()
        desk.later()
        if connection == 1:
            assert [mid for what, mid in desk.sent if what == "receipt"] == [0, 1], "each is written by itself then"
    assert [mid for what, mid in desk.sent if what == "receipt"] == [0, 1, 2] and desk.hung_up == []
    assert desk.sent.count(ANSWER) >= 2 and "a message that cannot be entered" in caplog.text


def test_what_comes_while_nothing_can_be_read_comes_again_as_soon_as_it_can(desk: Desk) -> None:
    """Red where nobody ends the connection then: the broker has said it, and does not again."""
    desk.unreadable(times=2)
    desk.says("alarm", 1)
    desk.later()
    assert desk.sent == [] and desk.hung_up == []
    desk.later()
    assert desk.hung_up == [desk.duty._calls]


# -- answers


def test_an_answer_stays_owed_when_its_receipt_was_lost_with_a_batch(desk: Desk) -> None:
    """Red where it is neither settled nor sent again until the next connection, which may be weeks away."""
    desk.says("alarm", 1)
    desk.duty._answers.on_taken(101)
    desk.unreadable("put_answered")
    desk.later()
    assert desk.duty.why.code and desk.register.unanswered() == [CALL]
    desk.later()
    assert desk.sent.count(ANSWER) == 2
    desk.duty._answers.on_taken(102)
    desk.later()
    assert desk.register.unanswered() == [] and desk.sent.count(ANSWER) == 2


def test_a_call_that_cannot_be_answered_holds_up_no_other(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the others are sent again and again, and what comes after them in a look never."""
    desk.wire.stand(desk.duty, False)
    for mid, seq in enumerate((1, 2, 3)):
        desk.says("alarm", mid, alarm_of(seq=seq))
    answer = Duty._answer

    def refuse(duty: Duty, incident_id: str, registered_ms: int | None) -> None:
        if incident_id == alarm_of(seq=2)["id"]:
            raise KeyError("press")
        answer(duty, incident_id, registered_ms)

    monkeypatch.setattr(Duty, "_answer", refuse)
    desk.sent.clear()
    desk.wire.stand(desk.duty, True)
    for _ in range(3):
        desk.later()
    assert desk.sent.count(ANSWER) == 2


# -- officers


def test_how_a_telling_ended_is_entered_later(desk: Desk) -> None:
    """Red where it is forgotten: the step stays begun, and nobody is told again."""
    desk.says("alarm", 1)
    desk.later(40)
    (told,) = desk.officers.told
    desk.unreadable()
    told[1](told[0], FAILED, "his telephone is off")
    assert desk.step() == ("begun", 1)
    desk.later()
    assert desk.step()[0] == "failed"
    desk.later(60)
    assert desk.step() == ("begun", 2)
    assert [telling.number for telling, _ in desk.officers.told if telling.tell == "duty"] == [1, 2]


def test_an_officer_who_cannot_be_told_now_is_told_later_and_keeps_nobody_waiting(desk: Desk) -> None:
    """Red where the failure leaves with the answers of the same batch, or the step stays begun."""

    def no_thread() -> None:
        raise RuntimeError("can't start new thread")

    desk.says("alarm", 1)
    desk.officers.fate = no_thread
    desk.later(40)
    desk.says("alarm", 2, alarm_of(seq=9))
    assert desk.sent[-2:] == [("receipt", 2), ANSWER]
    desk.officers.fate = lambda: None
    desk.later()
    assert desk.step()[0] == "failed"
    desk.later(60)
    telling, on_told = desk.officers.told[0]
    assert telling.number > 1
    on_told(telling, SENT, "")
    assert desk.step() == ("sent", telling.number)


# -- lines


def test_a_line_that_stands_while_nothing_can_be_read_is_heard_of_later(desk: Desk) -> None:
    """Red where the change is forgotten: no column ever fell silent, until the next outage."""
    desk.duty._telemetry._fall(trouble.GONE)
    assert not desk.duty._listening
    desk.unreadable()
    desk.duty._telemetry._stand()
    assert not desk.duty._listening
    desk.later()
    assert desk.duty._listening


def test_receipts_do_not_outlive_a_connection_that_never_stood(desk: Desk) -> None:
    """Messages come before the subscription is confirmed. Red where nobody hears that such a connection has ended: on
    the next one the number may be another message's."""
    line = desk.duty._telemetry
    line._fall(trouble.GONE)
    line._answered = True
    desk.says("event", 31)
    line._on_disconnect()
    line._stand()
    desk.later()
    assert ("receipt", 31) not in desk.sent


@pytest.mark.parametrize("renews", [False, True])
def test_a_broker_that_ends_it_at_the_subscription_is_in_trouble(renews: bool) -> None:
    """Red where it stays "connecting" for ever, or counts as renewed and therefore as well."""

    def nothing(*_: object) -> None: ...

    changes: list[str] = []
    line = Line(
        *("desk-1", Login(HOST, 1), ["sos/#"], lambda *_: True, nothing, nothing),
        on_change=lambda line: changes.append(line.trouble.code),
    )
    line._trouble = trouble.NONE if renews else trouble.CONNECTING
    line.renews = renews
    line._client.subscribe = lambda *_, **__: (MQTTErrorCode.MQTT_ERR_SUCCESS, 1)  # type: ignore[method-assign]
    line._on_connect(line._client, None, mqtt.ConnectFlags(False), SUCCESS, None)
    line._on_disconnect()
    assert changes == ["gone"] and not line.renews and not line.stands


def test_the_networks_thread_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the loop around paho's: a line whose thread has ended never stands again, and says that it tries."""
    client, runs = make_client("desk"), list[int]()

    def run(*_: Any) -> MQTTErrorCode:
        runs.append(len(runs))
        if len(runs) < 3:
            raise RuntimeError("deque mutated during iteration")
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    monkeypatch.setattr(mqtt.Client, "loop_forever", run)
    monkeypatch.setattr("desk.mqtt_client.time.sleep", lambda seconds: None)
    assert client.loop_forever() == MQTTErrorCode.MQTT_ERR_SUCCESS and len(runs) == 3


def test_what_cannot_be_judged_is_delivered() -> None:
    """Red where the error leaves `admits`: paho does not catch it, and the line's thread would end."""
    client = make_client("desk")

    def fails(*_: object) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    client.admits = fails
    topic = topic_of(DEVICE, "alarm").encode()
    body = bytearray(len(topic).to_bytes(2, "big") + topic + b"\0\7{}")
    assert client._dropped(0x32, body) is None
