# mypy: allow-untyped-calls
"""The stream of bytes that a broker sends: cut into packets whatever the splits, bounded whatever the broker."""

import inspect
import os
import random
import subprocess
from binascii import crc32, hexlify
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import umqtt_versions  # noqa: F401  (umqtt.simple for CPython)
from column_probe import need
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.packets import PUBLISH, RX_MAX_BYTES, SKIP_MAX_BYTES, BadPacket, Inbound, Packets
from tools import toolbox

ROOT = Path(__file__).resolve().parents[2]
FUZZ_INPUTS = 20_000
DEVICE_INPUTS = 3_000  # on each MicroPython, others each time; INPUTS=60000 by hand: a minute
BUFFER_BYTES = RX_MAX_BYTES + 5


def length_field(size: int) -> bytes:
    out = bytearray()
    while True:
        size, digit = divmod(size, 128)
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def publish(payload: bytes, qos: int = 0, pid: int = 9, topic: bytes = b"t") -> bytes:
    body = len(topic).to_bytes(2, "big") + topic + (pid.to_bytes(2, "big") if qos else b"") + payload
    return bytes((0x30 | qos << 1,)) + length_field(len(body)) + body


def feed(inbound: Inbound, data: bytes) -> Iterator[bytes]:
    """As a session does it: what fits, then everything that is whole."""
    while data:
        space = inbound.space()
        assert len(space) > 0, "no room, and nothing whole to take out"
        count = min(len(space), len(data))
        space[:count] = data[:count]
        data = data[count:]
        inbound.arrived(count)
        while True:
            packet = inbound.next()
            owed = inbound.owed()
            if owed:
                yield owed
            if packet is None:
                break
            yield bytes(packet)
            inbound.done(packet)
        assert len(inbound.buffer) == BUFFER_BYTES


def through(pieces: list[bytes]) -> list[bytes]:
    inbound = Inbound()
    return [packet for piece in pieces for packet in feed(inbound, piece)]


PACKETS = [
    b"\x20\x02\x00\x00",
    b"\xd0\x00",
    b"\x40\x02\x00\x01",
    publish(b"hi", 1),
    publish(b"x" * 1000),
    publish(b"y" * (RX_MAX_BYTES - 3)),  # the longest that is taken
    publish(b"z" * (RX_MAX_BYTES - 2)),  # one byte more: thrown away
    publish(b"z" * RX_MAX_BYTES, 1, 0x0A0B),
]
TAKEN = [packet if len(packet) <= RX_MAX_BYTES + 3 else None for packet in PACKETS]


def expected(chosen: list[int]) -> list[bytes]:
    out = []
    for index in chosen:
        packet = TAKEN[index]
        if packet is not None:
            out.append(packet)
        elif PACKETS[index][0] & 6:
            out.append(b"\x40\x02\x0a\x0b")
    return out


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, len(PACKETS) - 1), min_size=1, max_size=6),
    st.lists(st.integers(1, 3000), min_size=1, max_size=12),
)
def test_the_same_packets_come_out_whatever_the_splits(chosen: list[int], sizes: list[int]) -> None:
    data = b"".join(PACKETS[index] for index in chosen)
    pieces = []
    for i in range(10_000):
        if not data:
            break
        size = sizes[i % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
    assert through(pieces) == expected(chosen)


def test_every_single_split_of_a_short_stream() -> None:
    data = b"".join(PACKETS[:4])
    for at in range(len(data) + 1):
        assert through([data[:at], data[at:]]) == PACKETS[:4]
    assert through([bytes((byte,)) for byte in data]) == PACKETS[:4]


def test_the_splits_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by taking a packet out as soon as its header is there, whole or not."""

    def hasty(self: Inbound) -> Any:
        if self._fill < 2:
            return None
        head, length = self._header()
        return self._view[: min(self._fill, head + length)] if head else None

    monkeypatch.setattr(Inbound, "next", hasty)
    data = b"".join(PACKETS[:4])
    assert any(through([data[:at], data[at:]]) != PACKETS[:4] for at in range(len(data) + 1))


@pytest.mark.parametrize("size", [16 * 1024, SKIP_MAX_BYTES - 3])
@pytest.mark.parametrize("qos", [0, 1])
def test_a_publish_of_16_kib_is_thrown_away_and_acknowledged(size: int, qos: int) -> None:
    long = publish(b"x" * (size - 2 * bool(qos)), qos, 0x0102)
    inbound = Inbound()
    out = list(feed(inbound, long + b"\xd0\x00"))
    assert out == ([b"\x40\x02\x01\x02"] if qos else []) + [b"\xd0\x00"]
    assert inbound.skipped == 1


def test_a_topic_as_long_as_the_buffer_hides_the_packet_id_and_is_not_acknowledged() -> None:
    assert through([publish(b"", 1, topic=b"t" * 4000) + b"\xd0\x00"]) == [b"\xd0\x00"]


@pytest.mark.parametrize(
    "data",
    [
        publish(b"x" * SKIP_MAX_BYTES),  # longer than we are ready to throw away
        b"\x40" + length_field(RX_MAX_BYTES + 1) + bytes(9),  # an acknowledgement of that size
        b"\x34" + length_field(RX_MAX_BYTES + 1) + bytes(9),  # QoS 2
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x30\xff\xff\xff\x7f",  # 256 MB
    ],
)
def test_a_packet_that_is_not_worth_reading(data: bytes) -> None:
    with pytest.raises(BadPacket):
        through([data])


def test_a_length_that_is_longer_than_it_needs_to_be_is_still_a_length() -> None:
    assert through([b"\xd0\x80\x00", b"\xd0\x00"]) == [b"\xd0\x80\x00", b"\xd0\x00"]


def mutated(dice: random.Random) -> bytes:
    data = bytearray(dice.choice(PACKETS[:5]) if dice.random() < 0.7 else dice.randbytes(dice.randint(1, 40)))
    for _ in range(dice.randint(0, 3)):
        data[dice.randrange(min(len(data), 12))] = dice.randrange(256)
    if dice.random() < 0.3:
        data[0] = PUBLISH | dice.randrange(16)
    return bytes(data) + dice.randbytes(dice.randint(0, 8))


def outcome(one: Packets, data: bytes) -> tuple[int, int, int, int]:
    """How many packets, publishes and BadPackets come of it, and a sum over their bytes; anything else that is raised
    leaves as it is. MicroPython runs this, too."""
    cut = publishes = total = 0
    try:
        for packet in feed(Inbound(), data):
            cut += 1
            total = crc32(packet, total)
            if packet[0] & 0xF0 == PUBLISH:
                topic, payload, _ = one.received(packet)
                assert len(topic) + len(payload) < len(packet)
                publishes += 1
                total = crc32(payload, crc32(topic, total))
    except BadPacket:
        return cut, publishes, 1, total
    return cut, publishes, 0, total


def fuzz(one: Packets, seed: int, inputs: int) -> list[int]:
    """How often each outcome was seen."""
    dice = random.Random(seed)
    return [sum(column) for column in zip(*(outcome(one, mutated(dice))[:3] for _ in range(inputs)), strict=True)]


def coder() -> Packets:
    one = Packets(b"c", None, None, 12, b"w", b"off")
    one.connect()
    return one


def test_no_input_raises_anything_but_bad_packet() -> None:
    seen = fuzz(coder(), 1, FUZZ_INPUTS)
    assert min(seen) > FUZZ_INPUTS // 100, f"the fuzzing reaches too little: {seen}"


def test_the_fuzzing_finds_an_uncaught_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by letting through what umqtt.simple raises over a broken publish."""

    def naked(self: Packets, packet: Any) -> Any:
        self._wire.offer(packet)
        self._client.wait_msg()
        return b"", b"", b""

    monkeypatch.setattr(Packets, "received", naked)
    with pytest.raises(AssertionError):
        fuzz(coder(), 1, 2000)


DEVICE = """
import sys
from binascii import crc32, unhexlify
sys.path[:0] = [{root!r}, {libraries!r}]
from firmware.packets import BadPacket, Inbound, Packets
PUBLISH, BUFFER_BYTES = {publish}, {buffer}

{feed}

{outcome}

def naked(self, packet):
    self._wire.offer(packet)
    self._client.wait_msg()
    return b"", b"", b""

one = Packets(b"c", None, None, 12, b"w", b"off")
one.connect()
{broken}
while True:
    line = sys.stdin.readline().strip()
    if not line:
        break
    try:
        print(outcome(one, unhexlify(line)))
    except Exception as error:
        print(repr(error))
"""


def on_device(runtime: str, inputs: list[bytes], broken: str = "") -> list[str]:
    """What comes of each on the real MicroPython."""
    need(runtime)
    script = DEVICE.format(
        root=str(ROOT),
        libraries=str(toolbox.device_libraries()),
        publish=PUBLISH,
        buffer=BUFFER_BYTES,
        feed=inspect.getsource(feed),
        outcome=inspect.getsource(outcome),
        broken=broken,
    )
    lines = b"".join(hexlify(data) + b"\n" for data in inputs)
    command = [*toolbox.require(runtime), "-c", script]
    done = subprocess.run(command, input=lines, capture_output=True, timeout=300, check=True)
    return done.stdout.decode().splitlines()


@pytest.mark.micropython
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_the_same_comes_of_mutated_packets_on_micropython(runtime: str) -> None:
    """Nothing but BadPacket, and what CPython makes of them. Red when `received` neither looks for QoS 2 nor
    catches umqtt's AssertionError."""
    seed = int(os.environ.get("SEED") or random.randrange(10**6))
    print(f"SEED={seed} does it again")
    dice = random.Random(seed)
    inputs = [mutated(dice) for _ in range(int(os.environ.get("INPUTS", DEVICE_INPUTS)))]
    one = coder()
    for data, found in zip(inputs, on_device(runtime, inputs), strict=True):
        assert found == str(outcome(one, data)), data.hex()


@pytest.mark.micropython
@pytest.mark.parametrize("runtime", ["micropython", "micropython32"])
def test_an_uncaught_error_on_micropython_is_found(runtime: str) -> None:
    """Broken as above."""
    dice = random.Random(1)
    found = on_device(runtime, [mutated(dice) for _ in range(500)], "Packets.received = naked")
    assert any("Error(" in line for line in found)
