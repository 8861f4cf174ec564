"""The desk's HTTP server: its page, the API that the page uses, the feed."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from desk.batch import UNHEARD, Change
from desk.duty import COMMANDS
from desk.ledger import OUTCOMES
from desk.media.whep import SDP_MAX_BYTES
from desk.misuse import FALSE, MISUSES
from desk.openings import Openings
from desk.recordings import Recordings, Rules
from desk.rollout.steering import FOLDER, Steering
from desk.web import asking, roles, views
from desk.web.access import Access
from desk.web.api import Desk
from desk.web.audit import Audit
from desk.web.console_codes import ConsoleCodes
from desk.web.doing import done
from desk.web.feed import Feed
from desk.web.guard import Guard, Person
from desk.web.login import Login
from desk.web.player import Player
from desk.web.recording import Recording
from desk.web.refusal import Refusal, one_of, text
from desk.web.report import Report
from desk.web.rollouts import Rollouts
from desk.web.shiftwork import ShiftWork
from desk.web.upkeep import Upkeep
from desk.web.watching import Watching

STATIC = Path(__file__).resolve().parent / "static"
NAME_MAX, NOTE_MAX = 32, 2000  # characters
RESTART_COMMAND = "restart"
KEEPALIVE_S = 60.0
REFUSED = ("result", "command-refused")  # events in which a column says why it does not obey
RECOVER_S = 10.0  # between two tries to write, while the disk is full

T = TypeVar("T")


class Server:
    """Routes requests to the desk. `feed` and `player` are started and stopped with the application."""

    def __init__(
        self, desk: Desk, guard: Guard, player: Player, audit: Audit, rules: Rules | None = None,
        steering: Steering | None = None,
    ) -> None:  # fmt: skip
        self.audit = audit
        self.desk, self.guard, self.player = desk, guard, player
        self.feed = Feed(desk.messages, desk.status, desk.duty.attendance)
        self.rollouts = Rollouts(steering or Steering(desk.register.path.parent / FOLDER), self._enter)
        self.openings = Openings(desk.register, self.notify)
        self.recordings = Recordings(desk.register, rules, self.notify)
        self.recording = Recording(desk, player.gateway, self.recordings, self.openings, self._person)
        self.watching = Watching(desk, player, self.openings, self._person, self.recording.is_wanted)
        desk.recorded, desk.recording_trouble = self.recordings.counts, lambda: self.recording.trouble

    def notify(self, change: Change) -> None:
        """Something changed. May be called from any thread."""
        self.watching.changed(change)
        if change.kind == UNHEARD:
            return
        self.feed.notify(change)
        self.recording.changed(change)

    def application(self) -> web.Application:
        """A new application with everything in it."""
        application = web.Application(middlewares=self.guard.middlewares(), client_max_size=SDP_MAX_BYTES)
        application.on_response_prepare.append(self.guard.add_headers)
        application.cleanup_ctx.append(self._life)
        application.on_shutdown.append(self._goodbye)
        login, report = Login(self.guard, self.audit), Report(self.desk, self.openings, self._person)
        shifts = ShiftWork(self.desk, self._by, self.feed.notify)
        one = "/api/incidents/{incident_id}"
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/enter", login.enter),
                web.static("/static", STATIC),
                web.get("/healthz", self._health),
                web.get("/api/me", login.me),
                web.post("/api/login", login.login),
                web.post("/api/logout", login.logout),
                *Access(self.guard, login, self.audit, f"SOS {self.desk.name}").routes(),
                *self.rollouts.routes(),
                web.get("/api/config", self._config),
                web.get("/api/columns", self._columns),
                web.get("/api/columns/{device_id}/events", self._events),
                web.post("/api/columns/{device_id}/command", self._command),
                web.get("/api/incidents", self._incidents),
                web.get(one, self._incident),
                web.post(one + "/accept", self._accept),
                web.post(one + "/dispatch", self._dispatch),
                web.post(one + "/close", self._close),
                web.post(one + "/note", self._note),
                web.post(one + "/readback", self._read_back),
                web.post("/api/columns/{device_id}/exercise", self._exercise),
                web.post(one + "/whep", self.watching.call),
                web.get(one + "/cameras", self.watching.cameras),
                web.post(one + "/cameras/{camera}/whep", self.watching.call_camera),
                web.get("/api/whep/{call}", self.watching.how),
                web.delete("/api/whep/{call}", self.watching.hang_up),
                web.post("/api/whep/{call}/loudness", self.watching.be_loud),
                web.post("/api/whep/{call}/copy", self.watching.copy),
                web.get(one + "/recordings", self.recording.listed),
                web.post(one + "/hold", self.recording.hold),
                web.get("/api/recordings/{n}", self.recording.play),
                web.get("/api/openings", report.openings),
                web.get("/api/openings.csv", report.openings_csv),
                web.get("/api/openings.json", report.openings_json),
                *ConsoleCodes(self.desk.duty, self._enter).routes(),
                *shifts.routes(),
                web.get("/api/statistics", report.statistics),
                web.get("/api/misuse.csv", report.misuse_csv),
                web.get("/api/export.csv", report.csv),
                web.get("/api/export.json", report.json),
                web.get("/api/feed", self._feed),
                *Upkeep(self.desk, self._by, self._done).routes(),
            ]
        )
        return application

    async def _life(self, application: web.Application) -> Any:
        self.feed.start()
        left = await asyncio.to_thread(self.openings.left)
        is_done = await self._recovered(left)
        recovering = asyncio.ensure_future(self._recover({} if is_done else left))
        await self.player.start()
        self.watching.start()
        self.recording.start()
        self.rollouts.start()
        yield
        recovering.cancel()
        await asyncio.gather(recovering, return_exceptions=True)
        await self.rollouts.stop()
        await self.watching.stop()
        await self.recording.stop()
        await self.player.stop()

    async def _recovered(self, left: Mapping[int, int]) -> bool:
        """Whether what the process before has left open is ended: a full disk takes no note of it."""
        try:
            await asyncio.to_thread(self.openings.recover, left)
        except sqlite3.Error:
            return False
        return True

    async def _recover(self, left: Mapping[int, int]) -> None:
        while not await self._recovered(left):
            await asyncio.sleep(RECOVER_S)

    async def _goodbye(self, application: web.Application) -> None:
        await self.feed.stop()

    async def _page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _health(self, request: web.Request) -> web.StreamResponse:
        """For anybody: whether this desk hears and is heard, and nothing else of it."""
        found = self.desk.health()
        return web.json_response(found, status=200 if found["ok"] else 503)

    async def _config(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self.desk.config())

    async def _columns(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self.desk.columns))

    async def _events(self, request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(self.desk.events, asking.device_id(request))
        said = asking.in_language(request)
        with_reason = (views.with_reason(one, said) if one["event"] in REFUSED else one for one in found)
        return web.json_response([*with_reason])

    async def _incidents(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self.desk.incidents, asking.wanted(request)))

    async def _incident(self, request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(self.desk.incident, asking.incident_id(request))
        said, timeline = asking.in_language(request), found["timeline"]
        with_reason = (views.with_reason(one, said) if one["kind"].startswith("step-") else one for one in timeline)
        return web.json_response({**found, "timeline": [*with_reason]})

    # What an operator does

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by")
        return await self._decide(request, self.desk.duty.accept, self._by(request, document))

    async def _dispatch(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by")
        return await self._decide(request, self.desk.duty.dispatch, self._by(request, document))

    async def _close(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by", "outcome", "note", "misuse")
        outcome = one_of(text(document, "outcome", NAME_MAX), "outcome", OUTCOMES)
        note = text(document, "note", NOTE_MAX, default="", lines=True)
        misuse = text(document, "misuse", NAME_MAX, default="")
        if misuse and outcome != FALSE:
            raise Refusal(400, "misuse: only of a false call")
        if misuse:
            one_of(misuse, "misuse", MISUSES)
        return await self._decide(request, self.desk.duty.close, outcome, self._by(request, document), note, misuse)

    async def _note(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by", "text")
        note = text(document, "text", NOTE_MAX, lines=True)
        return await self._decide(request, self.desk.duty.note, self._by(request, document), note)

    async def _read_back(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by", "text")
        read = text(document, "text", NOTE_MAX)
        return await self._decide(request, self.desk.duty.read_back, self._by(request, document), read)

    async def _exercise(self, request: web.Request) -> web.StreamResponse:
        """Unannounced."""
        device_id = asking.device_id(request)
        by = self._person(request).name
        command_id = await self._done(lambda: self.desk.duty.exercise(device_id, by))
        return web.json_response({"id": command_id}, status=202)

    async def _decide(self, request: web.Request, decide: Callable[..., Any], *arguments: str) -> web.StreamResponse:
        incident_id = asking.incident_id(request)
        self.desk.duty.attendance.sign()

        def decide_and_look() -> dict[str, Any]:
            self.desk.incident(incident_id)  # 404 before 409
            decide(incident_id, *arguments)
            return self.desk.incident(incident_id)

        return web.json_response(await self._done(decide_and_look))

    async def _command(self, request: web.Request) -> web.StreamResponse:
        device_id = asking.device_id(request)
        cmd = one_of(text(await asking.document(request, "cmd"), "cmd", NAME_MAX), "cmd", COMMANDS)
        if cmd == RESTART_COMMAND:
            roles.check(self._person(request).role, roles.RESTART)
        by = self._person(request).name
        command_id = await self._done(lambda: self.desk.duty.command(device_id, cmd, by))
        return web.json_response({"id": command_id}, status=202)

    async def _feed(self, request: web.Request) -> web.StreamResponse:
        counts = roles.is_allowed(self._person(request).role, roles.ATTEND)
        return await self.feed.serve(request, lambda: self.guard.is_in(request), counts=counts)

    async def _done(self, change: Callable[[], T]) -> T:
        return await done(change, self.desk.register.path)

    def _enter(self, request: web.Request, what: str) -> None:
        self.audit.enter(what, self._person(request).name, self.guard.address(request))

    def _person(self, request: web.Request) -> Person:
        person = self.guard.person(request)
        if person is None:
            raise Refusal(401, "log in first", code="login-first")
        return person

    def _by(self, request: web.Request, document: dict[str, Any]) -> str:
        """Who does it: the one who is logged in; only where nobody logs in a name of one's own choice."""
        person = self._person(request)
        return person.name if self.guard.with_accounts else text(document, "by", NAME_MAX, default="") or person.name
