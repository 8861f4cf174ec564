"""The requests about the columns' upkeep: the roster and its proof, minutes and their causes, work orders; and the two
that anybody may make."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from common.sentences import texts
from desk.upkeep import orders, picture, report, store
from desk.upkeep.life import CAUSES, DOWN, with_ends
from desk.upkeep.orders import WorkOrder
from desk.web import asking
from desk.web.api import LANGUAGES, Desk, now_ms
from desk.web.refusal import Refusal, flag, one_of, text

STATIC = Path(__file__).resolve().parent / "static"
PUBLIC_MS = 30_000  # the public's answers are as old at most: whoever asks a thousand times costs one reading
MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])")
YEAR = re.compile(r"20[0-9]{2}")
SPANS_MS = 31 * 24 * 3600 * 1000
UNTIL_MAX_MS = 10**14
By = Callable[[web.Request, dict[str, Any]], str]
Document = dict[str, Any]


@dataclass
class _Public:
    """What the public is told, kept for a moment."""

    at_s: float
    found: Document


class Upkeep:
    """`by`: who does what a request asks for; `doing` runs a change in a worker thread and turns its errors."""

    def __init__(self, desk: Desk, by: By, doing: Callable[[Callable[[], Any]], Any]) -> None:
        self._desk, self._by, self._doing = desk, by, doing
        self._public: _Public | None = None
        self._public_lock = threading.Lock()

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        return [
            web.get("/wall", self._wall),
            web.get("/public", self._public_page),
            web.get("/public/{device_id}", self._public_page),
            web.get("/public.json", self._public_json),
            web.get("/api/upkeep", self._overview),
            web.get("/api/upkeep.csv", self._roster_csv),
            web.get("/api/life", self._month),
            web.get("/api/life.csv", self._month_csv),
            web.get("/api/life.svg", self._year),
            web.get("/api/columns/{device_id}/downtime", self._downtime),
            web.post("/api/columns/{device_id}/correct", self._correct),
            web.post("/api/columns/{device_id}/order", self._open),
            web.post("/api/orders/{n}/assign", self._assign),
            web.post("/api/orders/{n}/finish", self._finish),
        ]

    # Pages

    async def _wall(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "wall.html")

    async def _public_page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "public.html")

    async def _public_json(self, request: web.Request) -> web.StreamResponse:
        """For anybody the figures of all; the state of one column for who has read the code on its label. Names can be
        guessed, and a list of the columns that are out of order is for nobody's eyes."""
        device_id, key = request.query.get("column"), request.query.get("key", "")
        if device_id is not None and not self._desk.duty.is_label(device_id, key):
            raise Refusal(404, "no such column", code="no-column")
        found = await asyncio.to_thread(self._public_overview)
        answer = report.public(found) if device_id is None else report.public_column(found, device_id)
        if answer is None:
            raise Refusal(404, "no such column", code="no-column")
        return web.json_response(answer, headers={"Cache-Control": f"max-age={PUBLIC_MS // 1000}"})

    def _public_overview(self) -> Document:
        with self._public_lock:
            kept = self._public
            if kept is None or not 0 <= time.monotonic() - kept.at_s < PUBLIC_MS / 1000:
                kept = self._public = _Public(time.monotonic(), self.overview())
            return kept.found

    # What is so

    def overview(self) -> Document:
        """Everything about all columns; may wait for the duty's lock."""
        return self._desk.duty.overview(now_ms())

    async def _overview(self, request: web.Request) -> web.StreamResponse:
        said, found = asking.in_language(request), await asyncio.to_thread(self.overview)
        refused = {name: said(found[name]) for name in ("roster_refused", "keys_refused")}
        return web.json_response({**found, **refused})

    async def _roster_csv(self, request: web.Request) -> web.StreamResponse:
        found = await asyncio.to_thread(self.overview)
        return _file("roster", report.roster_csv(found))

    async def _month(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await asyncio.to_thread(self.month, _asked(request, "month", MONTH)))

    async def _month_csv(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request, "month", MONTH)
        return _file(f"downtime-{asked}", report.month_csv(await asyncio.to_thread(self.month, asked)))

    def month(self, asked: str) -> Document:
        """Minutes and causes of one month, until now at most."""
        year, number = (int(part) for part in asked.split("-"))
        from_ms = report.begin_of(year, number, None)
        to_ms = max(from_ms, min(report.begin_of(year, number + 1, None), now_ms()))
        register = self._desk.register
        spans, closed = store.spans(register, from_ms, to_ms), store.orders(register, is_open=False)
        return report.month(spans, closed, from_ms, to_ms, store.heard(register, asked))

    async def _year(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request, "year", YEAR)
        language = one_of(request.query.get("language", "en"), "language", LANGUAGES)
        drawn = await asyncio.to_thread(self.year, int(asked), language)
        return web.Response(text=drawn, content_type="image/svg+xml")

    def year(self, year: int, language: str) -> str:
        """The strips of one year, until now at most."""
        from_ms = report.begin_of(year, 1, None)
        to_ms = max(from_ms, min(report.begin_of(year, 13, None), now_ms()))
        lives = report.year_lives(store.spans(self._desk.register, from_ms, to_ms), from_ms, to_ms)
        zone = datetime.fromtimestamp(from_ms / 1000).astimezone().tzinfo
        assert zone is not None
        return picture.strips(lives, from_ms, _words(language), zone, str(year))

    async def _downtime(self, request: web.Request) -> web.StreamResponse:
        """The times that a column was down in the last month, and what was said of their causes."""
        device_id = asking.device_id(request)

        def read() -> Document:
            register, at_ms = self._desk.register, now_ms()
            spans = store.spans(register, at_ms - SPANS_MS, at_ms).get(device_id, [])
            down = [{**span._asdict(), "to_ms": end} for span, end in with_ends(spans, None) if span.state == DOWN]
            corrections = [one for one in store.corrections(register) if one["device_id"] == device_id]
            return {"down": down[::-1], "corrections": corrections}

        return web.json_response(await asyncio.to_thread(read))

    # What a person does

    async def _correct(self, request: web.Request) -> web.StreamResponse:
        device_id = asking.device_id(request)
        document = await asking.document(request, "by", "from_ms", "cause", "reason")
        from_ms = _time(document, "from_ms")
        cause = one_of(text(document, "cause", 32), "cause", CAUSES)
        reason = text(document, "reason", orders.WHAT_MAX)
        by = self._by(request, document)
        await self._doing(lambda: self._desk.duty.correct(device_id, from_ms, cause, by, reason))
        return web.Response(status=204)

    async def _open(self, request: web.Request) -> web.StreamResponse:
        device_id = asking.device_id(request)
        document = await asking.document(request, "by", "what", "who", "cause", "until_ms", "maintenance")
        maintenance = flag(document, "maintenance", default=False)
        what, who = text(document, "what", orders.WHAT_MAX), text(document, "who", orders.WHO_MAX)
        cause = one_of(text(document, "cause", 32, default="unknown"), "cause", CAUSES)
        until_ms = None if document.get("until_ms") is None else _time(document, "until_ms")
        by = self._by(request, document)
        opened = await self._doing(
            lambda: self._desk.duty.open_order(
                device_id, by, what=what, who=who, cause=cause, until_ms=until_ms, maintenance=maintenance
            )
        )
        return _order(opened, status=201)

    async def _assign(self, request: web.Request) -> web.StreamResponse:
        n, document = _number(request), await asking.document(request, "by", "who", "until_ms")
        who = text(document, "who", orders.WHO_MAX)
        until_ms = None if document.get("until_ms") is None else _time(document, "until_ms")
        return _order(await self._doing(lambda: self._desk.duty.assign_order(n, who, until_ms)))

    async def _finish(self, request: web.Request) -> web.StreamResponse:
        n, document = _number(request), await asking.document(request, "by")
        by = self._by(request, document)
        return _order(await self._doing(lambda: self._desk.duty.finish_order(n, by)))


def _order(order: WorkOrder, status: int = 200) -> web.Response:
    return web.json_response(report.order(order), status=status)


def _number(request: web.Request) -> int:
    n = request.match_info["n"]
    if not re.fullmatch(r"[0-9]{1,9}", n):
        raise Refusal(404, "no such order", code="no-order", n=n[:9])
    return int(n)


def _time(document: Document, key: str) -> int:
    value = document.get(key)
    if type(value) is not int or not 0 <= value <= UNTIL_MAX_MS:
        raise Refusal(400, f"{key}: must be milliseconds since 1970", code="number")
    return value


def _asked(request: web.Request, key: str, form: re.Pattern[str]) -> str:
    value = request.query.get(key, "")
    if not form.fullmatch(value):
        raise Refusal(400, f"{key}: must be like {'2026-11' if key == 'month' else '2026'}", code="number")
    return value


def _file(name: str, lines: Iterable[str] | Iterator[str]) -> web.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return web.Response(text="".join(lines), content_type="text/csv", charset="utf-8", headers=headers)


@cache
def _words(language: str) -> dict[str, str]:
    """Of states and causes, from the page's own words."""
    found = texts(STATIC / "i18n", language)
    return {key.partition(".")[2]: value for key, value in found.items() if key.startswith(("life.", "cause."))}
