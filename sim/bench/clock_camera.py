"""Run by GStreamer's own Python (tools/gstreamer.py), not by ours: a camera that films a clock and hears it strike.

Arguments: port, and a JSON object of which nothing is used. Each picture has its time in its first 32 rows, in bits of
16 x 16 points: the last BITS of its ms since the epoch, white for 1, and below them the same the other way round. The
sound is silent but for CLICK samples at each whole second. Prints "up" when it listens.
"""

import math
import os
import sys
import time
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PATH = "/clock"
WIDTH, HEIGHT, FPS = 640, 360, 25
BITS, BLOCK = 24, 16
BLACK, WHITE, GREY = 16, 235, 128
SAMPLES_HZ, CLICK_HZ, CLICK = 8000, 1000, 160
SOUND_MS = 20  # what a camera's microphone hands on at a time
PICTURE = f"video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1"
SOUND = f"audio/x-raw,format=S16LE,rate={SAMPLES_HZ},channels=1,layout=interleaved"
SOURCE = "is-live=true do-timestamp=true format=time"
PIPELINE = (
    f"( appsrc name=glass {SOURCE} caps={PICTURE} ! "
    "x264enc speed-preset=ultrafast key-int-max=25 bitrate=1000 tune=zerolatency ! video/x-h264,profile=main ! "
    f"rtph264pay name=pay0 pt=96 appsrc name=mouth {SOURCE} caps={SOUND} ! mulawenc ! rtppcmupay name=pay1 pt=0 )"
)
STREET = os.urandom(WIDTH * 120)  # something to encode: a band that wanders


class Film:
    """What one watcher gets, until its pipeline ends."""

    def __init__(self, element: Any) -> None:
        self._glass, self._mouth = (element.get_by_name(name) for name in ("glass", "mouth"))
        self._drawn, self._told = 0, round(time.time() * SAMPLES_HZ)
        GLib.timeout_add(1000 // FPS, self._show)
        GLib.timeout_add(SOUND_MS, self._strike)

    def _show(self) -> bool:
        self._drawn += 1
        return self._push(self._glass, picture(time.time_ns() // 1_000_000, self._drawn))

    def _strike(self) -> bool:
        """All samples since the last time."""
        begin, self._told = self._told, round(time.time() * SAMPLES_HZ)
        return self._push(self._mouth, b"".join(map(sample, range(begin, self._told))))

    def _push(self, source: Any, data: bytes) -> bool:
        return not data or bool(source.emit("push-buffer", Gst.Buffer.new_wrapped(data)) == Gst.FlowReturn.OK)


def picture(now_ms: int, number: int) -> bytes:
    """The Y plane with clock and band, U and V grey."""
    luma = bytearray([GREY]) * (WIDTH * HEIGHT)
    for row in range(2 * BLOCK):
        is_inverse = row >= BLOCK
        for bit in range(BITS):
            level = WHITE if (now_ms >> bit & 1) ^ is_inverse else BLACK
            at = row * WIDTH + bit * BLOCK
            luma[at : at + BLOCK] = bytes([level]) * BLOCK
    shift = 8 * number % WIDTH
    at = WIDTH * (HEIGHT // 2)
    luma[at : at + len(STREET)] = STREET[shift:] + STREET[:shift]
    return bytes(luma) + bytes([GREY]) * (WIDTH * HEIGHT // 2)


def sample(number: int) -> bytes:
    """`number`: since the epoch."""
    at = number % SAMPLES_HZ
    loud = 20000 * math.sin(2 * math.pi * CLICK_HZ * at / SAMPLES_HZ) if at < CLICK else 0
    return int(loud).to_bytes(2, "little", signed=True)


def main(port: str, _: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.connect("media-configure", lambda _, media: Film(media.get_element()))
    server.get_mount_points().add_factory(PATH, factory)
    server.attach(None)
    print("up", flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
