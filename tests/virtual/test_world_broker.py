"""The scripted broker: strict with what comes in, treacherous on request."""

from typing import Any

import pytest
from world_probe import Probe

from sim.virtual import mqtt_wire as wire
from sim.virtual.broker import BrokerFault
from sim.virtual.malformed import BIG_BYTES, SCRIPTS
from sim.virtual.mqtt_wire import Publish


def connect(client: bytes = b"c", keepalive_s: int = 0, will: bytes = b"", flags: int = 2) -> bytes:
    flags |= 0x2C if will else 0  # will, QoS 1, retained
    body = b"\0\4MQTT\4" + bytes([flags]) + keepalive_s.to_bytes(2, "big") + len(client).to_bytes(2, "big") + client
    if will:
        body += b"\0\6c/will" + len(will).to_bytes(2, "big") + will
    return wire.packet(wire.CONNECT, body)


def publish(
    topic: str = "c/x", payload: bytes = b"hello", qos: int = 1, packet_id: int = 7, retain: bool = False
) -> bytes:
    return wire.publish(Publish(topic, payload, qos, retain, packet_id=packet_id))


ACCEPTED = wire.connack(0, False)
PUBACK_7 = wire.with_id(wire.PUBACK, 7)


class Client(Probe):
    """A probe with an accepted session."""

    def __init__(self, **connect_as: Any) -> None:
        super().__init__()
        self.stream = self.connected()
        assert self.exchange(self.stream, connect(**connect_as)) == ACCEPTED

    def send(self, data: bytes, limit_ms: int = 1_000) -> bytes | None:
        return self.exchange(self.stream, data, limit_ms)


VIOLATIONS = {
    "packet id 0": publish(packet_id=0),
    "QoS 3": wire.packet(wire.PUBLISH, b"\0\1x\0\1y", flags=6),
    "QoS 2": publish(qos=2),
    "not UTF-8": wire.packet(wire.PUBLISH, b"\0\2\xc3\x28\0\1y", flags=2),
    "empty topic": wire.packet(wire.PUBLISH, b"\0\0\0\1y", flags=2),
    "wildcard": publish(topic="a/#"),
    "null character": publish(topic="a\0b"),
    "shorter than its fields": wire.packet(wire.PUBLISH, b"\0\x30x", flags=2),
    "DUP on QoS 0": wire.packet(wire.PUBLISH, b"\0\1xy", flags=8),
    "out of order": connect(),
    "type 2 from a client": ACCEPTED,
    "flags 0x0 on packet type 8": wire.packet(wire.SUBSCRIBE, b"\0\1\0\1x\1"),
    "without a filter": wire.packet(wire.SUBSCRIBE, b"\0\1", flags=2),
    "with QoS 3": wire.packet(wire.SUBSCRIBE, b"\0\1\0\1x\3", flags=2),
    "behind a packet's last field": wire.packet(wire.PUBACK, b"\0\1\0"),
    "more than 4 bytes": b"\x30\xff\xff\xff\xff\x01",
}


@pytest.mark.parametrize("complaint", VIOLATIONS)
def test_a_protocol_violation_is_recorded_and_ends_the_connection(complaint: str) -> None:
    client = Client()
    assert client.send(VIOLATIONS[complaint]) == b""
    assert len(client.broker.violations) == 1 and complaint in client.broker.violations[0]


@pytest.mark.parametrize(
    ("complaint", "first"),
    [
        ("CONNECT comes first", publish()),
        ("protocol name", wire.packet(wire.CONNECT, b"\0\4MQIS\4\2\0\0\0\1c")),
        ("protocol level 5", wire.packet(wire.CONNECT, b"\0\4MQTT\5\2\0\0\0\1c")),
        ("reserved connect flag", connect(flags=3)),
        ("empty client id", connect(client=b"", flags=0)),
        ("will flags without", connect(flags=0x22)),
        ("password without", connect(flags=0x42)),
    ],
)
def test_a_bad_first_packet(complaint: str, first: bytes) -> None:
    probe = Probe()
    assert probe.exchange(probe.connected(), first) == b""
    assert complaint in probe.broker.violations[0]


def test_publishing_before_connack_is_a_violation() -> None:
    probe = Probe()
    probe.broker.start(BrokerFault.NO_CONNACK)
    assert probe.exchange(probe.connected(), connect() + publish()) == b""
    assert "before CONNACK" in probe.broker.violations[0]


def test_an_honest_exchange_has_no_violations() -> None:
    client = Client()
    got: list[Publish] = []
    client.broker.subscribe("c/#", got.append)
    assert client.send(publish()) == PUBACK_7
    assert client.send(wire.packet(wire.PINGREQ)) == wire.packet(wire.PINGRESP)
    assert client.send(wire.packet(wire.SUBSCRIBE, b"\0\x09\0\5c/ack\1", flags=2)) == wire.with_id(
        wire.SUBACK, 9, b"\1"
    )
    client.broker.publish(Publish("c/ack", b"yes", 1, False))
    assert client.read(client.stream) == publish("c/ack", b"yes", packet_id=1)
    assert client.send(wire.packet(wire.DISCONNECT)) == b""
    assert [message.payload for message in got] == [b"hello", b"yes"]
    assert client.broker.violations == []


def test_packets_in_pieces_and_several_in_one_piece() -> None:
    client = Client()
    for byte in publish()[:-1]:
        client.stream.write(bytes([byte]))
    assert client.send(publish()[-1:]) == PUBACK_7
    client.stream.write(publish() + publish())
    client.board.wait(1_000)
    client.board.wait(100)
    buffer = bytearray(99)
    assert client.stream.read_into(buffer) in (4, 8)


@pytest.mark.parametrize("code", [1, 5])
def test_connack_refused(code: int) -> None:
    probe = Probe()
    probe.broker.start(BrokerFault.CONNACK_REFUSED, code)
    stream = probe.connected()
    assert probe.exchange(stream, connect()) == wire.connack(code, False)
    assert probe.read(stream) == b""


def test_no_connack_and_session_present() -> None:
    probe = Probe()
    probe.broker.start(BrokerFault.NO_CONNACK)
    assert probe.exchange(probe.connected(), connect(), limit_ms=60_000) is None
    probe.broker.stop(BrokerFault.NO_CONNACK)
    probe.broker.start(BrokerFault.SESSION_PRESENT)
    assert probe.exchange(probe.connected(), connect()) == wire.connack(0, True)


def test_pubacks_lost_late_doubled_and_foreign() -> None:
    client = Client()
    client.broker.start(BrokerFault.LOSE_PUBACK)
    assert client.send(publish(), limit_ms=60_000) is None
    client.broker.stop(BrokerFault.LOSE_PUBACK)

    client.broker.start(BrokerFault.LATE_PUBACK, 5_000)
    before_us = client.timeline.now_us
    assert client.send(publish(), limit_ms=10_000) == PUBACK_7
    assert client.timeline.now_us - before_us >= 5_000_000
    client.broker.stop(BrokerFault.LATE_PUBACK)

    client.broker.start(BrokerFault.DUPLICATE_PUBACK)
    client.stream.write(publish())
    client.board.wait(100)
    client.timeline.advance_to(client.timeline.now_us + 100_000)
    assert client.read(client.stream) == PUBACK_7 * 2
    client.broker.stop(BrokerFault.DUPLICATE_PUBACK)

    client.broker.start(BrokerFault.FOREIGN_PUBACK)
    client.stream.write(publish())
    client.timeline.advance_to(client.timeline.now_us + 100_000)
    both = client.read(client.stream) or b""
    assert both[4:] == PUBACK_7 and both[:4] != PUBACK_7


def test_deny_alarm_acknowledges_what_it_throws_away() -> None:
    client = Client()
    got: list[Publish] = []
    client.broker.subscribe("#", got.append)
    client.broker.start(BrokerFault.DENY_ALARM)
    assert client.send(publish("sos/v1/nko/c/alarm")) == PUBACK_7
    assert client.send(publish("sos/v1/nko/c/event")) == PUBACK_7
    assert [message.topic for message in got] == ["sos/v1/nko/c/event"]


def test_a_frozen_broker_goes_on_where_it_stood() -> None:
    client = Client()
    client.broker.start(BrokerFault.FREEZE)
    assert client.send(publish(), limit_ms=60_000) is None
    client.broker.stop(BrokerFault.FREEZE)
    assert client.read(client.stream) == PUBACK_7


def test_a_broker_that_goes_down_resets_its_connections() -> None:
    client = Client()
    client.broker.start(BrokerFault.DOWN)
    with pytest.raises(OSError):
        client.read(client.stream)
    with pytest.raises(OSError):
        client.connected()
    client.broker.stop(BrokerFault.DOWN)
    client.connected()


def test_the_last_will_follows_a_dead_connection_and_not_a_goodbye() -> None:
    client = Client(will=b"offline")
    client.stream.close()
    client.board.wait(100)
    assert client.broker.retained["c/will"].payload == b"offline"

    client = Client(will=b"offline")
    client.send(wire.packet(wire.DISCONNECT))
    client.stream.close()
    client.board.wait(100)
    assert client.broker.retained == {}


def test_silence_beyond_one_and_a_half_keepalives_is_death() -> None:
    client = Client(will=b"offline", keepalive_s=10)
    client.board.wait(14_000)
    assert client.send(wire.packet(wire.PINGREQ)) == wire.packet(wire.PINGRESP)
    client.timeline.advance_to(client.timeline.now_us + 14_500_000)
    assert client.broker.retained == {} and client.broker.connected() == ["c"]
    client.timeline.advance_to(client.timeline.now_us + 1_000_000)
    assert "c/will" in client.broker.retained and client.broker.connected() == []


def test_the_same_client_id_takes_the_session_over() -> None:
    client = Client()
    second = client.connected()
    assert client.exchange(second, connect()) == ACCEPTED
    assert client.read(client.stream) == b""
    client.broker.takeover()
    assert client.read(second) == b""


def test_retained_messages_reach_later_subscribers_until_cleared() -> None:
    client = Client()
    client.send(publish("c/state", b"online", retain=True))
    reply = client.send(wire.packet(wire.SUBSCRIBE, b"\0\1\0\3c/+\1", flags=2)) or b""
    reply += client.read(client.stream) or b"" if len(reply) < 10 else b""
    assert reply == wire.with_id(wire.SUBACK, 1, b"\1") + publish("c/state", b"online", packet_id=1, retain=True)
    client.broker.publish(Publish("c/state", b"", 1, True))
    assert client.broker.retained == {}


def test_faults_of_subscriptions_and_pings() -> None:
    client = Client()
    subscribe = wire.packet(wire.SUBSCRIBE, b"\0\1\0\3c/+\1", flags=2)
    client.broker.start(BrokerFault.REFUSE_SUBSCRIBE)
    assert client.send(subscribe) == wire.with_id(wire.SUBACK, 1, b"\x80")
    client.broker.start(BrokerFault.NO_SUBACK)
    assert client.send(subscribe) is None
    client.broker.start(BrokerFault.NO_PINGRESP)
    assert client.send(wire.packet(wire.PINGREQ)) is None


SUBSCRIBE = wire.packet(wire.SUBSCRIBE, b"\0\1\0\3c/+\1", flags=2)


@pytest.mark.parametrize(
    ("fault", "packet"),
    [
        (BrokerFault.ENDS_AT_SUBSCRIBE, SUBSCRIBE),
        (BrokerFault.ENDS_AT_TELEMETRY, publish("c/event", b"x", packet_id=1)),
        (BrokerFault.ENDS_AT_RETAINED, publish("c/state", b"x", packet_id=1, retain=True)),
        (BrokerFault.ENDS_AT_LARGE, publish("c/info", bytes(601), packet_id=1)),
    ],
)
@pytest.mark.parametrize("goodbye", [False, True])
def test_a_broker_ends_the_session_at_what_it_does_not_take(fault: BrokerFault, packet: bytes, goodbye: bool) -> None:
    client = Client()
    client.broker.start(fault)
    if goodbye:
        client.broker.start(BrokerFault.SAYS_GOODBYE)
    said = client.send(packet)
    assert said == (wire.packet(wire.DISCONNECT) if goodbye else b"") and client.broker.connected() == []
    client.broker.stop(fault)
    assert client.exchange(client.connected(), connect()) == ACCEPTED


def test_what_a_broker_takes_goes_on_as_ever() -> None:
    client = Client()
    for fault in (BrokerFault.ENDS_AT_TELEMETRY, BrokerFault.ENDS_AT_RETAINED, BrokerFault.ENDS_AT_LARGE):
        client.broker.start(fault)
    assert client.send(publish("c/alarm", bytes(900), packet_id=7)) == wire.with_id(wire.PUBACK, 7)
    client.broker.start(BrokerFault.GRANTS_QOS_0)
    assert client.send(SUBSCRIBE) == wire.with_id(wire.SUBACK, 1, b"\0")


def test_fifteen_connections_in_a_minute_are_flapping() -> None:
    client = Client()
    client.broker.start(BrokerFault.BANS_FLAPPING)
    codes = []
    for _ in range(16):
        stream = client.connected()
        answer = client.exchange(stream, connect())
        codes.append(answer[3] if answer else None)
        stream.close()
    assert codes == [0] * 14 + [5, 5]
    client.broker.stop(BrokerFault.BANS_FLAPPING)
    assert client.exchange(client.connected(), connect()) == ACCEPTED


@pytest.mark.parametrize("script", SCRIPTS)
def test_hostile_bytes_arrive_as_they_are(script: str) -> None:
    client = Client()
    client.broker.hostile(script)
    got = bytearray()
    while piece := client.read(client.stream, limit_ms=200):
        got += piece
    assert got == SCRIPTS[script]


def test_the_big_one_is_big() -> None:
    assert len(SCRIPTS["big-publish"]) > BIG_BYTES


@pytest.mark.parametrize(
    ("topic_filter", "topic", "wanted"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/b/c", "a/b", False),
        ("a", "a/b", False),
        ("#", "a", True),
    ],
)
def test_topic_filters(topic_filter: str, topic: str, wanted: bool) -> None:
    assert wire.matches(topic_filter, topic) is wanted
