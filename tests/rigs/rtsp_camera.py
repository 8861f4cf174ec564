"""Cameras that nobody here wrote: GStreamer's RTSP server in a process, which may be frozen, and taken away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av import AudioFrame, VideoFrame

from common.ports import free_port
from tools import toolbox

SERVER = Path(__file__).with_name("rtsp_server.py")
SIZE = "width=320,height=240,framerate=15/1"
PICTURE = f"videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,{SIZE}"
X264 = "x264enc speed-preset=ultrafast key-int-max=15"
H264_PAY = "rtph264pay name=pay0 pt=96"
TONE = "audiotestsrc is-live=true freq=440 volume=0.5 ! audio/x-raw,rate=8000,channels=1"
SOUND = f"{TONE} ! mulawenc ! rtppcmupay name=pay1 pt=0"
STREAMS = {
    "/h264": f"( {PICTURE} ! {X264} tune=zerolatency ! video/x-h264,profile=main ! {H264_PAY} {SOUND} )",
    "/alaw": f"( {PICTURE} ! {X264} tune=zerolatency ! video/x-h264,profile=constrained-baseline ! "
             f"{H264_PAY} {TONE} ! alawenc ! rtppcmapay name=pay1 pt=8 )",
    "/bframes": f"( {PICTURE} ! {X264} bframes=2 b-adapt=false ! video/x-h264,profile=main ! {H264_PAY} )",
    "/mjpeg": f"( {PICTURE} ! jpegenc ! rtpjpegpay name=pay0 pt=26 )",
    "/sound": f"( {SOUND.replace('pay1', 'pay0')} )",
}  # fmt: skip
FILE_S = 40


class RtspCamera:
    """On one port for as long as it lives. `streams`: path -> pipeline."""

    def __init__(self, streams: dict[str, str] | None = None, *login: str) -> None:
        self._arguments = [json.dumps(STREAMS if streams is None else streams), *login]
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None

    def address(self, path: str, host: str = "127.0.0.1") -> str:
        return f"rtsp://{host}:{self.port}{path}"

    def __enter__(self) -> RtspCamera:
        self.come()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.go()

    def come(self) -> None:
        """(Back) on the network."""
        argv = [*toolbox.require("gstreamer"), str(SERVER), str(self.port), *self._arguments]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None and self._process.stdout.readline() == "up\n"

    def go(self) -> None:
        """Away, without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def freeze(self) -> None:
        """Its connections stay, and nothing comes."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


def from_file(folder: Path, video: str, audio: str, *, pay: tuple[str, str]) -> str:
    """A pipeline that plays a film made here: for what GStreamer as unpacked cannot encode."""
    path = folder / f"{video}-{audio}.mp4"
    with av.open(path, "w") as film:
        options = {"preset": "ultrafast", "x265-params": "log-level=none"}
        pictures: Any = film.add_stream(video, rate=15, options=options)
        pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
        pictures.gop_size = 15
        if video == "libx265":
            pictures.codec_tag = "hvc1"  # else GStreamer does not know it
        tone: Any = film.add_stream(audio, rate=48000)
        for number in range(FILE_S * 15):
            shade = np.full((240, 320, 3), number % 250, np.uint8)
            film.mux(pictures.encode(VideoFrame.from_ndarray(shade, format="rgb24")))
        wave = (np.sin(np.arange(1024) * 2 * np.pi * 3 / 64) * 0.5).astype(np.float32)
        for number in range(FILE_S * 48000 // 1024):
            block = AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            block.sample_rate, block.pts = 48000, number * 1024
            film.mux(tone.encode(block))
        film.mux(pictures.encode(None))
        film.mux(tone.encode(None))
    return (
        f"( filesrc location={path} ! qtdemux name=film film.video_0 ! queue ! {pay[0]} name=pay0 pt=96 "
        f"film.audio_0 ! queue ! {pay[1]} name=pay1 pt=97 )"
    )
