"""The picture and the sound: answers a browser's WHEP offer with what one alarm names, and nothing else.

The ways are tried in this order, each until it fails: `webrtc`, where the camera itself answers the offer; then the
desk does (desk/media/): the picture by `rtsp` and the sound by `sip`, together or what works of the two. Addresses
come from a column, so they are hostile: see desk/media/hosts.py. From a camera that answers by itself no redirect is
followed, and nothing is passed back but a description of a session, of bounded size, within bounded time.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from desk.media.gateway import TRIED_HEADER, Gateway
from desk.media.hosts import Hosts
from desk.media.trouble import NoStream
from desk.web.refusal import Refusal

SDP = "application/sdp"
SDP_MAX_BYTES = 64 * 1024
TIMEOUT_S = 8.0  # a camera that is asleep may need some seconds; the page itself waits for 30
CALLS_MAX = 64
CODES = {401: "unauthorized", 403: "unauthorized", 404: "not-found"}  # of what a camera may answer


PORTS = {"http": 80, "https": 443}
WAY_HEADER = "Stream-Way"
SERVER, DEVICE_ID = "media-server", "{device_id}"


@dataclass(frozen=True)
class Call:
    """One running session: where it is ended (None: the camera said nowhere)."""

    end_at: URL | None


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

    def __init__(self, hosts: Hosts, gateway: Gateway, server: str | None = None) -> None:
        self.hosts, self.gateway, self._server = hosts, gateway, server
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Call once, in the loop that will use it."""
        self.gateway.start()
        connector = aiohttp.TCPConnector(resolver=_Resolver(self.hosts), use_dns_cache=False)
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a few bytes could become gigabytes
            trust_env=False,
        )

    async def stop(self) -> None:
        """End all calls."""
        await asyncio.gather(self.gateway.stop(), *(self.hang_up(name) for name in list(self._calls)))
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

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
            name, body = await self._call_camera(address, offer)
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
                name, body = await self._call_camera(stream["webrtc"], offer)
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

    async def _call_camera(self, address: str, offer: bytes) -> tuple[str, bytes]:
        """(name of the call, the camera's answer). Raises NoStream."""
        where = self.hosts.allowed(address, PORTS)
        try:
            async with self._request("POST", where, offer) as response:
                answer = await _read_answer(response, where.authority)
                end_at = _same_server(where, response.headers.get("Location"))
        except TimeoutError:
            text = f"the camera at {where.authority} did not answer in {TIMEOUT_S:.0f} s"
            raise NoStream("timeout", text) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoStream(_code(error), f"the camera at {where.authority}: {_short(error)}") from None
        name = secrets.token_urlsafe(16)
        self._calls[name] = Call(end_at)
        while len(self._calls) > CALLS_MAX:  # a page that went away without a word
            await self.hang_up(next(iter(self._calls)))
        return name, answer

    async def hang_up(self, name: str) -> bool:
        """End a call; False when there is none of that name. A camera that does not hear it finds out by itself."""
        call = self._calls.pop(name, None)
        if call is None:
            return await self.gateway.hang_up(name)
        if call.end_at is not None:
            try:
                async with self._request("DELETE", call.end_at, None):
                    pass
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, Refusal):
                pass
        return True

    async def state(self, name: str) -> dict[str, Any]:
        """How a call is. Of one that the camera answered by itself only the browser knows."""
        if name in self._calls:
            return {"way": "webrtc", "state": None}
        return await self.gateway.state(name) or {"way": None, "state": "ended"}

    def _request(self, method: str, where: URL, body: bytes | None) -> aiohttp.client._RequestContextManager:
        if self._client is None:
            raise NoStream("no-gateway", "the desk is stopping")
        headers = {"Accept": SDP, "Accept-Encoding": "identity"} | ({"Content-Type": SDP} if body is not None else {})
        return self._client.request(method, where, data=body, headers=headers, allow_redirects=False)


class _Resolver(AbstractResolver):
    """Looks at the very addresses that the connection then uses: a name cannot change its meaning in between."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts, self._inner = hosts, ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if (there := self._hosts.elsewhere.get((host.lower(), port))) is not None:
            return await self._inner.resolve(*there, family)
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._hosts.check(one["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def _code(error: Exception) -> str:
    """Of trouble.STATUS."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no-route"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "refused" if isinstance(error.os_error, ConnectionRefusedError) else "no-route"
    return "lost" if isinstance(error, aiohttp.ClientConnectionError | OSError) else "protocol"


async def _read_answer(response: aiohttp.ClientResponse, where: str) -> bytes:
    if response.status in CODES:
        raise NoStream(CODES[response.status], f"the camera at {where}: answered {response.status}, should be 201")
    if response.status != 201:
        raise ValueError(f"answered {response.status}, should be 201")
    if response.content_type != SDP:
        raise ValueError(f"answered with {response.content_type[:40]}, should be {SDP}")
    answer = b""
    async for part in response.content.iter_chunked(8192):
        answer += part
        if len(answer) > SDP_MAX_BYTES:
            raise ValueError(f"answered with more than {SDP_MAX_BYTES} bytes")
    if not answer.startswith(b"v=0"):
        raise ValueError("answered with no session description")
    return answer


def _same_server(where: URL, location: str | None) -> URL | None:
    """Where the call is ended, if that is on the server which was called."""
    if not location:
        return None
    end_at = where.join(URL(location))
    return end_at if end_at.origin() == where.origin() else None


def _short(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
