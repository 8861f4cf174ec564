"""WebRTC of one pillar by WHEP: an SDP offer is answered, and picture and sound flow until DELETE or silence.

A microphone may come the other way on the same audio line; nothing else is accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import re
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import aioice.ice
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpTransceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.sdp import SessionDescription
from av import AudioFrame, AudioResampler

from sim.pillar import intercom
from sim.pillar.camera import Camera
from sim.pillar.intercom import Samples
from sim.pillar.media import CameraTrack, Sound, SoundTrack
from sim.pillar.watchers import Watchers

OFFER_BYTES_MAX = 32_768
CANDIDATES_MAX = 64
CONNECT_S = 15.0  # from the answer to the connection, else the place is another's
MEDIA_LINE = re.compile(r"^m=(\S+)", re.M)
MDNS_CANDIDATE = re.compile(r"^(a=candidate:(?:\S+ ){4})[0-9a-zA-Z-]+\.local ", re.M)
LOOPBACK = "127.0.0.1"
log = logging.getLogger(__name__)

_addresses = aioice.ice.get_host_addresses


def _addresses_and_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """aioice leaves loopback out, and then a machine that has nothing else cannot talk to itself."""
    return [*_addresses(use_ipv4, use_ipv6), *([LOOPBACK] if use_ipv4 else [])]


aioice.ice.get_host_addresses = _addresses_and_loopback
# A watcher who vanished without a word gives up its place after some 8 s; RFC 7675 would have it keep it for 30.
aioice.ice.CONSENT_INTERVAL, aioice.ice.CONSENT_FAILURES = 2, 4


class BadOffer(ValueError):
    """An offer that cannot be answered; the text says why."""


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
                answer = await session.answer(_reachable(offer, peer))
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


class Session:
    """One watcher's connection."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN server is asked for anything
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: Callable[[], None] = lambda: None
        self._closed = False
        self._connection.on("connectionstatechange", self._state_changed)
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
        mine = asyncio.current_task()
        for task in self._tasks:
            if task is not mine:
                task.cancel()
        try:
            await self._connection.close()
        except Exception:
            log.exception("a connection did not close in order")
        finally:
            self._over()

    async def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            await self.close()

    async def _give_up(self) -> None:
        await asyncio.sleep(CONNECT_S)
        if self._connection.connectionState != "connected":
            await self.close()

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

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def check(offer: str) -> None:
    """Raises BadOffer for what is no offer of a watcher, before anything is made for it."""
    kinds = MEDIA_LINE.findall(offer)
    if not offer.startswith("v=0") or not kinds:
        raise BadOffer("this is no SDP: it must begin with v=0 and have a line m=video or m=audio")
    if len(set(kinds)) != len(kinds) or not set(kinds) <= {"audio", "video"}:
        raise BadOffer(f"this offer has the media {', '.join(kinds)[:80]}: must be one audio, one video, or both")
    if offer.count("a=candidate:") > CANDIDATES_MAX:
        raise BadOffer(f"this offer has more than {CANDIDATES_MAX} candidates")
    try:
        parsed = SessionDescription.parse(offer)
    except Exception as error:  # whatever aiortc stumbles over in it
        raise BadOffer(f"this SDP cannot be read: {type(error).__name__}: {error}") from error
    names = [media.rtp.muxId for media in parsed.media]
    bundled = [name for group in parsed.group for name in group.items]
    if len(set(names)) != len(names) or not set(bundled) <= set(names):  # aiortc would mix up its transports
        raise BadOffer("this offer's a=mid are not all different, or a=group names one that is not there")


def _reachable(offer: str, peer: str) -> str:
    """A browser hides its address behind a name of multicast DNS; its offer came from somewhere, though.

    Resolving would cost up to a second. A wrong guess does no harm: the browser's own checks tell where it is.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return offer
    return MDNS_CANDIDATE.sub(rf"\g<1>{address} ", offer)
