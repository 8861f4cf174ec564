"""A pillar's picture and sound as an MPEG transport stream over HTTP (H.264 and AAC): what common players open."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from sim.pillar import camera, intercom
from sim.pillar.camera import Camera
from sim.pillar.media import Pace, Sound, audio_frame, video_frame

CONTENT_TYPE = "video/mp2t"
SLOW_S = 10.0  # a player that takes nothing for so long is gone
SEND_BUFFER_BYTES = 65_536  # some seconds; by itself the system would collect minutes for a player that stalls
VIDEO_BPS, AUDIO_BPS = 600_000, 64_000
_BLOCKS_PER_TICK = intercom.BLOCKS_PER_S / camera.RATE


class TransportStream:
    """The encoders of one watcher. Not for several threads at once."""

    def __init__(self, source: Camera, sound: Sound) -> None:
        self._source, self._heard, self._first = source, sound, intercom.block_now()
        self._packets = bytearray()
        self._blocks = 0
        self._container = av.open(self, "w", format="mpegts", container_options={"flush_packets": "1"})
        self._video: VideoStream = self._container.add_stream("libx264", rate=camera.RATE)
        self._video.width, self._video.height, self._video.pix_fmt = camera.WIDTH, camera.HEIGHT, "yuv420p"
        self._video.bit_rate = VIDEO_BPS
        # A key picture each second: players begin with one.
        self._video.options = {"preset": "ultrafast", "tune": "zerolatency", "g": str(camera.RATE)}
        self._video.codec_context.thread_count = 1
        self._sound: AudioStream = self._container.add_stream("aac", rate=intercom.RATE_HZ, layout="mono")
        self._sound.bit_rate = AUDIO_BPS

    def write(self, packets: bytes) -> int:
        """For the muxer."""
        self._packets += packets
        return len(packets)

    def step(self, tick: int) -> bytes:
        """One picture, and the sound up to it. `tick`: its number at `camera.RATE` a second."""
        self._container.mux(self._video.encode(video_frame(self._source, tick)))
        first, self._blocks = self._blocks, int((tick + 1) * _BLOCKS_PER_TICK)
        first = max(first, self._blocks - intercom.BLOCKS_PER_S)
        if first < self._blocks:
            sound = np.concatenate([self._heard(self._first + number) for number in range(first, self._blocks)])
            self._container.mux(self._sound.encode(audio_frame(sound, first * intercom.BLOCK)))
        packets = bytes(self._packets)
        self._packets.clear()
        return packets

    def close(self) -> None:
        self._container.close()


def keep_short(transport: asyncio.BaseTransport | None) -> None:
    """Nothing old is kept for a player that stalls."""
    connection = transport.get_extra_info("socket") if transport is not None else None
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def send(source: Camera, sound: Sound, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Stream into `write` until it raises; that ends it without an error.

    Raises TimeoutError for a player that takes nothing.
    """
    stream, pace = TransportStream(source, sound), Pace(camera.RATE)
    try:
        while True:
            packets = await asyncio.to_thread(stream.step, await pace.tick())
            async with asyncio.timeout(SLOW_S):
                await write(packets)
    except ConnectionError:
        pass
    finally:
        stream.close()
