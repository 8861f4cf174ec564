"""A column with a camera that speaks RTSP and an intercom that speaks SIP: seen and heard, and spoken to.

The camera is GStreamer's RTSP server, the intercom baresip, the browser a WebRTC client without a head.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from av import AudioFrame
from column_probe import need
from desk_rig import DeskRig
from pillar_rig import Voice, loudness, pitch_of, run, until
from rtsp_camera import STREAMS
from seeing import Seeing, advances, at, names, voice_is

from desk.media.credentials import read
from desk.media.loudness import CEILING
from desk.media.track import Track
from desk.media.voice import Ear, copied
from desk.media.voice import Intercom as Caller
from desk.sip.announce import tone
from desk.sip.g711 import BLOCK
from desk.sip.sound import Mouth
from sim.servers.intercom import Intercom
from sim.servers.rtsp import RtspCamera

pytestmark = [pytest.mark.baresip, pytest.mark.gstreamer]
CAMERA_HZ, INTERCOM_HZ, OFFICER_HZ = 440, 900, 300
PASSWORDS = '[[intercom]]\nhost = "*.example"\nuser = "desk"\npassword = "a secret of the intercom"\n'


@pytest.fixture(scope="module")
def camera() -> Iterator[RtspCamera]:
    need("gstreamer")
    with RtspCamera({"/h264": STREAMS["/h264"]}) as running:
        yield running


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeskRig]:
    """One for all: its gateway takes a second of a processor to start."""
    rig = DeskRig(tmp_path_factory.mktemp("desk") / "desk", None)
    yield rig
    rig.close()


async def hears(seeing: Seeing, hertz: int) -> None:
    """That tone, and no other."""

    def tone_is_there() -> bool:
        last = seeing.sound[-25:]
        return len(last) == 25 and loudness(last) > 3000 and abs(pitch_of(last) - hertz) < 12

    await until(tone_is_there, f"a tone of {hertz} Hz")


async def there(intercom: Intercom, hertz: int) -> None:
    """The intercom's loudspeaker says that tone."""

    def tone_is_there() -> bool:
        said = np.array(intercom.said(), np.float64)
        if len(said) < 4000 or np.max(np.abs(said)) < 3000:
            return False
        return abs(float(np.argmax(np.abs(np.fft.rfft(said)))) * 8000 / len(said) - hertz) < 12

    await until(tone_is_there, f"{hertz} Hz at the intercom")


async def closed(intercom: Intercom) -> None:
    await asyncio.to_thread(intercom.wait_for_calls, 0)


def test_the_picture_by_rtsp_and_the_sound_by_sip(desk: DeskRig, camera: RtspCamera, intercom: Intercom) -> None:
    """Two officers see and hear one column, both are heard, and the intercom has one call, which ends with the last."""
    names(desk, rtsp=camera.address("/h264"), sip=intercom.address)

    async def look() -> None:
        async with at(desk) as one, at(desk) as two:
            assert await one.call(Voice(OFFICER_HZ)) == 201, one.text
            assert (one.way, one.tried) == ("rtsp+sip", "")
            assert "a=sendrecv" in one.text and "opus/48000" in one.text
            await advances(one, 10)
            await hears(one, INTERCOM_HZ)
            await there(intercom, OFFICER_HZ)
            said = await voice_is(one, "talking")
            assert said["heard_db"] > -20 and said["said_db"] > -20 and said["code"] is None
            assert (await one.state())["video"] == "h264" and not (await one.state())["converted"]
            assert await two.call() == 201, two.text
            await hears(two, INTERCOM_HZ)
            assert intercom.open_calls == 1
            assert await one.hang_up() == 204
            await hears(two, INTERCOM_HZ)
            assert intercom.open_calls == 1
            assert await two.hang_up() == 204
            await closed(intercom)

    run(look())


def test_the_officer_is_as_loud_there_as_somebody_wants(desk: DeskRig, intercom: Intercom) -> None:
    """As baresip's loudspeaker says it: four times softer, louder up to what can be said, and still a tone; in the next
    call, too. Red where the gateway is not told, and where what is too loud is cut off instead of limited."""
    names(desk, sip=intercom.address)

    def peak() -> float:
        said = np.array(intercom.said(), np.float64)
        return float(np.max(np.abs(said))) if len(said) == 4000 else 0.0

    def crest() -> float:
        said = np.array(intercom.said(), np.float64)
        return float(np.max(np.abs(said)) / np.sqrt(np.mean(said**2)))

    async def wants(seeing: Seeing, db: int) -> int:
        where = f"{desk.origin}{seeing.session}/loudness"
        async with seeing._http.post(where, json={"db": db}) as answer:
            return answer.status

    async def look() -> None:
        async with at(desk) as seeing:
            assert await seeing.call(Voice(OFFICER_HZ), video=False) == 201, seeing.text
            await there(intercom, OFFICER_HZ)
            before = peak()
            assert CEILING / 4 < before < CEILING / 1.2
            assert (await seeing.state())["loudness_db"] == 0
            assert [await wants(seeing, db) for db in (7, 18, -12)] == [400, 400, 200]
            await until(lambda: peak() == pytest.approx(before / 4, rel=0.15), "four times softer")
            assert await wants(seeing, 12) == 200
            await until(lambda: peak() == pytest.approx(CEILING, rel=0.05), "as loud as can be")
            await until(lambda: crest() == pytest.approx(np.sqrt(2), rel=0.1), "still a tone, and none that is cut off")
            assert await seeing.hang_up() == 204
            await closed(intercom)
        async with at(desk) as seeing:
            assert await seeing.call(Voice(OFFICER_HZ), video=False) == 201, seeing.text
            assert (await seeing.state())["loudness_db"] == 12
            await there(intercom, OFFICER_HZ)
            await until(lambda: peak() == pytest.approx(CEILING, rel=0.05), "as loud in the next call")
            assert await wants(seeing, 0) == 200
            assert await seeing.hang_up() == 204
            await closed(intercom)

    run(look())


def test_the_intercom_is_busy_then_hangs_up_then_is_gone_and_comes_back(
    desk: DeskRig, camera: RtspCamera, intercom: Intercom
) -> None:
    """While it does not speak with the desk the camera is heard, the page knows why, and it is called again."""
    names(desk, rtsp=camera.address("/h264"), sip=intercom.address)

    async def look() -> None:
        async with at(desk) as first, at(desk) as seeing:
            # The intercom's one call is somebody else's: here that of another name for it.
            names(desk, sip=intercom.address.replace("petropavl-01@", "PETROPAVL-01@"))
            assert await first.call(video=False) == 201
            assert first.way == "sip"
            await voice_is(first, "talking")
            names(desk, rtsp=camera.address("/h264"), sip=intercom.address)
            assert await seeing.call(Voice(OFFICER_HZ)) == 201
            await hears(seeing, CAMERA_HZ)
            await voice_is(seeing, "away", "busy")
            assert await first.hang_up() == 204
            await hears(seeing, INTERCOM_HZ)

            intercom.do("hangup")
            await voice_is(seeing, "away", "lost")
            await voice_is(seeing, "talking")

            intercom.stop()
            await voice_is(seeing, "away", "timeout", "refused")
            await hears(seeing, CAMERA_HZ)
            intercom.start()
            await hears(seeing, INTERCOM_HZ)
            await there(intercom, OFFICER_HZ)
            await seeing.hang_up()
            await closed(intercom)

    run(look())


def test_what_works_of_the_two_goes_on_without_the_other(desk: DeskRig, camera: RtspCamera, intercom: Intercom) -> None:
    async def look() -> None:
        async with at(desk) as seeing:
            names(desk, webrtc="http://127.0.0.1:9/whep", rtsp="rtsp://127.0.0.1:9/x", sip=intercom.address)
            assert await seeing.call() == 201
            assert (seeing.way, seeing.tried) == ("sip", "webrtc=refused rtsp=refused")
            await hears(seeing, INTERCOM_HZ)
            await seeing.hang_up()
        async with at(desk) as seeing:
            names(desk, rtsp=camera.address("/h264"), sip="sip:x@no-such-host.invalid")
            assert await seeing.call() == 201
            assert (seeing.way, seeing.tried) == ("rtsp", "sip=no-route")
            await until(lambda: loudness(seeing.sound[-25:]) > 3000, "the camera's tone")
        async with at(desk) as seeing:
            names(desk, rtsp="rtsp://127.0.0.1:9/x", sip="sips:x@127.0.0.1")
            assert await seeing.call() == 502
            assert seeing.tried == "sip=not-allowed rtsp=refused"
        async with at(desk) as seeing:
            names(desk, sip=f"sip:x@{intercom.host}:9")
            assert await seeing.call() == 201
            await voice_is(seeing, "away", "refused")

    run(look())


def test_the_passwords_of_intercoms(tmp_path: Path) -> None:
    """They are not the cameras', and go to no other host."""
    path = tmp_path / "passwords"
    path.write_text(PASSWORDS + PASSWORDS.replace("intercom]]", "camera]]").replace("*.example", "10.20.*"))
    path.chmod(0o600)
    known = read(path)
    found = known.of_intercom("petropavl-01", "pbx.example")
    assert found is not None and found.password == "a secret of the intercom" and "secret" not in repr(found)
    assert known.of_intercom("petropavl-01", "10.20.0.1") is None and known.of("petropavl-01", "pbx.example") is None


# -- in memory


def test_what_the_browser_hears_changes_over_and_its_time_goes_on() -> None:
    """Broken by two clocks: a browser plays nothing that is older than what it has played."""

    async def hear() -> list[Any]:
        track = Track("audio")
        ear = Ear(track)
        frame = AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        heard = []
        for to_intercom in (False, True, False, True):
            ear.switch(to_intercom)
            for of_intercom in (False, True):
                ear.put(copied(frame), of_intercom=of_intercom)
            heard.append(await track.recv())
        assert not track._items, "one of the two at a time"
        return heard

    heard = asyncio.run(hear())
    assert [frame.pts for frame in heard] == sorted({frame.pts for frame in heard})


def test_two_officers_at_once_are_both_heard() -> None:
    async def speak() -> bytes | None:
        there = Caller(object(), lambda address: True, lambda: None)  # type: ignore[arg-type]
        mouths = [Mouth(), Mouth()]
        there._members = {number: (Ear(Track("audio")), mouth) for number, mouth in enumerate(mouths)}
        assert there._said() is None
        for mouth, hertz in zip(mouths, (300, 500), strict=True):
            for block in tone(hertz, 0.06, 0.9):
                mouth.put(block)
        return there._said()

    said = asyncio.run(speak())
    assert said is not None
    samples = np.frombuffer(said, np.int16).astype(np.int32)
    expected = sum(np.frombuffer(next(tone(hertz, 0.02, 0.9)), np.int16).astype(np.int32) for hertz in (300, 500))
    assert len(samples) == BLOCK and np.array_equal(samples, np.clip(expected, -32767, 32767))
