"""Requests about shifts: who is on duty, the note that one shift leaves to the next, and what it leaves open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from desk.duty import STATUS, Change
from desk.shifts import NOTE_MAX, Shifts
from desk.web import asking
from desk.web.api import Desk, Document, now_ms
from desk.web.doing import done
from desk.web.refusal import Refusal, text

By = Callable[[web.Request, dict[str, Any]], str]


class ShiftWork:
    """`by`: who asks; `notify`: tells the browsers that something has changed."""

    def __init__(self, desk: Desk, by: By, notify: Callable[[Change], None]) -> None:
        self._desk, self._by, self._notify = desk, by, notify
        self._shifts = Shifts(desk.register)

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/api/shifts", self._show),
            web.post("/api/shifts/begin", self._begin),
            web.post("/api/shifts/hand-over", self._hand_over),
            web.post("/api/shifts/{n}/read", self._read),
        ]

    async def _show(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self._shown))

    def _shown(self) -> Document:
        """`left`: what the next shift finds: open calls, and columns that are not ready."""
        columns = self._desk.columns()
        calls = self._desk.incidents({"state": "open", "status": "actual", "limit": 1000})
        unready = [one for one in columns if one["status"] != "ready"]
        left = {
            "calls": [{key: one[key] for key in ("id", "device_id", "state", "by")} for one in calls],
            "columns": [{key: one[key] for key in ("device_id", "status")} for one in unready],
        }
        return {**self._shifts.shown(), "left": left}

    async def _begin(self, request: web.Request) -> web.StreamResponse:
        by = self._by(request, await asking.document(request, "by"))
        return await self._changed(lambda: self._shifts.begin(by, now_ms()))

    async def _hand_over(self, request: web.Request) -> web.StreamResponse:
        document = await asking.document(request, "by", "note")
        note, by = text(document, "note", NOTE_MAX, default="", lines=True), self._by(request, document)
        return await self._changed(lambda: self._shifts.hand_over(by, note, now_ms()))

    async def _read(self, request: web.Request) -> web.StreamResponse:
        given = request.match_info["n"]
        if not given.isdecimal() or len(given) > 9:
            raise Refusal(404, "no such shift", code="shift-read")
        by = self._by(request, await asking.document(request, "by"))
        return await self._changed(lambda: self._shifts.read(int(given), by, now_ms()))

    async def _changed(self, change: Callable[[], None]) -> web.StreamResponse:
        """Shifts as they are then."""
        await done(change, self._desk.register.path)
        self._desk.duty.attendance.sign()
        self._notify(STATUS)
        return web.json_response(await asyncio.to_thread(self._shown))
