"""Ports for servers that come back where they were."""

import socket
from pathlib import Path

import pytest

from common import ports
from common.ports import HOST, SERVERS, free_port, is_free


def test_a_free_port_is_none_that_clients_get() -> None:
    """Or somebody's connection takes it while the server is away, and the server cannot come back."""
    assert {free_port() for _ in range(20)} <= set(SERVERS)
    clients = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if clients.exists():  # Linux
        lowest, _ = map(int, clients.read_text().split())
        assert SERVERS.stop <= lowest


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_taken_port_is_not_free(kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken by TCP or by UDP alone. The control: once it is let go, it is free again."""
    port = free_port()
    monkeypatch.setattr(ports, "SERVERS", range(port, port + 1))
    monkeypatch.setattr(ports, "ATTEMPTS", 1)
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind((HOST, port))
        assert not is_free(port)
        with pytest.raises(OSError, match="none of 1 ports between"):
            free_port()
    assert is_free(port) and free_port() == port
