"""A camera's picture and sound into files, as they come: from the press, with the seconds before it where it was held.

Here: cameras that speak RTSP, and what all recorders have; desk/media/whep_recorder.py: those that speak WHEP.
One connection of its own, opened again after every outage; each connection makes a file of its own, so that nothing has
to fit together that a camera may have changed meanwhile. A file can be played up to the last second even if this
process is killed: it is written in fragments, and gets its table of contents when it is closed. H.264 and H.265 go into
MP4, other pictures into Matroska, none is encoded again; of the sound AAC goes on as it comes, all else becomes AAC,
which the players of this world and its browsers know.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.audio.resampler import AudioResampler

from desk.media.files import NOT_WRITTEN, NoRoom, Part, Room, create, part_of, reason
from desk.media.relay import Relay, Target
from desk.media.reopened import Reopened
from desk.media.source import OPEN_S, SILENT_S, opened, packets, read
from desk.sip.g711 import BLOCK, RATE_HZ

BEFORE_S = 10.0  # that the ring holds
RING_BYTES = 12 * 1024 * 1024
ROOM_EVERY_S = 1.0  # between two looks at the disk
RETRY_S = 10.0  # when the disk is full
STUCK_S = 12.0  # without a packet that was written, and without a word why: a disk that hangs
JUMP_S = 1.0  # a camera's clock that jumps further than that is not followed
TICK = Fraction(1, 90_000)
MP4 = {"movflags": "hybrid_fragmented+frag_keyframe+default_base_moof", "flush_packets": "1",
       "max_interleave_delta": "1000000"}  # fmt: skip
IN_MP4 = ("h264", "hevc", "")  # of pictures; "": there is none
SOUND_HZ = 16_000


@dataclass(frozen=True)
class Kept:
    """A packet in the ring, or on its way into a file. `at_s`: when it came."""

    index: int
    data: bytes
    pts: int | None
    dts: int | None
    base: Fraction
    is_key: bool
    at_s: float


class Ring:
    """The packets of the last seconds, of one connection. For one thread, but for `span_s`."""

    def __init__(self) -> None:
        self._kept: deque[Kept] = deque()
        self._bytes = 0
        self.span_s = 0.0

    def put(self, packet: Kept) -> None:
        self._kept.append(packet)
        self._bytes += len(packet.data)
        while self._kept and (packet.at_s - self._kept[0].at_s > BEFORE_S or self._bytes > RING_BYTES):
            self._bytes -= len(self._kept.popleft().data)
        self.span_s = packet.at_s - self._kept[0].at_s if self._kept else 0.0

    def take(self, video: int | None) -> list[Kept]:
        """All that can be understood: from the first whole picture on. The ring is empty then."""
        found, self._kept, self._bytes = list(self._kept), deque(), 0
        first = next((at for at, one in enumerate(found) if one.index == video and one.is_key), None)
        return found if video is None else found[first:] if first is not None else []


class Recorder(Reopened):
    """One camera. `on_part` is called in the loop with each file that is complete."""

    hears_place = True
    """Whether its microphone is the place's ear in a conversation."""

    def __init__(self, threads: ThreadPoolExecutor, on_part: Callable[[Part], None]) -> None:
        super().__init__()
        self._threads = threads
        self._on_part = on_part
        self._lock = threading.Lock()
        self._wanted: tuple[str, Room] | None = None
        self._idle = asyncio.Event()  # no file is open
        self._idle.set()
        self._disk = ""  # why it is not kept
        self._kept_s = time.monotonic()  # when something was, or could have been
        self.ring = Ring()
        self.heard: Callable[[bytes], None] | None = None
        """Gets in the loop what the microphone hears, as an intercom's sound is."""

    def record(self, incident_id: str, room: Room) -> None:
        """From now on into files of that incident."""
        self._kept_s = time.monotonic()
        with self._lock:
            self._wanted = incident_id, room

    async def hold(self) -> None:
        """No longer into files; the ring goes on. Returns when the last file is closed."""
        with self._lock:
            self._wanted = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2 * SILENT_S):
                await self._idle.wait()

    async def stop(self) -> None:
        """... and hashed: what was recorded is in the register."""
        await super().stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_S):
                await self._idle.wait()

    @property
    def trouble_code(self) -> str:
        """Why nothing comes from the camera now, or why it is not kept."""
        if code := self._disk or (self.trouble.code if self.trouble else ""):
            return code
        if time.monotonic() - self._kept_s > STUCK_S:  # whatever the reason: it is not recorded
            return "timeout" if self._idle.is_set() else NOT_WRITTEN
        return ""

    @property
    def before_s(self) -> float:
        """How many seconds are there now that a press would find."""
        return self.ring.span_s

    # In a thread

    def keep(self, packet: Kept, writing: Writing) -> None:
        """One more, where it is wanted."""
        self.trouble = None
        with self._lock:
            wanted = self._wanted
        writing.put(packet, wanted)
        self._kept_s = time.monotonic()

    def tell(self, code: str) -> None:
        """Whether it can be kept: NoRoom's code, or ""."""
        self._disk = code

    def hears(self, samples: bytes) -> None:
        if (heard := self.heard) is not None:
            self._loop.call_soon_threadsafe(heard, samples)

    def opened(self) -> None:
        self._loop.call_soon_threadsafe(self._idle.clear)

    def closed(self, part: Part | None) -> None:
        def tell() -> None:
            if part is not None:
                self._on_part(part)
            self._idle.set()

        self._loop.call_soon_threadsafe(tell)


class RtspRecorder(Recorder):
    """... that speaks RTSP."""

    def __init__(self, target: Target, threads: ThreadPoolExecutor, on_part: Callable[[Part], None]) -> None:
        super().__init__(threads, on_part)
        self.target = target
        self.hears_place = target.speaks

    async def _once(self) -> None:
        """Raises NoStream."""
        await read(Relay(self.target), self._threads, self._read)

    # In a thread

    def _read(self, url: str) -> None:
        with opened(url) as (container, video, audio):
            writing = Writing(self, video, audio)
            try:
                self._take(container, writing)
            finally:
                writing.close(always=True)

    def _take(self, container: Any, writing: Writing) -> None:
        for packet, now in packets(container, self._stopping, has_picture=writing.video is not None):
            is_key = packet.is_keyframe and (packet.dts is not None or not writing.reorders)
            kept = (packet.stream.index, bytes(packet), packet.pts, packet.dts, packet.time_base, is_key, now)
            self.keep(Kept(*kept), writing)


class Writing:
    """One connection's packets: into the ring, and into a file while one is wanted."""

    def __init__(self, recorder: Recorder, video: Any, audio: Any) -> None:
        self._recorder, self._ring, self._audio = recorder, Ring(), audio
        recorder.ring = self._ring
        self.video = video
        self._ear: Callable[[Kept], None] | None = None
        self.reorders = video is not None and bool(video.codec_context.has_b_frames)
        """A picture whose place in the order is not known yet is no beginning."""
        self._file: File | None = None
        self._again_s = 0.0

    def put(self, packet: Kept, wanted: tuple[str, Room] | None) -> None:
        """`wanted`: for which incident it is to be kept, and where."""
        if self._recorder.heard is not None and self._audio is not None and packet.index == self._audio.index:
            self._ear = self._ear or _listening(self._audio, self._recorder.hears)
            self._ear(packet)
        if self._file is not None and (wanted is None or wanted[0] != self._file.incident_id):
            self.close()
        if self._file is None:
            self._ring.put(packet)
            if wanted is not None and packet.at_s >= self._again_s:
                self._begin(*wanted)
            return
        try:
            self._file.put(packet)
        except (NoRoom, OSError) as error:
            self._fail(error, packet.at_s)

    def _begin(self, incident_id: str, room: Room) -> None:
        index = None if self.video is None else self.video.index
        before = self._ring.take(index)
        if not before:
            return
        self._recorder.opened()
        try:
            room.check()
            self._file = File(incident_id, room, self.video, self._audio, before[0])
            for packet in before:
                self._file.put(packet)
            self._recorder.tell("")
        except (NoRoom, OSError) as error:
            self._fail(error, before[-1].at_s)

    def _fail(self, error: NoRoom | OSError, at_s: float) -> None:
        self._again_s = at_s + RETRY_S
        self._recorder.tell(reason(error))
        self.close(always=True)

    def close(self, *, always: bool = False) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._recorder.closed(file.close())
        elif always:
            self._recorder.closed(None)


class File:
    """One file while it is written. Raises NoRoom and OSError (av's errors are such)."""

    def __init__(self, incident_id: str, room: Room, video: Any, audio: Any, first: Kept) -> None:
        self.incident_id, self._room = incident_id, room
        codec = "" if video is None else str(video.codec_context.name)
        is_mp4 = codec in IN_MP4
        self._timings: list[_Timing] = []
        self.path, self._named_ms = create(room.folder, incident_id, first.at_s, "mp4" if is_mp4 else "mkv")
        options, form = (dict(MP4), "mp4") if is_mp4 else ({"flush_packets": "1"}, "matroska")
        self._container = av.open(str(self.path), "w", format=form, options=options)
        self._began_s, self._looked_s, self._last_s = first.at_s, first.at_s, first.at_s
        self._ways: dict[int, Callable[[Kept], None]] = {}
        if video is not None:
            self._ways[video.index] = self._copied(video, "hvc1" if codec == "hevc" else "", first)
        if audio is not None and audio.codec_context is not None:
            is_aac = audio.codec_context.name == "aac" and bool(audio.codec_context.extradata)
            self._ways[audio.index] = self._copied(audio, "", None) if is_aac else self._encoded(audio)

    def put(self, packet: Kept) -> None:
        """The next packet of a stream."""
        if packet.at_s - self._looked_s > ROOM_EVERY_S:
            self._looked_s = packet.at_s
            self._room.check()
        self._last_s = packet.at_s
        way = self._ways.get(packet.index)
        if way is not None:
            way(packet)

    def close(self) -> Part | None:
        """None: nothing came of it."""
        with contextlib.suppress(Exception):  # the disk is full: the fragments are there
            self._container.close()
        to_ms = self._named_ms + round((self._last_s - self._began_s) * 1000)
        long_ms = round(max((timing.last_s for timing in self._timings), default=0.0) * 1000)
        return part_of(self.path, self.incident_id, to_ms - long_ms, to_ms)  # a first burst came later than it was

    def _timing(self) -> _Timing:
        self._timings.append(_Timing(self._began_s))
        return self._timings[-1]

    def _copied(self, source: Any, tag: str, first: Kept | None) -> Callable[[Kept], None]:
        stream = self._container.add_stream_from_template(source)
        if tag:
            stream.codec_context.codec_tag = tag
        if first is not None and not source.codec_context.extradata:
            stream.codec_context.extradata = first.data  # a camera that tells its parameters with the picture only
        timing = self._timing()

        def way(packet: Kept) -> None:
            fresh = av.Packet(packet.data)
            fresh.dts = timing.of(packet)
            ahead = 0 if packet.pts is None or packet.dts is None else packet.pts - packet.dts
            fresh.pts = fresh.dts + max(0, int(ahead * packet.base / TICK))
            fresh.time_base, fresh.stream, fresh.is_keyframe = TICK, stream, packet.is_key
            self._container.mux(fresh)

        return way

    def _encoded(self, source: Any) -> Callable[[Kept], None]:
        decoder = _decoder(source)
        stream: Any = self._container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        resampler = AudioResampler("fltp", "mono", SOUND_HZ, frame_size=1024)
        timing, samples = self._timing(), [0]

        def way(packet: Kept) -> None:
            due = int(timing.of(packet) * TICK * SOUND_HZ)
            with contextlib.suppress(av.error.InvalidDataError):
                for frame in decoder.decode(av.Packet(packet.data)):
                    frame.pts = None
                    for part in resampler.resample(frame):
                        samples[0] = due if abs(due - samples[0]) > SOUND_HZ * JUMP_S else samples[0]
                        part.pts, part.time_base = samples[0], Fraction(1, SOUND_HZ)
                        samples[0] += part.samples
                        self._container.mux(stream.encode(part))

        return way


def _decoder(source: Any) -> Any:
    """Of a stream's sound, beside whoever else reads it."""
    context = source.codec_context
    decoder = av.CodecContext.create(context.name, "r")
    decoder.sample_rate, decoder.layout = context.sample_rate, context.layout
    if context.extradata:
        decoder.extradata = context.extradata
    return decoder


def _listening(source: Any, hears: Callable[[bytes], None]) -> Callable[[Kept], None]:
    """The way of a stream's sound to an ear."""
    decoder, resampler = _decoder(source), AudioResampler("s16", "mono", RATE_HZ, frame_size=BLOCK)

    def way(packet: Kept) -> None:
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in decoder.decode(av.Packet(packet.data)):
                frame.pts = None
                for part in resampler.resample(frame):
                    hears(part.to_ndarray().tobytes())

    return way


class _Timing:
    """A stream's times as those of the file, in units of TICK: they begin when the file's first packet came."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._offset_s: float | None = None
        self._last = -1

    @property
    def last_s(self) -> float:
        return float(max(0, self._last) * TICK)

    def of(self, packet: Kept) -> int:
        """Later than the last."""
        came_s = packet.at_s - self._began_s
        stamp = packet.pts if packet.dts is None else packet.dts
        said_s = None if stamp is None else float(stamp * packet.base)
        if said_s is not None and (self._offset_s is None or abs(said_s + self._offset_s - came_s) > JUMP_S):
            self._offset_s = came_s - said_s
        at_s = came_s if said_s is None or self._offset_s is None else said_s + self._offset_s
        self._last = max(self._last + 1, int(max(0.0, at_s) / TICK))
        return self._last
