"""One call by SIP, from dialling to its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sipmessage import URI, Address, Request, Response

from desk.sip import sdp
from desk.sip.g711 import LAWS
from desk.sip.line import T1_S, T2_S, TCP, UDP, Line, response_to, split, tag_of
from desk.sip.proving import asked
from desk.sip.sdp import Session
from desk.sip.sound import Sound
from desk.sip.trouble import NoCall, of_status

PORT = 5060
CONNECT_S = 4.0  # by TCP
RING_S = 20.0  # until it is given up
BYE_S = 3.0  # for the answer to a farewell; then it is said on behind one's back
LINGER_S = 32.0  # for the answer to a call that was given up: so long it may be on its way (RFC 3261, timer B)
AGENT = "SOS desk"
NAME = "desk"
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO"
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Peer:
    """Whom to call. `addresses`: of its host, checked by the caller, the first that can be reached is called;
    `user`, `password`: what the desk says to whoever asks who it is; `port_there`: as of desk.media.relay.Target."""

    uri: URI
    addresses: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    port_there: int = 0

    @classmethod
    def of(cls, address: str, addresses: Sequence[str], user: str | None = None, password: str | None = None) -> Peer:
        """`address`: sip:NAME@HOST[:PORT][;transport=tcp]. Raises NoCall."""
        try:
            uri = URI.parse(address)
        except ValueError:
            raise NoCall("not-allowed", "this is no address that begins with sip:") from None
        peer = cls(uri, tuple(addresses), user, password)
        if uri.scheme != "sip" or peer.transport not in (UDP, TCP) or uri.password is not None:
            raise NoCall("not-allowed", "the desk calls sip: addresses by UDP or TCP, without a password in them")
        return peer

    @property
    def transport(self) -> str:
        return (self.uri.parameters.get("transport") or UDP).lower()

    @property
    def port(self) -> int:
        return self.uri.port or PORT


class _Datagrams(asyncio.DatagramProtocol):
    """The socket of one call; connected, so that nobody but the peer is heard."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._talk.line.receive(data)

    def error_received(self, error: Exception) -> None:
        if isinstance(error, ConnectionRefusedError):
            self._talk.line.fail(NoCall("refused", "nothing listens there"))


class _Stream(asyncio.Protocol):
    """The connection of one call by TCP: messages one after the other (RFC 3261, 18.3)."""

    def __init__(self, talk: Conversation) -> None:
        self._talk, self._waiting = talk, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._waiting += data
        try:
            while (found := split(self._waiting)) is not None:
                message, self._waiting = found
                self._talk.line.receive(message)
            self._waiting = self._waiting.lstrip(b"\r\n")
        except ValueError:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._talk.line.fail(NoCall("lost", "it has ended the connection"))


class Conversation:
    """`over` has the reason as soon as it has ended. `sound` is heard and spoken once it was answered.

    `may_send` says whether sound may go to an address that the other side names; without it only to the peer's own.
    """

    line: Line

    def __init__(
        self, peer: Peer, may_send: Callable[[str], bool] | None = None,
        noted: Callable[[Request, Response | None], None] = lambda invite, heard: None,
    ) -> None:  # fmt: skip
        self.peer, self._noted = peer, noted
        self._may_send = may_send or (lambda address: address in peer.addresses)
        self.over: asyncio.Future[NoCall] = asyncio.get_running_loop().create_future()
        self.sound = Sound()
        self.rings = False
        self.session: Session | None = None
        self._call_id, self._tag, self._sequence = secrets.token_hex(16), secrets.token_hex(8), 0
        self._from = self._to = ""
        self._target, self._routes = peer.uri, list[str]()
        self._transport: asyncio.DatagramTransport | asyncio.Transport | None = None
        self._port = 0
        self._host = self._address = ""
        self._invite: Request | None = None
        self._closing = False
        self._heard = asyncio.Event()  # the other side knows that its call was taken
        self._gone: Callable[[], object] = lambda: None

    @classmethod
    async def dial(
        cls,
        peer: Peer,
        *,
        ring_s: float = RING_S,
        may_send: Callable[[str], bool] | None = None,
        rings: Callable[[], None] = lambda: None,
        noted: Callable[[Request, Response | None], None] = lambda invite, heard: None,
    ) -> Conversation:
        """A call that was answered. Raises NoCall. Cancelled, or not answered in `ring_s`, it is taken back. `noted` is
        told before the call leaves, and when something is heard of it, what `end_another` needs to end it."""
        talk = cls(peer, may_send, noted)
        await talk._open()
        asking = asyncio.ensure_future(talk._call(rings))
        try:
            async with asyncio.timeout(ring_s):
                await asyncio.shield(asking)
        except TimeoutError:
            await talk._take_back(asking)
            raise NoCall("no-answer" if talk.rings else "timeout", f"not answered in {ring_s:.0f} s") from None
        except asyncio.CancelledError:
            _background(talk._take_back(asking))
            raise
        except BaseException as error:
            if isinstance(error, NoCall) and error.code == "timeout":
                _background(talk._linger())  # it may hear of the call later, and answer it
            else:
                await talk._shut()
            raise
        return talk

    @classmethod
    async def take(
        cls, peer: Peer, invite: Request, line: Line, host: str, tag: str, *, may_send: Callable[[str], bool],
        gone: Callable[[], object],
    ) -> Conversation:  # fmt: skip
        """A call that the other side makes, over `line`; answered. `gone` is called when it needs the line no longer,
        `tag` is the desk's name of the call so far.

        Raises NoCall: then it is still to be refused.
        """
        talk = cls(peer, may_send)
        talk.line, talk._gone, talk._host, talk._tag = line, gone, host, tag
        session = sdp.read(invite.body)
        if not talk._may_send(session.address):
            raise NoCall("not-allowed", f"it wants the sound sent to {session.address}")
        try:
            contacts = invite.contact
            talk._target = contacts[0].uri if contacts else peer.uri
            talk._port = await talk.sound.open(host)
        except (ValueError, OSError):
            raise NoCall("protocol", "it does not say where it can be reached, or there is no port left") from None
        talk._call_id, talk._to = invite.call_id, invite.headers["From"]
        talk._from = f"{invite.headers['To']};tag={talk._tag}"
        talk._routes = _each(invite.headers.getlist("Record-Route"))
        line.asked = talk._asked
        body = sdp.described(host, talk._port, (session.law,), session.digits)
        response = response_to(invite, 200, "OK", talk._tag, body)
        response.headers.set("Contact", talk._contact)
        talk._agree(session)
        _background(talk._say_until_heard(invite, response))
        return talk

    @classmethod
    async def end_another(cls, peer: Peer, invite: Request, heard: Response | None) -> None:
        """End a call that a process which is no more has made: `heard` is the last that it has heard of it. Whether it
        rings still or was answered meanwhile nobody knows: what does not fit is refused by the other side, and harms
        nothing. Raises NoCall when nobody answers."""
        talk = cls(peer)
        await talk._open()
        try:
            talk._call_id, talk._from, talk._to = invite.call_id, invite.headers["From"], invite.headers["To"]
            talk._sequence = invite.cseq.sequence
            if heard is None or heard.code < 200:
                await talk._cancel(invite)
            if heard is not None and tag_of(heard.headers["To"]):
                talk._told_where(heard)
                await talk._asked_again("BYE", silent_s=BYE_S)
        finally:
            await talk._shut()

    async def _say_until_heard(self, invite: Request, response: Response) -> None:
        """That the call was taken (RFC 3261, 13.3.1.4)."""
        pause_s, left_s = T1_S, LINGER_S
        while left_s > 0 and not self.over.done() and not self._heard.is_set():
            self.line.reply(invite, response)
            try:
                async with asyncio.timeout(pause_s):
                    await self._heard.wait()
            except TimeoutError:
                left_s, pause_s = left_s - pause_s, min(2 * pause_s, T2_S)
        if not self._heard.is_set() and not self.over.done():
            self.over.set_result(NoCall("timeout", "it does not hear that its call was taken"))

    async def hang_up(self) -> None:
        """Harmless when it is over. Returns when the other side knows, or cannot be told."""
        if self._closing:
            return
        self._closing = True
        await self.sound.close()
        if self.session is None or self.over.done():
            await self._shut()
            return
        leaving = _background(self._leave())
        await asyncio.wait([leaving], timeout=BYE_S)

    # Dialling

    async def _open(self) -> None:
        """The sockets, to the first address that there is a way to. Raises NoCall."""
        trouble = NoCall("no-route", "no address")
        for address in self.peer.addresses:
            try:
                self.line = Line(self._send, "", self._asked, self.peer.transport)
                self._transport = await self._connect(address)
                self._address = address
                self._host, port = self._transport.get_extra_info("sockname")[:2]
                self.line.here = f"[{self._host}]:{port}" if ":" in self._host else f"{self._host}:{port}"
                self._port = await self.sound.open(self._host)
            except TimeoutError:
                trouble = NoCall("timeout", f"{address}: no connection in {CONNECT_S:.0f} s")
                continue
            except OSError as error:
                code = "no-route" if error.errno in UNREACHABLE or isinstance(error, socket.gaierror) else "refused"
                trouble = NoCall(code, f"{address}: {error.strerror or 'no connection'}")
                await self._close_sockets()
                continue
            self._from = f"<{URI('sip', self.peer.uri.host, self.peer.user or NAME)}>;tag={self._tag}"
            self._to = f"<{self.peer.uri}>"
            return
        raise trouble

    async def _connect(self, address: str) -> asyncio.DatagramTransport | asyncio.Transport:
        """Raises OSError."""
        loop, where = asyncio.get_running_loop(), (address, self.peer.port_there or self.peer.port)
        if self.peer.transport == UDP:
            datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), remote_addr=where)
            return datagrams
        opening = loop.create_connection(lambda: _Stream(self), *where)
        async with asyncio.timeout(CONNECT_S):
            stream, _ = await opening
        return stream

    def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is not None and not transport.is_closing():
            if self.peer.transport == TCP:
                cast(asyncio.Transport, transport).write(data)
            else:
                cast(asyncio.DatagramTransport, transport).sendto(data)
        elif self.peer.transport == TCP:  # nothing will be heard of it
            self.line.fail(NoCall("lost", "it has ended the connection"))

    async def _call(self, rings: Callable[[], None]) -> None:
        def heard(response: Response) -> None:
            if response.code > 100 and not self.rings:
                self.rings = True
                self._note(response)
                rings()

        offer = sdp.described(self._host, self._port)
        response = await self._asked_again("INVITE", offer, heard)
        if response.code >= 300:
            raise of_status(response.code)
        self._note(response)
        self._answered(response)
        try:
            self._agree(sdp.read(response.body))
        except NoCall:
            await self._leave()
            raise

    def _note(self, heard: Response | None = None) -> None:
        assert self._invite is not None
        self._noted(self._invite, heard)

    def _told_where(self, response: Response) -> None:
        """Whom to tell what comes next in this call. Raises NoCall."""
        self._to = response.headers["To"]
        try:
            contacts = response.contact
            self._target = contacts[0].uri if contacts else self._target
        except ValueError:
            raise NoCall("protocol", "it does not say where it can be reached") from None
        self._routes = _each(response.headers.getlist("Record-Route"))[::-1]

    def _answered(self, response: Response) -> None:
        """Somebody took the call: from here on there is something to end. Raises NoCall."""
        self._told_where(response)
        self.line.tell(self._request("ACK", number=response.cseq.sequence), response)

    async def _asked_again(
        self,
        method: str,
        body: bytes = b"",
        heard: Callable[[Response], None] = lambda response: None,
        silent_s: float | None = None,
    ) -> Response:
        """The final answer to a new request: with the password, if it is asked for. Raises NoCall."""

        def make() -> Request:
            self._sequence += 1
            request = self._request(method, body, number=self._sequence)
            if method == "INVITE":
                self._invite = request
            return request

        def ask(request: Request) -> Awaitable[Response]:
            if method == "INVITE":
                request.headers.set("Via", self.line.new_via())
                self._note()
            return self.line.ask(request, heard, silent_s) if silent_s else self.line.ask(request, heard)

        return await asked(make, ask, self.peer.user, self.peer.password)

    def _request(self, method: str, body: bytes = b"", *, number: int) -> Request:
        request = Request(method, self._target, body)
        request.headers.set("Max-Forwards", "70")
        if self._routes:
            request.headers.setlist("Route", list(self._routes))
        request.headers.set("From", self._from)
        request.headers.set("To", self._to)
        request.headers.set("Call-ID", self._call_id)
        request.headers.set("CSeq", f"{number} {method}")
        if method in ("INVITE", "UPDATE"):
            request.headers.set("Contact", self._contact)
            request.headers.set("Allow", ALLOW)
        request.headers.set("User-Agent", AGENT)
        if body:
            request.headers.set("Content-Type", "application/sdp")
        request.headers.set("Content-Length", str(len(body)))
        return request

    @property
    def _contact(self) -> str:
        return f"<sip:{NAME}@{self.line.here}{f';transport={TCP}' if self.line.transport == TCP else ''}>"

    def _agree(self, session: Session) -> None:
        """Raises NoCall."""
        if not self._may_send(session.address):
            raise NoCall("not-allowed", f"it wants the sound sent to {session.address}, which the desk may not call")
        self.session = session
        self.sound.start(session)

    # Its end

    async def _take_back(self, asking: asyncio.Task[None]) -> None:
        """Of a call that was not answered yet: CANCEL; should it be answered in the same moment, BYE."""
        self._closing = True
        if self.rings and not asking.done() and self._invite is not None:
            try:
                await self._cancel(self._invite)
                await asyncio.wait([asking], timeout=BYE_S)
            except NoCall as trouble:
                log.info("a call could not be taken back: %s", trouble.text)
        if asking.done() and not asking.cancelled():
            if asking.exception() is None:
                await self._leave()
            else:
                await self._shut()
            return
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        _background(self._linger())

    async def _cancel(self, invite: Request) -> None:
        request = Request("CANCEL", invite.uri)
        for name in ("Via", "From", "To", "Call-ID", "Route", "Max-Forwards"):
            if values := invite.headers.getlist(name):
                request.headers.setlist(name, list(values))
        request.headers.set("CSeq", f"{invite.cseq.sequence} CANCEL")
        request.headers.set("Content-Length", "0")
        await self.line.ask(request, silent_s=BYE_S)

    async def _leave(self) -> None:
        """The call was answered, and is to end: over another connection, if the one that it began on is gone."""
        try:
            if self.peer.transport == TCP and self._transport is not None and self._transport.is_closing():
                with contextlib.suppress(OSError):  # the farewell says that it cannot leave
                    self._transport = await self._connect(self._address)
            await self._asked_again("BYE", silent_s=LINGER_S)
        except NoCall as trouble:
            log.info("a farewell was not answered: %s", trouble.text)
        finally:
            await self._shut()

    async def _linger(self) -> None:
        """Should it be answered after all, it is ended at once."""
        self._closing = True
        await self.sound.close()
        answered = asyncio.Event()

        def late(response: Response) -> None:
            self._answered(response)
            answered.set()

        self.line.late = late
        try:
            async with asyncio.timeout(LINGER_S):
                await answered.wait()
            await self._leave()
        except (TimeoutError, NoCall):
            await self._shut()

    async def _shut(self) -> None:
        self._closing = True
        if not self.over.done():
            self.over.set_result(NoCall("over", "the desk has hung up"))
        await self._close_sockets()

    async def _close_sockets(self) -> None:
        self._gone()
        await self.sound.close()
        if self._transport is not None:
            self._transport.close()

    # What the other side asks

    def _asked(self, request: Request) -> Response | None:
        if request.method == "ACK":
            self._heard.set()
            return None
        mine = request.call_id == self._call_id and tag_of(request.headers["To"]) == self._tag
        if not mine or self.session is None:
            return response_to(request, 481, "Call/Transaction Does Not Exist", self._tag)
        if request.method == "BYE":
            if not self.over.done():
                self.over.set_result(NoCall("lost", "the other side has hung up"))
            _background(self.sound.close())
            return response_to(request, 200, "OK", self._tag)
        if request.method in ("INVITE", "UPDATE"):
            return self._changed(request)
        if request.method in ("OPTIONS", "INFO", "NOTIFY", "MESSAGE"):
            return response_to(request, 200, "OK", self._tag)
        return response_to(request, 405, "Method Not Allowed", self._tag)

    def _changed(self, request: Request) -> Response:
        """The call goes on in another way: another port, a pause, or the same to show that it lives."""
        assert self.session is not None
        body = b""
        try:
            if request.body:
                self._agree(sdp.read(request.body))
            if request.body or request.method == "INVITE":
                laws = tuple(LAWS.values()) if not request.body else (self.session.law,)
                body = sdp.described(self._host, self._port, laws, self.session.digits)
        except NoCall:
            return response_to(request, 488, "Not Acceptable Here", self._tag)
        response = response_to(request, 200, "OK", self._tag, body)
        response.headers.set("Contact", self._contact)
        return response


def _each(headers: Sequence[str]) -> list[str]:
    """The addresses in some headers, one by one; none at all if one of them is none."""
    try:
        return [str(one) for header in headers for one in Address.parse_many(header)]
    except ValueError:
        return []


_running: set[asyncio.Task[Any]] = set()


def _background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
