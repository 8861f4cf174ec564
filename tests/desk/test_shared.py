"""What several browsers use at a time: one of it, however they come and go."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from virtual_loop import run_virtual

from desk.media.call import Call
from desk.media.shared import Shared
from desk.media.source import Slots
from desk.media.voice import Intercom
from desk.sip.conversation import Peer


class Room(Shared[str]):
    """`begun`: how often; `gone`: how often nobody wanted it any more."""

    def __init__(self) -> None:
        self.begun = self.gone = 0
        super().__init__(self._go)

    def _go(self) -> None:
        self.gone += 1

    async def _run(self) -> None:
        self.begun += 1
        await asyncio.sleep(3600)

    def join(self, name: str) -> None:
        self._let_in(name, name)


def test_who_is_about_to_join_finds_the_same_one() -> None:
    """An officer reloads the page while another one's picture is on its way. Red where it is forgotten with its last
    member: a third one would begin another conversation, with an intercom that is busy with the second."""

    async def meet() -> None:
        room = Room()
        room.join("first")
        await asyncio.sleep(1)
        room.hold("second")
        await room.leave("first")
        assert (room.begun, room.gone) == (1, 0)
        room.join("second")
        await asyncio.sleep(1)
        room.hold("third")
        await room.leave("third")
        await room.leave("third")
        assert (room.begun, room.gone) == (2, 0)
        await room.leave("second")
        assert room.gone == 1

    run_virtual(meet())


def test_a_call_that_comes_to_nothing_leaves_nothing() -> None:
    """Red where the intercom stays: its voice would never be proven again, for somebody seems to speak with it."""
    gone: list[str] = []

    async def fail() -> None:
        peer = Peer.of("sip:door@10.0.0.1", ["10.0.0.1"])
        intercom = Intercom(peer, lambda address: True, lambda: gone.append("intercom"))
        with ThreadPoolExecutor(1) as threads:
            call = Call(None, intercom, None, threads, Slots(0), lambda: gone.append("call"))
            await call.close()

    asyncio.run(fail())
    assert gone == ["call", "intercom"]
