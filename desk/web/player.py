"""The picture and the sound: passes a browser's WHEP offer on to where one alarm says, and nowhere else.

The address comes from a column, so it is hostile: http or https only, the hosts that `--stream-hosts` names (without
it: none that only this machine can reach, unless the desk itself serves nobody but this machine), no redirect is
followed, and nothing is passed back but a description of a session, of bounded size, within bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from desk.web.refusal import Refusal

SDP = "application/sdp"
SDP_MAX_BYTES = 64 * 1024
TIMEOUT_S = 8.0  # a camera that is asleep may need some seconds; the page itself waits for 10
CALLS_MAX = 64


class Unauthorized(ValueError):
    """The camera wants to know who asks."""


class NoSuchStream(ValueError):
    """The camera knows no such stream."""


@dataclass(frozen=True)
class Call:
    """One running session: where it is ended (None: the camera said nowhere)."""

    end_at: URL | None


class Player:
    """Calls to the cameras. `hosts`: HOST or HOST:PORT, all that may be called; None: any that `local` allows.
    `local`: whether addresses of this machine and its link may be called without being named."""

    def __init__(self, hosts: Collection[str] | None, *, local: bool) -> None:
        self._hosts = None if hosts is None else {host.lower() for host in hosts}
        self._local = local or hosts is not None
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._client: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Call once, in the loop that will use it."""
        connector = aiohttp.TCPConnector(resolver=_Resolver(self._check_address), use_dns_cache=False)
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a few bytes could become gigabytes
            trust_env=False,
        )

    async def stop(self) -> None:
        """End all calls."""
        await asyncio.gather(*(self.hang_up(name) for name in list(self._calls)))
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def call(self, address: str | None, offer: bytes) -> tuple[str, bytes]:
        """(name of the call, the camera's answer). Raises Refusal: 409 nothing to play, 403 not allowed, 502 and 504
        the camera."""
        where = self._allowed(address)
        try:
            async with self._request("POST", where, offer) as response:
                answer = await _read_answer(response)
                end_at = _same_server(where, response.headers.get("Location"))
        except TimeoutError:
            why, seconds = f"the camera at {where.authority} did not answer in {TIMEOUT_S:.0f} s", round(TIMEOUT_S)
            raise Refusal(504, why, code="camera-timeout", camera=where.authority, n=seconds) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            why = f"the camera at {where.authority}: {_short(error)}"
            raise Refusal(502, why, code=_code(error), camera=where.authority) from None
        name = secrets.token_urlsafe(16)
        self._calls[name] = Call(end_at)
        while len(self._calls) > CALLS_MAX:  # a page that went away without a word
            await self.hang_up(next(iter(self._calls)))
        return name, answer

    async def hang_up(self, name: str) -> bool:
        """End a call; False when there is none of that name. A camera that does not hear it finds out by itself."""
        call = self._calls.pop(name, None)
        if call is None:
            return False
        if call.end_at is not None:
            try:
                async with self._request("DELETE", call.end_at, None):
                    pass
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, Refusal):
                pass
        return True

    def _request(self, method: str, where: URL, body: bytes | None) -> aiohttp.client._RequestContextManager:
        if self._client is None:
            raise Refusal(503, "the desk is stopping", code="stopping")
        headers = {"Accept": SDP, "Accept-Encoding": "identity"} | ({"Content-Type": SDP} if body is not None else {})
        return self._client.request(method, where, data=body, headers=headers, allow_redirects=False)

    def _allowed(self, address: str | None) -> URL:
        if not address:
            raise Refusal(409, "this alarm names no WebRTC stream", code="camera-none")
        try:
            where = URL(address)
        except ValueError:
            raise Refusal(403, "this alarm's stream is no address", code="camera-not-allowed") from None
        if where.scheme not in ("http", "https") or not where.host or where.password is not None:
            raise Refusal(403, "this alarm's stream is no address of the web", code="camera-not-allowed")
        if self._hosts is not None and not {where.host.lower(), f"{where.host.lower()}:{where.port}"} & self._hosts:
            why = f"the desk may not call {where.host[:80]}: --stream-hosts does not name it"
            raise Refusal(403, why, code="camera-not-allowed")
        with contextlib.suppress(ValueError):  # a name: the resolver checks what it stands for
            self._check_address(str(ipaddress.ip_address(where.host)))
        return where

    def _check_address(self, address: str) -> None:
        """Raises Refusal when it is not one that a camera can have."""
        found = ipaddress.ip_address(address.partition("%")[0])
        mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
        found = mapped or found
        if found.is_unspecified or found.is_multicast or found.is_link_local:
            why = f"the desk does not call {found}: no camera has that address"
            raise Refusal(403, why, code="camera-not-allowed")
        if found.is_loopback and not self._local:
            why = f"the desk does not call {found}, which is itself, unless --stream-hosts names it"
            raise Refusal(403, why, code="camera-not-allowed")


class _Resolver(AbstractResolver):
    """Looks at the very addresses that the connection then uses: a name cannot change its meaning in between."""

    def __init__(self, check: Callable[[str], None]) -> None:
        self._check, self._inner = check, ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._check(one["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def _code(error: Exception) -> str:
    """Why the camera did not answer as it should."""
    match error:
        case Unauthorized():
            return "camera-unauthorized"
        case NoSuchStream():
            return "camera-not-found"
        case aiohttp.ClientConnectorDNSError():
            return "camera-no-route"
        case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
            return "camera-refused"
        case aiohttp.ClientConnectorError():
            return "camera-no-route"
        case aiohttp.ClientConnectionError() | OSError():
            return "camera-lost"
    return "camera-protocol"


async def _read_answer(response: aiohttp.ClientResponse) -> bytes:
    if response.status in (401, 403):
        raise Unauthorized(f"answered {response.status}, should be 201")
    if response.status == 404:
        raise NoSuchStream("answered 404, should be 201")
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
