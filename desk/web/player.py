"""The picture and the sound: answers a browser's WHEP offer with what one alarm names, and nothing else.

The ways are tried in this order, each until it fails: `webrtc`, where the camera itself answers the offer; then the
desk does (desk/media/): the picture by `rtsp` and the sound by `sip`, together or what works of the two. Addresses
come from a column, so they are hostile: see desk/media/hosts.py, and desk/media/whep.py for cameras that answer by
themselves.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from desk.media.gateway import TRIED_HEADER, Gateway
from desk.media.trouble import NoStream
from desk.media.whep import Session, Whep

CALLS_MAX = 64
WAY_HEADER = "Stream-Way"
SERVER, DEVICE_ID = "media-server", "{device_id}"


@dataclass(frozen=True)
class Answer:
    """To an offer. `tried`: the ways that failed before, WAY=CODE."""

    name: str
    body: bytes
    way: str
    tried: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        return {WAY_HEADER: self.way, TRIED_HEADER: " ".join(self.tried)}


class Player:
    """Calls to the cameras. `gateway`: the way for those that speak RTSP. `server`: the address of the city's own media
    server, with {device_id}: rtsp:// is asked by the gateway, anything else is WHEP."""

    def __init__(self, gateway: Gateway, server: str | None = None) -> None:
        self.gateway, self._server = gateway, server
        self._whep = Whep(gateway.hosts)
        self._calls: OrderedDict[str, Session] = OrderedDict()

    async def start(self) -> None:
        """Call once, in the loop that will use it."""
        self.gateway.start()
        self._whep.start()

    async def stop(self) -> None:
        """End all calls."""
        await asyncio.gather(self.gateway.stop(), *(self.hang_up(name) for name in list(self._calls)))
        await self._whep.stop()

    def by_server(self, stream: Mapping[str, Any], device_id: str) -> Mapping[str, Any]:
        """A column's stream, with its address at the media server where there is one. The desk's gateway alone brings
        picture and intercom together: so of a column with an intercom a server that speaks WHEP is not asked."""
        if self._server is None or (stream.get("sip") and not self._server.startswith("rtsp:")):
            return stream
        return {**stream, SERVER: self._server.replace(DEVICE_ID, device_id)}

    async def _call_server(self, stream: Mapping[str, Any], device_id: str, offer: bytes, peer: str) -> Answer:
        """The picture as the media server has it. Raises NoStream."""
        address = str(stream[SERVER])
        if not address.startswith("rtsp:"):
            name, body = await self._call_camera(address, device_id, offer)
            return Answer(name, body, "webrtc")
        done = await self.gateway.call({"rtsp": address, "sip": stream.get("sip")}, device_id, offer, peer)
        if "rtsp" not in done.way.split("+"):  # the camera itself may do better
            await self.gateway.hang_up(done.name)
            raise NoStream("lost", "the media server has no picture")
        return Answer(done.name, done.answer, done.way, tuple(done.tried))

    async def call(self, stream: Mapping[str, Any], device_id: str, offer: bytes, peer: str) -> Answer:
        """The first way that works. `peer`: where the offer came from. Raises Refusal: a NoStream of the last way."""
        tried: list[str] = []
        if stream.get(SERVER):
            try:
                return await self._call_server(stream, device_id, offer, peer)
            except NoStream as trouble:
                tried.append(f"{SERVER}={trouble.code}")
        if stream.get("webrtc"):
            try:
                name, body = await self._call_camera(stream["webrtc"], device_id, offer)
                return Answer(name, body, "webrtc", tuple(tried))
            except NoStream as trouble:
                tried.append(f"webrtc={trouble.code}")
                if not (stream.get("rtsp") or stream.get("sip")):
                    trouble.headers[TRIED_HEADER] = " ".join(tried)
                    raise
        try:
            done = await self.gateway.call(stream, device_id, offer, peer)
        except NoStream as trouble:
            trouble.headers[TRIED_HEADER] = " ".join([*tried, trouble.headers.get(TRIED_HEADER, "")]).strip()
            raise
        return Answer(done.name, done.answer, done.way, (*tried, *done.tried))

    async def _call_camera(self, address: str, device_id: str, offer: bytes) -> tuple[str, bytes]:
        """(name of the call, the camera's answer). Raises NoStream."""
        session = await self._whep.begin(self.gateway.endpoint(address, device_id), offer)
        name = secrets.token_urlsafe(16)
        self._calls[name] = session
        while len(self._calls) > CALLS_MAX:  # a page that went away without a word
            await self.hang_up(next(iter(self._calls)))
        return name, session.answer

    async def hang_up(self, name: str) -> bool:
        """End a call; False when there is none of that name. A camera that does not hear it finds out by itself."""
        call = self._calls.pop(name, None)
        if call is None:
            return await self.gateway.hang_up(name)
        await self._whep.end(call)
        return True

    async def state(self, name: str) -> dict[str, Any]:
        """How a call is. Of one that the camera answered by itself only the browser knows. Raises NoStream when nobody
        can tell just now."""
        if name in self._calls:
            return {"way": "webrtc", "state": None}
        return await self.gateway.state(name) or {"way": None, "state": "ended"}
