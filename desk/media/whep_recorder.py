"""The picture and the sound of a camera that speaks WHEP into files, as they come: the desk is one more watcher.

Nothing is decoded but the first whole picture of a film (how large it is) and the place's sound for the conversation's
left ear. H.264 goes into MP4, VP8 into Matroska. A camera whose picture changes its size begins another film. The
desk sends the camera neither picture nor sound.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import queue
import struct
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import av
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.sdp import SessionDescription

from common.webrtc import CANDIDATES_MAX
from desk.media.files import Part
from desk.media.hosts import Hosts
from desk.media.recorder import Kept, Recorder, Writing
from desk.media.source import NOTHING_KNOWN, OPEN_S, PARAMETERS, SILENT_S, WHOLE, WHOLE_WAIT_S, nal_units
from desk.media.trouble import NoStream
from desk.media.whep import PORTS, Whep, WhepEndpoint

PICTURES = ("H264", "VP8")  # the better first: a browser plays it from a file
SOUNDS = {"OPUS": ("opus", 48_000, "stereo"), "PCMU": ("pcm_mulaw", 8000, "mono"), "PCMA": ("pcm_alaw", 8000, "mono")}
WAITING_MAX, WAITING_BYTES = 1024, 16 * 1024 * 1024  # a disk that hangs for ten seconds
ASK_EVERY_S = 1.0  # for a whole picture, while there is none
VP8_BEGINS = b"\x9d\x01\x2a"  # RFC 6386, 9.1: then its width and height
VIDEO, AUDIO = 0, 1  # numbers of the streams


@dataclass(frozen=True)
class WhepTarget:
    """Where a camera is, and where its picture may come from: see desk.media.hosts."""

    endpoint: WhepEndpoint
    names: tuple[str, ...] | None
    local: bool
    elsewhere: tuple[tuple[str, int, str, int], ...] = ()

    @property
    def hosts(self) -> Hosts:
        elsewhere = {(host, port): (ip, ip_port) for host, port, ip, ip_port in self.elsewhere}
        return Hosts(self.names, local=self.local, elsewhere=elsewhere)


class Came(NamedTuple):
    """A picture, or some sound. `codec`: as WebRTC calls it; `stamp`: in units of `base`."""

    stream: int
    codec: str
    data: bytes
    stamp: int
    base: Fraction
    at_s: float


class WhepRecorder(Recorder):
    """One camera."""

    def __init__(self, target: WhepTarget, threads: ThreadPoolExecutor, on_part: Callable[[Part], None]) -> None:
        super().__init__(threads, on_part)
        self._target = target

    async def _once(self) -> None:
        """Raises NoStream."""
        watching = _Watching(self._target)
        writing: asyncio.Future[None] | None = None
        try:
            sound = await watching.begin()
            writing = self._loop.run_in_executor(self._threads, self._write, watching, sound)
            ends: list[asyncio.Future[Any]] = [writing, watching.over]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if watching.over.done():
                raise watching.over.result()
            writing.result()
        finally:
            watching.came.end()
            await watching.close()
            if writing is not None:
                await asyncio.wait([writing], timeout=OPEN_S)

    # In a thread

    def _write(self, watching: _Watching, sound: str) -> None:
        """Until nothing comes any more. Raises NoStream."""
        film = _Film(self, watching, sound)
        try:
            for one in watching.came.each(has_picture=watching.has_picture):
                if self._stopping.is_set():
                    return
                film.put(one)
        finally:
            film.close()


class _Film:
    """What one connection gives, on its way into files. For the writing thread."""

    def __init__(self, recorder: Recorder, watching: _Watching, sound: str) -> None:
        self._recorder, self._watching = recorder, watching
        self._writing: Writing | None = None
        self._shape = b""  # of the picture
        self._sound = _Sound(sound) if sound else None
        self._began_s = self._asked_s = time.monotonic()
        if not watching.has_picture:
            self._writing = Writing(recorder, None, self._sound)

    def put(self, one: Came) -> None:
        """Raises NoStream."""
        is_key = one.stream == AUDIO
        if one.stream == VIDEO:
            is_key = (shape := _shape_of(one)) is not None
            if shape and shape != self._shape:
                self._shape = shape
                self._anew(_stream_of(one))
        elif self._sound is None or self._sound.codec != one.codec:
            self._sound = _Sound(one.codec)
            self._anew(self._writing.video if self._writing is not None else None)
        if self._writing is None:
            self._wait(one.at_s)
        else:
            self._recorder.keep(Kept(one.stream, one.data, one.stamp, None, one.base, is_key, one.at_s), self._writing)

    def _anew(self, video: Any) -> None:
        """Another film: what fitted together until now does so no more."""
        if video is not None or not self._watching.has_picture:
            self.close()
            self._writing = Writing(self._recorder, video, self._sound)

    def _wait(self, now_s: float) -> None:
        """For a whole picture. Raises NoStream when none comes."""
        if now_s - self._began_s > WHOLE_WAIT_S:
            raise NoStream("codec", f"the camera sent no whole picture in {WHOLE_WAIT_S:.0f} s")
        if now_s - self._asked_s > ASK_EVERY_S:
            self._asked_s = now_s
            self._watching.ask_for_a_whole_picture()

    def close(self) -> None:
        if self._writing is not None:
            self._writing.close(always=True)


class Waiting:
    """What came and is not yet written. It holds nobody up: while it is full, what comes is lost, and the film goes on
    at the next whole picture."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Came | None] = queue.SimpleQueue()
        self._put = self._taken = 0  # bytes; each is written by one thread
        self._skips = False

    def put(self, one: Came) -> None:
        """In the loop."""
        if self._queue.qsize() >= WAITING_MAX or self._put - self._taken + len(one.data) > WAITING_BYTES:
            self._skips = True
            return
        if one.stream == VIDEO:
            self._skips = self._skips and _shape_of(one) is None
            if self._skips:
                return
        self._put += len(one.data)
        self._queue.put(one)

    def end(self) -> None:
        """Nothing more comes."""
        self._queue.put(None)

    def each(self, *, has_picture: bool) -> Iterator[Came]:
        """In the writing thread, until `end`. Raises NoStream when the picture stands still."""
        seen_s = time.monotonic()
        while True:
            try:
                one = self._queue.get(timeout=SILENT_S)
            except queue.Empty:
                raise NoStream("timeout", f"the camera sent nothing for {SILENT_S:.0f} s") from None
            if one is None:
                return
            self._taken += len(one.data)
            if one.stream == VIDEO or not has_picture:
                seen_s = one.at_s
            elif one.at_s - seen_s > SILENT_S:
                raise NoStream("timeout", f"no picture from the camera for {SILENT_S:.0f} s")
            yield one


class _Watching:
    """One session at a camera. `over` has the reason as soon as it has ended there."""

    def __init__(self, target: WhepTarget) -> None:
        self._target, self._whep = target, Whep(target.hosts)
        self._loop = asyncio.get_running_loop()
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("connectionstatechange", self._moved)
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._session: Any = None
        self._receivers: list[RTCRtpReceiver] = []
        self.over: asyncio.Future[NoStream] = self._loop.create_future()
        self.came = Waiting()
        self.has_picture = False

    async def begin(self) -> str:
        """Picture and sound may come from now on; the codec that the sound will have, "" where there is none. Raises
        NoStream."""
        self._whep.start()
        addresses = await self._addresses()
        picture, _ = self._offer("video", PICTURES), self._offer("audio", tuple(SOUNDS))
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = str(self._connection.localDescription.sdp).encode()
        self._session = await self._whep.begin(self._target.endpoint, offer)
        sound = await self._agree(_permitted(self._session.answer, self._target.hosts, addresses))
        self.has_picture = picture.currentDirection == "recvonly"
        if not (self.has_picture or sound):
            raise NoStream("codec", NOTHING_KNOWN)
        await self._connect()
        return sound

    async def _addresses(self) -> list[str]:
        where = self._target.hosts.allowed(self._target.endpoint.address, PORTS)
        assert where.host is not None and where.port is not None
        addresses, _ = await self._target.hosts.reach(where.host, where.port)
        return addresses

    def _offer(self, kind: str, codecs: tuple[str, ...]) -> Any:
        transceiver = self._connection.addTransceiver(kind, direction="recvonly")
        known = RTCRtpReceiver.getCapabilities(kind)
        assert known is not None
        ranked = [one for name in (*codecs, "RTX") for one in known.codecs if _name(one) == name]
        transceiver.setCodecPreferences(ranked)
        _tap(transceiver.receiver, VIDEO if kind == "video" else AUDIO, self.came.put)
        self._receivers.append(transceiver.receiver)
        return transceiver

    async def _agree(self, answer: str) -> str:
        """The codec of the sound. Raises NoStream."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            media = next((one for one in SessionDescription.parse(answer).media if one.kind == "audio"), None)
        except Exception as error:  # whatever aiortc stumbles over in it
            text = f"the camera's answer cannot be understood: {type(error).__name__}: {str(error)[:200]}"
            raise NoStream("protocol", text) from None
        if media is None or not media.port or media.direction not in ("sendonly", "sendrecv"):
            return ""
        return next((name for one in media.rtp.codecs if (name := _name(one)) in SOUNDS), "")

    async def _connect(self) -> None:
        """Raises NoStream."""
        await asyncio.wait([self._connected], timeout=OPEN_S)
        if not self._connected.done() or self.over.done():
            raise NoStream("no-route", "the camera answers, and there is no way for its picture (UDP)")

    def _moved(self) -> None:
        state = self._connection.connectionState
        if state in ("failed", "closed") and not self.over.done():
            self.over.set_result(NoStream("lost", "the camera ended the connection"))
        if state in ("connected", "failed", "closed") and not self._connected.done():
            self._connected.set_result(None)

    def ask_for_a_whole_picture(self) -> None:
        """Any thread: aiortc does so with the next packet, as when it cannot decode one."""
        for receiver in self._receivers:
            getattr(receiver, _DECODE_ERROR).set()

    async def close(self) -> None:
        """Here, and at the camera."""
        try:
            await self._connection.close()
            if self._session is not None:
                await self._whep.end(self._session)
        finally:
            await self._whep.stop()


# aiortc has no way to have what comes before it is decoded.
_DECODER_QUEUE, _DECODE_ERROR = "_RTCRtpReceiver__decoder_queue", "_RTCRtpReceiver__decoder_error"


class _Tap:
    """In the place of a receiver's queue to its decoder, which sees the end of it and nothing else."""

    def __init__(self, take: Callable[[Any, Any], None]) -> None:
        self._take = take
        self._end: queue.SimpleQueue[None] = queue.SimpleQueue()

    def put(self, what: tuple[Any, Any] | None) -> None:
        if what is None:
            self._end.put(None)
        else:
            self._take(*what)

    def get(self) -> None:
        self._end.get()


def _tap(receiver: RTCRtpReceiver, index: int, put: Callable[[Came], None]) -> None:
    def take(codec: Any, frame: Any) -> None:
        base = Fraction(1, codec.clockRate)
        put(Came(index, _name(codec), frame.data, frame.timestamp, base, time.monotonic()))

    for name in (_DECODER_QUEUE, _DECODE_ERROR):
        if not hasattr(receiver, name):
            raise NoStream("no-gateway", "this version of aiortc is not the one that the desk knows")
    setattr(receiver, _DECODER_QUEUE, _Tap(take))


class _Sound:
    """A stream of sound, as far as a recorder looks at PyAV's."""

    def __init__(self, codec: str) -> None:
        """`codec`: one of SOUNDS."""
        name, rate_hz, layout = SOUNDS[codec]
        self.codec, self.index = codec, AUDIO
        context: Any = av.CodecContext.create(name, "r")
        context.sample_rate, context.layout = rate_hz, layout
        self.codec_context = context


def _name(codec: Any) -> str:
    return str(codec.mimeType).partition("/")[2].upper()


def _shape_of(one: Came) -> bytes | None:
    """Of a whole picture what says how large it is, b"" where it leaves that out; None: it needs others before it."""
    if one.codec == "VP8":
        is_whole = len(one.data) > 9 and not one.data[0] & 1 and one.data[3:6] == VP8_BEGINS
        return one.data[6:10] if is_whole else None
    found = dict(nal_units(one.data))
    return found.get(PARAMETERS, b"") if WHOLE in found else None


def _stream_of(one: Came) -> Any:
    """PyAV's stream of such pictures, for a file to be made after it. Raises NoStream."""
    data = one.data
    if one.codec == "VP8":
        width, height = struct.unpack("<HH", one.data[6:10])
        head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", width & 0x3FFF, height & 0x3FFF, 90_000, 1, 1, 0)
        data = head + struct.pack("<IQ", len(data), 0) + data
    try:
        found = av.open(io.BytesIO(data), format="ivf" if one.codec == "VP8" else "h264").streams.video[0]
    except (av.FFmpegError, IndexError) as error:
        raise NoStream("codec", f"the camera's picture cannot be read ({type(error).__name__})") from None
    if not (found.codec_context.width and found.codec_context.height):
        raise NoStream("codec", "the camera's picture has no size")
    return found


def _permitted(answer: bytes, hosts: Hosts, addresses: Collection[str]) -> str:
    """A camera's answer without candidates that the desk may not call: an address in it is the camera's word. Raises
    NoStream."""
    text = answer.decode("utf-8", "replace")
    lines = text.splitlines()
    named = [line for line in lines if line.startswith("a=candidate:")]
    if len(named) > CANDIDATES_MAX:
        raise NoStream("protocol", f"the camera's answer has more than {CANDIDATES_MAX} candidates")
    refused = {line for line in named if not _may_call(line, hosts, addresses)}
    if named and len(refused) == len(set(named)):
        raise NoStream("not-allowed", "the camera's picture would come from addresses that the desk may not call")
    return "".join(f"{line}\r\n" for line in lines if line not in refused)


def _may_call(candidate: str, hosts: Hosts, addresses: Collection[str]) -> bool:
    fields = candidate.split()
    if len(fields) < 6:
        return False
    try:
        address = str(ipaddress.ip_address(fields[4]))
    except ValueError:  # a name
        return False
    return address in addresses or hosts.may_send(address)
