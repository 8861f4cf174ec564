"""Many pillars on one web server: each has its page, its media and its feed under its device id.

GET /                  the list of the pillars
GET /ID/               the pillar's page
GET /ID/feed           websocket: see sim/pillar/feed.py
POST /ID/whep          SDP offer -> 201, SDP answer and Location; DELETE on that Location ends it
POST /ID/person        the same for somebody who stands at the pillar: the loudspeaker's sound, a microphone
GET /ID/stream.ts      MPEG-TS: H.264 and AAC
GET /ID/picture.jpg    the camera's picture of now
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import ipaddress
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from common.webrtc import BadOffer
from sim.pillar import mpeg_ts
from sim.pillar.feed import Feed
from sim.pillar.pillar import Pillar
from sim.pillar.watchers import Full, Watchers
from sim.pillar.whep import OFFER_BYTES_MAX, Side, Whep

STATIC = Path(__file__).parent / "static"
PAGES_MAX = 32  # open pages of one pillar
PERSONS_MAX = 2  # who speak at one pillar
RETRY_S = "2"
NO_PILLAR = """no pillar {name!r} here: there are {known}
колонны {name!r} здесь нет; есть: {known}
мұнда {name!r} бағаны жоқ; бары: {known}
"""  # a page's words are behind the address that is wrong
SDP = "application/sdp"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "media-src 'self' blob: mediastream:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PillarPages:
    """What the web server keeps for one pillar. For one event loop."""

    def __init__(self, pillar: Pillar) -> None:
        self.pillar = pillar
        phone = pillar.intercom
        self.whep = Whep(Side(phone.to_operator, phone.operator, pillar.camera), pillar.watchers)
        self.person = Whep(Side(phone.to_person, phone.person), Watchers(limit=PERSONS_MAX))
        self.hands = ThreadPoolExecutor(1, f"hands-{pillar.device_id}")
        self.feeds: set[Feed] = set()

    async def close(self) -> None:
        await asyncio.gather(*(feed.close() for feed in list(self.feeds)))
        await asyncio.gather(self.whep.close(), self.person.close())
        self.hands.shutdown(wait=False)


class Town:
    """The handlers. `pillars` may grow while it serves."""

    def __init__(self, pillars: Mapping[str, Pillar]) -> None:
        self._pillars = pillars
        self._pages_of: dict[str, PillarPages] = {}

    def site(self, request: web.Request) -> PillarPages:
        """Raises HTTPNotFound."""
        device_id = request.match_info["device_id"]
        pillar = self._pillars.get(device_id)
        if pillar is None:
            raise web.HTTPNotFound(text=NO_PILLAR.format(name=device_id[:40], known=", ".join(self._pillars)))
        if device_id not in self._pages_of:
            self._pages_of[device_id] = PillarPages(pillar)
        return self._pages_of[device_id]

    async def close(self, _: web.Application) -> None:
        await asyncio.gather(*(site.close() for site in self._pages_of.values()))

    async def index(self, request: web.Request) -> web.Response:
        items = "".join(f'<li><a href="/{html.escape(name)}/">{html.escape(name)}</a></li>' for name in self._pillars)
        page = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Pillars</title>'
        return web.Response(text=f"{page}<ul>{items}</ul></html>", content_type="text/html")

    async def page(self, request: web.Request) -> web.FileResponse:
        self.site(request)
        return web.FileResponse(STATIC / "index.html")

    async def feed(self, request: web.Request) -> web.StreamResponse:
        site = self.site(request)
        if len(site.feeds) >= PAGES_MAX:
            raise web.HTTPServiceUnavailable(text=f"{PAGES_MAX} pages of this pillar are open already")
        feed = Feed(site.pillar, site.hands)
        site.feeds.add(feed)
        try:
            return await feed.serve(request)
        finally:
            site.feeds.discard(feed)

    async def offer(self, request: web.Request) -> web.Response:
        whep = self._whep(request)
        if request.content_type != SDP:
            raise web.HTTPUnsupportedMediaType(text=f"an offer is {SDP}, not {request.content_type}")
        if (request.content_length or 0) > OFFER_BYTES_MAX:
            raise web.HTTPRequestEntityTooLarge(OFFER_BYTES_MAX, request.content_length or 0)
        try:
            offer = (await request.read()).decode()
            name, answer = await whep.answer(offer, request.remote or "")
        except UnicodeDecodeError:
            raise web.HTTPBadRequest(text="an offer is text in UTF-8") from None
        except BadOffer as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        except Full as error:
            raise web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": RETRY_S}) from None
        return web.Response(status=201, text=answer, content_type=SDP, headers={"Location": f"{request.path}/{name}"})

    async def options(self, request: web.Request) -> web.Response:
        """Also what a column asks, to find out whether the stream is there."""
        self.site(request)
        return web.Response(status=204, headers={"Allow": "OPTIONS, POST", "Accept-Post": SDP})

    async def hang_up(self, request: web.Request) -> web.Response:
        if not await self._whep(request).end(request.match_info["session"]):
            raise web.HTTPNotFound(text="no such session: it has ended already")
        return web.Response(status=200)

    def _whep(self, request: web.Request) -> Whep:
        site = self.site(request)
        return site.whep if request.match_info["side"] == "whep" else site.person

    async def stream_head(self, request: web.Request) -> web.Response:
        self.site(request)
        return web.Response(content_type=mpeg_ts.CONTENT_TYPE)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        site = self.site(request)
        try:
            with site.pillar.watchers.place():
                response = web.StreamResponse(headers={"Content-Type": mpeg_ts.CONTENT_TYPE})
                await response.prepare(request)
                mpeg_ts.keep_short(request.transport)
                with contextlib.suppress(TimeoutError):
                    await mpeg_ts.send(site.pillar.camera, site.pillar.intercom.to_operator, response.write)
                return response
        except Full as error:
            raise web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": RETRY_S}) from None

    async def picture(self, request: web.Request) -> web.Response:
        picture = await asyncio.to_thread(self.site(request).pillar.camera.jpeg)
        return web.Response(body=picture, content_type="image/jpeg")


def pillars_app(pillars: Mapping[str, Pillar], *, hosts: frozenset[str] | None = None) -> web.Application:
    """An application for `pillars`, by device id. `hosts`: the names it answers to; None = any.

    It ends its sessions on shutdown; the pillars are their owner's to close.
    """
    town = Town(pillars)
    app = web.Application(middlewares=[_guard(hosts)], client_max_size=OFFER_BYTES_MAX)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(town.close)
    routes = [
        web.get("/", town.index),
        web.get("/{device_id}", _with_slash),
        web.get("/{device_id}/", town.page),
        web.get("/{device_id}/feed", town.feed, allow_head=False),
        web.post("/{device_id}/{side:whep|person}", town.offer),
        web.route("OPTIONS", "/{device_id}/whep", town.options),
        web.delete("/{device_id}/{side:whep|person}/{session}", town.hang_up),
        web.get("/{device_id}/stream.ts", town.stream, allow_head=False),
        web.head("/{device_id}/stream.ts", town.stream_head),
        web.get("/{device_id}/picture.jpg", town.picture),
        web.static("/_/static", STATIC),
    ]
    app.add_routes(routes)
    return app


def own_hosts(host: str) -> frozenset[str] | None:
    """Whom a server that listens on `host` answers to: on loopback only to loopback's names (DNS rebinding)."""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    return frozenset({"localhost", "127.0.0.1", "::1", host}) if loopback else None


def _guard(hosts: frozenset[str] | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if hosts is not None and urlsplit(f"//{request.host}").hostname not in hosts:
            raise web.HTTPForbidden(text="this host name is not mine")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="only this pillar's own page may do that")
        return await handler(request)

    return guard


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def _with_slash(request: web.Request) -> web.Response:
    raise web.HTTPPermanentRedirect(f"/{request.match_info['device_id']}/")
