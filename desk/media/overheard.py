"""What is spoken with a place around the desk: browsers send a copy of both voices, and the desk records it.

A picture by WHEP goes from the camera to the browser, and the voices with it: nothing of them passes here otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

from aiortc import RTCSessionDescription

from common.webrtc import Answered, BadOffer, check, reachable
from desk.media.shared import Shared
from desk.media.voice import listen, mixed
from desk.sip.g711 import SILENCE
from desk.sip.sound import Mouth, pace

VOICES = 2  # of a copy: the place first, then the officer


class Overheard(Shared[tuple[Mouth, Mouth]]):
    """One place. `join` begins, the last `leave` ends it; `forget` is called then. `both` gets each 20 ms what was
    heard of the place, and what was said to it meanwhile by all who speak."""

    def __init__(self, both: Callable[[bytes, bytes], None], forget: Callable[[], object]) -> None:
        super().__init__(forget)
        self._both = both

    def join(self, member: object) -> tuple[Mouth, Mouth]:
        """Where that browser's copy goes: of the place, of the officer."""
        mouths = Mouth(), Mouth()
        self._let_in(member, mouths)
        return mouths

    async def _run(self) -> None:
        await pace(self._tick)

    def _tick(self) -> None:
        places = [place() for place, _ in self._members.values()]  # all hear the same: one of them is enough
        heard = next((block for block in places if block is not None), SILENCE)
        self._both(heard, mixed(said for _, said in self._members.values()) or SILENCE)


class Copy(Answered):
    """Of one browser. `over` is called once, when it has ended."""

    def __init__(self, place: Overheard, over: Callable[[], None]) -> None:
        super().__init__()
        self._place, self._over = place, over
        self._mouths = place.join(self)

    async def answer(self, offer: str, peer: str) -> str:
        """The SDP answer. `peer`: the address that the offer came from. Raises BadOffer."""
        check(offer, {"audio": VOICES})
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(reachable(offer, peer), "offer"))
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:  # whatever aiortc stumbles over in the offer
            raise BadOffer(f"this offer cannot be answered: {type(error).__name__}: {error}") from error
        for transceiver, mouth in zip(self._connection.getTransceivers(), self._mouths, strict=False):
            self._start(listen(transceiver.receiver.track, mouth))
        self._start(self._give_up())
        return str(self._connection.localDescription.sdp)

    async def close(self) -> None:
        """Harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        self._over()
        await self._place.leave(self)
        await self._shut()
