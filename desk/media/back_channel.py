"""An officer's voice to a camera that has a loudspeaker: the back channel of ONVIF's Streaming Specification, by RTSP.

A connection of its own beside the one that FFmpeg reads, for FFmpeg cannot speak; opened again should it be lost, as
long as somebody wants it. However many officers look through a camera, it has one back channel: it says what all say.
Only cameras of which the desk's file says `speaks` are asked for it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from desk.media.digest import authorization
from desk.media.loudness import Loudness
from desk.media.relay import DOLLAR, STATUS_LINE, Target, connect, read_body, read_head, read_packet
from desk.media.shared import Shared
from desk.media.trouble import NoStream
from desk.media.voice import mixed
from desk.sip.g711 import ALAW, BLOCK, BLOCK_S, SILENCE, ULAW, Law
from desk.sip.level import QUIET_DB, Meter
from desk.sip.sound import HEADER, VERSION, Mouth

REQUIRE = "www.onvif.org/ver20/backchannel"
ANSWER_S = 5.0
ALIVE_EVERY_S = 25.0  # a session is forgotten after 60
PAUSES_S = (1.0, 2.0, 4.0)  # before it is opened again
FINAL = frozenset({"unauthorized", "codec"})  # another try would not change them
UNSENT_MAX = 64 * 1024  # bytes: more waits when the camera has frozen
ADDRESS = re.compile(r"[!-~]{1,512}")


class BackChannel(Shared[Mouth]):
    """Of one camera. `join` opens it, the last `leave` ends it; `forget` is called then. `said` gets each block that
    was said."""

    def __init__(
        self, target: Target, forget: Callable[[], object], said: Callable[[bytes], None] = lambda block: None
    ) -> None:
        super().__init__(forget)
        self._target, self._said = target, said
        self._meter, self.loudness = Meter(), Loudness()
        self._state, self._trouble = "calling", NoStream("lost", "not opened yet")

    def join(self, member: object) -> Mouth:
        """What that browser says goes into the mouth."""
        mouth = Mouth()
        self._let_in(member, mouth)
        return mouth

    def state(self) -> dict[str, Any]:
        """What the page says of it, as of an intercom."""
        talks = self._state == "talking"
        return {
            "state": self._state,
            "code": None if talks else self._trouble.code,
            "text": None if talks else self._trouble.text,
            "heard_db": round(QUIET_DB),  # what the camera hears comes by the other connection
            "said_db": round(self._meter.db if talks else QUIET_DB),
        }

    def _broke(self) -> None:
        self._state = "away"
        self._trouble = NoStream("protocol", "the media gateway failed at this; its log says where")

    async def _run(self) -> None:
        tries = 0
        while True:
            try:
                await self._once()
            except NoStream as trouble:
                self._trouble = trouble
            except (OSError, EOFError):
                self._trouble = NoStream("lost", "the camera ended the connection")
            tries = 0 if self._state == "talking" else tries + 1
            self._state = "failed" if self._trouble.code in FINAL else "away"
            if self._state == "failed":
                return
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])

    async def _once(self) -> None:
        """From the connection to its end. Raises NoStream, OSError, EOFError."""
        self._state = "calling"
        session = _Session(self._target, *await connect(self._target))
        try:
            async with asyncio.timeout(ANSWER_S):
                law = await session.open()
            for mouth in self._members.values():
                mouth.clear()
            self._state = "talking"
            await self._speak(session, law)
        except TimeoutError:
            raise NoStream("timeout", f"the camera did not open its back channel in {ANSWER_S:.0f} s") from None
        finally:
            session.close()

    async def _speak(self, session: _Session, law: Law) -> None:
        loop, number, ssrc = asyncio.get_running_loop(), secrets.randbits(15), secrets.randbits(32)
        reading = asyncio.ensure_future(session.drain())
        next_s = alive_s = loop.time()
        try:
            while not reading.done():
                block = self.loudness(mixed(self._members.values()) or SILENCE)
                self._meter.take(block)
                self._said(block)
                number += 1
                head = HEADER.pack(VERSION, law.payload_type, number & 0xFFFF, number * BLOCK & 0xFFFFFFFF, ssrc)
                session.send(head + law.encode(block))
                if loop.time() - alive_s > ALIVE_EVERY_S:
                    alive_s = loop.time()
                    session.alive()
                next_s = max(next_s + BLOCK_S, loop.time() - 1.0)
                await asyncio.sleep(max(0.0, next_s - loop.time()))
            await reading
            raise NoStream("lost", "the camera ended the connection")
        finally:
            reading.cancel()


class _Session:
    """One RTSP session in which the client sends."""

    def __init__(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._target, self._reader, self._writer = target, reader, writer
        self._sent, self._id = 0, ""
        self._challenges: list[str] = []
        self._uri = target.base + target.path

    async def open(self) -> Law:
        """Raises NoStream, OSError, EOFError."""
        headers, body = await self._ask("DESCRIBE", self._uri, f"Accept: application/sdp\r\nRequire: {REQUIRE}\r\n")
        law, control = _ear(body.decode("utf-8", "replace"))
        base = headers.get("content-base", "")
        base = base if ADDRESS.fullmatch(base) else self._uri
        uri = self._here(control if control.startswith("rtsp://") else f"{base.rstrip('/')}/{control}")
        wanted = f"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nRequire: {REQUIRE}\r\n"
        headers, _ = await self._ask("SETUP", uri, wanted)
        self._id = headers.get("session", "").partition(";")[0]
        if not self._id.isprintable() or "interleaved=0-1" not in headers.get("transport", ""):
            raise NoStream("protocol", "the camera does not take sound over this connection")
        await self._ask("PLAY", self._uri, f"Require: {REQUIRE}\r\n")
        return law

    def _here(self, uri: str) -> str:
        """Of that camera, whatever host it names: a proof for another one would be that one's."""
        try:
            where = urlsplit(uri)
        except ValueError:
            raise NoStream("protocol", "the camera's back channel has an address that is none") from None
        return f"{self._target.base}{where.path or '/'}{f'?{where.query}' if where.query else ''}"

    def send(self, packet: bytes) -> None:
        """... unless the camera takes nothing: what waits is past."""
        if self._writer.transport.get_write_buffer_size() < UNSENT_MAX:
            self._writer.write(DOLLAR + b"\x00" + len(packet).to_bytes(2) + packet)

    def alive(self) -> None:
        self._request("OPTIONS", self._uri, "")

    async def drain(self) -> None:
        """What the camera says meanwhile, until it ends the connection. Raises NoStream, OSError, EOFError."""
        while head := await self._reader.read(1):
            if head == DOLLAR:
                await read_packet(self._reader)
            else:
                _, headers = await read_head(head, self._reader)
                await read_body(headers, self._reader)

    def close(self) -> None:
        """And at the camera: it may give its loudspeaker to one session at a time."""
        if self._id and not self._writer.is_closing():
            self._request("TEARDOWN", self._uri, "")
        self._writer.close()

    async def _ask(self, method: str, uri: str, more: str) -> tuple[dict[str, str], bytes]:
        """The answer to it: with the password, if that is asked for. Raises NoStream, OSError, EOFError."""
        for _ in range(2):
            self._request(method, uri, more)
            status, headers, body = await self._answer()
            if status == 200:
                return dict(headers), body
            fresh = [value for name, value in headers if name == "www-authenticate"][:4]
            if status != 401 or not fresh or self._target.user is None:
                break
            self._challenges = fresh
        if status in (401, 403):
            raise NoStream("unauthorized", f"the camera wants to know who speaks ({status})")
        if status in (404, 551):
            raise NoStream("codec", f"the camera has no back channel ({status})")
        raise NoStream("protocol", f"the camera answered {method} with {status}")

    def _request(self, method: str, uri: str, more: str) -> None:
        self._sent += 1
        user, password, shown = self._target.user, self._target.password, None
        if self._challenges and user is not None and password is not None:
            shown = authorization(self._challenges, method, uri, user, password)
        more += f"Authorization: {shown}\r\n" if shown is not None else ""
        more += f"Session: {self._id}\r\n" if self._id else ""
        self._writer.write(f"{method} {uri} RTSP/1.0\r\nCSeq: {self._sent}\r\n{more}\r\n".encode())

    async def _answer(self) -> tuple[int, list[tuple[str, str]], bytes]:
        while True:
            head = await self._reader.readexactly(1)
            if head == DOLLAR:
                await read_packet(self._reader)
                continue
            line, headers = await read_head(head, self._reader)
            body = await read_body(headers, self._reader)
            if (found := STATUS_LINE.fullmatch(line)) is not None and int(found[1]) >= 200:
                return int(found[1]), headers, body


def _ear(sdp: str) -> tuple[Law, str]:
    """The camera's part that takes sound, and its address. Raises NoStream."""
    for part in re.split(r"^(?=m=)", sdp.replace("\r\n", "\n"), flags=re.MULTILINE):
        if not part.startswith("m=audio ") or "a=sendonly\n" not in f"{part}\n":
            continue
        kinds = part.splitlines()[0].split()[3:]
        law = next((one for one in (ULAW, ALAW) if str(one.payload_type) in kinds), None)
        control = re.search(rf"^a=control:({ADDRESS.pattern})$", part, re.MULTILINE)
        if law is not None and control is not None:
            return law, control[1]
        raise NoStream("codec", "the camera's back channel takes no G.711")
    raise NoStream("codec", "the camera has no back channel")
