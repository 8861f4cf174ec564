"""The one connection to a camera: between FFmpeg, which speaks RTSP with the cameras of this world, and the camera.

FFmpeg would look names up by itself, follow a camera's redirection to anywhere, and put the password into its error
texts. So it is given a port of this machine and a secret path (it would take what stands behind a ? as orders), and
here: the connection goes to the addresses that the desk has checked; what the camera answers is read and written anew,
without what could lead elsewhere; the password is added on this side, so FFmpeg never has it. Whatever comes from the
camera is hostile, and bounded.
"""

from __future__ import annotations

import asyncio
import errno
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from desk.media.digest import authorization
from desk.media.trouble import NoStream

CONNECT_S = 4.0
HEADER_MAX, BODY_MAX, VALUE_MAX, PENDING_MAX = 16 * 1024, 64 * 1024, 1024, 32
DOLLAR = b"$"  # before a packet of picture or sound
# What FFmpeg gets to see of an answer: nothing that leads elsewhere, nothing that it would take for another dialect.
HEADERS = ("session", "transport", "content-type", "content-base", "rtp-info", "public", "range")
STATUS_LINE = re.compile(r"RTSP/1\.[01] ([1-5][0-9]{2})(?: .*)?")
REQUEST_LINE = re.compile(r"([A-Z_]{1,20}) (\S{1,2048}) RTSP/1\.0")
REASON = {200: "OK", 401: "Unauthorized", 404: "Not Found", 454: "Session Not Found"}
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETDOWN)


@dataclass(frozen=True)
class Target:
    """Where a camera is. `addresses`: of `host`, checked; `path`: with its query. `port_there`: the port at these
    addresses, where it is not the one that the camera goes by (0: it is)."""

    addresses: tuple[str, ...]
    host: str
    port: int
    path: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    speaks: bool = False  # it has a back channel
    port_there: int = 0

    @property
    def base(self) -> str:
        """As it stands in a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rtsp://{host}:{self.port}"


@dataclass
class Request:
    """One that waits for its answer. `number`: FFmpeg's CSeq."""

    method: str
    uri: str
    number: str
    headers: list[tuple[str, str]]
    body: bytes
    tried: bool = False  # with the password


class Relay:
    """For one run of FFmpeg. `trouble`: why the camera's side ended or refused, as soon as it has. What it does once it
    has been told that nobody wants it any more is no trouble: FFmpeg closes for a reason of its own."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._secret = secrets.token_urlsafe(16)
        self._server: asyncio.Server | None = None
        self._open: list[asyncio.StreamWriter] = []
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[str, Request] = {}  # by our CSeq
        self._own_questions: dict[str, asyncio.Future[None]] = {}  # by our CSeq, too
        self._camera: asyncio.StreamWriter | None = None
        self._challenges: list[str] = []
        self._sent = 0
        self._own = self._session = ""
        self._is_over = False
        self.trouble: NoStream | None = None

    async def start(self) -> str:
        """Connects to the camera; the address for FFmpeg. Raises NoStream."""
        camera = await connect(self._target)
        self._open.append(camera[1])
        self._camera = camera[1]
        self._server = await asyncio.start_server(
            lambda *player: self._accept(camera, player), "127.0.0.1", 0, limit=HEADER_MAX
        )
        self._own = f"rtsp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return f"{self._own}/{self._secret}"

    async def stop(self) -> None:
        """Ends the session at the camera and both connections; FFmpeg notices at once."""
        if self._server is not None:
            self._server.close()
        self._leave()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _leave(self) -> None:
        if self._session and self._camera is not None and not self._camera.is_closing():
            uri = self._target.base + self._target.path
            self._ask(Request("TEARDOWN", uri, "0", [("session", self._session)], b""), self._camera)
        for writer in self._open:
            writer.close()

    async def answers(self, within_s: float) -> bool:
        """Whether the camera answers a question of the desk's own that soon: not where it stands behind a queue of
        pictures."""
        assert self._camera is not None
        request = Request("OPTIONS", self._target.base + self._target.path, "", [], b"")
        self._ask(request, self._camera)
        number = str(self._sent)
        answered = self._own_questions[number] = asyncio.get_running_loop().create_future()
        del self._waiting[number]
        try:
            async with asyncio.timeout(within_s):
                await answered
        except TimeoutError:
            return False
        finally:
            del self._own_questions[number]
        return True

    def give_up(self, trouble: NoStream) -> None:
        """This connection is no use any more: FFmpeg sees its end."""
        self.trouble = self.trouble or trouble
        self._leave()

    def unanswered(self) -> NoStream | None:
        """What FFmpeg did not live to see."""
        waits = None if self._is_over else next(iter(self._waiting.values()), None)
        return NoStream("timeout", f"the camera did not answer {waits.method}") if waits is not None else None

    def _accept(
        self,
        camera: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        player: tuple[asyncio.StreamReader, ...] | Sequence[object],
    ) -> None:
        """The first that comes; it shows by the secret in its first request that it is ours."""
        reader, writer = player
        assert isinstance(reader, asyncio.StreamReader) and isinstance(writer, asyncio.StreamWriter)
        if self._task is not None:
            writer.close()
            return
        self._open.append(writer)
        self._task = asyncio.ensure_future(self._run(camera, (reader, writer)))

    async def _run(
        self,
        camera: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        player: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        up = asyncio.ensure_future(self._to_camera(player[0], camera[1]))
        down = asyncio.ensure_future(self._to_player(camera, player[1]))
        try:
            done, _ = await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            for task in [one for one in (up, down) if one in done and not self._is_over]:
                error = task.exception()
                if isinstance(error, NoStream):
                    self.trouble = self.trouble or error
                elif error is not None and not isinstance(error, OSError | EOFError):
                    self.trouble = self.trouble or NoStream("protocol", "the camera speaks no RTSP")
                elif task is down:
                    self.trouble = self.trouble or NoStream("lost", "the camera ended the connection")
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)
            for writer in (camera[1], player[1]):
                writer.close()

    # FFmpeg to camera

    async def _to_camera(self, reader: asyncio.StreamReader, camera: asyncio.StreamWriter) -> None:
        first = True
        while head := await reader.read(1):
            if head == DOLLAR:
                camera.write(DOLLAR + await read_packet(reader))
            else:
                request = await self._request(head, reader, first)
                first = False
                self._ask(request, camera)
                if len(self._waiting) > PENDING_MAX:
                    raise NoStream("timeout", "the camera answers nothing any more")
            await camera.drain()

    async def _request(self, head: bytes, reader: asyncio.StreamReader, first: bool) -> Request:
        line, headers = await read_head(head, reader)
        found = REQUEST_LINE.fullmatch(line)
        mine = f"{self._own}/{self._secret}"
        if found is None or (first and not found[2].startswith(mine)):
            raise NoStream("no-gateway", "somebody else than the desk's player came")
        uri = found[2]
        if uri.startswith(mine):
            uri = self._target.base + self._target.path + uri.removeprefix(mine)
        kept = [(name, value) for name, value in headers if name not in ("cseq", "authorization", "content-length")]
        number = next((value for name, value in headers if name == "cseq"), "0")
        return Request(found[1], uri, number, kept, await read_body(headers, reader))

    def _ask(self, request: Request, camera: asyncio.StreamWriter) -> None:
        if request.method == "TEARDOWN":
            self._session, self._is_over = "", True
        self._sent += 1
        self._waiting[str(self._sent)] = request
        lines = [f"{request.method} {request.uri} RTSP/1.0", f"CSeq: {self._sent}"]
        lines += [f"{name.title()}: {value}" for name, value in request.headers]
        if (shown := self._authorization(request)) is not None:
            lines.append(f"Authorization: {shown}")
        if request.body:
            lines.append(f"Content-Length: {len(request.body)}")
        camera.write("\r\n".join([*lines, "", ""]).encode() + request.body)

    def _authorization(self, request: Request) -> str | None:
        user, password = self._target.user, self._target.password
        if not self._challenges or user is None or password is None:
            return None
        request.tried = True
        return authorization(self._challenges, request.method, request.uri, user, password)

    # Camera to FFmpeg

    async def _to_player(
        self, camera: tuple[asyncio.StreamReader, asyncio.StreamWriter], player: asyncio.StreamWriter
    ) -> None:
        reader = camera[0]
        while head := await reader.read(1):
            if head == DOLLAR:
                player.write(DOLLAR + await read_packet(reader))
            else:
                line, headers = await read_head(head, reader)
                body = await read_body(headers, reader)
                if (found := STATUS_LINE.fullmatch(line)) is not None:
                    self._answer(int(found[1]), headers, body, camera[1], player)
                elif REQUEST_LINE.fullmatch(line) is None:  # what a camera asks is not answered
                    raise NoStream("protocol", "whoever is there speaks no RTSP")
            await player.drain()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        camera: asyncio.StreamWriter,
        player: asyncio.StreamWriter,
    ) -> None:
        if status < 200:
            return
        number = next((value for name, value in headers if name == "cseq"), "")
        if (own := self._own_questions.get(number)) is not None:
            if not own.done():
                own.set_result(None)
            return
        request = self._waiting.pop(number, None)
        if request is None:
            raise NoStream("protocol", "the camera answers what was not asked")
        if status == 401 and self._again(request, headers):
            self._ask(request, camera)
            return
        self._note(status, request)
        kept = [(name, value) for name, value in headers if name in HEADERS and value.isprintable()]
        if request.method == "SETUP":
            self._session = next((value.partition(";")[0] for name, value in kept if name == "session"), self._session)
        lines = [f"RTSP/1.0 {status} {REASON.get(status, 'Status')}", f"CSeq: {request.number}"]
        lines += [f"{name.title()}: {value[:VALUE_MAX]}" for name, value in kept]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        player.write("\r\n".join([*lines, "", ""]).encode() + body)

    def _again(self, request: Request, headers: list[tuple[str, str]]) -> bool:
        """Whether the request is to be sent once more, with the password."""
        challenges = [value for name, value in headers if name == "www-authenticate"]
        is_stale = any("stale=true" in value.lower().replace('"', "") for value in challenges)
        if not challenges or self._target.user is None or (request.tried and not (is_stale and self._challenges)):
            return False
        if request.tried and challenges == self._challenges:
            return False
        self._challenges = challenges[:4]
        return True

    def _note(self, status: int, request: Request) -> None:
        """Keeps why it will not work; raises NoStream for what FFmpeg must not see."""
        if self._is_over:
            return
        if status in (401, 403):
            known = "the user or password for it is wrong" if self._target.user else "no password for it is known"
            self.trouble = NoStream("unauthorized", f"the camera wants to know who is there ({status}): {known}")
        elif 300 <= status < 400:
            raise NoStream("protocol", f"the camera sends the desk elsewhere ({status}), which it does not follow")
        elif status == 404:
            self.trouble = NoStream("not-found", "the camera knows no such stream (404)")
        elif request.method in ("DESCRIBE", "SETUP", "PLAY") and status != 200:
            self.trouble = NoStream("protocol", f"the camera answered {request.method} with {status}")


async def connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """To the first of its addresses that can be reached. Raises NoStream."""
    where, trouble = f"{target.host}:{target.port}", NoStream("no-route", "no address")
    for address in target.addresses:
        try:
            opening = asyncio.open_connection(address, target.port_there or target.port, limit=HEADER_MAX)
            async with asyncio.timeout(CONNECT_S):
                return await opening
        except TimeoutError:
            trouble = NoStream("timeout", f"{where} did not take a connection in {CONNECT_S:.0f} s")
        except ConnectionRefusedError:
            trouble = NoStream("refused", f"{where} refuses connections")
        except OSError as error:
            code = "no-route" if error.errno in UNREACHABLE else "lost"
            trouble = NoStream(code, f"{where}: {error.strerror or 'no connection'}")
    raise trouble


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(3)
    return head + await reader.readexactly(int.from_bytes(head[1:]))


async def read_head(first: bytes, reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    """The first line, and the headers with lower-case names. Raises NoStream."""
    try:
        text = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.LimitOverrunError:
        raise NoStream("protocol", "whoever is there speaks no RTSP: a header without an end") from None
    line, *rest = text.lstrip("\r\n")[:HEADER_MAX].removesuffix("\r\n\r\n").split("\r\n")
    headers = []
    for one in rest:
        name, colon, value = one.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", name.strip()):
            raise NoStream("protocol", "whoever is there speaks no RTSP: a broken header")
        headers.append((name.strip().lower(), value.strip()))
    return line, headers


async def read_body(headers: list[tuple[str, str]], reader: asyncio.StreamReader) -> bytes:
    lengths = {value for name, value in headers if name == "content-length"}
    if not lengths:
        return b""
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,6}", length) or int(length) > BODY_MAX:
        raise NoStream("protocol", "the camera's answer is too long, or has two lengths")
    return await reader.readexactly(int(length))
