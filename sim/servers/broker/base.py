"""What both brokers have in common: an address, a certificate, and the proof that they answer."""

from __future__ import annotations

import socket
import ssl
import struct
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from common.identity import Identity
from common.ports import HOST, free_port
from common.running import Running
from sim.servers.authority import Authority

START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 2.0
CONNACK = 0x20


class BrokerError(RuntimeError):
    """A broker did not start or stop; the message has the end of its log."""


@dataclass(frozen=True)
class Tls:
    """How a broker does TLS. `mutual`: clients must show a certificate of `authority`. `server`: its own
    certificate, by default a good one from `authority` (give another to test what clients do with a bad
    one)."""

    authority: Authority
    mutual: bool = True
    server: Identity | None = None

    def identity(self) -> Identity:
        """The certificate that the broker shows."""
        return self.server or self.authority.server()


class Broker(Running):
    """What both brokers can do. `port` is chosen once, so that a restarted broker is found again."""

    def __init__(self, *, port: int | None, tls: Tls | None, users: Mapping[str, str] | None) -> None:
        self.host = HOST
        self.port = self.probe_port = port or free_port()
        self.tls = tls
        self.users = dict(users or {})
        self._probe_context = _probe_context(tls) if tls else None

    @abstractmethod
    def start(self) -> None:
        """Start, and return when a CONNECT is answered. Does nothing if it runs. Raises BrokerError."""

    @abstractmethod
    def stop(self) -> None:
        """Stop and free the port. Does nothing if it is stopped."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """True between start and stop (also while frozen)."""

    def restart(self) -> None:
        """Stop, and start again on the same port."""
        self.stop()
        self.start()

    def answers(self, timeout_s: float = PROBE_TIMEOUT_S) -> bool:
        """Whether a CONNECT gets a CONNACK (of any kind) within `timeout_s`."""
        try:
            _probe(self.host, self.probe_port, self._probe_context, timeout_s)
        except OSError:
            return False
        return True


def _probe_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # The probe asks "does it answer?", not "is it genuine?": brokers with bad certificates must start too.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    probe = tls.authority.client("probe")
    context.load_cert_chain(probe.cert, probe.key)
    return context


def _probe(host: str, port: int, context: ssl.SSLContext | None, timeout_s: float) -> None:
    """Send CONNECT, wait for CONNACK. Raises OSError (TLS and timeouts too)."""
    client_id = b"probe"
    body = b"\x00\x04MQTT\x04\x02\x00\x05" + struct.pack("!H", len(client_id)) + client_id
    with socket.create_connection((host, port), timeout_s) as plain:
        stream = context.wrap_socket(plain, server_hostname=host) if context else plain
        stream.sendall(bytes([0x10, len(body)]) + body)
        first = stream.recv(1)
        if first != bytes([CONNACK]):
            raise ConnectionError(f"{host}:{port} answered {first!r} to CONNECT instead of CONNACK")
        stream.sendall(b"\xe0\x00")
