"""A camera with a loudspeaker: the officer's voice by ONVIF's back channel. The camera is GStreamer's ONVIF server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from column_probe import need
from desk_rig import DeskRig
from pillar_rig import Voice, pitch_of, run, until
from rtsp_camera import STREAMS
from seeing import INCIDENT, advances, at, names, voice_is
from voices import ears

from desk.media.back_channel import BackChannel, _ear, _Session
from desk.media.credentials import Credential, Credentials, CredentialsError, read
from desk.media.process import Calls
from desk.media.relay import Target
from desk.media.trouble import NoStream
from desk.media.voice import mixed
from desk.sip.announce import tone
from desk.sip.g711 import ALAW, RATE_HZ, ULAW
from sim.servers.rtsp import RtspCamera

CAMERA_HZ, OFFICER_HZ, LOUD = 440, 300, 3000
SPEAKS = 'capsfilter caps="application/x-rtp,media=audio,payload=0,clock-rate=8000,encoding-name=PCMU" '
SPEAKS += "name=depay_backchannel ! rtppcmudepay ! mulawdec ! filesink async=false sync=false buffer-mode=2 location="
USER = ("desk", "a secret of the camera")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera's loudspeaker says: 8,000 samples a second."""
    return tmp_path_factory.mktemp("camera") / "said"


@pytest.fixture(scope="module")
def camera(said: Path) -> Iterator[RtspCamera]:
    need("gstreamer")
    streams: dict[str, Any] = {"/speaks": [STREAMS["/h264"], f"( {SPEAKS}{said} )"], "/mute": STREAMS["/h264"]}
    with RtspCamera(streams, *USER) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    rig = DeskRig(tmp_path_factory.mktemp("desk") / "desk", None)
    known = Credential("127.0.0.1", USER[0], USER[1], speaks=True)
    rig.server.player.gateway._credentials = Credentials([known])
    yield rig
    rig.close()


@pytest.mark.gstreamer
def test_the_officer_is_heard_at_the_camera(desk: DeskRig, camera: RtspCamera, said: Path, tmp_path: Path) -> None:
    """With the camera's password; and again when the camera was away. Red without the header `Require`.

    The desk records it: in the left ear what the camera hears, in the right what the officer says. That part is red
    without `BackChannel.said`, and without the recorder's ear.
    """
    names(desk, rtsp=camera.address("/speaks"))
    gateway, films = desk.server.player.gateway, tmp_path / "films"
    films.mkdir()
    room = {"folder": str(films), "most": 10**9, "spare": 0}
    desk.run(gateway.record(INCIDENT, {"rtsp": camera.address("/speaks")}, "petropavl-01", room))

    def tone_is_there() -> bool:
        last = np.fromfile(said, np.int16)[-RATE_HZ // 2 :] if said.exists() else np.zeros(0, np.int16)
        return len(last) == RATE_HZ // 2 and np.abs(last).max() > LOUD and abs(pitch_of([last], RATE_HZ) - 300) < 12

    async def look() -> None:
        async with at(desk) as seeing:
            assert await seeing.call(Voice(OFFICER_HZ)) == 201, seeing.text
            assert seeing.way == "rtsp+onvif" and "a=sendrecv" in seeing.text
            await voice_is(seeing, "talking")
            await advances(seeing, 5)
            await until(tone_is_there, "the officer's voice at the camera")
            await asyncio.to_thread(camera.stop)
            await voice_is(seeing, "away")
            said.unlink()
            await asyncio.to_thread(camera.start)
            await voice_is(seeing, "talking")
            await until(tone_is_there, "the officer's voice again")

    run(look())
    desk.run(gateway.unrecord(INCIDENT))
    parts = desk.run(gateway.recordings())["parts"]
    spoken = [films / part["file"] for part in parts if part["file"].endswith(".m4a")]
    assert len(spoken) == 2, "before the outage and after it"
    left, right, rate_hz = ears(spoken[0])
    for ear, hertz in ((left, CAMERA_HZ), (right, OFFICER_HZ)):
        middle = ear[len(ear) // 2 :]
        assert pitch_of([middle], rate_hz) == pytest.approx(hertz, abs=12) and np.std(middle) > 0.1


@pytest.mark.gstreamer
def test_a_camera_that_cannot_is_said_to_be_deaf_and_goes_on_being_seen(desk: DeskRig, camera: RtspCamera) -> None:
    names(desk, rtsp=camera.address("/mute"))

    async def look() -> None:
        async with at(desk) as seeing:
            assert await seeing.call(Voice(OFFICER_HZ)) == 201, seeing.text
            assert (await voice_is(seeing, "failed"))["code"] == "codec"
            await advances(seeing, 5)

    run(look())


def test_a_camera_has_one_back_channel_for_all_officers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says what all say, and is recorded once. Red where each officer has one: a recording would have every
    moment twice."""
    opened: list[BackChannel] = []
    target = Target(("192.0.2.1",), "camera.example", 554, "/stream", speaks=True)

    async def once(channel: BackChannel) -> None:
        opened.append(channel)
        await asyncio.Event().wait()

    monkeypatch.setattr(BackChannel, "_once", once)

    async def speak() -> None:
        calls = Calls()
        found = [calls._back(target, "petropavl-01") for _ in range(2)]
        assert found[0] is not None and found[0] is found[1]
        officers = object(), object()
        mouths = [found[0].join(officer) for officer in officers]
        await asyncio.sleep(0)
        assert opened == [found[0]]
        for mouth, hertz in zip(mouths, (300, 500), strict=True):
            for block in tone(hertz, 0.06, 0.3):
                mouth.put(block)
        both = np.frombuffer(mixed(mouths) or b"", np.int16)
        each = [np.frombuffer(next(tone(hertz, 0.02, 0.3)), np.int16) for hertz in (300, 500)]
        assert np.array_equal(both, each[0] + each[1])
        await found[0].leave(officers[0])
        assert calls._back(target, "petropavl-01") is found[0], "the other still speaks"
        await found[0].leave(officers[1])
        assert not calls._backs and found[0]._task is None

    asyncio.run(speak())


@pytest.mark.parametrize(
    "part",
    [
        "m=audio 0 RTP/AVP 0\na=control:x\n",  # that is its microphone
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/16000\na=sendonly\na=control:x\n",
        "m=audio 0 RTP/AVP 0\na=sendonly\n",  # no address
    ],
)
def test_a_description_without_an_ear(part: str) -> None:
    with pytest.raises(NoStream, match="back channel"):
        _ear(f"v=0\nm=video 0 RTP/AVP 96\na=control:v\n{part}")


def test_the_ear_is_found_beside_the_microphone() -> None:
    sdp = "v=0\r\nm=audio 0 RTP/AVP 0\r\na=control:in\r\nm=audio 0 RTP/AVP 8\r\na=sendonly\r\na=control:out\r\n"
    assert _ear(sdp) == (ALAW, "out")


class Wire:
    """The writing end of a camera that has answered everything beforehand."""

    def __init__(self) -> None:
        self.asked = b""

    def write(self, data: bytes) -> None:
        self.asked += data


def asked_of_a_camera(base: str, control: str) -> list[str]:
    """The desk's requests to a camera that describes itself so."""
    sdp = f"v=0\r\nm=audio 0 RTP/AVP 0\r\na=sendonly\r\na=control:{control}\r\n"
    answers = [
        f"Content-Base: {base}\r\nContent-Length: {len(sdp)}\r\n\r\n{sdp}",
        "Session: 12\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n",
        "\r\n",
    ]

    async def ask() -> list[str]:
        reader, wire = asyncio.StreamReader(), Wire()
        for answer in answers:
            reader.feed_data(f"RTSP/1.0 200 OK\r\n{answer}".encode())
        target = Target(("192.0.2.1",), "camera.example", 554, "/stream")
        assert await _Session(target, reader, wire).open() is ULAW  # type: ignore[arg-type]
        return [line for line in wire.asked.decode().split("\r\n") if line.endswith(" RTSP/1.0")]

    return asyncio.run(ask())


@pytest.mark.parametrize("base", ["rtsp://evil.example/x/", "rtsp://camera.example:554/x/\rX: y"])
@pytest.mark.parametrize("control", ["out", "rtsp://evil.example:9/x/out?a=1"])
def test_a_camera_leads_nowhere_else(base: str, control: str) -> None:
    """Red where its addresses are taken as they are: the proof of the password would be one for another host."""
    asked = asked_of_a_camera(base, control)
    assert [line.split(" ")[0] for line in asked] == ["DESCRIBE", "SETUP", "PLAY"]
    assert all(line.split(" ")[1].startswith("rtsp://camera.example:554/") for line in asked)


def test_an_address_that_is_none_is_said() -> None:
    """Red when it ends the task without a word, and the page says "calling" for ever."""
    with pytest.raises(NoStream, match="an address that is none"):
        asked_of_a_camera("rtsp://camera.example/", "rtsp://[")


def test_only_a_camera_of_which_the_file_says_so_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    entry = '[[{}]]\nhost = "10.20.*"\nuser = "desk"\npassword = "x"\n{}\n'

    def known(kind: str, more: str) -> Credentials:
        path.write_text(entry.format(kind, more))
        path.chmod(0o600)
        return read(path)

    for more, speaks in (("speaks = true", True), ("", False)):
        found = known("camera", more).of("petropavl-01", "10.20.0.5")
        assert found is not None and found.speaks is speaks
    for kind, more in (("camera", 'speaks = "yes"'), ("intercom", "speaks = true")):
        with pytest.raises(CredentialsError, match="speaks|knows only"):
            known(kind, more)
