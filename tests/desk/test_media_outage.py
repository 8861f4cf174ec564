"""A camera or an intercom that was away for a minute, for whatever reason: told meanwhile, not hammered, and back by
itself.

In virtual time. With real ones that go, come and freeze: test_media_rtsp.py, test_media_voice.py.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from virtual_loop import run_virtual

from desk.media import voice
from desk.media.relay import Target
from desk.media.reopened import PAUSES_S
from desk.media.source import Found, Slots, Source
from desk.media.track import Track
from desk.media.trouble import NoStream
from desk.media.voice import Ear, Intercom
from desk.sip.conversation import Peer
from desk.sip.trouble import NoCall

AWAY_S, TRIES_MAX = 60.0, 20


class Camera(Source):
    """Answers once, is away, and answers again. `tries`: when it was called meanwhile."""

    def __init__(self, code: str) -> None:
        self._threads_of_test = ThreadPoolExecutor(1)
        super().__init__(Target(("127.0.0.1",), "camera", 554, "/"), self._threads_of_test, Slots(0))
        self._code = code
        self.tries: list[float] = []
        self.back_s = 0.0

    async def _once(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if not self.found.done():
            self.found.set_result(Found("h264", "pcm_mulaw", True, True))
            return  # its network goes
        if now_s < AWAY_S:
            self.tries.append(now_s)
            raise NoStream(self._code, "away")
        self.trouble, self.back_s = None, now_s
        await asyncio.sleep(3600)


@pytest.mark.parametrize("code", ["refused", "no-route", "timeout", "unauthorized", "codec", "lost", "busy"])
def test_it_comes_back_by_itself_whatever_it_was(code: str) -> None:
    """Breaks when some trouble is taken for final, or the pauses grow on: an officer would have to click."""

    async def watch() -> Camera:
        camera = Camera(code)
        camera.start()
        for at_s in range(1, int(AWAY_S)):
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            assert camera.trouble is not None and camera.trouble.code in (code, "lost"), at_s
        await asyncio.sleep(2 * max(PAUSES_S))
        assert camera.trouble is None
        await camera.stop()
        return camera

    camera = run_virtual(watch())
    assert AWAY_S <= camera.back_s <= AWAY_S + max(PAUSES_S)
    assert 10 < len(camera.tries) <= TRIES_MAX
    assert PAUSES_S[0] <= min(b - a for a, b in zip(camera.tries, camera.tries[1:], strict=False))


class Door(Intercom):
    """Not there for a minute, then somebody who talks. `tries`: when it was called."""

    def __init__(self, code: str) -> None:
        super().__init__(Peer.of("sip:door@10.0.0.1", ["10.0.0.1"]), lambda address: True, lambda: None)
        self._code = code
        self.tries: list[float] = []

    async def _once(self) -> None:
        self.tries.append(asyncio.get_running_loop().time())
        if self.tries[-1] < AWAY_S:
            raise NoCall(self._code, "away")
        self._state, self._trouble = "talking", None
        await asyncio.sleep(3600)


@pytest.mark.parametrize("code", ["no-route", "refused", "timeout", "busy", "declined", "no-answer", "lost"])
def test_an_intercom_is_called_until_it_is_back(code: str) -> None:
    """Breaks when one of these is taken for final, or the pauses grow on."""

    async def watch() -> Door:
        door = Door(code)
        door.join(door, Ear(Track("audio")))
        for at_s in range(1, int(AWAY_S)):
            await asyncio.sleep(at_s - asyncio.get_running_loop().time())
            assert (door.state()["state"], door.state()["code"]) == ("away", code), at_s
        await asyncio.sleep(2 * max(voice.PAUSES_S))
        assert door.state()["state"] == "talking"
        await door.leave(door)
        return door

    door = run_virtual(watch())
    assert AWAY_S <= door.tries[-1] <= AWAY_S + max(voice.PAUSES_S)
    assert 10 < len(door.tries) <= TRIES_MAX
