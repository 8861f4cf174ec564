# mypy: allow-untyped-calls
"""What stock umqtt.simple does to a column, trap by trap, and that firmware/packets.py and session.py do not.

Each test shows the defect in the stock library first: a trap that the library no longer has turns its test red.
"""

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from fake_board import FakeBoard
from fake_net import PUBACK, FakeStream, coder, puback, publish, suback
from umqtt_versions import VERSIONS, packets_on, stock

from firmware.packets import RX_MAX_BYTES
from firmware.session import LinkLost, PacketIds, Session


class Hangs(Exception):
    """On the chip nothing would ever come back from here."""


class ChipSocket:
    """A socket with the ESP32's semantics: `setblocking(True)` takes the timeout away, on Linux it survives."""

    def __init__(self, incoming: bytes = b"", unix: bool = False) -> None:
        self.incoming = incoming
        self.unix = unix
        self.timeout: float | None = 5.0
        self.writes: list[bytes] = []
        self.reads: list[int] = []

    def write(self, data: Any, size: int | None = None) -> None:
        self.writes.append(bytes(data[:size]))

    def read(self, size: int) -> bytes:
        self.reads.append(size)
        if len(self.incoming) < size:
            if self.timeout is None:
                raise Hangs
            raise OSError(116, "ETIMEDOUT")
        data, self.incoming = self.incoming[:size], self.incoming[size:]
        return data

    def setblocking(self, flag: bool) -> None:
        if flag and not self.unix:
            self.timeout = None


def client(socket: ChipSocket, version: str = "1.3.4") -> Any:
    made = stock(version).MQTTClient(b"c", "broker", 1883)
    made.sock = socket
    made.got = []
    made.set_callback(lambda topic, payload: made.got.append((topic, payload)))
    return made


def session(answers: str = "connack suback pingresp") -> tuple[Session, FakeStream, FakeBoard, list[Any]]:
    board = FakeBoard()
    stream = FakeStream(board, answers)
    acknowledged: list[Any] = []
    config = {"keepalive_s": 12, "puback_timeout_s": 4}
    made = Session(board, stream, coder(), PacketIds(), config, acknowledged.append, lambda *_: None)
    made.step()
    made.step()
    made.subscribe((b"t",), False)
    made.step()
    return made, stream, board, acknowledged


@pytest.fixture(params=list(VERSIONS))
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# -- the packet id never wraps


@pytest.mark.slow
def test_stock_sends_packet_id_0_after_65535(version: str) -> None:
    """On the chip `struct` cuts 65,536 to 0, which a broker answers by dropping the client; CPython's raises."""
    socket = ChipSocket(puback(0))
    one = client(socket, version)
    one.pid = 65535
    with pytest.raises(struct.error):
        one.publish(b"t", b"x", False, 1)

    def pack_into(form: str, buffer: Any, at: int, value: int) -> None:
        struct.pack_into(form, buffer, at, value & 0xFFFF)

    one.publish.__globals__["struct"] = SimpleNamespace(pack=struct.pack, pack_into=pack_into)
    one.pid = 65535
    with pytest.raises(Hangs):
        one.publish(b"t", b"x", False, 1)  # it waits for 65,536, and the broker can only acknowledge 0
    assert b"\x00\x00" in socket.writes


def test_ours_goes_from_65535_to_1() -> None:
    made, stream, _, _ = session("connack suback puback pingresp")
    made._ids._last = 65534
    for _ in range(2):
        made.publish(b"t", b"x", False, "token")
    assert [one.pid for one in stream.published(b"t")] == [65535, 1]


# -- an acknowledgement that it does not wait for leaves its body in the stream


def test_stock_reads_the_body_of_a_late_ack_as_packets(version: str) -> None:
    """A late PUBACK of id 0x0030 while it subscribes: 0x30 passes for a publish, and swallows the SUBACK."""
    one = client(ChipSocket(puback(0x0030) + suback(1) + publish(b"t", b"after")), version)
    with pytest.raises((Hangs, AssertionError, IndexError, TypeError)):
        one.subscribe(b"t", 1)
    assert (b"t", b"after") not in one.got


def test_ours_steps_over_late_and_foreign_acks() -> None:
    made, stream, _, acknowledged = session()
    made.publish(b"t", b"x", False, "mine")
    stream.send(puback(0x0030) + suback(0x3030) + puback(stream.published(b"t")[0].pid))
    made.step()
    assert acknowledged == ["mine"] and made.foreign_acks == 2


# -- one wait_msg() takes the timeout away, on the chip


def test_stock_loses_its_timeout_with_the_first_message_on_the_chip(version: str) -> None:
    one = client(ChipSocket(b"\xd0\x00"), version)
    one.wait_msg()
    with pytest.raises(Hangs):
        one.wait_msg()


def test_on_linux_the_same_keeps_its_timeout_which_is_why_tests_there_pass(version: str) -> None:
    one = client(ChipSocket(b"\xd0\x00", unix=True), version)
    one.wait_msg()
    with pytest.raises(OSError, match="ETIMEDOUT"):
        one.wait_msg()


def test_ours_keeps_umqtt_away_from_every_socket(version: str) -> None:
    """What it takes for a socket answers each read at once or not at all, and its deadlines are ticks."""
    one = packets_on(version).Packets(b"c", None, None, 12, b"w", b"off")
    one.connect()
    assert type(one._client.sock).__name__ == "_Wire"
    with pytest.raises(packets_on(version).BadPacket):
        one.received(b"\x30\x05")
    made, stream, board, _ = session()
    stream.send(b"\xd0\x00")
    made.step()
    stream.answers = []
    with pytest.raises(LinkLost):
        for _ in range(3000):
            board.advance(10)
            made.step()


# -- it waits for ever for a PUBACK


def test_stock_waits_for_ever_for_a_puback(version: str) -> None:
    socket = ChipSocket(b"\xd0\x00")
    with pytest.raises(Hangs):
        client(socket, version).publish(b"t", b"x", False, 1)


def test_ours_comes_back_at_once() -> None:
    made, _, board, acknowledged = session()
    before = board.now_ms
    made.publish(b"t", b"x", False, "mine")
    assert board.now_ms == before and acknowledged == []


# -- 16 KiB from the broker


def test_stock_takes_16_kib_in_one_piece(version: str) -> None:
    socket = ChipSocket(publish(b"t", b"x" * 16384))
    client(socket, version).wait_msg()
    assert max(socket.reads) == 16384


def test_ours_never_takes_more_than_its_buffer() -> None:
    made, stream, _, _ = session()
    stream.send(publish(b"t", b"x" * 16384, 5))
    for _ in range(3):
        made.step()
    assert stream.biggest_read <= RX_MAX_BYTES + 5 and stream.unread() == 0
    assert [one.pid for one in stream.heard if one.kind == PUBACK] == [5]


# -- text is counted in characters


def test_stock_counts_the_characters_of_text(version: str) -> None:
    class TextSocket(ChipSocket):  # as on the chip, where a socket takes text
        def write(self, data: Any, size: int | None = None) -> None:
            super().write(data.encode() if isinstance(data, str) else data, size)

    socket = TextSocket()
    client(socket, version).publish("тақырып", "көмек", False, 0)
    packet = b"".join(socket.writes)
    assert packet[1] != len(packet) - 2


def test_ours_counts_bytes(version: str) -> None:
    one = packets_on(version).Packets(b"c", None, None, 12, b"w", b"off")
    one.connect()
    packet = one.publish("тақырып".encode(), "көмек".encode(), False, 1)
    assert packet[1] == len(packet) - 2


# -- one packet, many writes


def test_stock_writes_a_packet_in_pieces_and_ours_in_one(version: str) -> None:
    socket = ChipSocket(puback(1))
    client(socket, version).publish(b"t", b"x", False, 1)
    assert len(socket.writes) >= 4
    made, stream, _, _ = session()
    stream.writes.clear()
    made.publish(b"t", b"x", False, None)
    assert len(stream.writes) == 1
