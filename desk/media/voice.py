"""The intercom of a column during a call: called, and called again should it be lost, as long as somebody wants it.

However many browsers show that column, its intercom has one call with the desk: all hear it, and it hears all.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from av.audio.resampler import AudioResampler

from desk.media.loudness import Loudness
from desk.media.shared import Shared
from desk.media.source import SOUND_HZ
from desk.media.track import Track
from desk.sip.conversation import Conversation, Peer
from desk.sip.g711 import BLOCK, RATE_HZ
from desk.sip.level import QUIET_DB
from desk.sip.sound import Mouth
from desk.sip.switchboard import Switchboard
from desk.sip.trouble import NoCall

PAUSES_S = (1.0, 2.0, 4.0)  # before it is called again
STEADY_S = 10.0  # of talking, and the next outage begins with the first pause
SILENT_S = 5.0  # without a packet of sound: its network has gone, and its call with it
LOOK_S = 0.5
# What another try would not change, and what an intercom may answer by shutting the desk out.
FINAL = frozenset({"unauthorized", "not-found", "not-allowed", "codec"})
LOUDEST = 32767


class Ear:
    """What one browser hears: the intercom while there is a call, else what the camera's microphone hears.

    From two threads. Everything that goes in has 48,000 samples a second and two channels.
    """

    def __init__(self, track: Track) -> None:
        self._track, self._lock = track, threading.Lock()
        self._of_intercom = False

    def put(self, frame: AudioFrame, *, of_intercom: bool) -> None:
        """Times are given here, since they must only ever go on."""
        with self._lock:
            if of_intercom != self._of_intercom:
                return
            self._stamp(frame)
        self._track.put(frame, frame.samples * 4, is_key=True)

    def switch(self, to_intercom: bool) -> None:
        with self._lock:
            self._of_intercom = to_intercom
            self._track.samples = max(self._track.samples, int(self._track.elapsed_s() * SOUND_HZ))

    def _stamp(self, frame: AudioFrame) -> None:
        frame.pts, frame.time_base = self._track.samples, Fraction(1, SOUND_HZ)
        self._track.samples += frame.samples


class Intercom(Shared[tuple[Ear, Mouth]]):
    """`join` calls it, the last `leave` hangs up. `forget` is called then. `switchboard`: where it may be calling.
    `both` gets each block that was heard, and what was said to it meanwhile.
    """

    def __init__(
        self,
        peer: Peer,
        may_send: Callable[[str], bool],
        forget: Callable[[], object],
        switchboard: Switchboard | None = None,
        both: Callable[[bytes, bytes], None] = lambda heard, said: None,
    ) -> None:
        super().__init__(forget)
        self._both = both
        self._peer, self._may_send, self._switchboard = peer, may_send, switchboard
        self.loudness = Loudness()
        self._talk: Conversation | None = None
        self._state = "calling"
        self._trouble: NoCall | None = None

    def join(self, member: object, ear: Ear) -> Mouth:
        """What that browser says goes into the mouth."""
        mouth = Mouth()
        self._let_in(member, (ear, mouth))
        ear.switch(self._talk is not None)
        return mouth

    def state(self) -> dict[str, Any]:
        """What the page says of it. Levels in dB below full scale: of the place, and of what is said to it."""
        sound = self._talk.sound if self._talk is not None else None
        return {
            "state": self._state,
            "code": self._trouble.code if self._trouble else None,
            "text": self._trouble.text if self._trouble else None,
            "heard_db": round(sound.in_meter.db if sound else QUIET_DB),
            "said_db": round(sound.out_meter.db if sound else QUIET_DB),
        }

    async def _run(self) -> None:
        loop, tries = asyncio.get_running_loop(), 0
        while True:
            began_s = loop.time()
            try:
                self._state = "calling"
                await self._once()
            except NoCall as trouble:
                self._trouble = trouble
            self._state = "away"
            assert self._trouble is not None
            if self._trouble.code in FINAL:
                self._state = "failed"
                return
            tries = 0 if loop.time() - began_s > STEADY_S + SILENT_S else tries + 1
            await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])

    async def _once(self) -> None:
        """From the call to its end: the one that the intercom makes, if it does. Raises NoCall."""
        talk = await self._switchboard.take(self._peer, self._may_send) if self._switchboard is not None else None
        talk = talk or await Conversation.dial(self._peer, may_send=self._may_send, rings=self._rings)
        try:
            self._begin(talk)
            while not talk.over.done():
                await asyncio.wait([talk.over], timeout=LOOK_S)
                if talk.sound.silent_s() > SILENT_S:
                    raise NoCall("timeout", f"no sound from the intercom for {SILENT_S:.0f} s")
            raise talk.over.result()
        finally:
            self._talk = None
            for ear, _ in self._members.values():
                ear.switch(to_intercom=False)
            await talk.hang_up()

    def _broke(self) -> None:
        self._state, self._trouble = "away", NoCall("protocol", "the media gateway failed at this; its log says where")

    def _rings(self) -> None:
        self._state = "ringing"

    def _begin(self, talk: Conversation) -> None:
        for ear, mouth in self._members.values():
            ear.switch(to_intercom=True)
            mouth.clear()
        resampler = AudioResampler("s16", "stereo", SOUND_HZ, frame_size=SOUND_HZ // 50)

        def heard(block: bytes) -> None:
            frame = AudioFrame.from_ndarray(np.frombuffer(block, np.int16).reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = RATE_HZ
            for part in resampler.resample(frame):
                for ear, _ in self._members.values():
                    ear.put(copied(part), of_intercom=True)

        talk.sound.heard, talk.sound.speaker, talk.sound.both = heard, self._said, self._both
        self._talk, self._state, self._trouble = talk, "talking", None

    def _said(self) -> bytes | None:
        block = mixed(mouth for _, mouth in self._members.values())
        return self.loudness(block) if block is not None else None


def mixed(mouths: Iterable[Mouth]) -> bytes | None:
    """The next 20 ms of all who say something now."""
    blocks = [block for mouth in mouths if (block := mouth()) is not None]
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    whole = np.sum([np.frombuffer(block, np.int16) for block in blocks], axis=0, dtype=np.int32)
    return bytes(np.clip(whole, -LOUDEST, LOUDEST).astype(np.int16).tobytes())


def copied(frame: AudioFrame) -> AudioFrame:
    """One of its own for each who gets it: its time is written into it."""
    made = AudioFrame.from_ndarray(frame.to_ndarray(), format="s16", layout="stereo")
    made.sample_rate = frame.sample_rate
    return made


async def listen(track: MediaStreamTrack, mouth: Mouth) -> None:
    """What a browser's microphone hears goes to the intercom, until the track ends."""
    resampler, form = AudioResampler("s16", "mono", RATE_HZ, frame_size=BLOCK), None
    with contextlib.suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            assert isinstance(frame, AudioFrame)
            frame.pts = None
            if form not in (None, now := (frame.format.name, frame.layout.name, frame.sample_rate)):
                resampler = AudioResampler("s16", "mono", RATE_HZ, frame_size=BLOCK)  # it changed over to another codec
            form = now
            for part in resampler.resample(frame):
                mouth.put(part.to_ndarray().astype(np.int16).tobytes())
