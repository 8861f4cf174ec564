"""Whom the desk calls for picture and sound. The address comes from a column, so it is hostile.

Only the hosts that `--stream-hosts` names (without it: none that only this machine can reach, unless the desk itself
serves nobody but this machine). A name is looked up once, and the very addresses that were checked are then used.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Collection, Mapping

from yarl import URL

from common.connect_to import Endpoint
from desk.media.trouble import NoStream

LOOKUP_S = 5.0
# IPv6 addresses whose last 32 bits are an IPv4 address, to which somebody on the way translates them.
CARRIERS = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
IPV4_BITS = 32


class Hosts:
    """`names`: HOST or HOST:PORT, all that may be called; None: any that `local` allows.
    `local`: whether addresses of this machine may be called without being named. `elsewhere`: who is reached at
    another address than their name's, behind a tunnel for instance; that is the word of who runs the desk."""

    def __init__(
        self, names: Collection[str] | None, *, local: bool, elsewhere: Mapping[Endpoint, Endpoint] | None = None
    ) -> None:
        self.names = None if names is None else {name.lower() for name in names}
        self.local = local or names is not None
        self.elsewhere = elsewhere or {}

    def allowed(self, address: str, ports: dict[str, int]) -> URL:
        """The address, taken apart. `ports`: the schemes that it may have, and their usual ports. Raises NoStream."""
        try:
            where = URL(address)
            port = where.port or ports.get(where.scheme)
        except ValueError:
            raise NoStream("not-allowed", "this alarm's stream is no address") from None
        if where.scheme not in ports or not where.host or where.password is not None or port is None:
            known = " or ".join(f"{scheme}://" for scheme in ports)
            raise NoStream("not-allowed", f"this alarm's stream is no address that begins with {known}")
        self.permit(where.host, port)
        return where

    def permit(self, host: str, port: int) -> None:
        """Raises NoStream when it may not be called."""
        host = host.lower()
        if self.names is not None and not {host, f"{host}:{port}"} & self.names:
            raise NoStream("not-allowed", f"the desk may not call {host[:80]}: --stream-hosts does not name it")
        with contextlib.suppress(ValueError):  # a name: what it stands for is checked when it is looked up
            self.check(str(ipaddress.ip_address(host)))

    def may_send(self, address: str) -> bool:
        """Whether sound may go to an address that the other side of a call names."""
        try:
            self.permit(address, 0)
        except NoStream:
            return False
        return True

    def check(self, address: str) -> None:
        """Raises NoStream when it is not one that a camera can have."""
        found = _meant(ipaddress.ip_address(address.partition("%")[0]))
        if found.is_unspecified or found.is_multicast or found.is_link_local:
            raise NoStream("not-allowed", f"the desk does not call {found}: no camera has that address")
        if found.is_loopback and not self.local:
            raise NoStream(
                "not-allowed", f"the desk does not call {found}, which is itself, unless --stream-hosts names it"
            )

    async def reach(self, host: str, port: int) -> tuple[list[str], int]:
        """Where that is: addresses, and the port there. Raises NoStream."""
        if (there := self.elsewhere.get((host.lower(), port))) is not None:
            return [there[0]], there[1]
        return await self.look_up(host, port), port

    async def look_up(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, every one of them checked. Raises NoStream."""
        loop = asyncio.get_running_loop()
        try:
            looking = loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            async with asyncio.timeout(LOOKUP_S):
                found = await looking
        except TimeoutError:
            raise NoStream("no-route", f"nobody says within {LOOKUP_S:.0f} s where {host[:80]} is") from None
        except (OSError, UnicodeError):
            raise NoStream("no-route", f"there is no host {host[:80]}") from None
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        for address in addresses:
            self.check(address)
        return addresses


def _meant(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Where it ends: the IPv4 address inside, if there is one."""
    if isinstance(found, ipaddress.IPv4Address) or found.is_loopback or found.is_unspecified:
        return found
    if any(found in carrier for carrier in CARRIERS):
        return ipaddress.IPv4Address(int(found) % (1 << IPV4_BITS))
    return found.sixtofour or found
