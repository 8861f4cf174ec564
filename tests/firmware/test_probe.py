# mypy: allow-untyped-calls
"""One look at the stream's endpoints: what is asked, what counts as an answer, and that each wait has an end."""

from typing import Any

import pytest
from fake_board import FakeBoard
from fake_endpoint import FakeEndpoint
from fake_net import FakeDatagram

from firmware.probe import probe
from sim.virtual.servers import stream_answer

STEP_MS = 50
LIMIT_MS = 20_000
RTSP = {"rtsp": "rtsp://cameras.example/1"}


class Rig:
    def __init__(self, endpoint: FakeEndpoint | None = None) -> None:
        self.board = FakeBoard()
        self.board.names["cameras.example"] = "10.0.0.3"
        self.endpoint = endpoint or FakeEndpoint()
        self.dialled: list[tuple[str, int, str | None]] = []
        self.peers: list[FakeDatagram] = []
        self.datagram_answer: Any = stream_answer
        self.board.on_dial = self._dial
        self.board.on_datagram = self._datagram

    def _dial(self, address: str, port: int, name: str | None) -> FakeEndpoint:
        self.dialled.append((address, port, name))
        return self.endpoint

    def _datagram(self, address: str, port: int) -> FakeDatagram:
        self.dialled.append((address, port, "udp"))

        def answer(data: bytes) -> list[bytes]:
            said = self.datagram_answer(data)
            return [] if said is None else [said]

        self.peers.append(FakeDatagram(answer))
        return self.peers[-1]

    def look(self, uris: dict[str, str]) -> int:
        """How long it took, ms. Raises what the look raised."""
        began_ms = self.board.now_ms
        for _ in probe(self.board, uris):
            self.board.advance(STEP_MS)
        return self.board.now_ms - began_ms


@pytest.mark.parametrize("drip", [1, 100])
def test_rtsp_is_asked_for_its_options(drip: int) -> None:
    rig = Rig(FakeEndpoint(drip=drip))
    rig.look(RTSP)
    assert rig.endpoint.written == b"OPTIONS rtsp://cameras.example/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    assert rig.dialled == [("10.0.0.3", 554, None)] and rig.endpoint.closed


@pytest.mark.parametrize(
    ("kind", "uri", "port", "line"),
    [
        ("http", "http://cameras.example:8080/b?w=1", 8080, b"HEAD /b?w=1 HTTP/1.1\r\nHost: cameras.example:8080"),
        ("webrtc", "http://cameras.example/1/whep", 80, b"OPTIONS /1/whep HTTP/1.1\r\nHost: cameras.example\r\n"),
        ("sip", "sip:a@cameras.example;transport=tcp", 5060, b"OPTIONS sip:a@cameras.example;transport=tcp SIP/2.0"),
        ("rtsp", "rtsps://cameras.example/1", 322, b""),
        ("webrtc", "https://cameras.example/1/whep", 443, b""),
        ("sip", "sips:a@cameras.example:5099", 5099, b""),
    ],
)  # fmt: skip
def test_each_scheme_has_its_question_or_none(kind: str, uri: str, port: int, line: bytes) -> None:
    rig = Rig()
    rig.look({kind: uri})
    assert rig.dialled == [("10.0.0.3", port, None)] and rig.endpoint.closed
    assert rig.endpoint.written.startswith(line) and bool(rig.endpoint.written) is bool(line)


def test_sip_goes_over_udp_and_asks_again() -> None:
    rig = Rig()
    heard: list[bytes] = []

    def third_time(data: bytes) -> bytes | None:
        heard.append(data)
        return stream_answer(data) if len(heard) == 3 else None

    rig.datagram_answer = third_time
    assert 2000 <= rig.look({"sip": "sip:a@cameras.example:5070?subject=x"}) < 3000
    assert rig.dialled == [("10.0.0.3", 5070, "udp")] and rig.peers[0].closed and len(set(heard)) == 1
    assert heard[0].startswith(
        b"OPTIONS sip:a@cameras.example:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;rport;branch=z9hG4bK"
    )


def test_a_stray_datagram_is_no_answer() -> None:
    rig = Rig()
    rig.datagram_answer = lambda data: b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK1\r\n\r\n"
    with pytest.raises(OSError, match="no answer within 20 s"):
        rig.look({"sip": "sip:a@cameras.example"})


@pytest.mark.parametrize("status", [200, 301, 401, 403, 405, 480, 501])
def test_somebody_is_there(status: int) -> None:
    Rig(FakeEndpoint(lambda data: stream_answer(data, status))).look(RTSP)


@pytest.mark.parametrize("status", [404, 410, 500, 503])
def test_nobody_is_there(status: int) -> None:
    rig = Rig(FakeEndpoint(lambda data: stream_answer(data, status)))
    with pytest.raises(OSError, match=f"^rtsp://cameras.example/1: answers {status}$"):
        rig.look(RTSP)
    assert rig.endpoint.closed


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "another protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "another protocol"),
        (b"RTSP/1.0 hello\r\n", "rtsp://cameras.example/1: "),
    ],
)
def test_who_speaks_something_else_is_not_the_stream(answer: bytes, why: str) -> None:
    with pytest.raises(OSError, match=why):
        Rig(FakeEndpoint(lambda data: answer)).look(RTSP)


def test_each_wait_has_an_end() -> None:
    silent = Rig(FakeEndpoint(lambda data: None))
    half_open = Rig(FakeEndpoint(opened=False))
    nameless = Rig()
    nameless.board.names["cameras.example"] = None
    for rig in (silent, half_open, nameless):
        with pytest.raises(OSError, match="no answer within 20 s"):
            rig.look(RTSP)
        assert LIMIT_MS <= rig.board.now_ms <= LIMIT_MS + 2 * STEP_MS
    assert silent.endpoint.closed and half_open.endpoint.closed


def test_what_fails_says_so_at_once() -> None:
    refused, ended, unknown = Rig(FakeEndpoint(opened=OSError("connection refused"))), Rig(), Rig()
    ended.endpoint = FakeEndpoint(lambda data: b"RTSP/1")
    ended.endpoint.ends = True
    unknown.board.names.clear()
    for rig, why in ((refused, "connection refused"), (ended, "closes without an answer"), (unknown, "no address for")):
        with pytest.raises(OSError, match=why):
            rig.look(RTSP)
        assert rig.board.now_ms < 1000
    with pytest.raises(OSError, match="^rtsp://cameras.example:port/1: "):
        Rig().look({"rtsp": "rtsp://cameras.example:port/1"})


def test_every_endpoint_has_to_answer() -> None:
    rig = Rig()
    rig.datagram_answer = lambda data: stream_answer(data, 503)
    with pytest.raises(OSError, match="^sip:a@cameras.example: answers 503$"):
        rig.look({**RTSP, "sip": "sip:a@cameras.example"})
    assert rig.endpoint.closed, "the one before did answer"


def test_a_look_that_is_given_up_closes_what_it_opened() -> None:
    """Red when `close` of the outer generator leaves the inner one to the collector, which runs no `finally` there."""
    rig = Rig(FakeEndpoint(lambda data: None))
    look = probe(rig.board, RTSP)
    for _ in range(5):
        next(look)
    assert rig.endpoint.written and not rig.endpoint.closed
    look.close()
    assert rig.endpoint.closed


@pytest.mark.parametrize(("free", "asks"), [(20_479, False), (20_480, True)])
def test_a_look_leaves_the_system_what_a_session_needs(free: int, asks: bool) -> None:
    rig = Rig()
    rig.board.system_free = free
    if asks:
        rig.look(RTSP)
    else:
        with pytest.raises(MemoryError, match="20479 bytes of the system's heap are free, 20480 are needed"):
            rig.look(RTSP)
    assert bool(rig.dialled) is asks
