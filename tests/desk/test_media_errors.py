"""Errors of our own, of the kind that nobody thought of: none may end picture, voice or recording without a word.

Each test breaks a part on purpose. What has to be so afterwards: it is said, and it begins again by itself, or it ends.
"""

from __future__ import annotations

import asyncio
import errno
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from pillar_rig import until
from virtual_loop import run_virtual

from common.webrtc import Answered
from desk.media import back_channel, gateway, recorder, spoken
from desk.media import call as call_module
from desk.media import track as track_module
from desk.media.back_channel import BackChannel, _Session
from desk.media.call import Call
from desk.media.credentials import Credentials
from desk.media.files import NOT_WRITTEN, Part, Room
from desk.media.gateway import Gateway
from desk.media.hosts import Hosts
from desk.media.overheard import Overheard
from desk.media.process import Recorders
from desk.media.recorder import Recorder
from desk.media.relay import Relay, Request, Target
from desk.media.shared import AGAIN_S
from desk.media.source import Slots
from desk.media.spoken import Spoken
from desk.media.track import Track
from desk.media.trouble import NoStream
from desk.media.voice import Ear, Intercom, listen
from desk.sip.conversation import Conversation, Peer
from desk.sip.g711 import SILENCE, ULAW
from desk.sip.registration import Registration
from desk.sip.sdp import Session
from desk.sip.sound import Mouth, Sound
from desk.sip.switchboard import Switchboard

NOBODY_THOUGHT = RuntimeError("nobody thought of that")
TARGET = Target(("192.0.2.1",), "camera.example", 554, "/stream", speaks=True)
INCIDENT = "petropavl-01-17-3"


def fails(*_: Any, **__: Any) -> Any:
    raise NOBODY_THOUGHT


# -- what several officers share


def test_an_intercom_is_called_again_and_the_page_does_not_say_that_it_talks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the task ends: "calling" or "They hear you" for as long as the picture is open."""
    dialled: list[float] = []

    async def dial(*_: Any, **__: Any) -> Any:
        dialled.append(asyncio.get_running_loop().time())
        fails()

    monkeypatch.setattr(Conversation, "dial", dial)

    async def look() -> dict[str, Any]:
        officer = object()
        there = Intercom(Peer.of("sip:a@intercom.example", ["192.0.2.1"]), lambda _: True, lambda: None)
        there.join(officer, Ear(Track("audio")))
        await asyncio.sleep(2.5 * AGAIN_S)
        said = there.state()
        await there.leave(officer)
        return said

    said = run_virtual(look())
    assert (said["state"], said["code"]) == ("away", "protocol") and len(dialled) == 3


def test_a_back_channel_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(back_channel, "connect", fails)

    async def look() -> dict[str, Any]:
        officer, channel = object(), BackChannel(TARGET, lambda: None)
        channel.join(officer)
        await asyncio.sleep(AGAIN_S / 2)
        said = channel.state()
        await channel.leave(officer)
        return said

    said = run_virtual(look())
    assert (said["state"], said["code"]) == ("away", "protocol")


def test_a_copy_of_a_conversation_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Red where one bad block is the last: nobody would ask the browser for another copy."""
    blocks: list[bytes] = []

    def both(heard: bytes, said: bytes) -> None:
        blocks.append(heard)
        if len(blocks) == 3:
            fails()

    async def look() -> None:
        browser, place = object(), Overheard(both, lambda: None)
        place.join(browser)
        await asyncio.sleep(2 * AGAIN_S)
        await place.leave(browser)

    run_virtual(look())
    assert len(blocks) > 20 and "Overheard failed" in caplog.text


# -- a call's sound, a browser's connection, a microphone


def test_a_call_whose_sound_has_failed_is_a_silent_one() -> None:
    """Then it is hung up and called again. Red where packets that nobody plays count as sound."""

    async def look() -> None:
        sound = Sound()
        sound.heard = fails
        port = await sound.open("127.0.0.1")
        sound.start(Session("127.0.0.1", port, ULAW, None, True, True))
        await until(lambda: sound.silent_s() == math.inf, "that nothing is heard")
        sound.datagram_received(bytes.fromhex("80000001000000000000000b") + b"\xff" * 160, ("127.0.0.1", port))
        assert sound.received == 1 and sound.silent_s() == math.inf
        await sound.close()

    asyncio.run(look())


class Half(Answered):
    """A connection of which a part fails."""

    closed = 0

    async def answer(self) -> None:
        self._start(self._part())

    async def _part(self) -> None:
        fails()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.closed += 1
        await self._shut()


def test_a_connection_of_which_a_part_fails_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    """The page then says so. Red where the rest goes on: a picture, and nobody who hears the officer."""

    async def look() -> int:
        half = Half()
        await half.answer()
        for _ in range(10):
            await asyncio.sleep(0)
        return half.closed

    assert asyncio.run(look()) == 1 and "nobody thought of that" in caplog.text


class Microphone(MediaStreamTrack):
    """Changes over from Opus to G.711 in mid-stream."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._frames = iter([(48_000, "stereo", 960)] * 4 + [(8000, "mono", 160)] * 8)

    async def recv(self) -> AudioFrame:
        found = next(self._frames, None)
        if found is None:
            raise MediaStreamError
        rate_hz, layout, samples = found
        width = samples * (2 if layout == "stereo" else 1)
        frame = AudioFrame.from_ndarray(np.full((1, width), 8000, np.int16), format="s16", layout=layout)
        frame.sample_rate = rate_hz
        return frame


def test_a_microphone_that_changes_its_codec_is_still_heard() -> None:
    """Red where the resampler of before is kept: it raises, and the officer talks to nobody."""
    heard = 0

    class Counted(Mouth):
        def put(self, samples: bytes) -> None:
            nonlocal heard
            heard += len(samples) // 2

    asyncio.run(listen(Microphone(), Counted()))
    assert heard >= 10 * 160


# -- recordings


def test_a_conversation_that_could_not_be_written_is_said_to_be_and_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all of av's errors are those of a disk. Red where one ends the writing thread: the page goes on saying that
    the conversation is recorded."""
    monkeypatch.setattr(spoken, "RETRY_S", 0.0)
    put, broken = spoken._File.put, iter([True])
    monkeypatch.setattr(spoken._File, "put", lambda file, block: fails() if next(broken, False) else put(file, block))

    async def look() -> list[Part]:
        parts: list[Part] = []
        files = Spoken(INCIDENT, Room(tmp_path, 10**9, 0), ThreadPoolExecutor(1), parts.append)
        files.put(SILENCE, SILENCE)
        await until(lambda: files.trouble_code == NOT_WRITTEN, "that it is not written")
        assert not files.runs
        files.put(SILENCE, SILENCE)
        await until(lambda: files.runs and not files.trouble_code, "that it is written again")
        await files.stop()
        await asyncio.sleep(0)
        return parts

    assert len(asyncio.run(look())) == 1


def test_a_file_is_told_of_until_it_was_entered() -> None:
    """Red where it is told once: an answer that came too late, and no row until the next start."""

    async def look() -> None:
        recorders = Recorders()
        for name in ("a.mp4", "b.mp4"):
            recorders._keep(Part(INCIDENT, name, 0, 1, 1, ""))
        told = [
            [part["file"] for part in (await recorders.recordings({"entered": entered}))["parts"]]
            for entered in ([], ["a.mp4"], ["b.mp4"])
        ]
        assert told == [["a.mp4", "b.mp4"], ["b.mp4"], []]
        await recorders.stop()

    asyncio.run(look())


class Still(Recorder):
    """A recorder whose camera says nothing."""

    async def _once(self) -> None:
        await asyncio.Event().wait()


def test_a_recording_that_gets_nothing_is_none_whatever_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk that hangs says no word, and holds up the thread that would. Red where the page says "recorded" then."""
    now = [1000.0]
    monkeypatch.setattr(recorder, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def look() -> list[str]:
        still = Still(ThreadPoolExecutor(1), lambda _: None)
        still.record(INCIDENT, Room(tmp_path, 10**9, 0))
        codes = [still.trouble_code]
        now[0] += recorder.STUCK_S + 1
        codes.append(still.trouble_code)
        still._idle.clear()  # a file is open
        codes.append(still.trouble_code)
        still.keep(cast(Any, None), cast(Any, SimpleNamespace(put=lambda packet, wanted: None)))
        codes.append(still.trouble_code)
        still.trouble = NoStream("refused", "nobody listens there")
        return [*codes, still.trouble_code]

    assert asyncio.run(look()) == ["", "timeout", NOT_WRITTEN, "", "refused"]


def test_a_conversation_that_waits_for_the_disk_is_not_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken, "WAITING_MAX", 2)
    hangs = threading.Event()
    monkeypatch.setattr(spoken._File, "put", lambda file, block: hangs.wait(30))

    async def look() -> str:
        files = Spoken(INCIDENT, Room(tmp_path, 10**9, 0), ThreadPoolExecutor(1), lambda _: None)
        files.put(SILENCE, SILENCE)
        await until(lambda: files.runs, "that it hangs")
        for _ in range(5):
            files.put(SILENCE, SILENCE)
        code = files.trouble_code
        hangs.set()
        await files.stop()
        return code

    assert asyncio.run(look()) == NOT_WRITTEN


# -- what nobody takes


def test_a_sender_that_has_failed_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc's says nothing of it. Red where the page says "They hear you" and shows a level, and nothing is sent. A
    camera that was away for a minute is no such case, nor a browser that has not come yet."""
    now = [1000.0]
    monkeypatch.setattr(track_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(call_module, "LOOK_S", 0.0)

    async def look() -> None:
        over: list[str] = []
        call = Call(None, None, None, ThreadPoolExecutor(1), Slots(0), lambda: over.append("over"))
        track = call._send("audio", "opus")
        for _ in range(300):  # nobody has come yet
            track.put("sound", 1, is_key=True)
        now[0] += 60
        assert not track.is_stuck
        while track._items:
            await track.recv()
        now[0] += 60  # the camera was away
        track.put("sound", 1, is_key=True)
        assert not track.is_stuck
        await track.recv()
        call._start(call._watch())
        for _ in range(700):  # more than it holds
            track.put("sound", 1, is_key=True)
            now[0] += 0.02
        assert track.is_stuck
        await until(lambda: over, "the end of the call")

    asyncio.run(look())


# -- the gateway's process


def test_a_gateway_that_is_slow_has_ended_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where no answer within three seconds is the end of a call: the page drops the picture, the audit list says
    that it is over, and it goes on."""

    async def look() -> None:
        ours = a_gateway()

        async def ask(*_: Any) -> Any:
            raise NoStream("timeout", "no picture in 3 s")

        monkeypatch.setattr(ours, "_ask", ask)
        assert await ours.state("a call") is None, "there is no process: there are no calls"
        ours._process = cast(Any, SimpleNamespace(returncode=None))
        with pytest.raises(NoStream, match="no picture"):
            await ours.state("a call")

    asyncio.run(look())


def a_gateway() -> Gateway:
    return Gateway(Hosts(None, local=True), Credentials())


def test_a_process_that_cannot_be_started_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory, too many processes. Red where it is an error 500, and ends what keeps the switchboard open."""

    async def start(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    async def look() -> NoStream:
        with pytest.raises(NoStream) as trouble:
            await a_gateway().call({"rtsp": "rtsp://127.0.0.1:9/x"}, "petropavl-01", b"v=0", "")
        return trouble.value

    assert asyncio.run(look()).code == "no-gateway"


@pytest.mark.parametrize("line", [b"5\n", b"[]\n", b"{}\n", b"FFmpeg says hello\n"])
def test_a_process_that_says_what_it_should_not_is_ended(line: bytes) -> None:
    """Whoever waits is told. Red where only a line that is no JSON counts: the reader ended, and nobody knew."""

    async def look() -> tuple[list[str], dict[str, Any]]:
        done: list[str] = []
        ours = a_gateway()
        ours.on_failed = lambda: done.append("told")
        waits = ours._waiting[1] = asyncio.get_running_loop().create_future()
        output = asyncio.StreamReader()
        output.feed_data(line)

        async def wait() -> None:
            done.append("over")

        await ours._read(cast(Any, SimpleNamespace(stdout=output, kill=lambda: done.append("killed"), wait=wait)))
        return done, waits.result()

    done, answer = asyncio.run(look())
    assert done == ["killed", "over", "told"] and answer["code"] == "no-gateway"


def test_the_switchboard_is_opened_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red where the task that keeps it open ends: no intercom's call would reach the desk any more."""
    tries: list[float] = []

    async def running(_: Gateway) -> Any:
        tries.append(asyncio.get_running_loop().time())
        fails()

    monkeypatch.setattr(Gateway, "_running", running)

    async def look() -> None:
        ours = Gateway(Hosts(None, local=True), Credentials(), ("127.0.0.1", 0))
        ours.start()
        await asyncio.sleep(5.5 * gateway.LOOK_S)
        await ours.stop()

    run_virtual(look())
    assert len(tries) == 6


def test_a_name_at_an_exchange_is_said_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    async def register(_: Registration, lasts_s: int) -> float:
        tries.append(lasts_s)
        return cast(float, fails())

    monkeypatch.setattr(Registration, "_register", register)

    async def look() -> Registration:
        ours = Registration(Peer.of("sip:desk@pbx.example", ["192.0.2.1"]), Switchboard())
        ours.start()
        await asyncio.sleep(50)
        await ours.stop()
        return ours

    ours = run_virtual(look())
    assert len(tries) == 3 and ours.trouble is not None and ours.trouble.code == "protocol"


# -- what is left at a camera


class Wire:
    """The writing end of a connection to a camera."""

    def __init__(self) -> None:
        self.said, self.over = b"", False

    def write(self, data: bytes) -> None:
        assert not self.over
        self.said += data

    def is_closing(self) -> bool:
        return self.over

    def close(self) -> None:
        self.over = True


def test_a_camera_is_told_that_its_loudspeaker_is_free() -> None:
    """Red without TEARDOWN: one that gives it to one session at a time would be mute until it forgets the session."""

    async def look() -> tuple[str, str]:
        wires = Wire(), Wire()
        for wire, name in zip(wires, ("12", ""), strict=True):
            session = _Session(TARGET, asyncio.StreamReader(), cast(Any, wire))
            session._id = name
            session.close()
            session.close()
            assert wire.over
        return wires[0].said.decode(), wires[1].said.decode()

    opened, refused = asyncio.run(look())
    assert opened.startswith("TEARDOWN rtsp://camera.example:554/stream RTSP/1.0\r\n") and "Session: 12\r\n" in opened
    assert opened.count("TEARDOWN") == 1 and refused == ""


@pytest.mark.parametrize(("session", "leaves", "times"), [("", False, 0), ("7;timeout=60", False, 1), ("7", True, 1)])
def test_a_camera_is_told_that_its_picture_is_not_wanted_any_more(session: str, leaves: bool, times: int) -> None:
    """Once, whether FFmpeg says so or not. Red without it: cameras with few places count a session for a minute."""

    async def look() -> str:
        relay, camera, player = Relay(TARGET), cast(Any, Wire()), cast(Any, Wire())
        relay._open, relay._camera = [camera], camera
        relay._ask(Request("SETUP", "rtsp://camera.example/stream/1", "3", [], b""), camera)
        headers = [("cseq", "1"), ("transport", "RTP/AVP/TCP")]
        relay._answer(200, headers + ([("session", session)] if session else []), b"", camera, player)
        if leaves:
            relay._ask(Request("TEARDOWN", "rtsp://camera.example/stream", "4", [("session", "7")], b""), camera)
        await relay.stop()
        return str(camera.said.decode())

    said = asyncio.run(look())
    assert said.count("TEARDOWN rtsp://camera.example") == times and said.count("Session: 7\r\n") == times
