"""What is spoken by WHEP goes around the desk: the browser sends a copy of both voices, and the desk records it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from pillar_rig import Voice, pitch_of, until
from voices import ears

from common.webrtc import BadOffer
from desk.media.overheard import Overheard
from desk.media.process import Calls
from desk.sip.announce import tone
from desk.sip.g711 import SILENCE

INCIDENT, DEVICE = "petropavl-01-17-3", "petropavl-01"
PLACE_HZ, OFFICER_HZ = 900, 300


def test_what_all_officers_say_is_kept_and_the_place_once() -> None:
    """Red where each browser's copy is written by itself: a second of talking would take two."""
    kept: list[tuple[bytes, bytes]] = []
    over: list[str] = []

    async def talk() -> None:
        place = Overheard(lambda heard, said: kept.append((heard, said)), lambda: over.append("over"))
        officers = object(), object()
        mouths = [place.join(officer) for officer in officers]
        place._tick()
        for (heard, said), hertz in zip(mouths, (300, 500), strict=True):
            for block in tone(PLACE_HZ, 0.06, 0.3):
                heard.put(block)
            for block in tone(hertz, 0.06, 0.3):
                said.put(block)
        place._tick()
        await place.leave(officers[0])
        assert not over
        await place.leave(officers[1])
        await place.leave(officers[1])

    asyncio.run(talk())
    assert kept[0] == (SILENCE, SILENCE) and over == ["over"]
    of_place, of_first, of_second = (np.frombuffer(next(tone(hz, 0.02, 0.3)), np.int16) for hz in (PLACE_HZ, 300, 500))
    assert np.array_equal(np.frombuffer(kept[1][0], np.int16), of_place)
    assert np.array_equal(np.frombuffer(kept[1][1], np.int16), of_first + of_second)


async def copied(calls: Calls, device_id: str) -> tuple[RTCPeerConnection, str]:
    """A browser that sends both voices, and the name of its copy."""
    browser = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for hertz in (PLACE_HZ, OFFICER_HZ):
        browser.addTransceiver(Voice(hertz), direction="sendonly")
    await browser.setLocalDescription(await browser.createOffer())
    asked = {"offer": browser.localDescription.sdp, "peer": "127.0.0.1", "device_id": device_id}
    done = await calls.copy(asked)
    await browser.setRemoteDescription(RTCSessionDescription(done["answer"], "answer"))
    return browser, done["name"]


def test_a_browsers_copy_is_the_recording(tmp_path: Path) -> None:
    """Of that call, and of no other. Red where the two sounds change places, and where the place is left out."""

    async def record() -> list[dict[str, Any]]:
        calls = Calls()
        room = {"folder": str(tmp_path), "most": 10**9, "spare": 0}
        for incident_id, device_id in ((INCIDENT, DEVICE), ("elsewhere-1-1", "elsewhere")):
            asked = {"incident_id": incident_id, "device_id": device_id, "sip": "", "talks": True, "room": room}
            await calls.recorders.record(asked)
        browser, name = await copied(calls, DEVICE)
        try:
            await until(lambda: any(one.stat().st_size > 12_000 for one in tmp_path.iterdir()), "two seconds of it")
            said = await calls.recorders.recordings({})
            assert said["spoken"] == [INCIDENT] and said["codes"][INCIDENT] == ""
            told = cast(Any, calls._overheard[DEVICE]._both).keywords
            assert told == {"second_hand": True}, "what the desk itself hears of the place goes before it"
            assert (await calls.hang_up({"name": name}))["found"] and not calls._overheard
            await calls.recorders.unrecord({"incident_id": INCIDENT})
            await asyncio.sleep(0)  # the last is told in the loop
            return list((await calls.recorders.recordings({}))["parts"])
        finally:
            await browser.close()
            await calls.stop()

    (part,) = asyncio.run(asyncio.wait_for(record(), 60))
    left, right, rate_hz = ears(tmp_path / part["file"])
    for ear, hertz in ((left, PLACE_HZ), (right, OFFICER_HZ)):
        middle = ear[len(ear) // 2 :]
        assert pitch_of([middle], rate_hz) == pytest.approx(hertz, abs=12) and np.std(middle) > 0.1


@pytest.mark.parametrize("kinds", [["video"], ["audio"] * 3, ["audio", "video"]])
def test_nothing_but_two_sounds_is_taken(kinds: list[str]) -> None:
    """And nothing is left of an offer that is refused."""

    async def offer() -> None:
        calls, browser = Calls(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in kinds:
            browser.addTransceiver(kind, direction="sendonly")
        await browser.setLocalDescription(await browser.createOffer())
        with pytest.raises(BadOffer):
            await calls.copy({"offer": browser.localDescription.sdp, "peer": "127.0.0.1", "device_id": DEVICE})
        assert not calls._copies and not calls._overheard
        await browser.close()
        await calls.stop()

    asyncio.run(offer())
