"""WebRTC of one pillar by WHEP: an SDP offer is answered, and picture and sound flow until DELETE or silence.

A microphone may come the other way on the same audio line; nothing else is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from aiortc import RTCRtpTransceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler

from common.webrtc import Answered, BadOffer, check, reachable
from sim.pillar import intercom
from sim.pillar.camera import Camera
from sim.pillar.intercom import Samples
from sim.pillar.media import CameraTrack, Sound, SoundTrack
from sim.pillar.watchers import Watchers

OFFER_BYTES_MAX = 32_768


@dataclass(frozen=True)
class Side:
    """What a session of this side of the intercom gets, and what it gives: a microphone."""

    sound: Sound
    microphone: Callable[[], AbstractContextManager[Callable[[Samples], None]]]
    camera: Camera | None = None


class Whep:
    """The sessions of one side of a pillar. For one event loop."""

    def __init__(self, side: Side, watchers: Watchers) -> None:
        self._side, self._watchers = side, watchers
        self._sessions: dict[str, Session] = {}

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    async def answer(self, offer: str, peer: str) -> tuple[str, str]:
        """The new session's name and the SDP answer. `peer`: the address that the offer came from.

        Raises BadOffer, Full.
        """
        check(offer)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._watchers.place())
            name = secrets.token_urlsafe(16)
            session = Session(self._side)
            stack.callback(self._sessions.pop, name, None)
            self._sessions[name] = session
            try:
                answer = await session.answer(reachable(offer, peer))
            except BaseException:
                await session.close()
                raise
            session.when_over(stack.pop_all().close)
        return name, answer

    async def end(self, name: str) -> bool:
        """True if there was such a session."""
        session = self._sessions.get(name)
        if session is not None:
            await session.close()
        return session is not None

    async def close(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(session.close() for session in list(self._sessions.values())))


class Session(Answered):
    """One watcher's connection."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self._side = side
        self._over: Callable[[], None] = lambda: None
        self._connection.on("track", self._track)

    async def answer(self, offer: str) -> str:
        """Raises BadOffer."""
        connection = self._connection
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            for transceiver in connection.getTransceivers():
                self._attach(transceiver)
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # whatever aiortc stumbles over in it
            raise BadOffer(f"this offer cannot be answered: {type(error).__name__}: {error}") from error
        self._start(self._give_up())
        return str(connection.localDescription.sdp)

    def _attach(self, transceiver: RTCRtpTransceiver) -> None:
        if transceiver.kind == "audio":
            transceiver.direction = "sendrecv"
            transceiver.sender.replaceTrack(SoundTrack(self._side.sound))
        elif self._side.camera is not None:
            transceiver.direction = "sendonly"  # what came would be decoded, without a bound, for nobody
            transceiver.sender.replaceTrack(CameraTrack(self._side.camera))
        else:
            transceiver.direction = "inactive"

    def when_over(self, over: Callable[[], None]) -> None:
        """`over` is called once when the session has ended, at once if it has."""
        if self._closed:
            over()
        else:
            self._over = over

    async def close(self) -> None:
        """Harmless when closed already."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._shut()
        finally:
            self._over()

    def _track(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._start(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler("s16", "mono", intercom.RATE_HZ)
        with contextlib.suppress(MediaStreamError), self._side.microphone() as hear:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                for part in resampler.resample(frame):
                    hear(part.to_ndarray().reshape(-1).astype(np.int16, copy=False))
