"""MQTT 3.1.1 packets, by umqtt.simple as it stands (tested: 1.3.4), without ever letting it near a socket.

umqtt.simple writes a packet in five small pieces, waits for its acknowledgement for ever, and reads whatever length a
broker claims. So it gets a `_Wire` in place of a socket: what it writes is collected into one packet, and what it
reads are the bytes of one packet that has arrived whole. What it never sees (acknowledgements) is taken here.
"""

import umqtt.simple as umqtt

from firmware import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)
DISCONNECT = const(0xE0)
DUP = const(8)

PINGREQ_PACKET = b"\xc0\0"

RX_MAX_BYTES = const(1024)  # nothing in the contract that a column reads is longer
SKIP_MAX_BYTES = const(65536)  # a longer publish is thrown away unread up to here; beyond it the link is dropped


class BadPacket(Exception):
    """The broker sent what no broker should; the link is worth nothing any more."""


class _Wire:
    """What umqtt.simple takes for a socket, and for the module `socket` as well."""

    def __init__(self):
        self.out = bytearray()
        self._in = b""

    def offer(self, data) -> None:
        self._in = data
        self._pos = 0

    def take(self):
        packet, self.out = self.out, bytearray()
        return packet

    # the module `socket`
    def socket(self, *_):
        return self

    def getaddrinfo(self, host, port, *_):
        return [(0, 0, 0, "", (host, port))]

    # a socket
    def connect(self, _):
        pass

    def settimeout(self, _):
        pass

    def setblocking(self, _):
        pass

    def close(self):
        pass

    def write(self, data, size=None):
        self.out.extend(data if size is None else data[:size])

    def read(self, size):
        end = self._pos + size
        if end > len(self._in):
            raise BadPacket("a packet is shorter than it says")
        data = bytes(self._in[self._pos : end])
        self._pos = end
        return data


class _Client(umqtt.MQTTClient):
    """umqtt.simple that finds each acknowledgement already there."""

    acknowledgement = 0

    def wait_msg(self):
        if self.acknowledgement:
            return self.acknowledgement
        return super().wait_msg()


class Packets:
    """Encodes the packets of one column, and decodes what arrives.

    `client_id`, `user`, `password`, topics and payloads are bytes: umqtt.simple counts characters, MQTT bytes.
    """

    def __init__(self, client_id: bytes, user, password, keepalive_s: int, will_topic: bytes, will: bytes):
        self._wire = _Wire()
        umqtt.socket = self._wire
        self._client = _Client(client_id, "", 1883, user, password, keepalive_s)
        self._client.set_callback(self._keep)
        self._client.set_last_will(will_topic, will, True, 1)
        self._message: Any = None
        self.inbound = Inbound()  # made once: a heap that has been in use for a year may have no 2 KB in one piece

    def connect(self) -> bytes:
        """A CONNECT with a clean session: what is open is sent again anyway, and no broker's memory is trusted."""
        umqtt.socket = self._wire
        self._wire.offer(b"\x20\x02\0\0")  # the real CONNACK is waited for in session.py, with a deadline
        self._client.connect(True)
        return self._wire.take()

    def publish(self, topic: bytes, payload: bytes, retain: bool, pid: int = 0) -> bytearray:
        """QoS 1 with `pid` 1..65535, QoS 0 without. To send it once more, set `DUP` in its first byte.

        QoS 1 by the QoS 0 way: umqtt.simple would wait for the PUBACK and counts ids up to 65,536, which packs as 0.
        """
        if pid:
            payload = bytes((pid >> 8, pid & 0xFF)) + payload
        try:
            self._client.publish(topic, payload, retain | (2 if pid else 0), 0)
        except MemoryError:
            self._wire.take()  # else half of it stands before the next packet
            raise
        return self._wire.take()

    def subscribe(self, topic: bytes, pid: int) -> bytes:
        """QoS 1."""
        client = self._client
        client.pid = pid - 1
        client.acknowledgement = SUBACK
        self._wire.offer(bytes((3, pid >> 8, pid & 0xFF, 1)))
        try:
            client.subscribe(topic, 1)
        finally:
            client.acknowledgement = 0
        return self._wire.take()

    def received(self, packet):
        """(topic, payload, PUBACK packet or b"") of a whole inbound PUBLISH. Raises BadPacket."""
        if packet[0] & 4:
            raise BadPacket("a publish of QoS 2 or 3, and nothing here asked for that")
        self._wire.offer(packet)
        self._wire.take()
        self._message = None
        try:
            self._client.wait_msg()
        except (AssertionError, IndexError, TypeError, ValueError, OverflowError, MemoryError) as error:
            raise BadPacket("a publish makes no sense (%s)" % error)
        if self._message is None:
            raise BadPacket("a publish makes no sense")
        return self._message[0], self._message[1], self._wire.take()

    def _keep(self, topic, payload, *_):
        self._message = (topic, payload)


class Inbound:
    """Cuts the stream of bytes into packets. Bounded: `RX_MAX_BYTES` of buffer, whatever a broker sends."""

    def __init__(self):
        self.buffer = bytearray(RX_MAX_BYTES + 5)
        self._view = memoryview(self.buffer)
        self.skipped = 0  # oversized publishes thrown away
        self.clear()

    def clear(self) -> None:
        """A new connection: whatever the old one left is void."""
        self._fill = 0
        self._skip = 0
        self._owed = b""

    def space(self):
        """Where the next bytes go: a memoryview, never empty."""
        return self._view[self._fill :]

    def arrived(self, count: int) -> None:
        self._fill += count

    def next(self):
        """The next whole packet as a memoryview that is good until `done`, or None. Raises BadPacket."""
        self._drop_skipped()
        if self._skip or self._fill < 2:
            return None
        head, length = self._header()
        if length > RX_MAX_BYTES:
            return self._oversized(head, length)
        if head == 0 or self._fill < head + length:
            return None
        return self._view[: head + length]

    def owed(self) -> bytes:
        """The PUBACK of a publish that was thrown away, once; b"" otherwise."""
        packet, self._owed = self._owed, b""
        return packet

    def done(self, packet) -> None:
        self._shift(len(packet))

    def body(self, packet):
        """The packet without its fixed header."""
        position = 1
        while packet[position] & 0x80:
            position += 1
        return packet[position + 1 :]

    def _header(self):
        """(bytes of fixed header or 0 while incomplete, remaining length): MQTT 3.1.1 section 2.2.3."""
        length = 0
        for i in range(1, 5):
            if i >= self._fill:
                return 0, 0
            length |= (self.buffer[i] & 0x7F) << 7 * (i - 1)
            if not self.buffer[i] & 0x80:
                return i + 1, length
        raise BadPacket("a packet's length has more than four bytes")

    def _oversized(self, head, length):
        """Throw a long publish away as it comes in; its PUBACK keeps the broker's window open."""
        if self.buffer[0] & 0xF4 != PUBLISH or length > SKIP_MAX_BYTES:
            raise BadPacket("a packet of %d bytes" % length)
        if self._fill < head + RX_MAX_BYTES:
            return None
        topic = self.buffer[head] << 8 | self.buffer[head + 1]
        self._skip = head + length
        self.skipped += 1
        if self.buffer[0] & 6 == 2 and topic + 4 <= RX_MAX_BYTES:
            at = head + 2 + topic
            self._owed = b"\x40\x02" + bytes(self.buffer[at : at + 2])
        self._drop_skipped()
        return None

    def _drop_skipped(self):
        if self._skip:
            count = min(self._skip, self._fill)
            self._skip -= count
            self._shift(count)

    def _shift(self, count):
        left = self._fill - count
        self.buffer[:left] = self.buffer[count : self._fill]
        self._fill = left
