"""What every request passes: the right host, the right page, the right person; and what every answer carries.

Other pages in the operator's browser are the enemy here: they may send requests to the desk (and do so with its
cookie, if they come from another port of this machine), and may call it by a name of their own that stands for
127.0.0.1. So the desk looks at who a browser says is asking, and at the name by which it was called.
"""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from common.home import DESK_TYPED
from desk import trouble
from desk.web import error_page, roles
from desk.web.accounts import Account, Accounts
from desk.web.key import Key
from desk.web.refusal import Refusal
from desk.web.sessions import COOKIE, Sessions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
READING = ("GET", "HEAD")
ANYBODY = "operator"  # by this name goes who holds the key of a desk without accounts
KNOWN_COOKIE = "desk_known"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KNOWN_S = 180 * 24 * 3600
NOWHERE = SplitResult("", "", "", "", "")
PROXIED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")

log = logging.getLogger("desk")


@dataclass(frozen=True)
class Person:
    """Who asks."""

    name: str
    role: str


@dataclass(frozen=True)
class Guard:
    """`required`: accounts are needed even if there are none (somebody else than this machine can reach the desk).
    `proxies`: their X-Forwarded-For is trusted. `two_factors`: everybody needs a second factor, and who has none sets
    it up before anything else."""

    accounts: Accounts
    sessions: Sessions
    key: Key
    required: bool
    encrypted: bool
    tiles: str | None = None
    proxies: tuple[Network, ...] = ()
    two_factors: bool = False
    on_request: Callable[[tuple[Any, ...], bool], None] = lambda peer, member: None
    """Called with where each request comes from, and whether from somebody who is logged in."""

    @property
    def with_accounts(self) -> bool:
        """Whether people log in here."""
        return self.required or bool(self.accounts.all())

    def person(self, request: web.Request) -> Person | None:
        """Who is logged in; without accounts, who holds the key."""
        account = self._account(request)
        return None if account is None else Person(account.name or ANYBODY, account.role)

    def is_enrolling(self, person: Person) -> bool:
        """Whether that person has to set up a second factor first."""
        return self.two_factors and self.accounts.factors.left(person.name) is None

    def is_in(self, request: web.Request) -> bool:
        """Whether whoever asks is logged in, and owes nothing."""
        person = self.person(request)
        return person is not None and not self.is_enrolling(person)

    def account(self, request: web.Request) -> tuple[str, Account]:
        """Token and account of whoever asks. Raises Refusal."""
        account = self._account(request)
        if account is None:
            raise Refusal(401, "log in first", code="login-first")
        return request.cookies[COOKIE], account

    def _account(self, request: web.Request) -> Account | None:
        token = request.cookies.get(COOKIE)
        account = self.sessions.find(token) if token else None
        return account if account is not None and bool(account.name) == self.with_accounts else None

    def is_proxied(self, request: web.Request) -> bool:
        """Whether a proxy that is trusted has passed it on."""
        try:
            nearest = ipaddress.ip_address(request.remote or "")
        except ValueError:
            return False
        return any(nearest in network for network in self.proxies)

    def address(self, request: web.Request) -> str:
        """The client's address. A trusted proxy appends it to X-Forwarded-For; earlier entries can be forged."""
        said = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
        return said if said and self.is_proxied(request) else request.remote or ""

    def is_encrypted(self, request: web.Request) -> bool:
        """Whether it came over https, here or to the proxy in front."""
        return self.encrypted or self.is_proxied(request) and request.headers.get("X-Forwarded-Proto") == "https"

    def knows(self, request: web.Request, name: str) -> bool:
        """Whether somebody of that name has been logged in with this browser."""
        return self.key.is_signed(name, request.cookies.get(KNOWN_COOKIE, ""))

    def mark_known(self, request: web.Request, response: web.StreamResponse, account: Account) -> None:
        """Mark this browser as known: strangers' attempts do not make it wait."""
        response.set_cookie(
            *(KNOWN_COOKIE, self.key.sign(account.name)),
            max_age=KNOWN_S, path="/api/login", secure=self.is_encrypted(request), httponly=True, samesite="Strict",
        )  # fmt: skip

    def middlewares(self) -> list[Any]:
        """In the order in which a request passes them."""
        return [refusals, self._check]

    @web.middleware
    async def _check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        peer, person = request.transport and request.transport.get_extra_info("peername"), self.person(request)
        if peer:
            self.on_request(peer, person is not None)
        self._check_host(request)
        is_api, name = request.path.startswith("/api/"), roles.name_of(request)
        if is_api:
            self._check_origin(request)
        if person is None and not roles.is_allowed(roles.STRANGER, name) and (name or is_api):
            raise Refusal(401, "log in first", code="login-first")
        if person is not None and name:
            roles.check(person.role, name, enrolling=self.is_enrolling(person))
        return await handler(request)

    def _check_host(self, request: web.Request) -> None:
        """Without accounts only this machine is served, by one of its own names."""
        if self.with_accounts:
            return
        if any(name in request.headers for name in PROXIED):
            why = f"a desk behind a proxy needs accounts: {DESK_TYPED} account add NAME --folder DIR"
            raise Refusal(403, why, code="proxy-accounts")
        if not is_loopback(_split(f"//{request.host}").hostname or ""):
            raise Refusal(403, "a desk without accounts answers to 127.0.0.1 and localhost only", code="own-machine")

    def _check_origin(self, request: web.Request) -> None:
        """Refuse other sites' pages; for changes and the feed also requests that do not name their origin."""
        origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
        if site not in (None, "same-origin", "none") or (origin is not None and not self._is_own(origin, request)):
            raise Refusal(403, "this request comes from another page than the desk's", code="wrong-page")
        if request.method in READING and request.headers.get("Upgrade", "").lower() != "websocket":
            return
        if origin is None and site != "same-origin":
            raise Refusal(403, "say where this request comes from: Origin, as every browser does")

    def _is_own(self, origin: str, request: web.Request) -> bool:
        parts = _split(origin)
        # Without encryption of its own, a proxy in front may have added it.
        schemes = ("https",) if self.encrypted else ("http", "https")
        return parts.scheme in schemes and bool(request.host) and parts.netloc.lower() == request.host.lower()

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """To every answer, that of an error too; a signal of aiohttp."""
        response.headers.update(headers(self.tiles))
        if self.encrypted:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"
        cache = "no-store" if request.path.startswith("/api/") else "no-cache"
        response.headers.setdefault("Cache-Control", cache)
        response.headers.pop("Server", None)


def headers(tiles: str | None) -> dict[str, str]:
    """What a browser is told to keep to. `tiles`: the address of the map's tiles, if any."""
    host = ""
    if tiles:
        parts = urlsplit(tiles)
        host = f" {parts.scheme}://{parts.netloc}"
    policy = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' data:{host}",
        "connect-src 'self'",
        "media-src 'self' blob: mediastream:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), display-capture=()",
    }


def _split(address: str) -> SplitResult:
    """The parts of an address; NOWHERE if it is invalid."""
    try:
        parts = urlsplit(address)
        return parts if parts.port != 0 else NOWHERE
    except ValueError:
        return NOWHERE


def is_loopback(host: str) -> bool:
    """Whether only this machine has that address or name."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals and failures into JSON, or a page where a browser would show it, that reveals nothing of the
    inside."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _answer(request, refusal)
    except web.HTTPException as error:
        if error.status < 400 or not (error_page.is_wanted(request) or request.path.startswith("/api/")):
            raise
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _answer(request, Refusal(error.status, error.reason, allowed))
    except sqlite3.Error as error:
        log.exception("a request failed, for the register cannot be read: %s %s", request.method, request.path)
        why = trouble.code_of(error)
        return _answer(request, Refusal(503, "the register could not be read", code="register-read", why=why))
    except Exception:
        log.exception("a request failed through an error of its own: %s %s", request.method, request.path)
        return _answer(request, Refusal(500, "the desk failed at this; its log says where", code="failed"))


def _answer(request: web.Request, refusal: Refusal) -> web.Response:
    if error_page.is_wanted(request):
        return error_page.answer(request, refusal)
    return web.json_response(refusal.document, status=refusal.status, headers=refusal.headers)
