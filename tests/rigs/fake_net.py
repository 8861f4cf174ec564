# mypy: allow-untyped-calls
"""The network of unit tests: a stream with a scripted broker behind it, over tests/rigs/fake_board.py."""

from collections.abc import Callable
from typing import Any

import umqtt_versions  # noqa: F401  (umqtt.simple for CPython, before anything of the firmware is imported)
from fake_board import FakeBoard

from firmware.packets import Packets

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP = (0x10, 0x20, 0x30, 0x40, 0x80, 0x90, 0xC0,
                                                                           0xD0)  # fmt: skip
TOPICS: dict[str, Any] = {"alarm": b"sos/v1/nko/p-1/alarm", "subscribe": (b"sos/v1/nko/p-1/ack", b"sos/v1/nko/p-1/cmd")}


def coder() -> Packets:
    return Packets(b"p-1", None, None, 12, b"sos/v1/nko/p-1/state", b"off")


def puback(pid: int) -> bytes:
    return bytes((PUBACK, 2, pid >> 8, pid & 0xFF))


def suback(pid: int, code: int = 1) -> bytes:
    return bytes((SUBACK, 3, pid >> 8, pid & 0xFF, code))


def publish(topic: bytes, payload: bytes, pid: int = 0) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (pid.to_bytes(2, "big") if pid else b"") + payload
    size = bytearray()
    left = len(body)
    while True:
        left, digit = divmod(left, 128)
        size.append(digit | (0x80 if left else 0))
        if not left:
            return bytes((PUBLISH | (2 if pid else 0),)) + bytes(size) + body


class Heard:
    """One packet that the column sent."""

    def __init__(self, head: int, body: bytes, at_ms: int) -> None:
        self.kind = head & 0xF0
        self.dup = bool(head & 8)
        self.qos = head >> 1 & 3
        self.retain = bool(head & 1)
        self.at_ms = at_ms
        self.topic = self.payload = b""
        self.pid = 0
        if self.kind == PUBLISH:
            end = 2 + (body[0] << 8 | body[1])
            self.topic, rest = body[2:end], body[end:]
            if self.qos:
                self.pid, rest = rest[0] << 8 | rest[1], rest[2:]
            self.payload = rest
        elif self.kind in (SUBSCRIBE, PUBACK):
            self.pid = body[0] << 8 | body[1]
            self.topic = body[4:-1]


class FakeStream:
    """`hal.interface.Stream` with a broker behind it, which answers what is in `answers`."""

    def __init__(self, board: FakeBoard, answers: str = "connack suback puback pingresp") -> None:
        self._board = board
        self.answers = answers.split()
        self.opened: bool | OSError = True
        self.connack = b"\x20\x02\x00\x00"
        self.granted = 1  # the QoS of a subscription
        self.capacity: int | None = None  # bytes that one write takes; None: all
        self.is_tls = False  # mbedTLS: what it could not send it holds, and takes the next write for that
        self._held: bytes | None = None
        self.write_error: OSError | None = None
        self.peer_closed = False
        self.peer: bytes | None = None  # its certificate
        self.closed = False
        self.writes: list[bytes] = []
        self.heard: list[Heard] = []
        self.biggest_read = 0
        self.on_heard: Callable[[Heard], None] = lambda _: None
        self.ends_at: Callable[[Heard], bool] = lambda _: False  # the broker ends the connection at such a packet,
        self.says_goodbye = False  # with a DISCONNECT
        self._incoming = bytearray()
        self._pending = bytearray()

    # -- hal.interface.Stream

    def is_open(self) -> bool:
        if isinstance(self.opened, OSError):
            raise self.opened
        return self.opened

    def read_into(self, buffer: Any) -> int | None:
        self.biggest_read = max(self.biggest_read, len(buffer))
        if not self._incoming:
            return 0 if self.peer_closed else None
        count = min(len(buffer), len(self._incoming))
        buffer[:count] = self._incoming[:count]
        del self._incoming[:count]
        return count

    def write(self, data: Any) -> int:
        if self.write_error is not None:
            raise self.write_error
        if self.is_tls:
            return self._write_record(bytes(data))
        taken = bytes(data[: self.capacity])
        if taken:
            self.writes.append(taken)
            self._pending += taken
            self._understand()
        return len(taken)

    def _write_record(self, data: bytes) -> int:
        record, self._held = self._held or data, None
        if self.capacity == 0:
            self._held = record
            return 0
        self.writes.append(record)
        self._pending += record
        self._understand()
        return len(data)

    def certificate(self) -> bytes | None:
        return self.peer

    def close(self) -> None:
        self.closed = True

    # -- for the tests

    def send(self, data: bytes) -> None:
        """From the broker to the column."""
        self._incoming += data

    def unread(self) -> int:
        return len(self._incoming)

    def published(self, topic: bytes = TOPICS["alarm"]) -> list[Heard]:
        return [one for one in self.heard if one.kind == PUBLISH and one.topic == topic]

    def kinds(self) -> list[int]:
        return [one.kind for one in self.heard]

    def _understand(self) -> None:
        while len(self._pending) >= 2:
            length, shift, at = 0, 0, 1
            while True:
                if at >= len(self._pending):
                    return
                length |= (self._pending[at] & 0x7F) << shift
                shift += 7
                at += 1
                if not self._pending[at - 1] & 0x80:
                    break
            if len(self._pending) < at + length:
                return
            one = Heard(self._pending[0], bytes(self._pending[at : at + length]), self._board.now_ms)
            del self._pending[: at + length]
            if self.peer_closed:
                continue  # nobody reads it any more
            self.heard.append(one)
            if self.ends_at(one):
                self.send(b"\xe0\x00" if self.says_goodbye else b"")
                self.peer_closed = True
                continue
            self._answer(one)
            self.on_heard(one)

    def _answer(self, one: Heard) -> None:
        if one.kind == CONNECT and "connack" in self.answers:
            self.send(self.connack)
        elif one.kind == SUBSCRIBE and "suback" in self.answers:
            self.send(suback(one.pid, self.granted))
        elif one.kind == PUBLISH and one.qos and "puback" in self.answers:
            self.send(puback(one.pid))
        elif one.kind == PINGREQ and "pingresp" in self.answers:
            self.send(b"\xd0\x00")


class FakeDatagram:
    """`hal.interface.Datagram`; `answer(request)` gives the datagrams that come back."""

    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer
        self._incoming: list[bytes] = []
        self.sent: list[bytes] = []
        self.closed = False

    def send(self, data: bytes) -> None:
        self.sent.append(bytes(data))
        self._incoming += self._answer(bytes(data))

    def receive(self) -> bytes | None:
        return self._incoming.pop(0) if self._incoming else None

    def close(self) -> None:
        self.closed = True
