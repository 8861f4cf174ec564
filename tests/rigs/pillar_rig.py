"""What the tests of pillars share: a column that does nothing, and a watcher that is a real WebRTC client."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from column_probe import CONFIG
from yarl import URL

from sim.pillar import Pillar, PillarServer
from sim.pillar.intercom import BLOCK, BLOCKS_PER_S, RATE_HZ
from sim.pillar.media import Pace, audio_frame

PATIENCE_S = 30.0
LOOK_S = 0.02
SDP = {"Content-Type": "application/sdp"}
DEVICE = str(CONFIG["device_id"])


class IdleColumn:
    """Stands for a column: remembers what was done to it, and shows what a test tells it to."""

    def __init__(self, config: Any, *, on_event: Callable[[dict[str, Any]], None], **_: Any) -> None:
        self.config, self._on_event = config, on_event
        self.done: list[Any] = []
        self.moves: list[list[tuple[int, int]]] = []

    def wave(self, edges: Sequence[tuple[int, int]]) -> None:
        self.moves.append(list(edges))

    def show(self, event: str, **details: Any) -> None:
        self._on_event({"t_ms": 0, "event": event, **details})

    def now_ms(self) -> int:
        return 0

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.done.append((name, *arguments))


TestTown = tuple[PillarServer, Pillar, IdleColumn]


@contextlib.contextmanager
def idle_pillar(device_id: str = DEVICE) -> Iterator[tuple[PillarServer, Pillar, IdleColumn]]:
    """A pillar without a column behind it, on a server."""
    with PillarServer() as server:
        config = server.configured({**CONFIG, "device_id": device_id})
        with server.add(Pillar(config, make_column=IdleColumn)) as pillar:  # type: ignore[arg-type]
            column: Any = pillar.real
            yield server, pillar, column


def wait_until(what: Callable[[], object], text: str) -> None:
    """Raises AssertionError with `text` if it does not come true in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {text}"
        time.sleep(LOOK_S)


async def until(what: Callable[[], object], text: str) -> None:
    """`wait_until` for coroutines."""
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {text}"
        await asyncio.sleep(LOOK_S)


class Voice(MediaStreamTrack):
    """An operator's microphone: a tone of half the full scale."""

    kind = "audio"

    def __init__(self, hertz: int = 300) -> None:
        super().__init__()
        self._pace = Pace(BLOCKS_PER_S)
        phase = np.arange(RATE_HZ) * (2 * math.pi * hertz / RATE_HZ)
        self._tone = (np.sin(phase) * 16384).astype(np.int16)

    async def recv(self) -> AudioFrame:
        number = await self._pace.tick()
        start = number % BLOCKS_PER_S * BLOCK
        return audio_frame(self._tone[start : start + BLOCK], number * BLOCK)


class Watcher:
    """A WHEP client. `pictures` and `sound` grow while it watches."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self.url = http, url
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pictures: list[VideoFrame] = []
        self.sound: list[npt.NDArray[np.int16]] = []  # mono blocks
        self.status, self.session, self.text = 0, "", ""
        self.way, self.tried = "", ""  # what a desk says of it
        self._tasks: list[asyncio.Task[None]] = []
        self.connection.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._take(track))))

    async def offer(self, microphone: MediaStreamTrack | None = None, *, video: bool = True) -> str:
        if video:
            self.connection.addTransceiver("video", direction="recvonly")
        if microphone is None:
            self.connection.addTransceiver("audio", direction="recvonly")
        else:
            self.connection.addTransceiver(microphone, direction="sendrecv")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def call(self, microphone: MediaStreamTrack | None = None, *, video: bool = True) -> int:
        """The status of the answer."""
        offer = await self.offer(microphone, video=video)
        async with self._http.post(self.url, data=offer, headers=SDP) as response:
            self.status, self.text = response.status, await response.text()
            self.session = response.headers.get("Location", "")
            self.way, self.tried = (response.headers.get(name, "") for name in ("Stream-Way", "Stream-Tried"))
        if self.status == 201:
            await self.connection.setRemoteDescription(RTCSessionDescription(self.text, "answer"))
        return self.status

    async def hang_up(self) -> int:
        async with self._http.delete(URL(self.url).join(URL(self.session))) as response:
            return response.status

    async def close(self) -> None:
        await self.connection.close()
        for task in self._tasks:
            task.cancel()

    async def _take(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self.pictures.append(frame)
                else:
                    assert isinstance(frame, AudioFrame)
                    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                    self.sound.append(samples[:, 0].astype(np.int16, copy=False))


@contextlib.asynccontextmanager
async def watching(
    url: str, microphone: MediaStreamTrack | None = None, *, video: bool = True
) -> AsyncIterator[Watcher]:
    """A watcher who was let in."""
    async with aiohttp.ClientSession() as http:
        watcher = Watcher(http, url)
        try:
            assert await watcher.call(microphone, video=video) == 201, watcher.text
            yield watcher
        finally:
            await watcher.close()


def open_sockets() -> int:
    """Of this process."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += str(descriptor.readlink()).startswith("socket:")
    return found


def assert_all_is_free(pillar: Pillar, sockets: int) -> None:
    wait_until(lambda: pillar.watchers.count == 0, "nobody watches")
    wait_until(lambda: open_sockets() <= sockets, "the sessions' sockets are closed")
    drawn = pillar.camera.drawn
    time.sleep(0.5)  # in which a camera that is still looked through draws seven pictures
    assert pillar.camera.drawn == drawn, "nobody watches, and pictures are drawn"


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, 3 * PATIENCE_S)

    asyncio.run(bounded())


def pitch_of(blocks: Sequence[npt.NDArray[Any]], rate_hz: int = RATE_HZ) -> float:
    """The strongest frequency, Hz."""
    samples = np.concatenate(blocks).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * rate_hz / samples.size


def loudness(blocks: list[npt.NDArray[np.int16]]) -> int:
    """The largest sample; -1 of nothing at all, which is no silence."""
    return int(np.max(np.abs(np.concatenate(blocks).astype(np.int32)))) if blocks else -1
