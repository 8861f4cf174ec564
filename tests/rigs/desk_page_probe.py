"""A desk's server with nothing behind it: serves the page as the real one does, and plays what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any, Self

from aiohttp import WSMsgType, web

from desk.web.roles import STRANGER, allowed

STATIC = Path(__file__).resolve().parents[2] / "desk" / "web" / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src 'self' blob: mediastream:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OUTCOMES = ["administrative", "criminal", "help-given", "false", "other"]
STATES = {"accept": "accepted", "dispatch": "dispatched", "close": "closed"}
START_LIMIT_S = 30
LOOK_S = 0.02

Document = dict[str, Any]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def column(device_id: str, **changes: Any) -> Document:
    """A column that is ready, with `changes`."""
    at = now_ms()
    return {
        "device_id": device_id, "region": "nko", "address": f"Address of {device_id}",
        "geo": {"lat": 54.8667, "lon": 69.15}, "site": "public", "online": True, "silent_since_ms": None,
        "presence": "up", "heard_ms": at - 2000, "boot": 17, "fw": "0.1.0", "mode": "normal", "link": "wifi",
        "rssi_dbm": -61, "supply_mv": 12140, "clock": "ntp", "faults": [], "open": [], "status": "ready",
        "info": {"hw": {"chip": "esp32", "uid": "a0b1c2d3e4f5", "micropython": "1.26.1"},
                 "reset": {"cause": "power-on", "culprit": None},
                 "config": {"digest": "9f86d081884c7d65", "source": "current"}},
        "heartbeat": {"uptime_s": 2464, "queue": 0},
    } | changes  # fmt: skip


def incident(incident_id: str, **changes: Any) -> Document:
    """A call that came in a moment ago and waits, with `changes`."""
    at = changes.pop("at_ms", now_ms())
    device_id = incident_id.rsplit("-", 2)[0]
    return {
        "id": incident_id, "device_id": device_id, "region": "nko", "status": "actual", "press": 1,
        "state": "received", "by": "", "outcome": "", "note": "", "late": False, "clock": "ntp", "raised_ms": at - 90,
        "age_ms": 61, "received_ms": at, "accepted_ms": None, "dispatched_ms": None, "closed_ms": None, "reopened": 0,
        "transmissions": 1, "faults": [], "fw": "0.1.0",
        "location": {"geo": "geo:54.8667,69.1500;u=5", "address": f"Address of {device_id}", "site": "public",
                     "height_m": 1.0, "lat": 54.8667, "lon": 69.15},
        "stream": {"rtsp": f"rtsp://cameras.example/{device_id}", "webrtc": f"https://cameras.example/{device_id}/whep",
                   "ok_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())},
        "legs": {"contact_to_sent_ms": 61, "sent_to_desk_ms": 18, "desk_to_register_ms": 6, "register_to_answer_ms": 3},
    } | changes  # fmt: skip


class FakeDesk:
    """Holds columns and incidents, answers the page, and pushes what changes into its feed.

    `posts` keeps every request that asks for a change: (path, document). `refuse` answers the next ones with 409,
    `no_picture` those for a picture with 502. While `is_slow` a step is done and told to everybody, but whoever asked
    for it has no answer yet.
    """

    def __init__(self) -> None:
        self.columns: dict[str, Document] = {}
        self.disguise_s = 0
        self.incidents: dict[str, Document] = {}
        self.timelines: dict[str, list[Document]] = {}
        self.events: dict[str, list[Document]] = {}
        self.me: Document = {"name": "operator", "accounts": False, "role": "operator"}
        self.broker = True
        self.tiles: str | None = None
        self.cameras: list[Document] = []
        self.openings: list[Document] = []
        self.recordings: dict[str, Document] = {}
        self.posts: list[tuple[str, Any]] = []
        self.gets: list[str] = []
        self.reasons: list[str] = []  # why somebody looked, as it was sent
        self.refuse: Document = {}
        self.is_slow = False
        self.no_picture: Document = {"error": "the camera at kamera-1 did not answer in 8 s", "code": "timeout"}
        self.url = ""
        self._feeds: set[web.WebSocketResponse] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_LIMIT_S)

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_LIMIT_S)

    # -- what a test does

    def put(self, *documents: Document) -> None:
        """Columns and incidents, new or changed: the page hears of them."""
        for document in documents:
            if "device_id" in document and "id" not in document:
                self.columns[document["device_id"]] = document
                self.say({"kind": "column", "column": document})
            else:
                self.incidents[document["id"]] = document
                self.timelines.setdefault(
                    document["id"],
                    [{"at_ms": document["received_ms"], "kind": "press", "by": "", "detail": {"press": 1}}],
                )
                self.say({"kind": "incident", "incident": document})

    def happens(self, device_id: str, event: str, detail: Any = None, at_ms: int = 0) -> None:
        """An event of a column, now unless told otherwise: the page hears that the column changed."""
        self._call(self._happens(device_id, event, detail, at_ms))

    def say(self, message: Any) -> None:
        """One message to every page; not JSON if it is a text."""
        text = message if isinstance(message, str) else json.dumps(message)
        self._call(self._say(text))

    def say_desk(self, broker: bool) -> None:
        self.broker = broker
        self.say({"kind": "desk", "broker": broker, "now_ms": now_ms()})

    def hang_up(self) -> None:
        """All feeds end; a stranger gets no new one."""
        self._call(self._close_feeds(None))

    def stop(self) -> None:
        """The server goes away, and with it all feeds."""
        if self._runner is not None:
            self._call(self._runner.cleanup())
            self._runner = None

    def start_again(self) -> None:
        """On the same port as before."""
        self._call(self._start(int(self.url.rsplit(":", 1)[1])))

    # -- the server

    async def _start(self, port: int = 0) -> None:
        app = web.Application()
        app.add_routes([
            web.get("/", self._index), web.static("/static", STATIC), web.get("/api/feed", self._feed),
            web.get("/tiles/{tail:.*}", self._tile),
            web.get("/api/{tail:.*}", self._get), web.post("/api/{tail:.*}", self._post),
        ])  # fmt: skip
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(self._close_feeds)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        host, bound = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{bound}"

    async def _index(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _tile(self, _: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "calm.svg")

    async def _say(self, text: str) -> None:
        for feed in list(self._feeds):
            await feed.send_str(text)

    async def _close_feeds(self, _: object) -> None:
        for feed in list(self._feeds):
            await feed.close()

    async def _feed(self, request: web.Request) -> web.WebSocketResponse:
        if self._stranger():
            raise web.HTTPUnauthorized
        feed = web.WebSocketResponse()
        await feed.prepare(request)
        self._feeds.add(feed)
        try:
            async for message in feed:
                assert message.type is WSMsgType.TEXT
        finally:
            self._feeds.discard(feed)
        return feed

    def _stranger(self) -> bool:
        return bool(self.me["accounts"]) and self.me["name"] is None

    async def _get(self, request: web.Request) -> web.Response:
        tail = request.match_info["tail"]
        self.gets.append(f"{tail}?{request.query_string}")
        if tail == "me":
            return web.json_response({**self.me, "may": allowed(self.me["role"] or STRANGER)})
        if self._stranger():
            return web.json_response({"error": "log in", "code": "login-first"}, status=401)
        if tail == "config":
            return web.json_response(
                {"languages": ["en", "ru", "kk"], "tiles": self.tiles, "cameras": len(self.cameras),
                 "outcomes": OUTCOMES, "misuses": ["prank", "by-mistake"], "now_ms": now_ms(),
                 "disguise_s": self.disguise_s, "name": "desk-1", "broker": self.broker,
                 "silence": {"wire_s": 20, "cellular_s": 90}}
            )  # fmt: skip
        if tail == "columns":
            return web.json_response(list(self.columns.values()))
        if tail == "incidents":
            return web.json_response(self._select(request))
        if tail == "shifts":
            return web.json_response({"on_duty": [], "unread": [], "recent": [], "left": {"calls": [], "columns": []}})
        if tail == "statistics":
            return web.json_response(STATISTICS)
        if tail == "openings":
            return web.json_response(self.openings)
        if tail.endswith("/recordings"):
            nothing: Document = {"files": [], "hold": None, "code": None}
            return web.json_response(self.recordings.get(tail.split("/")[1], nothing))
        if tail.endswith("/cameras"):
            return web.json_response(self.cameras)
        if tail.endswith("/events"):
            return web.json_response(self.events.get(tail.split("/")[1], []))
        found = self.incidents.get(tail.removeprefix("incidents/"))
        if found is None:
            return web.json_response({"error": "no such incident", "code": "no-incident"}, status=404)
        return web.json_response({**found, "timeline": self.timelines[found["id"]]})

    def _select(self, request: web.Request) -> list[Document]:
        wanted = request.query.get("state", "all")
        rows = list(self.incidents.values())
        if wanted != "all":
            rows = [one for one in rows if (one["state"] != "closed") == (wanted == "open")]
        for key in ("device_id", "outcome"):
            if key in request.query:
                rows = [one for one in rows if one[key] == request.query[key]]
        if "status" in request.query:
            rows = [one for one in rows if (one["status"] == "actual") == (request.query["status"] == "actual")]
        return sorted(rows, key=lambda one: -int(one["received_ms"]))

    async def _post(self, request: web.Request) -> web.Response:
        answer = await self._answer(request)
        while self.is_slow:
            await asyncio.sleep(LOOK_S)
        return answer

    async def _answer(self, request: web.Request) -> web.Response:
        tail = request.match_info["tail"]
        document: Any = await (request.json() if request.content_type == "application/json" else request.text())
        self.posts.append((tail, document))
        if tail == "login":
            if document != {"name": "operator 1", "password": "correct horse"}:
                return web.json_response({"error": "wrong", "code": "login-wrong"}, status=401)
            self.me = {**self.me, "name": document["name"], "role": self.me["role"] or "operator"}
            return web.Response(status=204)
        if self.refuse:
            return web.json_response(self.refuse, status=409)
        if tail.endswith("/command"):
            sent = {"id": f"c-{len(self.posts)}", "cmd": document["cmd"], "by": self.me["name"]}
            await self._happens(tail.split("/")[1], "command", sent)
            return web.json_response({"id": sent["id"]}, status=202)
        if tail.endswith("/code"):
            return web.json_response({"code": "01234567"})
        if tail.endswith("/whep"):
            self.reasons.append(request.headers.get("Reason", ""))
            return web.json_response(self.no_picture, status=502)
        _, incident_id, what = tail.split("/")
        if what == "hold":
            self.recordings[incident_id]["hold"] = {"by": "operator", "why": document["why"], "at_ms": now_ms()}
            return web.json_response(self.recordings[incident_id])
        return web.json_response(await self._step(incident_id, what, document))

    async def _happens(self, device_id: str, event: str, detail: Any, at_ms: int = 0) -> None:
        entry = {"at_ms": at_ms or now_ms(), "event": event, "detail": detail}
        self.events.setdefault(device_id, []).insert(0, entry)
        await self._say(json.dumps({"kind": "column", "column": self.columns[device_id]}))

    async def _step(self, incident_id: str, what: str, document: Document) -> Document:
        one = self.incidents[incident_id]
        entry = {"at_ms": now_ms(), "kind": STATES.get(what, what), "by": "operator", "detail": document}
        self.timelines[incident_id].append(entry)
        if what in STATES:
            one = {**one, "state": STATES[what], "by": "operator", f"{STATES[what]}_ms": now_ms()}
            one |= {key: document[key] for key in ("outcome", "note", "misuse") if key in document}
            self.incidents[incident_id] = one
        await self._say(json.dumps({"kind": "incident", "incident": one}))
        return one


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


ANSWERED: Document = {"n": 5, "unaccepted": 0, "p50_ms": 4000, "p90_ms": 21000, "within": 0.8}
STATISTICS: Document = {
    "total": 8, "open": 1,
    "by_outcome": {"administrative": 5, "criminal": 2}, "by_site": {"public": 7, "school": 1},
    "by_month": {"2026-08": 3, "2026-09": 1, "2026-10": 2, "2026-11": 2},
    "press_to_desk_ms": {"p50": 84, "p95": 240, "p99": 61200, "n": 8},
    "press_to_accept_ms": {"p50": 9100, "p95": 31000, "p99": 46000, "n": 7},
    "availability": [{"device_id": "petropavl-01", "days7": 1.0, "months12": 0.99987},
                     {"device_id": "petropavl-02", "days7": 0.912, "months12": None}],
    "drills": {"total": 12, "by_outcome": {}, "press_to_desk_ms": {"p50": 80, "p95": 200, "p99": 200, "n": 12},
               "last_ms": {"petropavl-01": 1795300000000}},
    "time_zone": "UTC+0500",
    "target": {"s": 15, "share": 0.9},
    "answers": {"all": ANSWERED, "by_shift": [
                    {"from_ms": 1795300000000, "to_ms": None, "people": 1, "names": ["anna"], **ANSWERED},
                    {"from_ms": 1795200000000, "to_ms": 1795240000000, "people": 2, "names": [], **ANSWERED, "n": 9}],
                "off_duty": {**ANSWERED, "n": 1}, "by_hours": dict.fromkeys(("night", "day", "evening"), ANSWERED),
                "by_person": {"anna": ANSWERED}},
    "misuse": [{"device_id": "petropavl-01", "closed": 8, "false": 6, "share": 0.75, "kinds": {"prank": 5, "unsaid": 1},
                "most_in_a_week": 4, "repeated": True, "hour": {"minute": 1425, "n": 5}, "weekday": {"day": 4, "n": 3},
                "last_ms": 1795300000000}],
}  # fmt: skip
