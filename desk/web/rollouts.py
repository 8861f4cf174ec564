"""Requests about rollouts: what there is to send out, how far each is, and what a chief does about it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from functools import cache, partial
from typing import TypeVar

from aiohttp import web

from common.release import ReleaseError
from desk.ledger import LedgerError
from desk.rollout.command import WORDS
from desk.rollout.plan import Limits
from desk.rollout.steering import Steering
from desk.spoken import spoken
from desk.web import asking
from desk.web.api import LANGUAGES, Document
from desk.web.refusal import Refusal, one_of, text

LOOK_S = 1.0
NAME_MAX = 100
WATCH_S, WATCH_MIN_S, WATCH_MAX_S = round(Limits().watch_s), 0, 7 * 24 * 3600
log = logging.getLogger("desk")
T = TypeVar("T")


class Rollouts:
    """For one event loop. `enter(request, what)`: into the audit log."""

    def __init__(self, steering: Steering, enter: Callable[[web.Request, str], None]) -> None:
        self._steering, self._enter = steering, enter
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        wishes = (
            web.post(f"/api/rollouts/{{rollout}}/{what}", partial(self._wish, what))
            for what in ("pause", "resume", "abort")
        )
        return [web.get("/api/rollouts", self._show), web.post("/api/rollouts/start", self._start), *wishes]

    def start(self) -> None:
        """In the loop that serves: what was under way when the desk ended goes on."""
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """The processes end; the books stay."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._do(self._steering.stop)

    async def _look_on(self) -> None:
        while True:
            try:
                await self._do(self._steering.look)
            except (sqlite3.Error, OSError) as error:  # of one look
                log.error("rollouts: %s", error)
            await asyncio.sleep(LOOK_S)

    async def _do(self, work: Callable[[], T]) -> T:
        async with self._turn:
            return await asyncio.to_thread(work)

    async def _show(self, request: web.Request) -> web.StreamResponse:
        """`language`: of the reasons."""
        language = one_of(request.query.get("language", "en"), "language", LANGUAGES)
        said = cache(spoken(["--lang", language], WORDS).said)  # for this request: most columns say the same

        def read() -> Document:
            found = self._steering.shown()
            for one in (part for rollout in found for part in (rollout, *rollout["columns"])):
                one["why"] = said(one["why"])
            for rollout in found:
                rollout["trouble"] = said(rollout["trouble"])
                rollout["log"] = [{**line, "text": said(line["text"])} for line in rollout["log"]]
            try:
                offered = [{**one._asdict(), "trouble": said(one.trouble)} for one in self._steering.offered()]
                trouble = ""
            except (ReleaseError, OSError) as error:  # of the keys
                offered, trouble = [], said(str(error))
            return {"able": self._steering.is_able, "trouble": trouble, "releases": offered, "rollouts": found}

        return web.json_response(await self._do(read))

    async def _start(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "release", "first", "watch_s")
        release, first = text(document, "release", NAME_MAX), text(document, "first", NAME_MAX, default="")
        if first and not asking.DEVICE_ID.fullmatch(first):
            raise Refusal(400, "first: must be a column's name, or empty", code="rollout-first")
        watch_s = document.get("watch_s", WATCH_S)
        if isinstance(watch_s, bool) or not isinstance(watch_s, int) or not WATCH_MIN_S <= watch_s <= WATCH_MAX_S:
            raise Refusal(400, f"watch_s: must be seconds, at most {WATCH_MAX_S}", code="number")
        offer = await self._change(lambda: self._steering.start(release, first, watch_s))
        self._enter(request, f"rollout of {offer.version} started")
        return web.json_response(offer._asdict(), status=201)

    async def _wish(self, what: str, request: web.Request) -> web.StreamResponse:
        await asking.document(request)
        name = request.match_info["rollout"]
        await self._change(lambda: self._steering.wish(name, what))
        self._enter(request, f"rollout {name[:NAME_MAX]}: {what}")
        return web.Response(status=204)

    async def _change(self, change: Callable[[], T]) -> T:
        try:
            return await self._do(change)
        except LedgerError as error:
            raise Refusal(409, str(error), None, code=error.code, **error.values) from None
        except (sqlite3.Error, ReleaseError, OSError) as error:
            raise Refusal(503, f"the rollout's folder: {error}", code="rollout-folder") from None
