"""Picture and sound out of one camera: opened, read, and opened again after an outage, until nobody wants it.

H.264 that a browser can show goes on as it comes; anything else is decoded here and encoded by the sender, for a few
pictures at a time. A reading that blocks does so in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler

from desk.media.lag import ANSWER_S, Lag
from desk.media.relay import Relay, Target
from desk.media.reopened import Reopened
from desk.media.track import Track
from desk.media.trouble import NoStream

OPEN_S = 7.0  # until picture and sound are known
SILENT_S = 4.0  # without a picture: the camera has frozen, or its network has
LATE_S = 1.0  # behind the camera: leave pictures out until the next whole one
CONVERTED_FPS = 15
CONVERTED_SIZE = (1280, 720)
FRAME_MAX_BYTES = 4 * 1024 * 1024
BACK_MAX = 3  # pictures out of order: this camera sends B-frames, which WebRTC does not know
WHOLE_WAIT_S = 10.0  # for a whole picture, before a stream without any is decoded
COPIED_PROFILES = ("Constrained Baseline", "Baseline", "Main", "High", "Constrained High", "Progressive High")
OPTIONS = {
    "rtsp_transport": "tcp",
    "protocol_whitelist": "rtsp,tcp",
    "analyzeduration": "1500000",
    "fpsprobesize": "0",  # else it counts pictures for longer than it takes to show the first
    "probesize": "1000000",
}
WHOLE, PARAMETERS = 5, 7  # kinds of NAL units: a picture that needs no other; how to read them
SOUND_HZ = 48000  # of decoded sound
NOTHING_KNOWN = "the camera sends neither picture nor sound that the desk knows"
G711 = {"pcm_mulaw": "PCMU", "pcm_alaw": "PCMA"}


@dataclass(frozen=True)
class Found:
    """What a camera sends: FFmpeg's names of its codecs ("" where there is none), and whether they can go on as is."""

    video: str
    audio: str
    plain_video: bool = False
    plain_audio: bool = False


class Slots:
    """How many pictures are converted at once. For threads."""

    def __init__(self, most: int) -> None:
        self._free = threading.Semaphore(most)

    def check(self) -> None:
        """Raises NoStream when there is none left now."""
        with self.one():
            pass

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Raises NoStream when there is none left."""
        if not self._free.acquire(blocking=False):
            raise NoStream("busy", "as many pictures as the desk converts at once are being shown")
        try:
            yield
        finally:
            self._free.release()


class Source(Reopened):
    """One camera for one call. `found`: what it sends, or NoStream, after the first opening.

    `video`, `audio`: given before `go`; None: not wanted. `h264`, `sound`: what the sender was agreed on: whether the
    picture may go on as H.264, and the codec of the sound.
    """

    def __init__(self, target: Target, threads: ThreadPoolExecutor, slots: Slots) -> None:
        super().__init__()
        self.target, self._threads, self._slots = target, threads, slots
        self._go = threading.Event()
        self._relay: Relay | None = None
        self._lag = Lag()
        self._asking: asyncio.Task[None] | None = None
        self.found: asyncio.Future[Found] = self._loop.create_future()
        self.video: Track | None = None
        self.audio: Track | None = None
        self.ear: Callable[[Any], None] | None = None  # takes the decoded sound instead of `audio`
        self.h264, self.sound = False, ""
        self.converted = False

    def go(self) -> None:
        """Everything is agreed on: packets may flow."""
        self._go.set()

    async def stop(self) -> None:
        self._stopping.set()
        self._go.set()  # the reading looks whether anybody wants it
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await super().stop()
        if not self.found.done():
            self.found.cancel()

    def _is_final(self, trouble: NoStream) -> bool:
        """A camera that could not be had at all: whoever asked for it is told so."""
        if not self.found.done():
            self.found.set_exception(trouble)
        return self.found.cancelled() or self.found.exception() is not None

    async def _once(self) -> None:
        """Raises NoStream."""
        self._relay, self._lag = Relay(self.target), Lag()
        await read(self._relay, self._threads, self._read)

    def _suspect(self) -> None:
        """Its pictures seem to be late. Harmless when it is being asked already."""
        if self._relay is not None and (self._asking is None or self._asking.done()):
            self._asking = asyncio.ensure_future(self._ask_whether_late(self._relay, self._lag))

    async def _ask_whether_late(self, relay: Relay, lag: Lag) -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            if await relay.answers(ANSWER_S):
                lag.trust()
            else:
                relay.give_up(NoStream("late", "the camera's picture is several seconds behind the place"))

    # In a thread

    def _read(self, url: str) -> None:
        with opened(url) as (container, video, audio):
            found = Found(_codec(video), _codec(audio), _plain_video(video), _plain_audio(audio))
            self._loop.call_soon_threadsafe(self._tell, found)
            self._go.wait()
            with contextlib.ExitStack() as stack:
                ways: dict[int, Callable[[Any], None]] = {}
                picture = None
                if video is not None and self.video is not None:
                    picture = Picture(self, self.video, video, stack)
                    ways[video.index] = picture.take
                if audio is not None and self.ear is not None:
                    ways[audio.index] = _decoded(audio, self.ear)
                elif audio is not None and self.audio is not None:
                    ways[audio.index] = _sound(self.audio, audio, self.sound)
                self._demux(container, ways, picture)

    def _tell(self, found: Found) -> None:
        if not self.found.done():
            self.found.set_result(found)

    def _demux(self, container: Any, ways: dict[int, Callable[[Any], None]], picture: Picture | None) -> None:
        lag = self._lag
        for packet, now in packets(container, self._stopping, has_picture=picture is not None):
            way = ways.get(packet.stream.index)
            if packet.stream.type == "video" and packet.pts is not None:
                lag.note(now, float(packet.pts * packet.time_base))
                if lag.is_suspected:
                    self._loop.call_soon_threadsafe(self._suspect)
            if way is not None:
                way(packet)
            if picture is None or picture.shown:
                self.trouble = None

    def claim(self, stack: contextlib.ExitStack) -> None:
        """A place among the converted. Raises NoStream."""
        stack.enter_context(self._slots.one())
        self.converted = True


async def read(relay: Relay, threads: ThreadPoolExecutor, reading: Callable[[str], None]) -> None:
    """`reading` in a thread: it opens the camera's stream at the address that it is given, and reads it to its end.
    Raises NoStream."""
    runs: asyncio.Future[None] | None = None
    try:
        url = await relay.start()
        runs = asyncio.get_running_loop().run_in_executor(threads, reading, url)
        await asyncio.shield(runs)
        if relay.trouble is not None:
            raise relay.trouble
    except av.FFmpegError as error:
        raise relay.trouble or relay.unanswered() or _in_words(error) from None
    except NoStream as trouble:
        raise relay.trouble or trouble from None
    finally:
        await relay.stop()  # the reading ends with it
        if runs is not None:
            await asyncio.wait([runs], timeout=OPEN_S)


@contextlib.contextmanager
def opened(url: str) -> Iterator[tuple[Any, Any, Any]]:
    """A camera's container, picture and sound; one of the two may be None. Raises NoStream, and what PyAV raises."""
    with av.open(url, format="rtsp", options=dict(OPTIONS), timeout=(OPEN_S, SILENT_S)) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        if video is None and audio is None:
            raise NoStream("codec", NOTHING_KNOWN)
        yield container, video, audio


def packets(container: Any, stopping: threading.Event, *, has_picture: bool) -> Iterator[tuple[Any, float]]:
    """What a camera sends, and when it came, until nobody wants it. Raises NoStream when the picture stands still."""
    seen = time.monotonic()
    for packet in container.demux():
        if stopping.is_set():
            return
        now = time.monotonic()
        if packet.size == 0 or packet.size > FRAME_MAX_BYTES:
            continue
        if not has_picture or packet.stream.type == "video":
            seen = now
        elif now - seen > SILENT_S:
            raise NoStream("timeout", f"no picture from the camera for {SILENT_S:.0f} s")
        yield packet, now


class Picture:
    """The way of one stream's pictures to a track: as they come, or decoded. For the reading thread."""

    def __init__(self, source: Source, track: Track, stream: Any, stack: contextlib.ExitStack) -> None:
        self._source, self._track, self._stream, self._stack = source, track, stream, stack
        self._timing = Timing(track)
        self._whole = _Whole(stream.codec_context.extradata)
        self._waits, self._began = True, time.monotonic()
        self._newest, self._back = -1, 0
        self._next_s = 0.0
        self.shown = False
        self.copies = source.h264 and _plain_video(stream)
        source.converted = False
        if not self.copies:
            source.claim(stack)

    def take(self, packet: Any) -> None:
        """Raises NoStream when it can no longer go on as it is, and there is no place to convert it."""
        if self.copies:
            self._copy(packet)
        else:
            self._convert(packet)

    def _copy(self, packet: Any) -> None:
        data, is_whole = self._whole.complete(bytes(packet))
        if self._waits and not is_whole:
            if time.monotonic() - self._began > WHOLE_WAIT_S:
                self._no_longer()
            return
        if packet.pts is not None:
            self._back += packet.pts < self._newest
            self._newest = max(self._newest, packet.pts)
        if self._back > BACK_MAX:
            self._no_longer()
            return
        self._waits = False
        fresh = av.Packet(data)
        fresh.pts, fresh.time_base = self._timing.of(packet.pts, packet.time_base)
        self._track.put(fresh, len(data), is_key=is_whole)
        self.shown = True

    def _no_longer(self) -> None:
        """This stream has what WebRTC does not know: decode it from here on."""
        self._source.claim(self._stack)
        self.copies, self._waits = False, True

    def _convert(self, packet: Any) -> None:
        is_whole = packet.is_keyframe or self._stream.codec_context.name == "mjpeg"
        if self._waits and not is_whole and time.monotonic() - self._began < 2 * WHOLE_WAIT_S:
            return
        self._waits = not is_whole and self._timing.late_s(packet.pts, packet.time_base) > LATE_S
        if self._waits:
            return
        with contextlib.suppress(av.error.InvalidDataError):  # a broken picture: the next may be whole
            for frame in self._stream.codec_context.decode(packet):
                self._show(frame)

    def _show(self, frame: Any) -> None:
        pts, base = self._timing.of(frame.pts, frame.time_base or self._stream.time_base)
        at_s = float(pts * base)
        if at_s < self._next_s:
            return
        self._next_s = at_s + 0.9 / CONVERTED_FPS
        scale = min(1.0, CONVERTED_SIZE[0] / frame.width, CONVERTED_SIZE[1] / frame.height)
        width, height = (max(2, int(side * scale) // 2 * 2) for side in (frame.width, frame.height))
        plain = frame.reformat(width=width, height=height, format="yuv420p")
        plain.pts, plain.time_base = pts, base
        self._track.put(plain, width * height * 3 // 2, is_key=True)
        self.shown = True


class Timing:
    """A camera's times as those of the call: they begin when its first packet came, also after an outage."""

    def __init__(self, track: Track) -> None:
        self._track = track
        self._first: int | None = None
        self._came_s = 0.0

    def of(self, pts: int | None, base: Fraction) -> tuple[int, Fraction]:
        """Never the same twice."""
        now_s = self._track.elapsed_s()
        if self._first is None and pts is not None:
            self._first, self._came_s = pts, now_s
        at_s = now_s if pts is None or self._first is None else self._came_s + float((pts - self._first) * base)
        if abs(at_s - now_s) > 10 * LATE_S:  # its clock has jumped
            self._first, self._came_s, at_s = pts, now_s, now_s
        return self._track.stamp(at_s, base), base

    def late_s(self, pts: int | None, base: Fraction) -> float:
        """How far behind the camera this packet is read."""
        if pts is None or self._first is None:
            return 0.0
        return self._track.elapsed_s() - self._came_s - float((pts - self._first) * base)


class _Whole:
    """Annex B pictures that can be read without what went before: with their parameters, which may be in the SDP."""

    def __init__(self, parameters: bytes | None) -> None:
        self._parameters = bytes(parameters or b"")
        if not self._parameters.startswith(b"\x00\x00"):
            self._parameters = b""

    def complete(self, data: bytes) -> tuple[bytes, bool]:
        """The picture, and whether it needs no other."""
        kinds = {kind for kind, _ in nal_units(data)}
        if WHOLE not in kinds:
            return data, False
        return (data if PARAMETERS in kinds else self._parameters + data), True


def nal_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The kind of each NAL unit in Annex B and the unit itself, up to the first part of a picture: of that the kind."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0 and at + 3 < len(data):
        kind = data[at + 3] & 0x1F
        if kind in (1, 2, WHOLE):
            yield kind, b""
            return
        end = data.find(b"\x00\x00\x01", at + 3)
        yield kind, data[at + 3 : end if end >= 0 else len(data)].rstrip(b"\x00")
        at = end


def _sound(track: Track, stream: Any, codec: str) -> Callable[[Any], None]:
    """The way of a stream's sound: as it comes where the browser was promised just that, else decoded."""
    timing = Timing(track)

    def copy(packet: Any) -> None:
        fresh = av.Packet(bytes(packet))
        fresh.pts, fresh.time_base = timing.of(packet.pts, packet.time_base)
        track.put(fresh, packet.size, is_key=True)

    def put(part: Any) -> None:
        part.pts = track.samples
        part.time_base = Fraction(1, SOUND_HZ)
        track.samples += part.samples
        track.put(part, part.samples * 4, is_key=True)

    track.samples = max(track.samples, int(track.elapsed_s() * SOUND_HZ))  # an outage took its time
    is_same = (G711.get(_codec(stream)) == codec or codec == _codec(stream)) and _plain_audio(stream)
    return copy if is_same else _decoded(stream, put)


def _decoded(stream: Any, put: Callable[[Any], None]) -> Callable[[Any], None]:
    """The way of a stream's sound through its decoder: 48,000 samples a second, two channels, 20 ms each."""
    resampler = AudioResampler("s16", "stereo", SOUND_HZ, frame_size=SOUND_HZ // 50)

    def decode(packet: Any) -> None:
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in stream.codec_context.decode(packet):
                frame.pts = None
                for part in resampler.resample(frame):
                    put(part)

    return decode


def _codec(stream: Any) -> str:
    return "" if stream is None or stream.codec_context is None else str(stream.codec_context.name)


def _plain_video(stream: Any) -> bool:
    """Whether a browser can be given this H.264 as it is."""
    if _codec(stream) != "h264":
        return False
    context = stream.codec_context
    return (
        context.profile in COPIED_PROFILES and context.pix_fmt in ("yuv420p", "yuvj420p") and not context.has_b_frames
    )


def _plain_audio(stream: Any) -> bool:
    name = _codec(stream)
    if name in G711:
        return bool(stream.codec_context.sample_rate == 8000 and stream.codec_context.layout.nb_channels == 1)
    return name == "opus"


def _in_words(error: av.FFmpegError) -> NoStream:
    """What the relay has not seen. FFmpeg's own text has the address in it, and is not passed on."""
    if isinstance(error, TimeoutError | av.error.ExitError):
        return NoStream("timeout", f"the camera sent nothing for {SILENT_S:.0f} s")
    if isinstance(error, av.error.EOFError | ConnectionError | OSError) and not isinstance(error, ValueError):
        return NoStream("lost", "the camera ended the stream")
    return NoStream("codec", f"the camera's stream cannot be read ({type(error).__name__})")
