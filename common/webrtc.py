"""What everybody who answers a browser's WebRTC offer needs (WHEP): the offer is looked at first, and loopback counts.

For processes that have aiortc (requirements/live.in).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.sdp import SessionDescription

CONNECT_S = 15.0  # from the answer to the connection, else the place is another's
CANDIDATES_MAX = 64
WATCHER = {"audio": 1, "video": 1}  # how many of each a watcher's offer may have
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


def check(offer: str, most: Mapping[str, int] = MappingProxyType(WATCHER)) -> None:
    """Raises BadOffer for what is no offer of a watcher, before anything is made for it. `most`: media by kind."""
    kinds = MEDIA_LINE.findall(offer)
    if not offer.startswith("v=0") or not kinds:
        raise BadOffer("this is no SDP: it must begin with v=0 and have a line m=video or m=audio")
    if any(kinds.count(kind) > most.get(kind, 0) for kind in kinds):
        wanted = ", ".join(f"{kind} ({number})" for kind, number in most.items())
        raise BadOffer(f"this offer has the media {', '.join(kinds)[:80]}: must be at most {wanted}")
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


def reachable(offer: str, peer: str) -> str:
    """A browser hides its address behind a name of multicast DNS; its offer came from somewhere, though.

    Resolving would cost up to a second. A wrong guess does no harm: the browser's own checks tell where it is.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return offer
    return MDNS_CANDIDATE.sub(rf"\g<1>{address} ", offer)


class Answered(ABC):
    """A connection that a browser offered. It is closed when the browser is gone, or has not come within CONNECT_S."""

    def __init__(self) -> None:
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # no STUN server is asked for anything
        self._connection.on("connectionstatechange", self._moved)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @abstractmethod
    async def close(self) -> None:
        """Harmless when closed already."""

    async def _shut(self) -> None:
        """Stop all tasks but the one that asks, and the connection."""
        mine = asyncio.current_task()
        for task in self._tasks:
            if task is not mine:
                task.cancel()
        try:
            await self._connection.close()
        except Exception:
            log.exception("a connection did not close in order")

    async def _moved(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            await self.close()

    async def _give_up(self) -> None:
        await asyncio.sleep(CONNECT_S)
        if self._connection.connectionState != "connected":
            await self.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """An error that nobody thought of ends the connection: half of it, without a word, would be a lie."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of a connection failed", exc_info=error)
            if not self._closed:
                self._start(self.close())
