"""The spoiling proxy: each of its faults does what it says, and what it does not touch arrives as it was."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from common.ports import HOST
from sim.servers.proxy import DOWN, FAIR, ROUND_TRIP_S, UP, Proxy, Weather, wait_until

TIMEOUT_S = 5.0
HELLO = b"the quick brown fox"


class Echo:
    """A server that sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port = self._listener.getsockname()[1]
        self.got = b""
        self.ended = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            while data := peer.recv(4096):
                self.got += data
                peer.sendall(data)
        except OSError:
            pass
        finally:
            self.ended += 1
            peer.close()

    def close(self) -> None:
        """Harmless when closed already."""
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    with Proxy(echo.port) as made:
        yield made


def dial(proxy: Proxy) -> socket.socket:
    return socket.create_connection((HOST, proxy.port), TIMEOUT_S)


def read(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := peer.recv(count - len(data))):
        data += more
    return data


def read_to_end(peer: socket.socket) -> bytes:
    data = b""
    while more := peer.recv(4096):
        data += more
    return data


def test_fair_weather_changes_nothing(proxy: Proxy) -> None:
    sent = bytes(range(256)) * 1000
    with dial(proxy) as peer:
        threading.Thread(target=peer.sendall, args=(sent,)).start()
        assert read(peer, len(sent)) == sent
    assert proxy.passed == {UP: len(sent), DOWN: len(sent)} and not proxy.fired
    assert proxy.last_down_us > 0


def test_latency_delays_each_way(proxy: Proxy) -> None:
    proxy.weather = Weather(latency_ms=60)
    with dial(proxy) as peer:
        start_s = time.monotonic()
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO
        assert time.monotonic() - start_s >= 0.12  # there and back
    assert proxy.fired["latency"] == 2


def test_drip_sends_byte_by_byte(proxy: Proxy, echo: Echo) -> None:
    proxy.weather = Weather(drip_ms=2)
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        sizes: list[int] = []
        while sum(sizes) < len(HELLO):
            sizes.append(len(peer.recv(4096)))
    assert echo.got == HELLO
    assert len(sizes) > 1 and proxy.fired["drip"] >= len(HELLO)


def test_what_is_lost_comes_late_and_all_the_same(proxy: Proxy) -> None:
    sent = bytes(range(250)) * 400
    proxy.weather = Weather(lost=0.1)
    with dial(proxy) as peer:
        start_s = time.monotonic()
        threading.Thread(target=peer.sendall, args=(sent,)).start()
        assert read(peer, len(sent)) == sent
        took_s = time.monotonic() - start_s
    assert proxy.fired["lost"] > 3  # of 140, both ways
    assert took_s > ROUND_TRIP_S


def test_reset_is_an_rst_on_both_sides(proxy: Proxy, echo: Echo) -> None:
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        read(peer, len(HELLO))
        assert proxy.reset() == 1
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
    wait_until(lambda: echo.ended == 1, TIMEOUT_S, "end of the connection at the server")
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO


def test_a_hole_swallows_bytes_and_ends_and_keeps_the_connection(proxy: Proxy, echo: Echo) -> None:
    with dial(proxy) as peer, dial(proxy) as gone:
        for each in (peer, gone):
            each.sendall(HELLO)
            read(each, len(HELLO))
        got = echo.got
        proxy.weather = Weather(hole=True)
        peer.sendall(HELLO)
        gone.close()
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.recv(1)
        with dial(proxy) as late, pytest.raises(TimeoutError):
            late.settimeout(0.1)
            late.recv(1)
        assert echo.got == got and echo.ended == 0, "the server must not hear of any of this"
        peer.settimeout(TIMEOUT_S)
        proxy.weather = FAIR
        with pytest.raises(ConnectionResetError):  # a stream with a gap in it cannot go on
            peer.recv(1)
    assert proxy.fired["black-hole"] >= 2


def test_what_lost_nothing_outlives_the_hole(proxy: Proxy) -> None:
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        read(peer, len(HELLO))
        proxy.weather = Weather(hole=True)
        proxy.weather = FAIR
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO


def test_refused_while_it_lasts(proxy: Proxy) -> None:
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO, "the kernel connects before the proxy has accepted: it has now"
        proxy.weather = Weather(refuse=True)
        with pytest.raises(ConnectionRefusedError):
            dial(proxy)
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO, "what stands stays"
    proxy.weather = FAIR
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO


@pytest.mark.parametrize("drip_ms", [0, 1])
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_cut_after_each_byte(proxy: Proxy, echo: Echo, direction: str, drip_ms: int) -> None:
    for count in range(len(HELLO) + 1):
        proxy.weather = Weather(drip_ms=drip_ms)
        ended, before = echo.ended, len(echo.got)
        proxy.cut_next(direction, count)
        with dial(proxy) as peer:
            try:
                peer.sendall(HELLO)
                heard = read_to_end(peer)
            except ConnectionError:  # it was over before everything was sent
                heard = b"" if direction == UP else HELLO[:count]
        wait_until(lambda ended=ended: echo.ended > ended, TIMEOUT_S, "end at the server")  # type: ignore[misc]
        if direction == UP:
            assert len(echo.got) - before == count and HELLO[:count].startswith(heard)
        else:
            assert heard == HELLO[:count]
    assert proxy.fired[f"cut-{direction}"] == len(HELLO) + 1
    with dial(proxy) as peer:
        peer.sendall(HELLO)
        assert read(peer, len(HELLO)) == HELLO, "the next connection is whole again"


def test_a_dead_server_ends_the_connection(proxy: Proxy, echo: Echo) -> None:
    echo.close()
    with pytest.raises(ConnectionResetError), dial(proxy) as peer:
        peer.recv(1)


def test_bad_arguments_are_refused(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="must be 'up' or 'down'"):
        proxy.cut_next("sideways", 1)
    with pytest.raises(ValueError, match="0 or more"):
        proxy.cut_next(UP, -1)
