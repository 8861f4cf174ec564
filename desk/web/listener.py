"""The desk's ear for browsers: how many connections there may be, and for how long one may say nothing.

Whoever can reach the desk can open connections. None of them may keep an officer's browser out, and their number stays
far below what this process may have open: the register and the broker need theirs, and paho's `select` takes no file
number beyond 1,023.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

FILES_MAX = 1024  # of `select`
FILES_KEPT = 300  # for the register, the broker, cameras and what else there is
STRANGERS_MAX = 200  # connections on which nobody has shown yet who they are; the oldest go
MEMBERS_MAX = 400
FILES_NEEDED = FILES_KEPT + STRANGERS_MAX + MEMBERS_MAX
BACKLOG = 1024
SPEAK_S = 10.0  # until the first request is there, TLS included
HANDSHAKE_S = 5.0
PAUSE_S = 0.1  # after the system could not give a connection

log = logging.getLogger(__name__)
Peer = tuple[Any, ...]


class Listener:
    """Accepts connections at `host`:`port` and hands them to protocols of `factory`. All in one event loop."""

    def __init__(self, factory: Callable[[], asyncio.Protocol], encryption: ssl.SSLContext | None = None) -> None:
        self._factory, self._encryption = factory, encryption
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._strangers: OrderedDict[Peer, _Connection] = OrderedDict()
        self._members: OrderedDict[Peer, _Connection] = OrderedDict()
        self._trouble = ""

    async def start(self, host: str, port: int) -> None:
        """Raises OSError."""
        if (allowed := files_allowed()) < FILES_NEEDED:
            log.warning(
                "only %d files may be open, and %d are needed: strangers' connections can keep browsers out: raise the "
                "limit (LimitNOFILE= in the unit, ulimit -n in a terminal)",
                allowed, FILES_NEEDED,
            )  # fmt: skip
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, proto, _, address in dict.fromkeys(found):
            ear = socket.socket(family, kind, proto)
            self._sockets.append(ear)
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            ear.setblocking(False)
            ear.bind(address)
            ear.listen(BACKLOG)
            self._begin(self._accept(ear))

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Accept no more. What is open is the server's to close."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for ear in self._sockets:
            ear.close()

    def spoke(self, peer: Peer, *, member: bool) -> None:
        """There was a request on the connection from `peer`; `member`: of somebody who is logged in."""
        connection = self._strangers.pop(peer, None) or self._members.pop(peer, None)
        if connection is None:
            return
        connection.has_spoken = True
        (self._members if member else self._strangers)[peer] = connection
        self._cut_oldest()

    def _begin(self, doing: Any) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, ear: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                found, peer = await loop.sock_accept(ear)
            except OSError as error:
                self._tell(f"no connection can be taken: {error}: is the limit of open files too low?")
                await asyncio.sleep(PAUSE_S)
                continue
            self._tell("")
            connection = _Connection(found)
            self._strangers[peer] = connection
            self._cut_oldest()
            self._begin(self._serve(connection, peer))
            await asyncio.sleep(0)  # a burst is accepted without a pause, and what was cut is closed in one only

    async def _serve(self, connection: _Connection, peer: Peer) -> None:
        """Hand it over, and see to it that somebody speaks on it in time."""
        loop = asyncio.get_running_loop()
        timeout_s = HANDSHAKE_S if self._encryption else None
        try:
            await loop.connect_accepted_socket(
                self._factory, connection.own, ssl=self._encryption, ssl_handshake_timeout=timeout_s
            )
        except (OSError, TimeoutError):  # no TLS, or none in time
            connection.own.close()
            return
        await asyncio.sleep(SPEAK_S)
        if not connection.has_spoken and self._strangers.get(peer) is connection:
            connection.cut()

    def _cut_oldest(self) -> None:
        allowed = files_allowed()
        limit = allowed - min(FILES_KEPT, allowed // 3)
        strangers, members = min(STRANGERS_MAX, limit // 3), min(MEMBERS_MAX, limit * 2 // 3)
        for connections, most in ((self._strangers, strangers), (self._members, members)):
            if len(connections) <= most:
                continue
            for peer in [peer for peer, one in connections.items() if one.has_ended]:
                del connections[peer]
            while len(connections) > most:
                connections.popitem(last=False)[1].cut()

    def _tell(self, trouble: str) -> None:
        """Each trouble once, and when it has ended."""
        if trouble != self._trouble:
            log.warning("%s", trouble or "connections can be taken again")
        self._trouble = trouble


def files_allowed() -> int:
    """How many this process may have open, as far as they are of use."""
    return min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], FILES_MAX)


class _Connection:
    """`own`: the socket, which asyncio has, too."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        self.has_spoken = False

    @property
    def has_ended(self) -> bool:
        return self.own.fileno() < 0

    def cut(self) -> None:
        """End it, whatever stands on it."""
        with contextlib.suppress(OSError):
            self.own.shutdown(socket.SHUT_RDWR)
