"""The requests for picture and sound: who may, until when, and that it is written down (see desk/openings.py).

Within an open call a look needs nothing but a click, and ends with the call, whatever the page does. Outside of one it
needs a reason. A page says every second that it still looks; one that does not for a while is taken for gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from desk.batch import UNHEARD, Change
from desk.duty import wall_ms
from desk.loudness import Loudnesses, wanted
from desk.media.trouble import NoStream
from desk.media.whep import SDP, SDP_MAX_BYTES
from desk.openings import ASKED, CALL_CLOSED, DESK_STOPPED, GONE, Opening, Openings, needs_reason
from desk.openings import REASON_MAX as LONGEST
from desk.openings import REASON_MIN as LEAST
from desk.web import asking
from desk.web.api import Desk
from desk.web.guard import Person
from desk.web.player import Player
from desk.web.refusal import Refusal, text

REASON_HEADER = "Reason"  # percent-encoded UTF-8
LEASE_S = 90.0  # browsers let the timers of a page that nobody looks at run once a minute
LOOK_S = 5.0
SHUT_MAX = 64
AROUND, COPYING = "webrtc", "copying"  # the way; what a copy is called until it has a name
SIGN_S, SIGN_AGAIN_S = 30, 10.0  # for how long a column shows that it is heard, and how often it is told
log = logging.getLogger("desk")


@dataclass
class Look:
    """One that is open. `number`: of its opening; None: the register did not take it. `is_heard`: it is at the column's
    own camera and intercom, within a call. `asked_s`, `asked_ms`: when its page was last heard."""

    number: int | None
    incident_id: str
    within_call: bool
    is_heard: bool
    asked_s: float
    asked_ms: int
    device_id: str
    is_around: bool = False
    """Whether the voices go around the desk: from the browser to the camera."""
    is_own: bool = False
    """Whether it is at the column's own camera and intercom, and none of the city's."""
    copy: str = ""
    """The name of a copy of them that comes to the desk."""


class Watching:
    """For one event loop. `person`: who asks; raises Refusal. `is_recorded`: whether that incident is to be."""

    def __init__(
        self, desk: Desk, player: Player, openings: Openings, person: Callable[[web.Request], Person],
        is_recorded: Callable[[str], bool] = lambda incident_id: False,
    ) -> None:  # fmt: skip
        self._desk, self._player, self._openings, self._person = desk, player, openings, person
        self._is_recorded = is_recorded
        self._loudness = Loudnesses(desk.register.path.parent)
        self._looks: dict[str, Look] = {}
        self._shut_by_desk: deque[str] = deque(maxlen=SHUT_MAX)
        """The latest; their pages end them as well."""
        self._signs: dict[str, float] = {}
        """Calls whose columns know that they are heard, and when they were told."""
        self._signing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        player.gateway.on_ended, player.gateway.on_failed = self._on_ended, self._on_failed

    def start(self) -> None:
        """In the loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._do(self._look_after_pages())

    async def stop(self) -> None:
        """Every look ends with the desk."""
        self._loop = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for name in list(self._looks):
            await self._end(name, DESK_STOPPED)
        await self._sign()

    def changed(self, change: Change) -> None:
        """Something changed; any thread. Looks within a call end with it."""
        loop, on = self._loop, {"incident": self._on_incident, UNHEARD: self._on_unheard}.get(change.kind)
        if loop is not None and on is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(on, change.id)

    # Requests

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A browser's offer for a call's picture and sound."""
        offer = await asking.body(request, SDP, SDP_MAX_BYTES)
        incident = await asyncio.to_thread(self._desk.incident, asking.incident_id(request))
        reason = _reason(request, incident)
        opening = Opening(incident["device_id"], incident["id"], "", self._person(request).name, reason)
        stream = self._player.by_server(incident["stream"], incident["device_id"])
        return await self._open(request, offer, stream, incident["device_id"], opening)

    async def cameras(self, request: web.Request) -> web.StreamResponse:
        """The city's cameras that are nearest to a call."""
        found = await asyncio.to_thread(self._desk.nearest, asking.incident_id(request))
        return web.json_response([{"id": one.id, "name": one.name, "distance_m": round(far)} for one, far in found])

    async def call_camera(self, request: web.Request) -> web.StreamResponse:
        """A browser's offer for the picture of one of these, and of no other camera of the city."""
        offer = await asking.body(request, SDP, SDP_MAX_BYTES)
        incident = await asyncio.to_thread(self._desk.incident, asking.incident_id(request))
        near = await asyncio.to_thread(self._desk.nearest, incident["id"])
        camera = next((one for one, _ in near if one.id == request.match_info["camera"]), None)
        if camera is None:
            raise Refusal(404, "no camera of that name is among the nearest to this call", code="no-camera")
        reason, name = _reason(request, incident), f"{camera.name} ({camera.id})"
        opening = Opening(incident["device_id"], incident["id"], "", self._person(request).name, reason, name)
        return await self._open(request, offer, camera.stream, camera.id, opening)

    async def how(self, request: web.Request) -> web.StreamResponse:
        """How a look is; the page asks every second."""
        name = request.match_info["call"]
        if (look := self._looks.get(name)) is not None:
            look.asked_s, look.asked_ms = asyncio.get_running_loop().time(), wall_ms()
        said = await self._player.state(name)
        if said.get("state") == "ended":
            await self._end(name, GONE)
        said |= {"loudness_db": self._loudness.of(look.device_id)} if look is not None and look.is_own else {}
        return web.json_response({**said, "copy": look is not None and not look.copy and self._wants_copy(look)})

    async def copy(self, request: web.Request) -> web.StreamResponse:
        """A browser's offer of what is heard and said at a place, where that goes around a desk that records it."""
        offer = await asking.body(request, SDP, SDP_MAX_BYTES)
        look = self._looks.get(request.match_info["call"])
        if look is None or look.copy or not self._wants_copy(look):
            raise Refusal(409, "no copy is wanted of this")
        look.copy = COPYING
        try:
            look.copy, answer = await self._player.gateway.copy(look.device_id, offer, request.remote or "")
        except BaseException:
            look.copy = ""
            raise
        if look not in self._looks.values():  # it ended meanwhile
            await self._player.hang_up(look.copy)
        return web.Response(status=201, body=answer, content_type=SDP)

    async def be_loud(self, request: web.Request) -> web.StreamResponse:
        """So loud officers are to be at that column from now on."""
        db = wanted(await asking.document(request, "db"))
        look = self._looks.get(request.match_info["call"])
        if look is None or not look.is_own:
            raise Refusal(409, "nobody speaks there")
        await asyncio.to_thread(self._loudness.choose, look.device_id, db)
        for name in [name for name, one in self._looks.items() if one.is_own and one.device_id == look.device_id]:
            await self._tell_loudness(name, look.device_id)
        return web.json_response({"loudness_db": db})

    async def _tell_loudness(self, name: str, device_id: str) -> None:
        """To the gateway, where the voices go through it; else the browser does it."""
        look = self._looks.get(name)  # it may have ended meanwhile
        if look is not None and not look.is_around:
            await self._player.gateway.be_loud(name, self._loudness.of(device_id))

    def _wants_copy(self, look: Look) -> bool:
        return look.is_heard and look.is_around and self._is_recorded(look.incident_id)

    async def hang_up(self, request: web.Request) -> web.StreamResponse:
        """The page wants no more of it."""
        name = request.match_info["call"]
        await self._end(name, ASKED)
        if not await self._player.hang_up(name) and name not in self._shut_by_desk:
            raise Refusal(404, "no such call: it has ended")
        return web.Response(status=204)

    async def _open(
        self, request: web.Request, offer: bytes, stream: Mapping[str, Any], whose: str, opening: Opening
    ) -> web.StreamResponse:
        """`whose`: the column or the city's camera, as the file of passwords has it."""
        answer = await self._player.call(stream, whose, offer, request.remote or "")
        opening = opening._replace(way=answer.way)
        try:
            number = await asyncio.to_thread(self._openings.begin, opening)
        except sqlite3.Error as error:
            if opening.reason:
                await self._player.hang_up(answer.name)
                raise
            log.error("%s looks at %s, and the register does not take it: %s", opening.by, opening.incident_id, error)
            number = None  # somebody asks for help there: a full disk hides nothing
        now_s = asyncio.get_running_loop().time()
        within, own = not opening.reason, not opening.camera
        look = Look(number, opening.incident_id, within, within and own, now_s, wall_ms(), opening.device_id)
        look.is_around, look.is_own = answer.way == AROUND, own
        self._looks[answer.name] = look
        with contextlib.suppress(NoStream):
            await self._tell_loudness(answer.name, opening.device_id)
        if await self._is_over(opening):  # the call was closed meanwhile
            await self._shut(answer.name, CALL_CLOSED)
            raise Refusal(409, "the call is over", code="call-over")
        self._do(self._sign())
        headers = {"Location": f"/api/whep/{answer.name}", **answer.headers}
        return web.Response(status=201, body=answer.body, content_type=SDP, headers=headers)

    # What ends a look

    async def _is_over(self, opening: Opening) -> bool:
        """Whether this is a look within a call that is open no more."""
        if opening.reason:
            return False
        return needs_reason(await asyncio.to_thread(self._desk.incident, opening.incident_id))

    def _on_incident(self, incident_id: str) -> None:
        if self._within(incident_id):
            self._do(self._end_if_closed(incident_id))

    def _within(self, incident_id: str) -> list[str]:
        """The looks that end with that call."""
        return [name for name, one in self._looks.items() if one.incident_id == incident_id and one.within_call]

    def _on_unheard(self, incident_id: str) -> None:
        """A desk hears that place no more, and its column believes that nobody does: whoever still does says so."""
        if any(look.is_heard and look.incident_id == incident_id for look in self._looks.values()):
            self._signs.pop(incident_id, None)
            self._do(self._sign())

    async def _end_if_closed(self, incident_id: str) -> None:
        """A register that cannot be read just now is asked again soon."""
        names = self._within(incident_id)
        try:
            if not needs_reason(await asyncio.to_thread(self._desk.incident, incident_id)):
                return
        except Refusal:
            pass
        except sqlite3.Error as error:
            log.error("whether %s is over cannot be read: %s", incident_id, error)
            return
        for name in names:
            await self._shut(name, CALL_CLOSED)

    async def _look_after_pages(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look_once()
            except Exception:  # one bad look must not be the last
                log.exception("an error of its own in looking after pictures")

    async def _look_once(self) -> None:
        """What nobody looks at any more ends, and what should have ended with its call."""
        now_s = asyncio.get_running_loop().time()
        for name in [name for name, look in self._looks.items() if now_s - look.asked_s > LEASE_S]:
            await self._shut(name, GONE)
        for incident_id in {look.incident_id for look in self._looks.values() if look.within_call}:
            await self._end_if_closed(incident_id)
        await self._sign()

    async def _sign(self) -> None:
        """The lamps of columns that are heard say so, as long as they are told again and again; others no longer."""
        async with self._signing:  # one word after the other
            heard, now_s = {look.incident_id for look in self._looks.values() if look.is_heard}, time.monotonic()
            over = [(one, 0) for one in self._signs if one not in heard]
            due = [(one, SIGN_S) for one in heard if now_s - self._signs.get(one, -SIGN_AGAIN_S) >= SIGN_AGAIN_S]
            for incident_id, seconds in over + due:
                self._signs[incident_id] = now_s
                with contextlib.suppress(sqlite3.Error):  # told again soon, or it ends by itself
                    await asyncio.to_thread(self._desk.duty.listens, incident_id, seconds)
            for incident_id, _ in over:
                self._signs.pop(incident_id, None)

    async def _shut(self, name: str, how: str) -> None:
        """Once, whoever else wants it."""
        if name in self._looks:
            self._shut_by_desk.append(name)
            await self._end(name, how)
            await self._player.hang_up(name)

    def _on_ended(self, name: str) -> None:
        """The gateway has ended something: a look, or a copy, of which the page is told to make another one."""
        for look in self._looks.values():
            if look.copy == name:
                look.copy = ""
        self._do(self._end(name, GONE))

    def _on_failed(self) -> None:
        """No copy has outlived the gateway; of its looks their pages hear when they ask."""
        for look in self._looks.values():
            look.copy = ""

    async def _end(self, name: str, how: str) -> None:
        """Write down that it is over; the first who says so says how."""
        look = self._looks.pop(name, None)
        if look is not None and look.is_heard and self._loop is not None:
            self._do(self._sign())
        if look is not None and look.copy not in ("", COPYING):
            await self._player.hang_up(look.copy)
        if look is None or look.number is None:
            return
        at_ms = look.asked_ms if how == GONE else None
        try:
            await asyncio.to_thread(self._openings.end, look.number, how, at_ms)
        except sqlite3.Error as error:  # the next start ends it
            log.error("the end of opening %d is not in the register: %s", look.number, error)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an error of its own in looking after pictures", exc_info=error)


def _reason(request: web.Request, incident: dict[str, Any]) -> str:
    """Why somebody looks outside a call; "" within one. Raises Refusal."""
    if not needs_reason(incident):
        return ""
    given = {"reason": unquote(request.headers.get(REASON_HEADER, ""), errors="replace")}
    reason = text(given, "reason", LONGEST, default="")
    if len(reason) < LEAST:
        why = f"nobody asks for help there: give a reason, {LEAST} characters or more; it is kept"
        raise Refusal(403, why, code="reason", least=LEAST)
    return reason
