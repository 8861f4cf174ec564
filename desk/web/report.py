"""The register as figures and as files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from aiohttp import web

from desk import export
from desk.web import asking
from desk.web.api import MANY, Desk, Document, now_ms
from desk.web.refusal import Refusal

EXPORT_MAX = 100_000  # incidents in one file
PART_CHARS = 64 * 1024


class Report:
    """Requests about many incidents at once."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def statistics(self, request: web.Request) -> web.StreamResponse:
        """Figures about what the filter wants."""
        wanted = asking.wanted(request, limit=MANY)
        return web.json_response(await asyncio.to_thread(self._desk.statistics, wanted))

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """The incidents as a table."""
        found = await self._read(request, self._desk.incidents)
        return await self._file(request, "csv", "text/csv", export.csv_text(found))

    async def json(self, request: web.Request) -> web.StreamResponse:
        """The incidents as they are in the API, with their timelines."""
        found = await self._read(request, self._desk.with_timelines)
        head = {"desk": self._desk.name, "exported_ms": now_ms()}
        lines = export.json_text(found, **head)
        return await self._file(request, "json", "application/json", lines)

    async def _read(self, request: web.Request, read: Callable[[dict[str, Any]], list[Document]]) -> list[Document]:
        wanted = asking.wanted(request, limit=EXPORT_MAX + 1)
        found = await asyncio.to_thread(read, wanted)
        if len(found) > EXPORT_MAX:
            why = f"more than {EXPORT_MAX} incidents: ask for a part of them with from_ms and to_ms"
            raise Refusal(413, why, code="export-long", most=EXPORT_MAX)
        return found

    async def _file(
        self, request: web.Request, ending: str, content_type: str, lines: Iterator[str]
    ) -> web.StreamResponse:
        day = datetime.now().strftime("%Y-%m-%d")
        response = web.StreamResponse(
            headers={"Content-Disposition": f'attachment; filename="incidents-{day}.{ending}"'}
        )
        response.content_type, response.charset = content_type, "utf-8"
        await response.prepare(request)
        part = ""
        for line in lines:
            part += line
            if len(part) >= PART_CHARS:
                await response.write(part.encode())
                part = ""
        await response.write(part.encode())
        await response.write_eof()
        return response
