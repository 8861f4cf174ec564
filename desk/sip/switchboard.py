"""Calls that intercoms make to the desk: they ring until an officer looks at that column, and are then taken.

So it is where the relay, which closes with the alarm, makes the intercom dial. Nobody is authenticated here: a call
is only ever taken for a column whose alarm names that address and that name, and its sound goes there alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sipmessage import Request, Response

from desk.sip.conversation import NAME, Conversation, Peer
from desk.sip.line import Line, parsed, response_to
from desk.sip.trouble import NoCall

WAITING_MAX, EACH_MAX = 32, 2  # that ring at once; from one address
RING_S = 120.0  # an intercom that gives up earlier says so


@dataclass
class Ringing:
    """A call that nobody has taken yet."""

    invite: Request
    address: str
    line: Line
    expires: asyncio.TimerHandle


class Switchboard(asyncio.DatagramProtocol):
    """One port for all of them. `exchanges`: addresses from which the calls of many intercoms come."""

    def __init__(self) -> None:
        self.exchanges: frozenset[str] = frozenset()
        self._transport: asyncio.DatagramTransport | None = None
        self._host, self._here = "", ""
        self._ringing: dict[str, Ringing] = {}
        self._lines: dict[str, tuple[str, Line]] = {}  # by Call-ID; of those that ring, and those that were taken

    async def open(self, host: str, port: int) -> int:
        """`host`: this machine's own address in the intercoms' network. The port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, port))
        self._host, port = self._transport.get_extra_info("sockname")[:2]
        self._here = f"[{self._host}]:{port}" if ":" in self._host else f"{self._host}:{port}"
        return int(port)

    @property
    def contact(self) -> str:
        """Where it is called."""
        return f"sip:{NAME}@{self._here}"

    def line_to(self, address: str, port: int, call_id: str) -> Line:
        """For requests of the desk's own, from this port; one for each `call_id`."""

        def send(data: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(data, (address, port))

        line = Line(send, self._here, lambda asked: response_to(asked, 481, "No Such Call", _tag(call_id)))
        self._lines[call_id] = address, line
        return line

    def close(self) -> None:
        for ringing in list(self._ringing.values()):
            self._refuse(ringing, 480, "Temporarily Unavailable")
        if self._transport is not None:
            self._transport.close()

    async def take(self, peer: Peer, may_send: Callable[[str], bool]) -> Conversation | None:
        """The call of that intercom, if it rings. Raises NoCall when it does and cannot be taken."""
        for ringing in self._ringing.values():
            if ringing.address in peer.addresses and _caller(ringing.invite) == peer.uri.user:
                break
        else:
            return None
        call_id = ringing.invite.call_id
        self._forget(ringing)
        self._lines[call_id] = ringing.address, ringing.line
        try:
            return await Conversation.take(
                peer, ringing.invite, ringing.line, self._host, _tag(call_id),
                may_send=may_send, gone=lambda: self._lines.pop(call_id, None),
            )  # fmt: skip
        except NoCall as trouble:
            ringing.line.reply(ringing.invite, _answer(ringing, 488, trouble.text))
            raise

    # What comes

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        message = parsed(data)
        if message is None:
            return
        address, line = self._lines.get(message.call_id, ("", None))
        if line is not None:
            if address == addr[0]:
                line.receive(data)
        elif isinstance(message, Request):
            self._stranger(message, data, addr)

    def _stranger(self, request: Request, data: bytes, addr: tuple[Any, ...]) -> None:
        """A request that belongs to no call."""

        def send(datagram: bytes) -> None:
            if self._transport is not None and not self._transport.is_closing():
                self._transport.sendto(datagram, addr)

        if request.method == "INVITE":
            of_it = sum(ringing.address == addr[0] for ringing in self._ringing.values())
            most = WAITING_MAX if addr[0] in self.exchanges else EACH_MAX
            if len(self._ringing) >= WAITING_MAX or of_it >= most:
                send(bytes(response_to(request, 486, "Busy Here", "desk")))
                return
            loop, call_id = asyncio.get_running_loop(), request.call_id
            line = Line(send, self._here, lambda asked: self._asked(call_id, asked))
            expires = loop.call_later(RING_S, self._expire, call_id)
            self._ringing[call_id] = Ringing(request, str(addr[0]), line, expires)
            self._lines[call_id] = str(addr[0]), line
            line.receive(data)
        elif request.method == "OPTIONS":
            send(bytes(response_to(request, 200, "OK", "desk")))
        elif request.method != "ACK":
            send(bytes(response_to(request, 481, "Call/Transaction Does Not Exist", "desk")))

    def _asked(self, call_id: str, request: Request) -> Response | None:
        """By a call that rings."""
        ringing = self._ringing.get(call_id)
        if request.method == "INVITE":
            return response_to(request, 180, "Ringing", _tag(call_id))
        if request.method == "CANCEL" and ringing is not None:
            self._refuse(ringing, 487, "Request Terminated")
            return response_to(request, 200, "OK", _tag(call_id))
        return None if request.method == "ACK" else response_to(request, 481, "No Such Call", _tag(call_id))

    def _expire(self, call_id: str) -> None:
        if (ringing := self._ringing.get(call_id)) is not None:
            self._refuse(ringing, 480, "Temporarily Unavailable")

    def _refuse(self, ringing: Ringing, status: int, phrase: str) -> None:
        ringing.line.reply(ringing.invite, _answer(ringing, status, phrase))
        self._forget(ringing)

    def _forget(self, ringing: Ringing) -> None:
        """It rings no more."""
        ringing.expires.cancel()
        self._ringing.pop(ringing.invite.call_id, None)
        self._lines.pop(ringing.invite.call_id, None)


def _answer(ringing: Ringing, status: int, phrase: str) -> Response:
    return response_to(ringing.invite, status, phrase, _tag(ringing.invite.call_id))


def _tag(call_id: str) -> str:
    """Of the desk, in the call of that name: the same in each answer."""
    return f"d{hash(call_id) & 0xFFFFFFFFFFFF:012x}"


def _caller(invite: Request) -> str | None:
    """The name that it gives itself."""
    try:
        return invite.from_address.uri.user
    except ValueError:
        return None
