"""Calls are recorded: what is open is recorded from the press to its close, and what comes of it is in the register.

Nothing here may hold up a call: whatever fails is told on the page, and tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from aiohttp import web

from desk.batch import Change
from desk.evidence import RECORDING
from desk.media.files import DISK_FULL, NOT_WRITTEN, Part
from desk.media.gateway import Gateway
from desk.media.trouble import NoStream
from desk.openings import CALL_CLOSED, DESK_STOPPED, PLAYBACK, Opening, Openings
from desk.recordings import Recordings
from desk.web import asking, roles
from desk.web.api import MANY, Desk
from desk.web.guard import Person
from desk.web.refusal import Refusal, flag, number, text

LOOK_S = 1.0
AGAIN_S = 10.0
"""For so long what was read from the register holds, if nobody tells of a change."""
SWEEP_S = 3600.0
WHY_MAX = 200
RING = "ring"  # a way of an opening
NO_CAMERA = "no-camera"
RECORDED = ("rtsp", "sip", "webrtc")
"""The ways of which something is recorded."""
MEDIA_TYPES = {"mp4": "video/mp4", "mkv": "video/x-matroska", "m4a": "audio/mp4"}
log = logging.getLogger("desk")
T = TypeVar("T")


class _Known(Generic[T]):
    """What the register says, as of the last change. Reading it takes the lock that a new alarm needs, and looks at
    every incident or column: not at every look."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._found: T
        self._is_stale, self._read_s = True, 0.0

    def change(self) -> None:
        """It may be otherwise by now. Any thread."""
        self._is_stale = True

    async def get(self) -> T:
        """Raises sqlite3.Error; then it is read the next time."""
        now_s = time.monotonic()
        if self._is_stale or now_s - self._read_s >= AGAIN_S:
            self._is_stale = False  # before it is read: what changes meanwhile is for the next time
            try:
                self._found = await asyncio.to_thread(self._read)
            except BaseException:
                self._is_stale = True
                raise
            self._read_s = now_s
        return self._found


class Recording:
    """For one event loop. Without rules (`--record`) nothing is recorded, and what was can still be played."""

    def __init__(
        self, desk: Desk, gateway: Gateway, recordings: Recordings, openings: Openings,
        person: Callable[[web.Request], Person],
    ) -> None:  # fmt: skip
        self._desk, self._gateway, self._kept, self._openings = desk, gateway, recordings, openings
        self._person = person
        self._running: dict[str, int | None] = {}
        """Incident -> the number of its opening."""
        self._held: dict[str, int | None] = {}
        """The same by column, for the seconds before a call."""
        self._ahead: dict[str, str] = {}
        """The cameras that were asked for, for these; and when."""
        self._ahead_s = 0.0
        self._said_of: tuple[str, frozenset[str]] = "", frozenset()
        """What the log has of them: why none is kept, or of which columns."""
        self._heard_s = 0.0
        """When the gateway last said what it records."""
        self._processes: set[int | None] = set()
        """Of the gateway, that were told to record: another one may have begun before anybody looked."""
        self._entered: list[str] = []
        """Files that the gateway need not tell of any more."""
        self._codes: dict[str, str] = {}
        self._spoken: set[str] = set()
        """Incidents of which a conversation is recorded now."""
        self._blind: set[str] = set()
        """... of which only that is: their camera is tried again at each look."""
        self._calls, self._cameras = _Known(self._open_calls), _Known(self._all_cameras)
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """In the loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._changed.set()
        self._tasks = [asyncio.create_task(self._sweep_on())]
        if self._kept.rules is not None:
            self._tasks.append(asyncio.create_task(self._record_on()))

    async def stop(self) -> None:
        """What is open is closed, hashed and entered."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for incident_id in list(self._running):
            await self._end(incident_id, DESK_STOPPED)
        for device_id in list(self._held):
            await self._write_end(self._held.pop(device_id), DESK_STOPPED)
        await self._collect()

    def changed(self, change: Change) -> None:
        """Something changed; any thread."""
        if change.kind == "column":
            self._cameras.change()
        if change.kind != "incident":
            return
        self._calls.change()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(self._changed.set)

    @property
    def trouble(self) -> str:
        """Why calls are not kept as they should be: DISK_FULL, NOT_WRITTEN; "": they are, or nobody asked for it."""
        return next((code for code in (DISK_FULL, NOT_WRITTEN) if code in self._codes.values()), "")

    def code_of(self, incident_id: str) -> str | None:
        """Why this call is not recorded now; "": it is; None: nobody asked for it, or it is over."""
        return self._codes.get(incident_id)

    def is_wanted(self, incident_id: str) -> bool:
        """Whether this call is being recorded, if there is anything to be had of it."""
        return incident_id in self._running

    # Recording

    async def _record_on(self) -> None:
        await self._recover()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._look()
            except Exception:  # one bad look must not be the last
                log.exception("an error of its own in recording")

    async def _look(self) -> None:
        """Begin and end what is to be recorded, enter what is complete, and see what is wrong."""
        assert self._kept.rules is not None
        if not (self._running or self._held):
            self._processes.clear()
        elif self._processes != {self._gateway.pid}:
            await self._begin_anew()
        calls = await self._calls.get()
        for incident_id in [one for one in self._running if one not in calls]:
            await self._end(incident_id, CALL_CLOSED)
        self._codes = {name: code for name, code in self._codes.items() if name in calls}
        if self._kept.rules.ahead:
            await self._hold_open()
        missing = [(name, *where) for name, where in calls.items() if name not in self._running.keys() - self._blind]
        await asyncio.gather(*(self._begin(*one) for one in missing))  # a name that nobody knows takes its time
        await self._collect()

    def _open_calls(self) -> dict[str, tuple[str, dict[str, Any]]]:
        rows = self._desk.register.incidents(state="open", status="actual", limit=MANY)
        return {row["id"]: (row["device_id"], row["alarm"]["stream"]) for row in rows}

    def _all_cameras(self) -> dict[str, str]:
        rows = self._desk.register.columns()
        named = {row["device_id"]: (row["info"] or {}).get("stream", {}).get("rtsp") for row in rows}
        return {device_id: address for device_id, address in named.items() if address}

    async def _begin(self, incident_id: str, device_id: str, stream: dict[str, Any]) -> None:
        assert self._kept.rules is not None
        if not any(stream.get(way) for way in RECORDED):
            self._codes[incident_id] = NO_CAMERA
            return
        self._blind.discard(incident_id)
        try:
            await self._gateway.record(incident_id, stream, device_id, self._kept.rules.room)
            self._processes.add(self._gateway.pid)
            self._codes[incident_id] = ""
        except NoStream as trouble:  # tried again at the next look
            self._codes[incident_id] = trouble.code
            if not ((stream.get("sip") or stream.get("webrtc")) and self._gateway.runs):
                return
            self._blind.add(incident_id)
            self._processes.add(self._gateway.pid)
        except Exception:  # an error of ours: told, and no reason to leave the others out
            log.exception("an error of its own in recording %s", incident_id)
            self._codes[incident_id] = "no-gateway"
            return
        if incident_id not in self._running:
            self._running[incident_id] = await self._write(Opening(device_id, incident_id, RECORDING, self._desk.name))

    async def _end(self, incident_id: str, how: str) -> None:
        opening = self._running.pop(incident_id, None)
        self._codes.pop(incident_id, None)
        self._blind.discard(incident_id)
        with contextlib.suppress(NoStream):
            await self._gateway.unrecord(incident_id)
        await self._write_end(opening, how)

    async def _hold_open(self) -> None:
        """Every column's camera, as it said itself."""
        wanted, now_s = await self._cameras.get(), time.monotonic()
        missing = wanted.keys() - self._held.keys()
        if wanted == self._ahead and not (missing and now_s - self._ahead_s >= AGAIN_S):
            return
        self._ahead, self._ahead_s = wanted, now_s
        try:
            held = await self._gateway.hold(wanted)
            if held:
                self._processes.add(self._gateway.pid)
            why = ""
        except NoStream as trouble:
            held, self._ahead, why = set(), {}, trouble.text
        for device_id in self._held.keys() - held:
            await self._write_end(self._held.pop(device_id), DESK_STOPPED)
        for device_id in held - self._held.keys():
            self._held[device_id] = await self._write(Opening(device_id, "", RING, self._desk.name))
        self._say(why, frozenset() if why else frozenset(wanted.keys() - held))

    def _say(self, why: str, left: frozenset[str]) -> None:
        """Each trouble once, and its end."""
        if (why, left) == self._said_of:
            return
        self._said_of = why, left
        if why:
            log.warning("the seconds before a call are not kept: %s", why)
        elif left:
            log.warning("the seconds before a call are not kept of: %s", ", ".join(sorted(left)))
        else:
            log.warning("the seconds before a call are kept of all columns again")

    async def _begin_anew(self) -> None:
        """The gateway has failed: what it had written is entered, and the next look records again."""
        for incident_id in list(self._running):
            await self._write_end(self._running.pop(incident_id), DESK_STOPPED)
        for device_id in list(self._held):
            await self._write_end(self._held.pop(device_id), DESK_STOPPED)
        self._ahead = {}
        self._processes.clear()
        await self._recover()

    async def _recover(self) -> None:
        """Files that nobody has entered; only while nothing is recorded. It reads each of them whole."""
        try:
            await asyncio.to_thread(self._kept.recover)
        except Exception as error:  # the next start finds them
            log.error("recordings that were left are not in the register: %s", error)

    async def _collect(self) -> None:
        """Files that are complete; why there is nothing of the others."""
        try:
            said = await self._gateway.recordings(self._entered)
        except NoStream as trouble:
            if time.monotonic() - self._heard_s > AGAIN_S:  # nobody knows whether anything is recorded
                self._codes.update(dict.fromkeys(self._running, trouble.code))
                self._spoken.clear()
            return
        self._heard_s = time.monotonic()
        self._entered = []
        for part in said["parts"]:
            try:
                await asyncio.to_thread(self._kept.enter, Part(**part))
                self._entered.append(part["file"])
            except sqlite3.Error as error:  # it is told again
                log.error("the recording %s is not in the register: %s", part["file"], error)
        self._spoken = set(said["spoken"])
        known = self._running.keys() - self._blind
        self._codes.update({name: code for name, code in said["codes"].items() if name in known})

    async def _write(self, opening: Opening) -> int | None:
        try:
            return await asyncio.to_thread(self._openings.begin, opening)
        except sqlite3.Error as error:  # a call is recorded all the same: the file says so itself
            log.error("an opening is not in the register: %s", error)
            return None

    async def _write_end(self, opening: int | None, how: str) -> None:
        if opening is not None:
            with contextlib.suppress(sqlite3.Error):  # the next start ends it
                await asyncio.to_thread(self._openings.end, opening, how)

    async def _sweep_on(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._kept.sweep)
            except Exception as error:  # one bad look must not be the last
                log.error("old recordings cannot be looked through: %s", error)
            await asyncio.sleep(SWEEP_S)

    # Requests

    async def listed(self, request: web.Request) -> web.StreamResponse:
        """What there is of an incident."""
        incident_id = asking.incident_id(request)
        files = await asyncio.to_thread(self._kept.of, incident_id)
        hold = await asyncio.to_thread(self._kept.hold_of, incident_id)
        found = {"files": files, "hold": hold, "code": self.code_of(incident_id), "spoken": incident_id in self._spoken}
        return web.json_response(found)

    async def play(self, request: web.Request) -> web.StreamResponse:
        """One file. Whoever begins to look at it is in the audit list."""
        found = await asyncio.to_thread(self._kept.find, number(request.match_info["n"], "n", 10**15))
        if found is None or not found["path"].is_file():
            raise Refusal(404, "there is no such recording any more", code="no-recording")
        if request.headers.get("Range", "bytes=0-").startswith("bytes=0-"):
            incident = await asyncio.to_thread(self._desk.incident, found["incident_id"])
            opening = Opening(incident["device_id"], incident["id"], PLAYBACK, self._person(request).name)
            await asyncio.to_thread(self._openings.played, opening)
        kind = MEDIA_TYPES[found["file"].rpartition(".")[2]]
        disposition = f'inline; filename="{found["file"]}"'
        return web.FileResponse(found["path"], headers={"Content-Type": kind, "Content-Disposition": disposition})

    async def hold(self, request: web.Request) -> web.StreamResponse:
        """Keep an incident's recordings until further notice, or no longer."""
        document = await asking.document(request, "hold", "why")
        why, person = text(document, "why", WHY_MAX), self._person(request)
        incident = await asyncio.to_thread(self._desk.incident, asking.incident_id(request))
        keep = flag(document, "hold")
        if not keep:
            roles.check(person.role, roles.RELEASE)
        if keep:
            await asyncio.to_thread(self._kept.hold, incident["id"], person.name, why)
        else:
            await asyncio.to_thread(self._kept.release, incident["id"], person.name, why)
        return await self.listed(request)
