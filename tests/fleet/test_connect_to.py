"""Servers that are elsewhere than they seem: the table, and the virtual chip's TCP, UDP and name look-up behind it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from chip_net_rig import Echo, Make, chips
from column_probe import need, runtimes

from common import connect_to

PROBE = """
join()
def peer(name, port):
    return socket.getaddrinfo(name, port)[0][-1]
print("names", peer("broker.example", 8883), peer("time.example", 123), peer("broker.example", 1), peer("10.9.8.7", 5))
s = socket.socket()
s.connect(peer("broker.example", 8883))
s.write(b"hello")
print("tcp", s.read(7))
s = socket.socket()
s.connect(("10.9.8.7", 1883))
s.write(b"hello")
print("number", s.read(7))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(5)
u.sendto(b"when", peer("time.example", 123))
print("udp", u.recvfrom(20))
print("other port", code(socket.socket().connect, peer("broker.example", 8884)))
s = socket.socket()
s.connect(("127.0.0.1", PORT))
s.write(b"plain")
print("untouched", s.read(7))
print("unknown", code(socket.getaddrinfo, "nobody.invalid", 1))
"""


@pytest.fixture(params=runtimes())
def chip(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    with chips(tmp_path, need(request.param)) as make:
        yield make


@contextlib.contextmanager
def datagrams() -> Iterator[int]:
    """A UDP server that answers one question with the same in capitals; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            with contextlib.suppress(OSError):
                data, sender = server.recvfrom(100)
                server.sendto(data.upper(), sender)

        threading.Thread(target=answer, daemon=True).start()
        yield int(server.getsockname()[1])


def test_names_connections_and_datagrams_are_led_elsewhere(chip: Make, tmp_path: Path) -> None:
    """Red when routes.py lets a port through that the table has not, or shows where an answer really came from."""
    with contextlib.closing(Echo()) as echo, datagrams() as udp:
        tcp = ("127.0.0.1", echo.port)
        servers = {("broker.example", 8883): tcp, ("10.9.8.7", 1883): tcp, ("time.example", 123): ("127.0.0.1", udp)}
        connect_to.write(tmp_path / "table", servers)
        one = chip(PROBE.replace("PORT", str(echo.port))).start(connect_to=tmp_path / "table")
        names = "('192.0.2.1', 8883) ('192.0.2.3', 123) ('192.0.2.1', 1) ('10.9.8.7', 5)"
        assert one.wait("names (.*)")[1] == names
        assert one.wait("tcp (.*)")[1] == "b'<hello>'"
        assert one.wait("number (.*)")[1] == "b'<hello>'"
        assert one.wait("udp (.*)")[1] == "(b'WHEN', ('192.0.2.3', 123))"
        assert one.wait("other port (.*)")[1] == "ECONNREFUSED"
        assert one.wait("untouched (.*)")[1] == "b'<plain>'"
        assert one.wait("unknown (.*)")[1] == "-202"


def test_without_a_table_nothing_is_led_elsewhere(chip: Make) -> None:
    one = chip("join()\nprint('name', code(socket.getaddrinfo, 'broker.invalid', 8883))").start()
    assert one.wait("name (.*)")[1] == "-202"


# -- the file


def test_no_file_is_no_table(tmp_path: Path) -> None:
    assert connect_to.read(None) == connect_to.read(tmp_path / "nothing") == {}


def test_comments_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("# all of it\n\nbroker.example:8883:127.0.0.1:40001  # mosquitto\n")
    table = connect_to.read(tmp_path / "table")
    assert table == {("broker.example", 8883): ("127.0.0.1", 40001)}
    connect_to.write(tmp_path / "again", table)
    assert connect_to.read(tmp_path / "again") == table


@pytest.mark.parametrize("line", ["broker.example", "a:1:b.example:2", "a:1,b:127.0.0.1:2", "a:1:127.0.0.1:2:3"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "table").write_text(f"a:1:127.0.0.1:2\n{line}\n")
    with pytest.raises(ValueError, match="table:2: found .* must be HOST:PORT:IP:PORT"):
        connect_to.read(tmp_path / "table")
