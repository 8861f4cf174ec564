"""What the desk's client reads: whole packets, however they arrive, and of what is not admitted nothing but its id."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Iterator

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

from desk.mqtt_client import Client, make_client
from sim.servers.thief import packet, publish, text

FLOOD, CALL = "sos/v1/nko/hostile-01/alarm", "sos/v1/nko/petropavl-01/alarm"
QOS2 = 0x34


class Peer:
    """The broker's end of a connection, and what the client delivers. `asked`: what it asked about."""

    def __init__(self) -> None:
        self.end, ours = socket.socketpair()
        ours.setblocking(False)
        self.end.setblocking(False)
        self.client: Client = make_client("desk")
        self.client._sock = ours
        self.delivered: list[tuple[str, bytes, int]] = []
        self.asked: list[str] = []
        self.lulls: list[int] = []
        """How much had been delivered each time that no more was at hand."""
        self.client.on_message = lambda client, data, message: self.hear(message)
        self.client.admits = self.admits
        self.client.on_lull = lambda: self.lulls.append(len(self.delivered))

    def hear(self, message: MQTTMessage) -> None:
        self.delivered.append((message.topic, bytes(message.payload), message.mid))

    def admits(self, topic: str, payload: bytes, qos: int) -> bool:
        self.asked.append(topic)
        return topic != FLOOD

    def read(self, data: bytes) -> MQTTErrorCode:
        self.end.sendall(data)
        return self.client.loop_read()

    def said(self) -> bytes:
        try:
            return self.end.recv(65_536)
        except BlockingIOError:
            return b""


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.end.close()
    made.client._sock_close()


def traffic() -> bytes:
    """Two floods, one of QoS 1 and one of QoS 0, and a call in each; one of the payloads is long."""
    parts = [publish(FLOOD, b"x" * 300, number, 1) for number in range(3)]
    parts += [publish(CALL, b"help", 40, 1), publish(FLOOD, b"x", 0, 0), publish(CALL, b"h" * 20_000, 0, 0)]
    return b"".join([*parts, publish(FLOOD, b"", 9, 1)])


CALLS = [(CALL, b"help", 41), (CALL, b"h" * 20_000, 0)]
RECEIPTS = b"".join(b"\x40\x02" + struct.pack("!H", mid) for mid in (1, 2, 3, 10))


def test_what_is_too_much_gets_its_receipt_in_one_piece_and_nothing_else(peer: Peer) -> None:
    """Red where a dropped message has no receipt (the broker stops at its 20th), or is asked about twice (a bucket
    that counts it twice is empty too soon)."""
    assert peer.read(traffic()) == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert peer.delivered == CALLS
    assert peer.said() == RECEIPTS  # and none for the call: that one is given when it is in the register
    assert peer.lulls == [2]
    assert peer.asked == [FLOOD] * 3 + [CALL, FLOOD, CALL, FLOOD]


def test_packets_arrive_in_any_pieces(peer: Peer) -> None:
    """Red where the rest of a packet is lost between two reads, or a length that is cut in half is believed."""
    dice, data, said = random.Random(12), traffic(), b""
    while data:
        size = dice.choice((1, 1, 2, 3, 500))
        assert peer.read(data[:size]) == MQTTErrorCode.MQTT_ERR_SUCCESS
        data, said = data[size:], said + peer.said()
    assert (peer.delivered, said) == (CALLS, RECEIPTS)


def test_half_a_packet_of_one_connection_is_not_the_beginning_of_the_next(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where `reconnect` keeps what was not whole."""
    monkeypatch.setattr("paho.mqtt.client.Client.reconnect", lambda self: MQTTErrorCode.MQTT_ERR_SUCCESS)
    peer.read(publish(CALL, b"help", 1, 1)[:-2])
    peer.client.reconnect()
    peer.read(publish(CALL, b"again", 2, 1))
    assert peer.delivered == [(CALL, b"again", 3)]


@pytest.mark.parametrize("wrong", [b"\x30\xff\xff\xff\xff\x01", packet(0x30, b"\x00\x09abc"), packet(0xF0, b"")])
def test_what_is_no_packet_ends_the_connection_and_what_came_before_it_counts(peer: Peer, wrong: bytes) -> None:
    gone: list[object] = []
    peer.client.on_disconnect = lambda *arguments: gone.append(arguments)
    assert peer.read(publish(CALL, b"help", 1, 1) + wrong) > 0
    assert peer.delivered == [(CALL, b"help", 2)] and len(gone) == 1 and peer.client.socket() is None


def test_the_last_words_of_a_connection_are_heard_and_its_end_is_told_once(peer: Peer) -> None:
    gone: list[object] = []
    peer.client.on_disconnect = lambda *arguments: gone.append(arguments)
    peer.end.sendall(publish(CALL, b"help", 1, 1))
    peer.end.shutdown(socket.SHUT_WR)
    assert peer.client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
    assert peer.delivered == [(CALL, b"help", 2)] and len(gone) == 1


def test_what_no_subscription_brings_is_left_to_paho(peer: Peer) -> None:
    """QoS 2, and a topic that is no text: neither is asked about."""
    peer.read(packet(QOS2, text(FLOOD.encode()) + b"\x00\x07x") + packet(0x30, text(b"\xff\xfe") + b"x"))
    assert peer.asked == [] and peer.said() == b"\x50\x02\x00\x07"
