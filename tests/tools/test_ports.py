"""Ports for servers that come back where they were."""

import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from common import ports
from common.home import ROOT
from common.ports import HOST, SERVERS, free_port, is_free

ABOVE_SYSTEMS = 10_000


def test_a_free_port_is_none_that_clients_get() -> None:
    """Or somebody's connection takes it while the server is away, and the server cannot come back."""
    assert {free_port() for _ in range(20)} <= set(SERVERS)
    clients = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if clients.exists():  # Linux
        lowest, _ = map(int, clients.read_text().split())
        assert SERVERS.stop <= lowest


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], range]:
    """Only so many ports are there, of which the tests beside this one know nothing."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(ports, "_given", deque())
    monkeypatch.setattr(ports, "_claims", [])

    def made(count: int) -> range:
        begins = ports._dice.sample(range(ABOVE_SYSTEMS, SERVERS.start - count), 100)  # where nobody else looks
        free = next(range(at, at + count) for at in begins if all(map(is_free, range(at, at + count))))
        monkeypatch.setattr(ports, "SERVERS", free)
        return free

    return made


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_not_free(kind: socket.SocketKind, few: Callable[[int], range]) -> None:
    """Taken by TCP or by UDP alone. The control: once it is let go, it is free again."""
    (port,) = few(1)
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((HOST, port))
        assert not is_free(port)
        with pytest.raises(OSError, match="none of 1 ports between"):
            free_port()
    assert is_free(port) and free_port() == port


def test_nobody_is_given_a_port_twice(few: Callable[[int], range]) -> None:
    """Neither two servers of one process, which may start later, nor those of another one. Red without `_given`, and
    without the lock; and where it does not end with its process."""
    free = few(4)
    others = f"""
from common import ports
ports.SERVERS = range({free.start}, {free.stop})
print(ports.free_port(), ports.free_port(), flush=True)
input()
"""
    argv = [sys.executable, "-c", others]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        given = [*map(int, other.stdout.readline().split()), free_port(), free_port()]
        assert sorted(given) == [*free]
        with pytest.raises(OSError, match="none of 4 ports between"):
            free_port()
        other.kill()
    assert sorted([free_port(), free_port()]) == sorted(given[:2])


def test_a_process_keeps_no_more_than_it_needs(
    few: Callable[[int], range], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where the oldest is not let go, for itself and for others: a long run would have none left."""
    free = few(2)
    monkeypatch.setattr(ports, "KEPT", 1)
    given = [free_port() for _ in range(5)]
    assert given == [given[0], given[1], given[0], given[1], given[0]] and set(given) == set(free)
