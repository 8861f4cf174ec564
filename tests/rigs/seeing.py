"""A browser without a head at a desk's page: picture and sound of one incident."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from desk_rig import DeskRig
from pillar_rig import Watcher, until

INCIDENT = "petropavl-01-17-3"


def names(desk: DeskRig, **stream: str | None) -> None:
    """What the alarm of the incident names."""
    desk.server.desk.incident = lambda incident_id: {  # type: ignore
        "id": INCIDENT, "device_id": "petropavl-01", "status": "actual", "state": "received", "stream": stream,
    }  # fmt: skip


class Seeing(Watcher):
    """A browser at that desk's page."""

    def __init__(self, http: Any, desk: DeskRig) -> None:
        super().__init__(http, f"{desk.origin}/api/incidents/{INCIDENT}/whep")
        self._desk = desk

    async def state(self) -> dict[str, Any]:
        async with self._http.get(f"{self._desk.origin}{self.session}") as answer:
            return dict(await answer.json())


@contextlib.asynccontextmanager
async def at(desk: DeskRig, kind: type[Seeing] = Seeing) -> AsyncIterator[Seeing]:
    """A browser that hangs up and is closed at the end: the next test may have the same desk."""
    jar = aiohttp.CookieJar(unsafe=True)  # else it takes none from an address
    async with aiohttp.ClientSession(headers={"Origin": desk.origin}, cookie_jar=jar) as http:
        async with http.get(desk.page) as page:
            assert page.status == 200
        seeing = kind(http, desk)
        try:
            yield seeing
        finally:
            with contextlib.suppress(aiohttp.ClientError):  # the desk is gone
                if seeing.session:
                    await seeing.hang_up()
            await seeing.close()


async def advances(seeing: Seeing, more: int = 20) -> None:
    """Pictures go on, and differ."""
    before = len(seeing.pictures)
    await until(lambda: len(seeing.pictures) >= before + more, "more pictures")
    last = [picture.to_ndarray(format="gray").tobytes() for picture in seeing.pictures[-more:]]
    assert len(set(last)) > more // 2


async def voice_is(seeing: Seeing, state: str, *codes: str) -> dict[str, Any]:
    """What the desk says of the intercom, as soon as it is that."""
    deadline = asyncio.get_running_loop().time() + 30
    while True:
        said = dict((await seeing.state())["voice"])
        if said["state"] == state and (not codes or said["code"] in codes):
            return said
        assert asyncio.get_running_loop().time() < deadline, said
        await asyncio.sleep(0.05)
