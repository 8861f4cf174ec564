# mypy: allow-untyped-calls
"""MQTT packets, byte for byte, by every version of umqtt.simple, read back by amqtt's parser (not ours)."""

import asyncio
from typing import Any

import pytest
from amqtt.adapters import BufferReader
from amqtt.mqtt import packet_class
from amqtt.mqtt.packet import MQTTFixedHeader
from umqtt_versions import VERSIONS, packets_on, source

KAZAKH = "Петропавл, Конституция көшесі 1, Әлем ғұмыр"
CONNECT = (
    b"\x10\x57"  # CONNECT, 87 bytes follow
    b"\x00\x04MQTT\x04"
    b"\xee"  # user, password, will retain, will QoS 1, will, clean session
    b"\x00\x0c"  # keepalive 12 s
    b"\x00\x0cpetropavl-01"
    b"\x00\x1dsos/v1/nko/petropavl-01/state"
    b"\x00\x15{" b'"v":1,"state":"off"}'
    b"\x00\x02us\x00\x03pwd"
)  # fmt: skip


@pytest.fixture(params=list(VERSIONS))
def module(request: pytest.FixtureRequest) -> Any:
    return packets_on(request.param)


def coder(module: Any, user: bytes | None = b"us") -> Any:
    will = b'{"v":1,"state":"off"}'
    password = b"pwd" if user else None
    made = module.Packets(b"petropavl-01", user, password, 12, b"sos/v1/nko/petropavl-01/state", will)
    made.connect()  # a session begins with it, always
    return made


def parsed(data: bytes) -> Any:
    """What amqtt makes of one packet; all bytes must be used."""

    async def run() -> Any:
        reader = BufferReader(data)
        header = await MQTTFixedHeader.from_stream(reader)
        assert header is not None
        packet = await packet_class(header).from_stream(reader, fixed_header=header)
        assert await reader.read(1) == b"", "bytes are left over"
        return packet

    return asyncio.run(run())


def test_connect(module: Any) -> None:
    packet = coder(module).connect()
    assert packet == CONNECT
    read = parsed(packet)
    assert (read.client_id, read.username, read.password) == ("petropavl-01", "us", "pwd")
    assert (read.keep_alive, read.clean_session_flag, read.will_retain_flag, read.will_qos) == (12, True, True, 1)
    assert (read.will_topic, read.will_message) == ("sos/v1/nko/petropavl-01/state", b'{"v":1,"state":"off"}')


def test_connect_without_a_user(module: Any) -> None:
    read = parsed(coder(module, user=None).connect())
    assert not read.username_flag and not read.password_flag


def test_connect_is_the_same_each_time(module: Any) -> None:
    one = coder(module)
    assert one.connect() == one.connect()


def test_publish_qos_1(module: Any) -> None:
    assert coder(module).publish(b"a/b", b"hi", False, 0x1234) == b"\x32\x09\x00\x03a/b\x12\x34hi"
    assert coder(module).publish(b"a/b", b"hi", True, 1) == b"\x33\x09\x00\x03a/b\x00\x01hi"


def test_dup_is_the_only_difference_of_a_second_sending(module: Any) -> None:
    packet = coder(module).publish(b"a/b", b"hi", False, 7)
    assert not parsed(packet).dup_flag
    packet[0] |= module.DUP
    assert parsed(packet).dup_flag


def test_publish_qos_0(module: Any) -> None:
    packet = coder(module).publish(b"a/b", b"hi", False)
    assert packet == b"\x30\x07\x00\x03a/bhi"
    assert parsed(packet).qos == 0


@pytest.mark.parametrize("size", [0, 1, 119, 120, 121, 122, 127, 128, 1024, 16376, 16377, 16378, 20000])
def test_lengths_around_every_border_of_the_length_field(module: Any, size: int) -> None:
    read = parsed(coder(module).publish(b"a/b", b"x" * size, False, 65535))
    assert (read.packet_id, len(read.data or b"")) == (65535, size)


def test_cyrillic_and_kazakh_text_is_counted_in_bytes(module: Any) -> None:
    payload = KAZAKH.encode()
    assert len(payload) > len(KAZAKH)
    read = parsed(coder(module).publish(b"a/b", payload, False, 5))
    assert read.data.decode() == KAZAKH


def test_subscribe(module: Any) -> None:
    packet = coder(module).subscribe(b"a/b", 0x0102)
    assert packet == b"\x82\x08\x01\x02\x00\x03a/b\x01"
    read = parsed(packet)
    assert (read.variable_header.packet_id, read.payload.topics) == (0x0102, [("a/b", 1)])


def test_subscribe_with_every_kind_of_packet_id(module: Any) -> None:
    for pid in (1, 255, 256, 65535):
        assert parsed(coder(module).subscribe(b"a/b", pid)).variable_header.packet_id == pid


def test_one_packet_is_one_write(module: Any) -> None:
    """umqtt.simple makes several writes of it; what leaves the coder is one object with all of them."""
    one = coder(module)
    writes: list[bytes] = []
    wire, real = one._wire, one._wire.write

    def write(data: Any, size: int | None = None) -> None:
        writes.append(bytes(data))
        real(data, size)

    wire.write = write
    packet = one.publish(b"a/b", b"hi", False, 7)
    assert len(writes) > 2, "umqtt.simple has changed: it no longer writes in pieces"
    assert isinstance(packet, (bytes, bytearray)) and parsed(bytes(packet)).data == b"hi"


def test_nothing_is_left_over_for_the_next_packet(module: Any) -> None:
    one = coder(module)
    one.publish(b"a/b", b"hi", False, 7)
    assert one.publish(b"c", b"", False) == b"\x30\x03\x00\x01c"


def test_received(module: Any) -> None:
    assert coder(module).received(b"\x32\x09\x00\x03a/b\x12\x34hi") == (b"a/b", b"hi", b"\x40\x02\x12\x34")
    assert coder(module).received(b"\x30\x07\x00\x03a/bhi") == (b"a/b", b"hi", b"")
    assert coder(module).received(b"\x30\x05\x00\x03a/b") == (b"a/b", b"", b"")


@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\x00",  # no topic at all
        b"\x30\x01\x00",  # half a length
        b"\x30\x02\xff\xff",  # a topic longer than the packet
        b"\x32\x05\x00\x03a/b",  # QoS 1 without a packet id
        b"\x32\x06\x00\x03a/b\x01",  # half a packet id
        b"\x34\x07\x00\x03a/b\x00\x01",  # QoS 2, which nobody subscribed to
        b"\x36\x07\x00\x03a/b\x00\x01",  # both bits of QoS, which MQTT forbids
    ],
)
def test_a_publish_that_makes_no_sense(module: Any, packet: bytes) -> None:
    one = coder(module)
    with pytest.raises(module.BadPacket):
        one.received(packet)
    assert one.received(b"\x30\x03\x00\x01a") == (b"a", b"", b""), "the next one is unharmed"


def test_an_emulated_version_that_does_not_fit_the_library_any_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VERSIONS, "broken", (("no such text in the library", "x"),))
    with pytest.raises(ValueError, match="0 times instead of once"):
        source("broken")


def test_the_vectors_notice_an_encoder_that_counts_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by giving umqtt.simple text: it then counts characters, and the parser sees a packet of another size."""
    one = coder(packets_on("1.3.4"))
    monkeypatch.setattr(one._wire, "write", lambda data, size=None: one._wire.out.extend(
        (data.encode() if isinstance(data, str) else data)[:size]))  # fmt: skip
    one._client.publish("a/b", KAZAKH, False, 0)
    with pytest.raises(AssertionError, match="left over"):
        parsed(one._wire.take())
