"""WHEP, the client's side of its HTTP: an offer is answered by a camera, and the session is ended there.

The address comes from a column, so it is hostile: no redirect is followed, a name is looked up once and the very
address that was checked is used, and nothing is taken but a description of a session, of bounded size, within bounded
time. The password goes only to a host that the file of passwords names, and only when it asks (Digest before Basic).
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from desk.media.digest import authorization
from desk.media.hosts import Hosts
from desk.media.trouble import NoStream

SDP = "application/sdp"
SDP_MAX_BYTES = 64 * 1024
TIMEOUT_S = 8.0  # a camera that is asleep may need some seconds; the page itself waits for 30
END_S = 3.0  # for its answer to a farewell: one that does not hear it finds out by itself
PORTS = {"http": 80, "https": 443}
CHALLENGES_MAX = 4
# Of what a camera may answer.
CODES = {401: "unauthorized", 403: "unauthorized", 404: "not-found", 406: "codec", 415: "codec"}


@dataclass(frozen=True)
class WhepEndpoint:
    """Where a camera answers offers, and what it is told when it asks who is there."""

    address: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Session:
    """One that runs. `end_at`: where it is ended; None: the camera did not say."""

    endpoint: WhepEndpoint
    answer: bytes
    end_at: URL | None


class Whep:
    """For one event loop: call `start` in it."""

    def __init__(self, hosts: Hosts) -> None:
        self.hosts = hosts
        self._client: aiohttp.ClientSession | None = None

    def start(self) -> None:
        connector = aiohttp.TCPConnector(resolver=Resolver(self.hosts), use_dns_cache=False)
        self._client = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a few bytes could become gigabytes
            trust_env=False,
        )

    async def stop(self) -> None:
        """Nothing can be asked any more."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def begin(self, endpoint: WhepEndpoint, offer: bytes) -> Session:
        """The camera's answer to it. Raises NoStream."""
        where = self.hosts.allowed(endpoint.address, PORTS)
        try:
            async with _Asking(self._opened(), endpoint, "POST", where, offer) as response:
                answer = await _read_answer(response, where.authority, endpoint)
                return Session(endpoint, answer, _same_server(where, response.headers.get("Location")))
        except TimeoutError:
            text = f"the camera at {where.authority} did not answer in {TIMEOUT_S:.0f} s"
            raise NoStream("timeout", text) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NoStream(_code(error), f"the camera at {where.authority}: {_short(error)}") from None

    async def end(self, session: Session) -> None:
        """A camera that does not hear it finds out by itself."""
        if session.end_at is None or self._client is None:
            return
        try:
            async with asyncio.timeout(END_S), _Asking(self._client, session.endpoint, "DELETE", session.end_at, None):
                pass
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, NoStream):
            pass

    def _opened(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise NoStream("no-gateway", "the desk is stopping")
        return self._client


class _Asking:
    """One request, once more with the password if the camera asks for it and the desk knows one."""

    def __init__(
        self, client: aiohttp.ClientSession, endpoint: WhepEndpoint, method: str, where: URL, body: bytes | None
    ) -> None:
        self._client, self._endpoint, self._method, self._where, self._body = client, endpoint, method, where, body
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        response = await self._ask(None)
        if response.status == 401 and (shown := self._shown(response)) is not None:
            response.close()
            response = await self._ask(shown)
        self._response = response
        return response

    async def __aexit__(self, *_: object) -> None:
        if self._response is not None:
            self._response.close()

    def _shown(self, response: aiohttp.ClientResponse) -> str | None:
        user, password = self._endpoint.user, self._endpoint.password
        if user is None or password is None:
            return None
        challenges = response.headers.getall("WWW-Authenticate", [])[:CHALLENGES_MAX]
        return authorization(challenges, self._method, self._where.raw_path_qs, user, password)

    async def _ask(self, shown: str | None) -> aiohttp.ClientResponse:
        headers = {"Accept": SDP, "Accept-Encoding": "identity"}
        headers |= {"Content-Type": SDP} if self._body is not None else {}
        headers |= {"Authorization": shown} if shown is not None else {}
        asking = self._client.request(
            self._method, self._where, data=self._body, headers=headers, allow_redirects=False
        )
        return await asking


class Resolver(AbstractResolver):
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


async def _read_answer(response: aiohttp.ClientResponse, where: str, endpoint: WhepEndpoint) -> bytes:
    if response.status in CODES:
        known = ": the user or password for it is wrong" if response.status == 401 and endpoint.user else ""
        text = f"the camera at {where}: answered {response.status}, should be 201{known}"
        raise NoStream(CODES[response.status], text)
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
