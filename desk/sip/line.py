"""Requests of SIP to one other side (RFC 3261, 17): over UDP, which loses some, sent again until they are answered;
over TCP once."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from sipmessage import Message, Request, Response

from desk.sip.trouble import NoCall

T1_S, T2_S = 0.5, 4.0  # the first pause before a request is sent again; the longest
SILENT_S = 8.0  # without any answer: nobody is there
MESSAGE_MAX = 16 * 1024
ANSWERED_MAX = 32  # requests of the other side whose answers are kept, should they come again
COOKIE = "z9hG4bK"  # before a branch
UDP, TCP = "udp", "tcp"
LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*([0-9]{1,6})[ \t]*$", re.IGNORECASE | re.MULTILINE)
log = logging.getLogger(__name__)


@dataclass
class Waiting:
    """A request that waits for its final answer."""

    request: Request
    answer: asyncio.Future[Response]
    heard: Callable[[Response], None]  # what comes before the final answer
    quiet: asyncio.Event = field(default_factory=asyncio.Event)  # it need not be sent again


class Line:
    """`send`: a message to the other side. `asked` answers its requests, or gives None where there is no answer.

    `here`: HOST:PORT of this side; `transport`: UDP or TCP. `late` hears that a call was answered which nobody waits
    for any more.
    """

    def __init__(
        self, send: Callable[[bytes], None], here: str, asked: Callable[[Request], Response | None],
        transport: str = UDP,
    ) -> None:  # fmt: skip
        self._send, self.here, self.asked, self.transport = send, here, asked, transport
        self.late: Callable[[Response], None] = lambda response: None
        self._waiting: dict[str, Waiting] = {}
        self._acked: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._answered: OrderedDict[tuple[str, str], bytes] = OrderedDict()

    async def ask(
        self, request: Request, heard: Callable[[Response], None] = lambda response: None, silent_s: float = SILENT_S
    ) -> Response:
        """The final answer. Raises NoCall when nobody answers a word.

        An INVITE waits as long as it takes once something was heard; whoever cancels the waiting says so to the
        other side as well. Of a CANCEL the branch is the INVITE's.
        """
        if request.headers.get("Via") is None:
            request.headers.set("Via", self.new_via())
        key = _key(request)
        waiting = self._waiting[key] = Waiting(request, asyncio.get_running_loop().create_future(), heard)
        sending = asyncio.ensure_future(self._repeat(waiting, silent_s))
        try:
            return await waiting.answer
        finally:
            sending.cancel()
            self._waiting.pop(key, None)

    def tell(self, request: Request, answers: Response) -> None:
        """An ACK of a 2xx: not answered, but said again whenever that answer comes again."""
        request.headers.set("Via", self.new_via())
        self._acked[_tag(answers), answers.cseq.sequence] = bytes(request)
        while len(self._acked) > ANSWERED_MAX:
            self._acked.popitem(last=False)
        self._send(bytes(request))

    def reply(self, request: Request, response: Response) -> None:
        """Answers a request, perhaps one that was answered for the time being."""
        self._answered[_via(request), request.method] = bytes(response)
        while len(self._answered) > ANSWERED_MAX:
            self._answered.popitem(last=False)
        self._send(bytes(response))

    def fail(self, trouble: NoCall) -> None:
        """The network itself says that nobody is there."""
        for waiting in self._waiting.values():
            if not waiting.answer.done():
                waiting.answer.set_exception(trouble)

    def new_via(self) -> str:
        return f"SIP/2.0/{self.transport.upper()} {self.here};branch={COOKIE}{secrets.token_hex(12)};rport"

    async def _repeat(self, waiting: Waiting, silent_s: float) -> None:
        data, pause_s, is_invite = bytes(waiting.request), T1_S, waiting.request.method == "INVITE"
        deadline = asyncio.get_running_loop().time() + silent_s
        while (left_s := deadline - asyncio.get_running_loop().time()) > 0:
            self._send(data)
            pause_s = left_s if self.transport == TCP else pause_s
            try:
                async with asyncio.timeout(min(pause_s, left_s)):
                    await waiting.quiet.wait()
                if is_invite:
                    return
                await asyncio.sleep(min(T2_S, left_s))  # it is being worked on
            except TimeoutError:
                pause_s = pause_s * 2 if is_invite else min(T2_S, pause_s * 2)
        if not waiting.answer.done():
            waiting.answer.set_exception(NoCall("timeout", f"nobody answers within {silent_s:.0f} s"))

    # What comes

    def receive(self, data: bytes) -> None:
        """One message, whatever it is."""
        message = parsed(data)
        if isinstance(message, Response):
            self._answer(message)
        elif isinstance(message, Request):
            self._request(message)

    def _answer(self, response: Response) -> None:
        waiting = self._waiting.get(_key(response))
        is_invite = response.cseq.method == "INVITE"
        ack = self._acked.get((_tag(response), response.cseq.sequence))
        if is_invite and 200 <= response.code < 300:
            if ack is not None:
                self._send(ack)
            elif waiting is None:
                self.late(response)
        if is_invite and response.code >= 300:
            self._refused(response)
        if waiting is None:
            return
        waiting.quiet.set()
        if response.code < 200:
            waiting.heard(response)
        elif not waiting.answer.done():
            waiting.answer.set_result(response)

    def _refused(self, response: Response) -> None:
        """An answer of 300 and more to an INVITE gets its ACK here, each time that it comes."""
        waiting = self._waiting.get(_key(response))
        known = self._acked.get((_via(response), 0))
        if waiting is not None:
            ack = Request("ACK", waiting.request.uri)
            for name in ("Via", "From", "Call-ID", "Route"):
                ack.headers.setlist(name, list(waiting.request.headers.getlist(name)))
            ack.headers.set("To", response.headers["To"])
            ack.headers.set("CSeq", f"{response.cseq.sequence} ACK")
            ack.headers.set("Max-Forwards", "70")
            ack.headers.set("Content-Length", "0")
            known = self._acked[_via(response), 0] = bytes(ack)
        if known is not None:
            self._send(known)

    def _request(self, request: Request) -> None:
        key = _via(request), request.method
        if (said := self._answered.get(key)) is not None:  # it did not hear the answer
            self._send(said)
            return
        response = self.asked(request)
        if response is not None:
            self.reply(request, response)


def split(data: bytes) -> tuple[bytes, bytes] | None:
    """The first message of what came over TCP, and the rest; None while it is not whole. Raises ValueError: no SIP."""
    data = data.lstrip(b"\r\n")  # that says: still there
    head, found, rest = data.partition(b"\r\n\r\n")
    length = LENGTH.search(head.replace(b"\r\n", b"\n")) if found else None
    if (found and length is None) or len(head) > MESSAGE_MAX or (length and int(length[1]) > MESSAGE_MAX):
        raise ValueError("a message without an end")
    if length is None or len(rest) < int(length[1]):
        return None
    end = int(length[1])
    return head + found + rest[:end], rest[end:]


def parsed(data: bytes) -> Request | Response | None:
    """None for what is no message of SIP, or lacks what each must have."""
    if len(data) > MESSAGE_MAX:
        return None
    try:
        message = Message.parse(data)
        if not (_via(message) and message.call_id and message.cseq.method):
            return None
        if isinstance(message, Response) and not 100 <= message.code < 700:
            return None
        message.headers["From"], message.headers["To"]
        length = message.content_length
    except (ValueError, KeyError, IndexError):
        return None
    if length is not None and 0 <= length < len(message.body):
        message.body = message.body[:length]
    return message


def response_to(request: Request, status: int, phrase: str, tag: str, body: bytes = b"") -> Response:
    """With `tag` as this side's name of the dialog."""
    response = Response(status, phrase, body)
    for name in ("Via", "From", "Call-ID", "CSeq", "Record-Route"):
        if values := request.headers.getlist(name):
            response.headers.setlist(name, list(values))
    to = request.headers["To"]
    response.headers.set("To", to if ";tag=" in to.lower() or not tag else f"{to};tag={tag}")
    if body:
        response.headers.set("Content-Type", "application/sdp")
    response.headers.set("Content-Length", str(len(body)))
    return response


def tag_of(header: str) -> str:
    """As it stands there: taken apart and put together it might be another."""
    _, found, rest = header.rpartition(">")[2].lower().partition(";tag=")
    return header[len(header) - len(rest) :].partition(";")[0].strip() if found else ""


def _tag(message: Message) -> str:
    return tag_of(message.headers["To"])


def _via(message: Message) -> str:
    """The branch of the uppermost."""
    top = message.headers["Via"].partition(",")[0]
    _, found, rest = top.lower().partition("branch=")
    return top[len(top) - len(rest) :].partition(";")[0].strip() if found else ""


def _key(message: Message) -> str:
    return f"{message.cseq.method} {_via(message)}"
