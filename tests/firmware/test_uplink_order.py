# mypy: allow-untyped-calls
"""What the uplink sends first, leaves out and has proven, and what it does without memory for a message."""

from types import SimpleNamespace
from typing import Any

import pytest
from fake_net import CONNECT, PINGREQ, PUBLISH, SUBSCRIBE, TOPICS, FakeStream, Heard
from uplink_rig import ADDRESS, Rig

from firmware.uplink import kind

ROOT = b"sos/v1/nko/p-1/"
EVENT, FAULT, STATE = ROOT + b"event", ROOT + b"fault/config", ROOT + b"state"


class Telling(Rig):
    """Up, with what it sends recorded; `prove` as the column gives it."""

    def __init__(self, prove: Any = None) -> None:
        super().__init__(ADDRESS)
        self.telemetry = SimpleNamespace(owes_birth=False)
        self.uplink._topics = {**TOPICS, "prove": prove}
        self.run(1000)
        assert self.uplink.is_up()
        self.streams[-1].heard.clear()

    def told(self) -> list[tuple[bytes, bytes, bool]]:
        return [(one.topic, one.payload, one.retain) for one in self.streams[-1].heard if one.kind == PUBLISH]


class Slow(Rig):
    """The stream takes CONNECT, and then nothing."""

    def dial(self, address: str, port: int, server_name: str | None) -> FakeStream:
        stream = super().dial(address, port, server_name)

        def heard(one: Heard) -> None:
            if one.kind == CONNECT:
                stream.capacity = 0

        stream.on_heard = heard
        return stream


def test_an_alarm_goes_before_everything_that_has_not_begun() -> None:
    """Red when it is queued like the rest: behind a ping, and behind all that a slow link holds up."""
    rig = Slow(ADDRESS).run(6500)  # a subscription has begun, and a ping waits
    rig.incidents.add("a-1")
    rig.run(50)
    stream = rig.streams[-1]
    stream.capacity = None
    rig.run(50)
    assert stream.kinds()[:4] == [CONNECT, SUBSCRIBE, PUBLISH, PINGREQ]


def test_what_is_refused_is_left_out_and_the_rest_goes() -> None:
    rig = Telling()
    rig.uplink.refused = {b"fault": "fault (30 bytes)", b"retained": "retained messages"}
    rig.outbox.retain(FAULT, b"it is so")
    rig.outbox.retain(STATE, b"online")
    rig.outbox.add(EVENT, b"boot")
    rig.run(200)
    assert sorted(rig.told()) == [(EVENT, b"boot", False), (STATE, b"online", False)]


def test_what_the_column_proves_is_sent_proven() -> None:
    asked = []

    def prove(what: bytes, topic: bytes, payload: bytes) -> bytes:
        asked.append((what, topic, payload))
        return payload + b" proven"

    rig = Telling(prove)
    rig.outbox.add(EVENT, b"boot")
    rig.run(200)
    assert asked == [(b"event", EVENT, b"boot")] and rig.told() == [(EVENT, b"boot proven", False)]


def without_memory(*_: Any) -> bytes:
    raise MemoryError


def test_a_message_without_memory_waits_and_ends_nothing() -> None:
    """Red when it is lost, or taken for one that is on its way."""
    rig = Telling(without_memory)
    rig.outbox.add(EVENT, b"boot")
    rig.run(200)
    assert rig.uplink.is_up() and rig.told() == [] and rig.uplink.in_flight == [] and not rig.telemetry.owes_birth
    rig.uplink._topics["prove"] = None
    rig.run(200)
    assert rig.told() == [(EVENT, b"boot", False)]


def test_a_birth_message_without_memory_is_owed() -> None:
    """It is made as it leaves, so there is nothing to put back."""
    rig = Telling()
    birth: Any = without_memory
    rig.outbox.retain(ROOT + b"info", birth)
    rig.run(200)
    assert rig.telemetry.owes_birth is True and rig.uplink.in_flight == [] and rig.told() == []


def test_a_message_that_left_before_the_memory_ended_is_not_sent_twice() -> None:
    rig = Telling()
    session: Any = rig.uplink.session
    publish = session.publish

    def publish_and_run_out(*values: Any) -> None:
        publish(*values)
        raise MemoryError

    session.publish = publish_and_run_out
    rig.streams[-1].answers.remove("puback")
    rig.outbox.add(EVENT, b"boot")
    rig.run(200)
    assert rig.told() == [(EVENT, b"boot", False)] and len(rig.uplink.in_flight) == 1


@pytest.mark.parametrize(
    ("topic", "found"), [(EVENT, b"event"), (FAULT, b"fault"), (STATE, b"state"), (b"elsewhere", b"elsewhere")]
)
def test_the_kind_of_a_topic(topic: bytes, found: bytes) -> None:
    assert kind(topic) == found
