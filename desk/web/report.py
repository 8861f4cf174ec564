"""The register as figures and as files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from aiohttp import web

from desk import export, misuse
from desk.openings import Openings
from desk.web import asking, roles
from desk.web.api import MANY, Desk, Document, now_ms
from desk.web.guard import Person
from desk.web.refusal import Refusal

EXPORT_MAX = 100_000  # incidents in one file
PART_CHARS = 64 * 1024


class Report:
    """Requests about many incidents at once. `person`: who asks; raises Refusal."""

    def __init__(self, desk: Desk, openings: Openings, person: Callable[[web.Request], Person]) -> None:
        self._desk, self._openings, self._person = desk, openings, person

    async def statistics(self, request: web.Request) -> web.StreamResponse:
        """Figures about what the filter wants. By name an operator sees only their own."""
        wanted, person = asking.wanted(request, limit=MANY), self._person(request)

        sees_all = roles.is_allowed(person.role, roles.SEE_FIGURES)

        def sees(name: str) -> bool:
            return sees_all or name == person.name

        return web.json_response(await asyncio.to_thread(self._desk.statistics, wanted, sees))

    async def misuse_csv(self, request: web.Request) -> web.StreamResponse:
        """False calls by column, as a table."""
        found = await asyncio.to_thread(self._desk.misuse, asking.wanted(request, limit=MANY))
        return await self._file(request, "misuse", "csv", "text/csv", misuse.csv_text(found))

    async def csv(self, request: web.Request) -> web.StreamResponse:
        """The incidents as a table."""
        found = await self._read(request, self._desk.incidents)
        return await self._file(request, "incidents", "csv", "text/csv", export.csv_text(found))

    async def json(self, request: web.Request) -> web.StreamResponse:
        """The incidents as they are in the API, with their timelines."""
        found = await self._read(request, self._desk.with_timelines)
        head = {"desk": self._desk.name, "exported_ms": now_ms()}
        lines = export.json_text(found, **head)
        return await self._file(request, "incidents", "json", "application/json", lines)

    async def openings(self, request: web.Request) -> web.StreamResponse:
        """Who opened picture and sound of which place, newest first."""
        return web.json_response(await self._read_openings(request, asking.LIMIT))

    async def openings_csv(self, request: web.Request) -> web.StreamResponse:
        """The same as a table."""
        found = await self._read_openings(request, EXPORT_MAX)
        return await self._file(request, "openings", "csv", "text/csv", export.openings_csv(found))

    async def openings_json(self, request: web.Request) -> web.StreamResponse:
        """The same as a file for programs."""
        found = await self._read_openings(request, EXPORT_MAX)
        lines = export.openings_json(found, desk=self._desk.name, exported_ms=now_ms())
        return await self._file(request, "openings", "json", "application/json", lines)

    async def _read_openings(self, request: web.Request, limit: int) -> list[Document]:
        wanted = asking.wanted(request, limit=limit, known=("device_id", "from_ms", "to_ms", "limit"))
        return await asyncio.to_thread(lambda: self._openings.listed(**wanted))

    async def _read(self, request: web.Request, read: Callable[[dict[str, Any]], list[Document]]) -> list[Document]:
        wanted = asking.wanted(request, limit=EXPORT_MAX + 1)
        found = await asyncio.to_thread(read, wanted)
        if len(found) > EXPORT_MAX:
            why = f"more than {EXPORT_MAX} incidents: ask for a part of them with from_ms and to_ms"
            raise Refusal(413, why, code="export-long", most=EXPORT_MAX)
        return found

    async def _file(
        self, request: web.Request, name: str, ending: str, content_type: str, lines: Iterator[str]
    ) -> web.StreamResponse:
        day = datetime.now().strftime("%Y-%m-%d")
        response = web.StreamResponse(headers={"Content-Disposition": f'attachment; filename="{name}-{day}.{ending}"'})
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
