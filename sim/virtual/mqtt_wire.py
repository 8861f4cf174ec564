"""MQTT 3.1.1 on the wire, as strict as the specification: what breaks it raises ProtocolError, which says how."""

from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, PINGREQ, PINGRESP, DISCONNECT = 10, 12, 13, 14
FROM_CLIENT = (CONNECT, PUBLISH, PUBACK, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT)
FIXED_FLAGS = {SUBSCRIBE: 2, UNSUBSCRIBE: 2}
MAX_LENGTH_BYTES = 4


class ProtocolError(Exception):
    """The client broke the protocol; the text says how, with the section of the specification."""


class Packet(NamedTuple):
    kind: int
    flags: int
    body: bytes


class Connect(NamedTuple):
    client_id: str
    clean: bool
    keepalive_s: int
    will: "Publish | None"
    user: str | None
    password: bytes | None


class Publish(NamedTuple):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool = False
    packet_id: int = 0


def take(buffer: bytearray) -> Packet | None:
    """Take the first whole packet off `buffer`; None while it is not all there."""
    length = shift = 0
    for position in range(1, 1 + MAX_LENGTH_BYTES):
        if position >= len(buffer):
            return None
        length |= (buffer[position] & 0x7F) << shift
        shift += 7
        if not buffer[position] & 0x80:
            break
    else:
        raise ProtocolError("remaining length of more than 4 bytes [2.2.3]")
    end = position + 1 + length
    if len(buffer) < end:
        return None
    packet = Packet(buffer[0] >> 4, buffer[0] & 0x0F, bytes(buffer[position + 1 : end]))
    del buffer[:end]
    if packet.kind not in FROM_CLIENT:
        raise ProtocolError(f"packet type {packet.kind} from a client [2.2.1]")
    if packet.kind != PUBLISH and packet.flags != FIXED_FLAGS.get(packet.kind, 0):
        raise ProtocolError(f"flags {packet.flags:#x} on packet type {packet.kind} [2.2.2]")
    return packet


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.position : self.position + count]
        if len(piece) < count:
            raise ProtocolError("a packet shorter than its fields")
        self.position += count
        return piece

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def blob(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        try:
            text = self.blob().decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(f"a string that is not UTF-8: {error.reason} [1.5.3]") from None
        if "\0" in text:
            raise ProtocolError("a string with a null character [1.5.3]")
        return text

    def packet_id(self) -> int:
        number = self.number(2)
        if number == 0:
            raise ProtocolError("packet id 0 [2.3.1]")
        return number

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.position)

    def end(self) -> None:
        if self.position != len(self.data):
            raise ProtocolError("bytes behind a packet's last field")


def read_connect(body: bytes) -> Connect:
    reader = _Reader(body)
    if (name := reader.text()) != "MQTT":
        raise ProtocolError(f"protocol name {name!r} [3.1.2.1]")
    if (level := reader.number(1)) != 4:
        raise ProtocolError(f"protocol level {level} [3.1.2.2]")
    flags = reader.number(1)
    if flags & 1:
        raise ProtocolError("reserved connect flag set [3.1.2.3]")
    keepalive_s = reader.number(2)
    client_id = reader.text()
    clean = bool(flags & 2)
    if not client_id and not clean:
        raise ProtocolError("empty client id without a clean session [3.1.3.1]")
    will = None
    will_qos = flags >> 3 & 3
    if flags & 4:
        if will_qos == 3:
            raise ProtocolError("will with QoS 3 [3.1.2.6]")
        will = Publish(_topic(reader.text()), reader.blob(), will_qos, bool(flags & 0x20))
    elif flags & 0x38:
        raise ProtocolError("will flags without a will [3.1.2.6]")
    if flags & 0x40 and not flags & 0x80:
        raise ProtocolError("password without a user name [3.1.2.9]")
    user = reader.text() if flags & 0x80 else None
    password = reader.blob() if flags & 0x40 else None
    reader.end()
    return Connect(client_id, clean, keepalive_s, will, user, password)


def _topic(topic: str) -> str:
    if not topic:
        raise ProtocolError("empty topic [4.7.3]")
    if "+" in topic or "#" in topic:
        raise ProtocolError(f"wildcard in topic {topic!r} of a publish [3.3.2.1]")
    return topic


def read_publish(packet: Packet) -> Publish:
    qos = packet.flags >> 1 & 3
    if qos == 3:
        raise ProtocolError("publish with QoS 3 [3.3.1.2]")
    if qos == 0 and packet.flags & 8:
        raise ProtocolError("DUP on QoS 0 [3.3.1.1]")
    reader = _Reader(packet.body)
    topic = _topic(reader.text())
    packet_id = reader.packet_id() if qos else 0
    return Publish(topic, reader.rest(), qos, bool(packet.flags & 1), bool(packet.flags & 8), packet_id)


def read_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """(packet id, [(filter, QoS)...])"""
    reader = _Reader(body)
    packet_id = reader.packet_id()
    filters = []
    while reader.position < len(body):
        topic_filter, qos = reader.text(), reader.number(1)
        if qos > 2 or not topic_filter:
            raise ProtocolError(f"subscription to {topic_filter!r} with QoS {qos} [3.8.3]")
        filters.append((topic_filter, qos))
    if not filters:
        raise ProtocolError("subscribe without a filter [3.8.3]")
    return packet_id, filters


def read_packet_id(body: bytes) -> int:
    reader = _Reader(body)
    packet_id = reader.packet_id()
    reader.end()
    return packet_id


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """One packet, ready to send."""
    length, head = len(body), bytearray([kind << 4 | flags])
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def connack(code: int, session_present: bool) -> bytes:
    return packet(CONNACK, bytes([session_present, code]))


def with_id(kind: int, packet_id: int, more: bytes = b"") -> bytes:
    return packet(kind, packet_id.to_bytes(2, "big") + more)


def publish(message: Publish) -> bytes:
    topic = message.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic
    if message.qos:
        body += message.packet_id.to_bytes(2, "big")
    return packet(PUBLISH, body + message.payload, message.dup << 3 | message.qos << 1 | message.retain)


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a subscription to `topic_filter` gets `topic`."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(levels) or level not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)
