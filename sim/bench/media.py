"""Picture and sound at the desk: click to first frame, what one stream costs, and ten calls at once beside alarms.

The camera is GStreamer's RTSP server, 1280 x 720 at 25 pictures a second and some 2 Mbit/s; the intercom baresip; the
browsers are WebRTC clients without a head, in this process: what they cost is not counted, but it takes its share of
the machine. How old a picture and a word are when they arrive: delays.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from desk.duty import Change, Duty
from desk.media.credentials import Credentials
from desk.media.gateway import Gateway
from desk.media.hosts import Hosts
from desk.register import Register
from sim.bench import delays
from sim.bench.stats import spread
from sim.servers.broker import Mosquitto
from sim.servers.intercom import Intercom
from sim.servers.rtsp import H264_PAY, X264, RtspCamera

PICTURE = "videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=1280,height=720,framerate=25/1"
SOUND = "audiotestsrc is-live=true freq=440 ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0"
STREAM = f"( {PICTURE} ! {X264} bitrate=2000 tune=zerolatency ! video/x-h264,profile=main ! {H264_PAY} {SOUND} )"
SMALL = STREAM.replace("width=1280,height=720,framerate=25/1", "width=640,height=360,framerate=15/1")
SMALL = SMALL.replace("bitrate=2000", "bitrate=500")  # each watcher has an encoder of its own at the camera
SILENT = f"( {PICTURE} ! {X264} bitrate=2000 tune=zerolatency ! video/x-h264,profile=main ! {H264_PAY} )"
AUDIBLE = 1000  # of 32767
CAMERAS = 3  # for ten calls: a camera has four watchers at most
AT_ONCE, WATCH_S, FIRST_S = 10, 10.0, 30.0
ALARMS, EVERY_S = 50, 0.1


class Browser:
    """One WHEP client at the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tasks: list[asyncio.Task[None]] = []
        self.first: dict[str, float] = {}
        self.pictures = 0
        self._came = asyncio.Event()
        self._connection.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._take(track))))
        self._name = ""

    async def look(self, stream: Mapping[str, str]) -> dict[str, float]:
        """Click to the first picture and the first sound that can be heard, s."""
        began = time.perf_counter()
        for kind in ("video", "audio"):
            self._connection.addTransceiver(kind, direction="recvonly")
        await self._connection.setLocalDescription(await self._connection.createOffer())
        offer = str(self._connection.localDescription.sdp).encode()
        done = await self._gateway.call(stream, "bench", offer, "127.0.0.1")
        self._name = done.name
        await self._connection.setRemoteDescription(RTCSessionDescription(done.answer.decode(), "answer"))
        async with asyncio.timeout(FIRST_S):
            await self._came.wait()
        return {kind: at - began for kind, at in self.first.items()}

    async def close(self) -> None:
        await self._gateway.hang_up(self._name)
        await self._connection.close()
        for task in self._tasks:
            task.cancel()

    async def _take(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                self.pictures += track.kind == "video"
                if track.kind == "audio" and "audio" not in self.first and not _is_audible(frame):
                    continue
                self.first.setdefault(track.kind, time.perf_counter())
                if len(self.first) == 2:
                    self._came.set()


def measure(rounds: int) -> dict[str, Any]:
    """All figures. Raises ToolMissing, TimeoutError."""
    with contextlib.ExitStack() as stack:
        streams = {"/large": STREAM, "/small": SMALL, "/silent": SILENT}
        cameras = [stack.enter_context(RtspCamera(streams)) for _ in range(CAMERAS)]
        intercoms = [Intercom("tone"), Intercom("echo", echo=True)]
        for one in intercoms:
            stack.callback(one.close)
            one.start()
        return asyncio.run(_measure(cameras, intercoms, rounds))


async def _measure(cameras: list[RtspCamera], intercoms: list[Intercom], rounds: int) -> dict[str, Any]:
    gateway = Gateway(Hosts(None, local=True), Credentials())
    large = {"rtsp": cameras[0].address("/large")}
    both = {"rtsp": cameras[0].address("/silent"), "sip": intercoms[0].address}
    try:
        async with _looking(gateway, [large]):
            pass  # the gateway's process starts with its first call
        first = [await _first(gateway, large) for _ in range(rounds)]
        by_sip = [await _first(gateway, both) for _ in range(rounds)]
        delays_of = await delays.measure(gateway, intercoms[1])
        async with _looking(gateway, [large]):
            cost = await _cpu_percent(gateway)
        small = [{"rtsp": cameras[number % CAMERAS].address("/small")} for number in range(AT_ONCE)]
        async with _looking(gateway, small) as browsers:
            alarms = asyncio.create_task(asyncio.to_thread(_alarms))
            before = [browser.pictures for browser in browsers]
            began = time.perf_counter()
            told = await alarms
            took_s = time.perf_counter() - began
            rates = [(one.pictures - was) / took_s for one, was in zip(browsers, before, strict=True)]
            all_cost = await _cpu_percent(gateway)
    finally:
        await gateway.stop()
    return {
        "picture": _of(first, "video"),
        "sound": _of(first, "audio"),
        "sip_picture": _of(by_sip, "video"),
        "sip_sound": _of(by_sip, "audio"),
        "delays": delays_of,
        "cpu_percent": cost,
        "ten": {"calls": AT_ONCE, "cpu_percent": all_cost, "slowest_per_s": min(rates), **told},
    }


@contextlib.asynccontextmanager
async def _looking(gateway: Gateway, streams: list[dict[str, str]]) -> AsyncIterator[list[Browser]]:
    browsers = [Browser(gateway) for _ in streams]
    try:
        await asyncio.gather(*(one.look(stream) for one, stream in zip(browsers, streams, strict=True)))
        yield browsers
    finally:
        for one in browsers:
            await one.close()


async def _first(gateway: Gateway, stream: Mapping[str, str]) -> dict[str, float]:
    browser = Browser(gateway)
    try:
        return await browser.look(stream)
    finally:
        await browser.close()


def _of(found: list[dict[str, float]], kind: str) -> dict[str, Any]:
    return spread([one[kind] * 1e6 for one in found]).as_dict()


def _is_audible(frame: Any) -> bool:
    return bool(abs(frame.to_ndarray().astype(int)).max() > AUDIBLE)


async def _cpu_percent(gateway: Gateway) -> float:
    """Of one core, by the gateway's process, while it goes on."""
    spent_s, began = _cpu_s(gateway), time.perf_counter()
    await asyncio.sleep(WATCH_S)
    return 100 * (_cpu_s(gateway) - spent_s) / (time.perf_counter() - began)


def _cpu_s(gateway: Gateway) -> float:
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _alarms() -> dict[str, Any]:
    """Over a real broker to a real desk: how long until it tells its pages, and what is in its register."""
    told: dict[str, float] = {}

    def tell(change: Change) -> None:
        told.setdefault(change.id, time.perf_counter())

    with tempfile.TemporaryDirectory() as folder, Mosquitto() as broker, Register(Path(folder, "register")) as register:
        duty = Duty(register, broker.host, broker.port, on_change=tell)
        duty.start()
        street = mqtt.Client(CallbackAPIVersion.VERSION2)
        try:
            duty.wait_connected()
            street.connect(broker.host, broker.port)
            street.loop_start()
            sent = {}
            for number in range(ALARMS):
                sent[f"bench-1-{number}"] = time.perf_counter()
                street.publish("sos/v1/bench/bench/alarm", json.dumps(_alarm(number)), 1).wait_for_publish(FIRST_S)
                time.sleep(EVERY_S)
            deadline = time.monotonic() + FIRST_S
            while not sent.keys() <= told.keys() and time.monotonic() < deadline:
                time.sleep(EVERY_S)
            kept = {row["id"] for row in register.incidents()}
        finally:
            end(street)
            duty.stop()
    waits = [(told[name] - at) * 1e6 for name, at in sent.items() if name in told]
    return {"alarms": ALARMS, "in_register": len(kept & sent.keys()), "shown": spread(waits).as_dict()}


def _alarm(number: int) -> dict[str, Any]:
    place = {"geo": "geo:54.8753,69.1628;u=5", "address": "Bench", "site": "public", "height_m": 1.0}
    return {
        "v": 1, "event_type": "sos", "id": f"bench-1-{number}", "device_id": "bench", "status": "actual", "press": 1,
        "raised_at": None, "clock": "none", "age_ms": 1, "late": False, "location": place, "stream": {"ok_at": None},
        "faults": [], "fw": "0.0.0",
    }  # fmt: skip
