"""Camera and intercom of a column as a city buys them: RTSP from GStreamer, SIP from baresip, beside a pillar.

The camera sends what the pillar's own camera sees. The intercom's microphone hears the pillar's tone; how loud its
loudspeaker is, and that its microphone is open, the pillar's page shows.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack

import numpy as np

from common.ports import HOST
from common.running import Running
from sim.pillar import Pillar, camera
from sim.pillar.intercom import RATE_HZ
from sim.servers.intercom import ENDS, STARTS, Event, Intercom
from sim.servers.rtsp import RtspCamera, as_cities_buy

PATH = "/stream1"
RAW = f"format=i420 width={camera.WIDTH} height={camera.HEIGHT} framerate={camera.RATE}/1"
LOOK_S = 0.05
TIMES = RATE_HZ // 8000


class RawPictures(Running):
    """Gives whoever connects the pictures of a pillar's camera, one after the other, as long as it takes them."""

    def __init__(self, source: camera.Camera) -> None:
        self._source = source
        self._server = socket.create_server((HOST, 0))
        self._stopped = threading.Event()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def start(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._server.close()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                taker, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._give, args=(taker,), daemon=True).start()

    def _give(self, taker: socket.socket) -> None:
        next_s = time.monotonic()
        with taker:
            while not self._stopped.wait(max(0.0, next_s - time.monotonic())):
                next_s += 1 / camera.RATE
                try:
                    taker.sendall(self._source.picture().tobytes())
                except OSError:
                    return


class Devices(Running):
    """Beside one pillar: its camera by RTSP, and its intercom by SIP if there is one."""

    def __init__(self, device_id: str, *, intercom: bool) -> None:
        self._device_id = device_id
        self._camera: RtspCamera | None = None
        self._pillar: Pillar | None = None
        self._intercom = Intercom(device_id, on_event=self._happened) if intercom else None
        self._talking = threading.Event()
        self._life = ExitStack()

    @property
    def intercom(self) -> Intercom | None:
        return self._intercom

    def serve(self, pillar: Pillar) -> None:
        """From now on it is that pillar's."""
        self._pillar = pillar
        pictures = self._life.enter_context(RawPictures(pillar.camera))
        raw = f"tcpclientsrc host={HOST} port={pictures.port} ! rawvideoparse {RAW} ! identity sync=true"
        assert self._camera is not None
        self._camera.streams[PATH] = as_cities_buy(raw)
        self._camera.start()
        if self._intercom is not None:
            pillar.intercom.by_sip(False)

    def start(self) -> None:
        """Raises NotStarted, toolbox.ToolMissing."""
        with ExitStack() as life:
            self._camera = RtspCamera({}, on_watched=self._watched)
            life.callback(self._camera.stop)
            if self._intercom is not None:
                life.callback(self._intercom.close)
                self._intercom.start()
            self._life = life.pop_all()

    def stop(self) -> None:
        self._talking.clear()
        self._life.close()

    def stream(self) -> dict[str, str]:
        """What the configuration of the column must say under `stream`."""
        assert self._camera is not None
        named = {"rtsp": self._camera.address(PATH)}
        return named | ({"sip": self._intercom.address} if self._intercom is not None else {})

    def _watched(self, count: int) -> None:
        """In the camera's thread."""
        if self._pillar is not None:
            self._pillar.watchers.by_rtsp(count)

    def _happened(self, event: Event) -> None:
        """In the intercom's thread."""
        if event["type"] == STARTS and not self._talking.is_set():
            self._talking.set()
            threading.Thread(target=self._listen, daemon=True).start()
        elif event["type"] == ENDS:
            self._talking.clear()
        if self._pillar is not None and event["type"] in (STARTS, ENDS):
            self._pillar.intercom.by_sip(event["type"] == STARTS)

    def _listen(self) -> None:
        """How loud the loudspeaker is."""
        assert self._intercom is not None and self._pillar is not None
        with self._pillar.intercom.operator() as hear:
            while self._talking.is_set():
                hear(np.repeat(np.array(self._intercom.said(LOOK_S), np.int16), TIMES))
                time.sleep(LOOK_S)
