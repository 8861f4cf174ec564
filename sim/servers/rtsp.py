"""Cameras that nobody here wrote: GStreamer's RTSP server in a process, which may be frozen, and taken away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from common.ports import HOST, free_port
from common.running import Running
from sim.servers.program import NotStarted
from tools import toolbox

SERVER = Path(__file__).with_name("rtsp_server.py")
UP = "up\n"  # it listens
X264 = "x264enc speed-preset=ultrafast key-int-max=15"
H264_PAY = "rtph264pay name=pay0 pt=96"
# What a camera's own microphone hears of a street.
STREET = "audiotestsrc is-live=true wave=pink-noise volume=0.05 ! audio/x-raw,rate=8000,channels=1"


def as_cities_buy(pictures: str) -> str:
    """The pipeline of a camera with these raw pictures: H.264 Main, and the street's noise in G.711."""
    h264 = f"{X264} tune=zerolatency ! video/x-h264,profile=main ! {H264_PAY}"
    return f"( {pictures} ! {h264} {STREET} ! mulawenc ! rtppcmupay name=pay1 pt=0 )"


class RtspCamera(Running):
    """On one port (0: a free one) for as long as it lives. `streams`: path -> pipeline, or [pipeline, pipeline of its
    back channel]. `server`: the program that has them. `on_watched`: called with how many watch, in a thread
    of its own."""

    host = HOST

    def __init__(
        self,
        streams: Mapping[str, str | list[str]],
        *login: str,
        server: Path = SERVER,
        port: int = 0,
        on_watched: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._server = server
        self.streams = dict(streams)  # what is changed counts when it comes again
        self._login = login
        self.port = port or free_port()
        self._on_watched = on_watched
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def address(self, path: str, host: str = HOST) -> str:
        return f"rtsp://{host}:{self.port}{path}"

    def start(self) -> None:
        """(Back) on the network. Raises NotStarted, toolbox.ToolMissing."""
        if self._process is not None:
            return
        argv = [*toolbox.require("gstreamer"), str(self._server), str(self.port), json.dumps(self.streams)]
        argv += self._login
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != UP:
            self.stop()
            raise NotStarted(f"the camera (GStreamer's RTSP server) did not start on port {self.port}")
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, said: IO[str]) -> None:
        """How many watch, until it is away."""
        for line in said:
            with suppress(ValueError):  # what a pipeline has to say
                self._on_watched(int(line))
        self._on_watched(0)

    def stop(self) -> None:
        """Away, without a word."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if self._reader is not None:
                self._reader.join()
            self._reader = None
            assert process.stdout is not None
            process.stdout.close()

    def freeze(self) -> None:
        """Its connections stay, and nothing comes."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)
