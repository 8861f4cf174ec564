"""The virtual network: every condition by name, as a column's streams, look-ups and datagrams feel it."""

import struct

import pytest
from world_probe import BROKER, PORT, SERVER_NAME, Probe

from hal.interface import Stream
from sim.chip.station import EVENT_MS
from sim.virtual import mqtt_wire as wire
from sim.virtual.connection import SEND_BUFFER_BYTES
from sim.virtual.network_faults import Net
from sim.virtual.servers import TimeServer

CONNECT = wire.packet(wire.CONNECT, b"\0\4MQTT\4\2\0\0\0\1c")
ACCEPTED = wire.connack(0, False)
PING, PONG = wire.packet(wire.PINGREQ), wire.packet(wire.PINGRESP)


def _dialled(probe: Probe, tls: bool = False) -> Stream:
    probe.link_up()
    return probe.board.dial(BROKER, PORT, SERVER_NAME if tls else None)


def test_a_stream_opens_carries_bytes_and_closes() -> None:
    probe = Probe()
    stream = probe.connected()
    assert probe.exchange(stream, CONNECT) == ACCEPTED
    assert stream.read_into(bytearray(9)) is None
    stream.close()
    with pytest.raises(OSError):
        stream.write(b"x")


def test_nothing_works_before_the_link_is_up() -> None:
    probe = Probe()
    assert not probe.board.link.is_up()
    probe.link_up()
    assert probe.board.link.describe()["kind"] == "wifi"
    probe.network.start(Net.LINK_DOWN)
    probe.board.wait(EVENT_MS)
    assert not probe.board.link.is_up()
    with pytest.raises(OSError):
        probe.board.dial(BROKER, PORT, None)
    probe.network.stop(Net.LINK_DOWN)
    probe.wait_for(probe.board.link.is_up)


def test_a_wedged_link_needs_a_restart() -> None:
    probe = Probe()
    probe.link_up()
    probe.network.start(Net.LINK_WEDGED)
    probe.board.wait(600_000)
    assert not probe.board.link.is_up()
    probe.board.link.restart()
    probe.wait_for(probe.board.link.is_up)


def test_refused() -> None:
    probe = Probe()
    probe.network.start(Net.REFUSED)
    stream = _dialled(probe)
    with pytest.raises(OSError) as caught:
        probe.wait_for(stream.is_open)
    assert caught.value.errno == 111


def test_a_black_hole_swallows_the_connect_and_then_lets_it_through() -> None:
    probe = Probe()
    probe.network.start(Net.BLACK_HOLE)
    stream = _dialled(probe)
    probe.board.wait(20_000)
    assert not stream.is_open()
    probe.network.stop(Net.BLACK_HOLE)
    probe.wait_for(stream.is_open)


def test_a_black_hole_for_long_times_the_connect_out() -> None:
    probe = Probe()
    probe.network.start(Net.BLACK_HOLE)
    stream = _dialled(probe)
    with pytest.raises(OSError) as caught:
        probe.wait_for(stream.is_open, limit_ms=100_000)
    assert caught.value.errno == 110


def test_a_black_hole_holds_bytes_back_and_gives_them_back() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.exchange(stream, CONNECT)
    probe.network.start(Net.BLACK_HOLE)
    assert probe.exchange(stream, PING, limit_ms=30_000) is None
    probe.network.stop(Net.BLACK_HOLE)
    assert probe.read(stream) == PONG


def test_the_send_buffer_fills_up_in_a_black_hole_and_the_connection_dies_at_last() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.network.start(Net.BLACK_HOLE)
    taken = 0
    for _ in range(20):
        taken += stream.write(bytes(1000))
        probe.board.wait(100)
    assert taken == SEND_BUFFER_BYTES
    with pytest.raises(OSError) as caught:
        probe.read(stream, limit_ms=200_000)
    assert caught.value.errno == 110


def test_half_open_the_server_forgets_and_nobody_answers() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.exchange(stream, CONNECT)
    probe.network.start(Net.HALF_OPEN)
    assert probe.broker.connected() == []
    assert probe.exchange(stream, PING, limit_ms=30_000) is None
    probe.network.stop(Net.HALF_OPEN)
    with pytest.raises(OSError) as caught:
        probe.exchange(stream, PING)
    assert caught.value.errno == 104


def test_reset() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.network.start(Net.RESET)
    with pytest.raises(OSError) as caught:
        probe.read(stream)
    assert caught.value.errno == 104
    later = probe.connected()
    with pytest.raises(OSError):
        probe.exchange(later, CONNECT)


def test_link_down_keeps_the_connection_and_its_bytes() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.exchange(stream, CONNECT)
    probe.network.start(Net.LINK_DOWN)
    assert probe.exchange(stream, PING, limit_ms=5_000) is None
    probe.network.stop(Net.LINK_DOWN)
    assert probe.read(stream) == PONG


def test_latency() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.network.start(Net.LATENCY, 3_000)
    before_us = probe.timeline.now_us
    assert probe.exchange(stream, CONNECT, limit_ms=10_000) == ACCEPTED
    assert probe.timeline.now_us - before_us >= 6_000_000


def test_drip_brings_one_byte_at_a_time() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.network.start(Net.DRIP, 200)
    before_us = probe.timeline.now_us
    pieces = [probe.exchange(stream, CONNECT)] + [probe.read(stream) for _ in range(3)]
    assert pieces == [bytes([byte]) for byte in ACCEPTED]
    assert probe.timeline.now_us - before_us >= 600_000


def test_short_writes() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.network.start(Net.SHORT_WRITE, 5)
    assert stream.write(CONNECT) == 5
    assert stream.write(CONNECT[5:]) == 5
    probe.network.start(Net.SHORT_WRITE, 0)
    assert stream.write(CONNECT[10:]) == 0
    probe.network.stop(Net.SHORT_WRITE)
    assert probe.exchange(stream, CONNECT[10:]) == ACCEPTED


def test_a_tls_handshake_stalls_the_loop_in_chunks() -> None:
    probe = Probe()
    stream = _dialled(probe, tls=True)
    stalls = []
    opened = False
    while not opened:
        before_us = probe.timeline.now_us
        opened = stream.is_open()
        stalls.append(probe.timeline.now_us - before_us)
        probe.board.wait(10)
    long = [stall for stall in stalls if stall > 100_000]
    assert len(long) == 2 and all(300_000 <= stall <= 1_000_200 for stall in long)


def test_an_expired_certificate_fails_the_handshake() -> None:
    probe = Probe()
    probe.network.start(Net.TLS_EXPIRED)
    stream = _dialled(probe, tls=True)
    with pytest.raises(OSError, match="expired"):
        probe.wait_for(stream.is_open)


def test_a_silent_handshake_never_ends() -> None:
    probe = Probe()
    probe.network.start(Net.TLS_SILENT)
    stream = _dialled(probe, tls=True)
    probe.board.wait(60_000)
    assert not stream.is_open()


def test_lookups() -> None:
    probe = Probe()
    probe.link_up()
    lookup = probe.board.lookup("broker.example")
    assert lookup.result() is None
    probe.wait_for(lambda: lookup.result() == BROKER, limit_ms=200)
    with pytest.raises(OSError, match="nowhere.example"):
        lookup = probe.board.lookup("nowhere.example")
        probe.wait_for(lookup.result)

    probe.network.start(Net.LOOKUP_STALL, 5_000)
    lookup = probe.board.lookup("broker.example")
    probe.board.wait(4_900)
    assert lookup.result() is None
    probe.board.wait(200)
    assert lookup.result() == BROKER
    probe.network.stop(Net.LOOKUP_STALL)

    probe.network.start(Net.LOOKUP_FAIL)
    lookup = probe.board.lookup("broker.example")
    with pytest.raises(OSError):
        probe.wait_for(lookup.result)


def test_network_time_and_its_faults() -> None:
    probe = Probe()
    probe.link_up()
    probe.network.serve_datagrams("time.example", "10.0.0.4", 123, TimeServer(probe.network, lambda: 1_900_000_000_500))

    def ask() -> bytes | None:
        peer = probe.board.datagram("10.0.0.4", 123)
        peer.send(b"\x23" + bytes(39) + b"NONCE123")
        probe.board.wait(100)
        return peer.receive()

    answer = ask() or b""
    assert len(answer) == 48 and answer[24:32] == b"NONCE123"
    seconds, fraction = struct.unpack("!II", answer[40:])
    assert (seconds - 2_208_988_800, fraction >> 31) == (1_900_000_000, 1)
    probe.network.start(Net.NTP_KISS)
    assert (ask() or b"??")[1] == 0
    probe.network.stop(Net.NTP_KISS)
    probe.network.start(Net.NTP_GARBAGE)
    assert ask() is not None
    probe.network.start(Net.NTP_SILENT)
    assert ask() is None


def test_wait_returns_when_the_stream_has_input() -> None:
    probe = Probe()
    stream = probe.connected()
    stream.write(CONNECT)
    before_us = probe.timeline.now_us
    probe.board.wait(10_000)
    assert probe.timeline.now_us - before_us < 100_000
    assert stream.read_into(bytearray(9)) == len(ACCEPTED)


def test_a_dead_board_tells_its_servers_nothing() -> None:
    probe = Probe()
    stream = probe.connected()
    probe.exchange(stream, CONNECT)
    probe.network.board_died()
    probe.timeline.advance_to(probe.timeline.now_us + 60_000_000)
    assert probe.broker.connected() == ["c"]
