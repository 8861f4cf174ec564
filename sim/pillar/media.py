"""The pace of a pillar's picture and sound, as tracks for WebRTC. Each watcher has its own: nothing runs without."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from sim.pillar import camera, intercom
from sim.pillar.camera import Camera
from sim.pillar.intercom import Samples

Sound = Callable[[int], Samples]  # gives the block of that number
LATE_S = 0.5  # behind by more than this, the pace leaves out what it missed


class Pace:
    """Counts ticks of `per_s` a second; the first comes at once."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._start_s = time.monotonic()
        self._next = 0

    async def tick(self) -> int:
        """Wait for the next tick; its number. Numbers are left out when the caller is too slow."""
        ahead_s = self._start_s + self._next / self._per_s - time.monotonic()
        if ahead_s > 0:
            await asyncio.sleep(ahead_s)
        elif ahead_s < -LATE_S:
            self._next -= int(ahead_s * self._per_s)
        self._next += 1
        return self._next - 1


def video_frame(source: Camera, number: int) -> VideoFrame:
    """A frame of its own for one encoder: encoders write into what they get."""
    frame = VideoFrame.from_ndarray(source.picture(), format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, camera.RATE)
    return frame


def audio_frame(samples: Samples, start: int) -> AudioFrame:
    """`start`: number of its first sample."""
    frame = AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = intercom.RATE_HZ
    frame.pts, frame.time_base = start, Fraction(1, intercom.RATE_HZ)
    return frame


class CameraTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, source: Camera) -> None:
        super().__init__()
        self._source = source
        self._pace = Pace(camera.RATE)

    async def recv(self) -> VideoFrame:
        number = await self._pace.tick()
        if self.readyState != "live":
            raise MediaStreamError
        return video_frame(self._source, number)


class SoundTrack(MediaStreamTrack):
    kind = "audio"

    def __init__(self, source: Sound) -> None:
        super().__init__()
        self._source, self._first = source, intercom.block_now()
        self._pace = Pace(intercom.BLOCKS_PER_S)

    async def recv(self) -> AudioFrame:
        number = await self._pace.tick()
        if self.readyState != "live":
            raise MediaStreamError
        return audio_frame(self._source(self._first + number), number * intercom.BLOCK)
