# mypy: allow-untyped-calls
"""The console's `access` over a scripted broker: what it hears, and that it leaves the session as it was."""

import json
from typing import Any

import column_rig
import pytest
from column_rig import ROOT, TRESPASS, Rig
from console_rig import TypingBoard, merged, said, typed
from fake_net import PUBLISH, SUBSCRIBE, Heard, publish

from sim.virtual.mqtt_wire import matches

UNSUBSCRIBE = 0xA0
OWN, FOREIGN, STATES = ROOT + "ack", ROOT[:-1] + "-x/ack", "sos/v1/+/+/state"
TEST_MS = 8000


@pytest.fixture(autouse=True)
def typing_board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_rig, "FakeBoard", TypingBoard)


class Broker:
    """Takes everything and acknowledges it; delivers what is in `readable` of what is in `writable`."""

    def __init__(self, rig: Rig, readable: tuple[str, ...] = (OWN, ROOT + "cmd"), writable: tuple[str, ...] = ()):
        self.rig, self.readable, self.writable = rig, readable, writable
        self.stream = rig.streams[-1]
        self.subscribed = [OWN, ROOT + "cmd"]
        self.retained = {ROOT + "state": b"{}", "sos/v1/nko/other/state": b"{}"}
        self.heard: list[Heard] = []
        self._then = self.stream.on_heard
        self.stream.on_heard = self._heard

    def _heard(self, one: Heard) -> None:
        self._then(one)
        self.heard.append(one)
        if one.kind == PUBLISH and one.topic.decode() in self.writable:
            self.deliver(one.topic.decode(), one.payload)
        elif one.kind == SUBSCRIBE:
            wanted = one.topic.decode()
            self.subscribed.append(wanted)
            for topic, payload in self.retained.items():
                if matches(wanted, topic):
                    self.deliver(topic, payload)

    def deliver(self, topic: str, payload: bytes) -> None:
        may = any(matches(one, topic) for one in self.readable)
        if may and any(matches(one, topic) for one in self.subscribed):
            self.stream.send(publish(topic.encode(), payload))

    def sent(self, kind: int) -> list[Heard]:
        return [one for one in self.heard if one.kind == kind]


EVERYTHING = ("#",)


@pytest.mark.parametrize(
    ("readable", "writable", "wanted"),
    [
        ((OWN,), (), {"own_ack": False, "states": 0, "foreign": False}),
        (EVERYTHING, (OWN, FOREIGN), {"own_ack": True, "states": 2, "foreign": True}),
        (EVERYTHING, (), {"own_ack": False, "states": 2, "foreign": False}),
        ((OWN,), (OWN, FOREIGN), {"own_ack": True, "states": 0, "foreign": False}),
        ((OWN, FOREIGN), (FOREIGN,), {"own_ack": False, "states": 0, "foreign": True}),
        ((OWN, ROOT + "state"), (), {"own_ack": False, "states": 1, "foreign": False}),
    ],
)
def test_every_hole_is_told_apart(readable: tuple[str, ...], writable: tuple[str, ...], wanted: dict[str, Any]) -> None:
    rig = Rig().up()
    Broker(rig, readable, writable)
    answer = merged(typed(rig, b"access\n", TEST_MS))
    assert answer["ok"] is True and answer["access"] == wanted


def test_what_it_sends_is_harmless_and_taken_back() -> None:
    rig = Rig().up()
    broker = Broker(rig)
    handler = rig.column.uplink.session.on_message
    typed(rig, b"access\n", TEST_MS)
    tried = [one for one in broker.sent(PUBLISH) if TRESPASS in one.payload]
    assert [(one.topic.decode(), one.qos, one.retain) for one in tried] == [(OWN, 0, False), (FOREIGN, 0, False)]
    body = json.loads(tried[0].payload)
    assert body["id"] == f"petropavl-01-{column_rig.BOOT}-0" and body["state"] == "received"
    assert [one.topic.decode() for one in broker.sent(SUBSCRIBE)] == [STATES, FOREIGN]
    (taken_back,) = unsubscribed(rig)
    assert STATES.encode() in taken_back and FOREIGN.encode() in taken_back
    assert rig.column.uplink.session.on_message == handler and len(rig.streams) == 1
    assert rig.column.faults.ids() == ["clock-unset"] and rig.events("ack-refused") == []


def unsubscribed(rig: Rig) -> list[bytes]:
    """Of all streams."""
    return [write for stream in rig.streams for write in stream.writes if write[0] & 0xF0 == UNSUBSCRIBE]


def test_an_unsuback_is_no_news() -> None:
    rig = Rig().up()
    Broker(rig)
    typed(rig, b"access\n", TEST_MS)
    rig.streams[-1].send(b"\xb0\x02\x00\x09")
    rig.run(500)
    assert rig.column.uplink.is_up() and len(rig.streams) == 1


def test_a_refused_subscription_is_no_fault() -> None:
    """A broker may say at once that it will not; `not-subscribed` is about our own two topics."""
    rig = Rig().up()
    broker = Broker(rig)
    broker.stream.answers.remove("suback")
    then = broker.stream.on_heard

    def refuses(one: Heard) -> None:
        then(one)
        if one.kind == SUBSCRIBE:
            broker.stream.send(bytes((0x90, 3, one.pid >> 8, one.pid & 0xFF, 0x80)))

    broker.stream.on_heard = refuses
    answer = merged(typed(rig, b"access\n", TEST_MS))
    assert answer["access"] == {"own_ack": False, "states": 0, "foreign": False}
    assert rig.column.uplink.unheard() == b"" and rig.column.faults.ids() == ["clock-unset"]


def test_a_broker_that_grants_nothing_is_waited_for_only_so_long() -> None:
    rig = Rig().up()
    Broker(rig).stream.answers.remove("suback")
    assert merged(typed(rig, b"access\n", TEST_MS))["access"] == {"own_ack": False, "states": 0, "foreign": False}


def test_commands_and_answers_arrive_meanwhile() -> None:
    rig = Rig().up()
    Broker(rig)
    typed(rig, b"access\n", 300)
    rig.send("cmd", b"not json")
    assert rig.events("command-refused")
    rig.run(TEST_MS)
    assert said(rig)[-1]["ok"] is True


def test_an_alarm_ends_it_at_once_and_goes_its_way() -> None:
    rig = Rig().up()
    Broker(rig)
    typed(rig, b"access\n", 300)
    ident = rig.press()
    rig.run(300)
    assert "an alarm is open" in said(rig)[-1]["error"] and len(unsubscribed(rig)) == 1
    assert [one["id"] for one in rig.said("alarm")] == [ident] and len(rig.streams) == 1
    rig.answer(ident, "received")
    assert rig.lamp() == "answered"
    assert "an alarm is open" in typed(rig, b"access\n")[-1]["error"], "nor is it begun then"


def test_a_further_command_leaves_nothing_behind() -> None:
    """Red without the `finally`: the session would still listen to other columns."""
    rig = Rig().up()
    Broker(rig)
    handler = rig.column.uplink.session.on_message
    typed(rig, b"access\n", 300)
    assert rig.column.uplink.session.on_message != handler
    lines = typed(rig, b"help\n")
    assert lines[0]["error"] == "another command came" and len(unsubscribed(rig)) == 1
    assert rig.column.uplink.session.on_message == handler


def test_no_memory_to_take_it_back_drops_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    def starved(*_: Any) -> Any:
        raise MemoryError

    rig = Rig().up()
    Broker(rig)
    typed(rig, b"access\n", 300)
    monkeypatch.setattr(rig.column.uplink.session, "next_id", starved)
    typed(rig, b"help\n", 100)
    assert not rig.column.uplink.is_up() and rig.streams[0].closed
    monkeypatch.undo()
    rig.run(10_000)
    assert rig.column.uplink.is_up() and len(rig.streams) == 2


def test_a_session_that_ends_meanwhile_is_told() -> None:
    rig = Rig().up()
    broker = Broker(rig)
    typed(rig, b"access\n", 300)
    broker.stream.peer_closed = True
    rig.run(5000)
    assert "the session ended" in said(rig)[-1]["error"] or "no session" in said(rig)[-1]["error"]
    assert unsubscribed(rig) == [] and rig.column.uplink.is_up()


def test_without_a_session_it_says_so() -> None:
    rig = Rig().up()
    rig.board.link.up = False
    assert "no session" in typed(rig, b"access\n")[-1]["error"]
