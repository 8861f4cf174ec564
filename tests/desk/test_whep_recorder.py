"""A camera that speaks WHEP into files: what players open, closed at the camera, back by itself, every fault in words.

The camera is this project's pillar (aiortc); the files are opened with PyAV, as ffplay and VLC would.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from aiohttp import ClientSession, web
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from column_probe import CONFIG
from pillar_rig import DEVICE, IdleColumn, TestTown, idle_pillar, pitch_of, run, until, wait_until
from virtual_loop import run_virtual

from desk.media import whep, whep_recorder
from desk.media.files import Part, Room
from desk.media.hosts import Hosts
from desk.media.process import OWN_EAR_S, Conversation
from desk.media.reopened import Reopened
from desk.media.trouble import NoStream
from desk.media.whep import WhepEndpoint
from desk.media.whep_recorder import AUDIO, VIDEO, Came, Waiting, WhepRecorder, WhepTarget
from desk.sip.announce import tone
from desk.sip.g711 import RATE_HZ, SILENCE
from sim.pillar import Pillar, PillarServer

INCIDENT = "petropavl-01-17-3"
CLOCK = Fraction(1, 90_000)
SPS = b"\x00\x00\x00\x01\x67\x42\x00\x1f"
WHOLE_PICTURE, OTHER = SPS + b"\x00\x00\x00\x01\x65picture", b"\x00\x00\x00\x01\x41picture"


class Studio:
    """A recorder at a camera that speaks WHEP."""

    def __init__(self, url: str, folder: Path, user: str | None = None, password: str | None = None) -> None:
        self.parts: list[Part] = []
        self.folder = folder
        self.threads = ThreadPoolExecutor(2)
        target = WhepTarget(WhepEndpoint(url, user, password), None, local=True)
        self.recorder = WhepRecorder(target, self.threads, self.parts.append)
        self.recorder.record(INCIDENT, Room(folder, 10**9, 0))
        self.recorder.start()

    def size(self) -> int:
        return sum(one.stat().st_size for one in self.folder.iterdir())

    async def grows(self, more: int = 15_000) -> None:
        size = self.size()
        await until(lambda: self.size() > size + more, "more in the file")

    async def fails(self, code: str) -> str:
        """With that code; what it says."""
        await until(lambda: self.recorder.trouble is not None, "trouble")
        assert self.recorder.trouble is not None
        assert (self.recorder.trouble.code, self.recorder.trouble_code) == (code, code), self.recorder.trouble.text
        return str(self.recorder.trouble.text)


@contextlib.asynccontextmanager
async def recording(url: str, folder: Path, **login: str) -> AsyncIterator[Studio]:
    studio = Studio(url, folder, **login)
    try:
        yield studio
    finally:
        await studio.recorder.stop()
        studio.threads.shutdown()


@pytest.fixture(scope="module")
def town() -> Iterator[TestTown]:
    with idle_pillar() as running:
        running[1].intercom.call(True)
        yield running


def seen(path: Path) -> tuple[list[str], int, float]:
    """(codecs, pictures, the sound's pitch) of a film."""
    with av.open(str(path)) as film:
        names = [stream.codec_context.name for stream in film.streams]
        frames = list(film.decode())
        rate_hz = film.streams.audio[0].sample_rate
    pictures = [frame for frame in frames if isinstance(frame, av.VideoFrame)]
    assert all(frame.width == 640 and np.std(frame.to_ndarray()) > 10 for frame in pictures), "the street, not grey"
    sound = [frame.to_ndarray()[0] for frame in frames if isinstance(frame, av.AudioFrame)]
    return names, len(pictures), pitch_of([np.concatenate(sound)], rate_hz)


# -- with a real camera


@pytest.mark.parametrize(("picture", "ending"), [("h264", "mp4"), ("vp8", "mkv")])
def test_picture_and_sound_are_kept_as_they_come(
    town: TestTown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: str, ending: str
) -> None:
    """And nobody looks through the camera any more."""
    server, pillar, _ = town
    monkeypatch.setattr(whep_recorder, "PICTURES", (picture.upper(),))

    async def look() -> None:
        async with recording(server.stream(DEVICE)["webrtc"], tmp_path) as studio:
            await until(lambda: any(tmp_path.iterdir()), "a file")
            await studio.grows()
            assert pillar.watchers.count == 1 and studio.recorder.trouble_code == ""
        (part,) = studio.parts
        path = tmp_path / part.file
        assert part.file.endswith(ending) and part.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        names, pictures, hertz = seen(path)
        assert names == [picture, "aac"] and pictures > 9
        assert hertz == pytest.approx(pillar.intercom.pitch_hz, abs=10)

    run(look())
    wait_until(lambda: pillar.watchers.count == 0, "nobody watches")


def test_after_an_outage_it_is_back_by_itself(tmp_path: Path) -> None:
    """Also where the whole pictures are lost on their way: it asks for others, and the camera hears that. Red where it
    does not, and where an outage ends it for good."""
    with PillarServer() as server:
        url, port = server.stream(DEVICE)["webrtc"], server.port
        pillar = server.add(Pillar(server.configured(dict(CONFIG)), make_column=IdleColumn))  # type: ignore[arg-type]
        pillar.intercom.call(True)

        async def look() -> None:
            ears: list[bytes] = []
            async with recording(url, tmp_path) as studio:
                studio.recorder.heard = ears.append
                await until(lambda: any(tmp_path.iterdir()), "a file")
                await studio.grows()
                await until(lambda: len(ears) > 40, "what the place's microphone hears")
                await asyncio.to_thread(server.stop)
                await until(lambda: len(studio.parts) == 1, "the end of the file")
                await until(lambda: studio.recorder.trouble_code == "refused", "why there is nothing")
                asked, real, send = list[bool](), whep_recorder._shape_of, RTCRtpSender._send_keyframe

                def heard(sender: RTCRtpSender) -> None:
                    asked.append(True)
                    send(sender)

                with pytest.MonkeyPatch.context() as patch, PillarServer(port=port) as again:
                    patch.setattr(whep_recorder, "_shape_of", lambda one: real(one) if asked else None)
                    patch.setattr(RTCRtpSender, "_send_keyframe", heard)
                    again.add(pillar)
                    await until(lambda: another(studio), "another file")
                    await studio.grows()
                    assert studio.recorder.trouble_code == ""
                    await studio.recorder.stop()
            assert [seen(tmp_path / part.file)[1] > 5 for part in studio.parts] == [True, True]
            blocks = [np.frombuffer(block, np.int16) for block in ears[10:]]
            assert pitch_of(blocks, RATE_HZ) == pytest.approx(pillar.intercom.pitch_hz, abs=10)

        with pillar:
            run(look())


def another(studio: Studio) -> bool:
    """File; and the camera was not given up meanwhile."""
    assert studio.recorder.trouble_code != "codec", studio.recorder.trouble
    return len(list(studio.folder.iterdir())) == 2


# -- with cameras that do what they should not


class Gate:
    """An HTTP server in front of a pillar: it asks who is there, or answers as it was told."""

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.asked: list[tuple[str, str]] = []  # method, and what was shown
        self.reply: Callable[[web.Request], Awaitable[web.Response]] | None = None
        self.digest = False
        application = web.Application()
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Gate:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/whep?line=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        shown = request.headers.get("Authorization", "")
        self.asked.append((request.method, shown))
        if self.reply is not None:
            return await self.reply(request)
        if self.digest and not self._is_right(request, shown):
            challenge = 'Digest realm="cam", nonce="n1", qop="auth", algorithm=MD5'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        async with ClientSession() as http:
            if request.method == "DELETE":
                async with http.delete(f"{self.behind}/{request.path.rpartition('/')[2]}") as response:
                    return web.Response(status=response.status)
            headers = {"Content-Type": "application/sdp"}
            async with http.post(self.behind, data=await request.read(), headers=headers) as response:
                name = response.headers["Location"].rpartition("/")[2]
                body, where = await response.read(), {"Location": f"/whep/{name}"}
                return web.Response(status=201, body=body, content_type="application/sdp", headers=where)

    @staticmethod
    def _is_right(request: web.Request, shown: str) -> bool:
        """As RFC 7616 has it, worked out here."""
        found = dict(re.findall(r'(\w+)="?([^",]*)"?', shown))

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        ours = md5("desk:cam:secret"), md5(f"{request.method}:{request.path_qs}")
        parts = [ours[0], "n1", found.get("nc", ""), found.get("cnonce", ""), "auth", ours[1]]
        return found.get("response") == md5(":".join(parts)) and found["uri"] == request.path_qs


def test_a_camera_that_asks_who_is_there_is_told_and_nobody_else(town: TestTown, tmp_path: Path) -> None:
    """Red where the password is shown unasked, where the session's end is not said at the camera, or not with it."""
    server, pillar, _ = town

    async def look() -> None:
        async with Gate(server.stream(DEVICE)["webrtc"]) as gate:
            gate.digest = True
            async with recording(gate.url, tmp_path) as studio:
                assert "401" in await studio.fails("unauthorized")
            async with recording(gate.url, tmp_path, user="desk", password="wrong") as studio:
                assert "secret" not in await studio.fails("unauthorized")
            gate.asked.clear()
            async with recording(gate.url, tmp_path, user="desk", password="secret") as studio:
                await until(lambda: any(tmp_path.iterdir()), "a file")
                await studio.grows(5000)
            assert [(method, bool(shown)) for method, shown in gate.asked] == [
                ("POST", False), ("POST", True), ("DELETE", False), ("DELETE", True),
            ]  # fmt: skip
            assert "secret" not in repr(studio.recorder._target)

    run(look())
    wait_until(lambda: pillar.watchers.count == 0, "nobody watches")


@pytest.mark.parametrize(
    ("status", "kind", "body", "code"),
    [(404, "text/html", b"", "not-found"), (403, "text/html", b"", "unauthorized"), (503, "text/html", b"", "protocol"),
     (406, "text/html", b"", "codec"), (201, "text/html", b"<h1>router</h1>", "protocol"),
     (201, "application/sdp", b"v=0\r\n", "protocol")],
)  # fmt: skip
def test_what_a_camera_should_not_answer_is_said_in_words(
    tmp_path: Path, status: int, kind: str, body: bytes, code: str
) -> None:
    async def look() -> None:
        async with Gate("") as gate:

            async def reply(_: web.Request) -> web.Response:
                return web.Response(status=status, body=body, content_type=kind)

            gate.reply = reply
            async with recording(gate.url, tmp_path) as studio:
                await studio.fails(code)

    run(look())


async def answered(offer: str, change: Callable[[str], str], direction: str = "inactive") -> bytes:
    """An answer to it by somebody who has changed their mind."""
    peer = RTCPeerConnection()
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    for transceiver in peer.getTransceivers():
        transceiver.direction = direction
    await peer.setLocalDescription(await peer.createAnswer())
    answer = change(peer.localDescription.sdp)
    await peer.close()
    return answer.encode()


@pytest.mark.parametrize(
    ("change", "code"),
    [(lambda sdp: sdp, "codec"),
     (lambda sdp: re.sub(r"(a=candidate:(?:\S+ ){4})\S+", r"\g<1>169.254.169.254", sdp), "not-allowed")],
)  # fmt: skip
def test_nothing_is_recorded_from_a_camera_that_sends_nothing_or_sends_the_desk_elsewhere(
    tmp_path: Path, change: Callable[[str], str], code: str
) -> None:
    """Red without `_permitted`: the desk would knock at whatever address a column's camera names."""

    async def reply(request: web.Request) -> web.Response:
        body = await answered((await request.read()).decode(), change)
        return web.Response(status=201, body=body, content_type="application/sdp")

    async def look() -> None:
        async with Gate("") as gate:
            gate.reply = reply
            async with recording(gate.url, tmp_path) as studio:
                await studio.fails(code)

    run(look())


def test_a_camera_that_answers_and_whose_picture_has_no_way_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a firewall lets HTTP through and no UDP; and one that does not answer at all."""
    monkeypatch.setattr(whep_recorder, "OPEN_S", 0.5)
    monkeypatch.setattr(whep, "TIMEOUT_S", 0.5)
    silent = asyncio.Event()

    async def reply(request: web.Request) -> web.Response:
        def away(sdp: str) -> str:
            return re.sub(r"(a=candidate:(?:\S+ ){4})\S+", r"\g<1>192.0.2.1", sdp)

        body = await answered((await request.read()).decode(), away, "sendonly")
        return web.Response(status=201, body=body, content_type="application/sdp")

    async def nothing(_: web.Request) -> web.Response:
        await silent.wait()
        return web.Response(status=500)

    async def look() -> None:
        for answers, code, why in (
            (reply, "no-route", "no way for its picture"),
            (nothing, "timeout", "did not answer"),
        ):
            async with Gate("") as gate:
                gate.reply = answers
                async with recording(gate.url, tmp_path) as studio:
                    assert why in await studio.fails(code)
                if answers is nothing:
                    silent.set()

    run(look())


# -- the rules


def picture(data: bytes, at_s: float, codec: str = "H264") -> Came:
    return Came(VIDEO, codec, data, int(at_s * 90_000), CLOCK, at_s)


def sound(at_s: float) -> Came:
    return Came(AUDIO, "OPUS", b"sound", int(at_s * 48_000), Fraction(1, 48_000), at_s)


def test_what_a_whole_picture_is() -> None:
    assert whep_recorder._shape_of(picture(WHOLE_PICTURE, 0)) == SPS[4:]
    assert whep_recorder._shape_of(picture(OTHER, 0)) is None
    assert whep_recorder._shape_of(picture(OTHER.replace(b"\x41", b"\x65"), 0)) == b"", "how large, it does not say"
    vp8 = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01picture"
    assert whep_recorder._shape_of(picture(vp8, 0, "VP8")) == b"\x80\x02\x68\x01"
    assert whep_recorder._shape_of(picture(b"\x11" + vp8[1:], 0, "VP8")) is None
    assert whep_recorder._shape_of(picture(b"", 0, "VP8")) is None
    with pytest.raises(NoStream, match="picture"):
        whep_recorder._stream_of(picture(b"\x00\x00\x01\x67\x00\x00\x01\x65", 0))


def test_a_disk_that_hangs_costs_what_came_meanwhile_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The film goes on at a whole picture. Red without `_skips`: it would go on in the middle, grey."""
    monkeypatch.setattr(whep_recorder, "WAITING_MAX", 3)
    waiting = Waiting()
    for data in (WHOLE_PICTURE, OTHER, OTHER, OTHER, WHOLE_PICTURE):
        waiting.put(picture(data, 0))
    came = waiting.each(has_picture=True)
    first = [next(came).data for _ in range(3)]
    for one in (picture(OTHER, 1), sound(1), picture(WHOLE_PICTURE, 2), picture(OTHER, 3)):
        waiting.put(one)
    waiting.end()
    assert first == [WHOLE_PICTURE, OTHER, OTHER]
    assert [one.data for one in came] == [b"sound", WHOLE_PICTURE, OTHER]
    monkeypatch.setattr(whep_recorder, "WAITING_BYTES", 10)
    waiting = Waiting()
    waiting.put(picture(WHOLE_PICTURE, 0))
    waiting.end()
    assert list(waiting.each(has_picture=True)) == []


def test_a_picture_that_stands_still_is_no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though its sound goes on; and a camera that has none is not expected to."""
    began_s = time.monotonic()
    waiting = Waiting()
    for at_s in (0.0, 3.0, 5.0):
        waiting.put(sound(began_s + at_s))
    with pytest.raises(NoStream, match="no picture"):
        list(waiting.each(has_picture=True))
    waiting.put(sound(began_s + 6.0))
    waiting.end()
    assert len(list(waiting.each(has_picture=False))) == 1
    monkeypatch.setattr(whep_recorder, "SILENT_S", 0.01)
    with pytest.raises(NoStream, match="nothing"):
        list(waiting.each(has_picture=False))


class Asked:
    """Stands for a session with a picture: how often it was asked for a whole one."""

    has_picture = True

    def __init__(self) -> None:
        self.times = 0

    def ask_for_a_whole_picture(self) -> None:
        self.times += 1


def test_a_camera_without_a_whole_picture_is_asked_and_then_given_up() -> None:
    watching = Asked()
    film = whep_recorder._Film(cast(Any, None), cast(Any, watching), "OPUS")
    began_s = time.monotonic()
    for at_s in np.arange(0, 10, 0.5):
        film.put(picture(OTHER, began_s + at_s))
        film.put(sound(began_s + at_s))
    assert 5 <= watching.times <= 10
    with pytest.raises(NoStream, match="no whole picture in 10 s"):
        film.put(picture(OTHER, began_s + 10.5))


def test_whose_addresses_a_picture_may_come_from() -> None:
    """The camera's own, what --stream-hosts names, and never a name."""
    hosts = Hosts(["cameras.example", "10.20.0.9"], local=False)
    lines = [f"a=candidate:1 1 udp 1 {address} 5000 typ host" for address in
             ("10.20.0.5", "10.20.0.9", "192.168.1.1", "127.0.0.1", "169.254.169.254", "evil.local")]  # fmt: skip
    answer = "\r\n".join(["v=0", *lines, "a=candidate:1 1", "a=end"]).encode()
    kept = whep_recorder._permitted(answer, hosts, ["10.20.0.5"]).splitlines()
    assert kept == ["v=0", *lines[:2], "a=end"]
    with pytest.raises(NoStream, match="may not call"):
        whep_recorder._permitted(answer, Hosts(["cameras.example"], local=False), ["10.1.1.1"])


class Kept:
    """Stands for a conversation's files."""

    def __init__(self) -> None:
        self.blocks: list[tuple[bytes, bytes]] = []

    def put(self, heard: bytes, said: bytes) -> None:
        self.blocks.append((heard, said))


def test_what_the_desk_itself_hears_goes_before_what_a_browser_says_it_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the browser's word counts while the desk hears nothing. Red where either is lost, or both are mixed, and
    where a camera's microphone drowns an intercom."""
    now = [100.0]
    monkeypatch.setattr("desk.media.process.time", type("Clock", (), {"monotonic": staticmethod(lambda: now[0])}))
    files = Kept()
    of_browser, of_desk, of_intercom = (next(tone(hz, 0.02, 0.3)) for hz in (300, 900, 600))
    talk = Conversation("", DEVICE, cast(Any, files))

    def browser() -> None:
        talk.put(of_browser, SILENCE, second_hand=True)

    browser()
    talk.hears(of_desk)
    talk.hears(of_desk)
    for _ in range(3):  # then it hears that nobody says anything
        browser()
    talk.put(of_intercom, SILENCE, second_hand=False)  # that the desk hears itself, too
    now[0] += OWN_EAR_S
    browser()
    talk.put(None, SILENCE, second_hand=False)
    heard = [heard for heard, _ in files.blocks]
    assert heard == [of_browser, of_desk, of_desk, SILENCE, of_intercom, of_browser, SILENCE]


class Faulty(Reopened):
    """A connection with an error of ours in it."""

    async def _once(self) -> None:
        raise RuntimeError("nobody thought of that")


def test_an_error_of_ours_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Red where it ended the task without a word: the page said that a call is recorded, and nothing was."""

    async def look() -> int:
        faulty = Faulty()
        faulty.start()
        await asyncio.sleep(60)
        assert faulty.trouble is not None and faulty.trouble.code == "no-gateway"
        await faulty.stop()
        return len(caplog.records)

    assert run_virtual(look()) == 1, "once: it is the same error"
    assert "nobody thought of that" in caplog.text


class Lost:
    """Stands in for a connection that the camera has ended."""

    has_picture = True

    def __init__(self, target: WhepTarget) -> None:
        self.came = self
        self.over: asyncio.Future[NoStream] = asyncio.get_running_loop().create_future()
        self.over.set_result(NoStream("lost", "the camera ended the stream"))
        self.closed = asyncio.Event()

    async def begin(self) -> str:
        return ""

    def end(self) -> None: ...

    async def close(self) -> None:
        asyncio.get_running_loop().call_later(0.05, self.closed.set)


def test_it_stops_while_it_waits_for_the_disk_behind_an_outage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Red where the waiting swallows the cancelling: it opened the camera again, and `stop` waited for ever."""
    disk, begun = threading.Event(), list[Lost]()

    def watching(target: WhepTarget) -> Lost:
        begun.append(Lost(target))
        return begun[-1]

    monkeypatch.setattr(whep_recorder, "_Watching", watching)
    monkeypatch.setattr(WhepRecorder, "_write", lambda *_: disk.wait(10))

    async def work() -> None:
        studio = Studio("http://camera.example/whep", tmp_path)
        await until(lambda: bool(begun) and begun[0].closed.is_set(), "the end of the connection")
        stopping = asyncio.ensure_future(studio.recorder.stop())
        await asyncio.wait([stopping], timeout=5)
        has_stopped, connections = stopping.done(), len(begun)
        disk.set()
        studio.threads.shutdown()
        assert has_stopped and connections == 1

    run(work())
