"""What the tests' cameras send."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from av import AudioFrame, VideoFrame

from sim.servers.rtsp import H264_PAY, X264

SIZE = "width=320,height=240,framerate=15/1"
PICTURE = f"videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,{SIZE}"
TONE = "audiotestsrc is-live=true freq=440 volume=0.5 ! audio/x-raw,rate=8000,channels=1"
SOUND = f"{TONE} ! mulawenc ! rtppcmupay name=pay1 pt=0"
STREAMS = {
    "/h264": f"( {PICTURE} ! {X264} tune=zerolatency ! video/x-h264,profile=main ! {H264_PAY} {SOUND} )",
    "/alaw": f"( {PICTURE} ! {X264} tune=zerolatency ! video/x-h264,profile=constrained-baseline ! "
             f"{H264_PAY} {TONE} ! alawenc ! rtppcmapay name=pay1 pt=8 )",
    "/bframes": f"( {PICTURE} ! {X264} bframes=2 b-adapt=false ! video/x-h264,profile=main ! {H264_PAY} )",
    "/mjpeg": f"( {PICTURE} ! jpegenc ! rtpjpegpay name=pay0 pt=26 )",
    "/sound": f"( {SOUND.replace('pay1', 'pay0')} )",
    "/data": f"( {TONE} ! rtpgstpay name=pay0 pt=96 )",  # neither picture nor sound, for all that others know
}  # fmt: skip
# More than a network that loses a third carries.
BUSY = STREAMS["/h264"].replace("pattern=ball", "pattern=snow").replace(X264, f"{X264} bitrate=1000")
FILE_S = 40


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
