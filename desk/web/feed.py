"""What changes, to every browser that watches, at once.

A change is only a name ("incident 7"): the feed reads what is in the register *now* and sends that, so that ten
changes of one incident in a moment are one message, and the last message about something is always how it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from desk.attendance import Attendance

TICK_S = 5.0
WAITING_MAX = 256  # messages for one browser; one that takes them too slowly is cut off, and reads everything anew
BROWSERS_MAX = 100
HEARD_MAX_BYTES = 1024
HERE = "here"  # all that a browser has to say: there was a key, a touch or a click
PING_S = 15.0

RETRY_S = 0.5

log = logging.getLogger("desk")
Message = dict[str, Any]
Read = Callable[[Iterable[tuple[str, str]]], list[Message]]


class Change(Protocol):
    """As the duty reports it."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...


class Feed:
    """`read(changes)` gives the messages for them (in a worker thread); `status()` is the message of every tick.
    `attendance` learns which browsers watch, and that somebody sits there."""

    def __init__(self, read: Read, status: Callable[[], Message], attendance: Attendance) -> None:
        self._read, self._status, self._attendance = read, status, attendance
        self._changes: dict[tuple[str, str], None] = {}
        self._changed = asyncio.Event()
        self._browsers: dict[asyncio.Queue[str], Callable[[], bool]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """In the loop that serves."""
        self._loop = asyncio.get_running_loop()
        self._tasks = [asyncio.create_task(self._tell_changes()), asyncio.create_task(self._tell_time())]

    async def stop(self) -> None:
        """Say goodbye to everybody."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for queue in list(self._browsers):
            self._cut(queue)

    def notify(self, change: Change) -> None:
        """Something changed. May be called from any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended: nobody watches
                loop.call_soon_threadsafe(self._enter, (change.kind, change.id))

    async def serve(
        self, request: web.Request, allowed: Callable[[], bool], *, counts: bool = True
    ) -> web.WebSocketResponse:
        """One browser, until it goes. `allowed` is asked at every tick: false ends it (its session is over). `counts`:
        whether whoever sits there could answer a call."""
        if len(self._browsers) >= BROWSERS_MAX:
            raise web.HTTPServiceUnavailable(text="too many browsers watch this desk")
        socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=HEARD_MAX_BYTES)
        await socket.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue(WAITING_MAX)
        queue.put_nowait(json.dumps(self._status()))
        self._browsers[queue] = allowed
        if counts:
            self._attendance.came()
        sender = asyncio.create_task(_send_all(queue, socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    break
                if message.data == HERE and counts:
                    self._attendance.sign()
        finally:
            if counts:
                self._attendance.went()
            self._browsers.pop(queue, None)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return socket

    def _enter(self, change: tuple[str, str]) -> None:
        self._changes[change] = None
        self._changed.set()

    async def _tell_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes, self._changes = self._changes, {}
            try:
                messages = await asyncio.to_thread(self._read, changes)
            except Exception:
                log.exception("the feed could not read %d changes; once more in %s s", len(changes), RETRY_S)
                await asyncio.sleep(RETRY_S)
                self._changes = {**changes, **self._changes}
                self._changed.set()
                continue
            for message in messages:
                self._tell(message)

    async def _tell_time(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                for queue, allowed in list(self._browsers.items()):
                    if not allowed():
                        self._cut(queue)
                self._tell(self._status())
            except Exception:  # one bad look must not be the last
                log.exception("the feed could not tell what time it is; it goes on")

    def _tell(self, message: Message) -> None:
        text = json.dumps(message)
        for queue in list(self._browsers):
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                self._cut(queue)

    def _cut(self, queue: asyncio.Queue[str]) -> None:
        """End one browser's connection; unsent messages are dropped."""
        self._browsers.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(GOODBYE)


GOODBYE = ""


async def _send_all(queue: asyncio.Queue[str], socket: web.WebSocketResponse) -> None:
    try:
        while text := await queue.get():
            await socket.send_str(text)
    except ConnectionError:
        pass
    await socket.close(code=1012, message=b"read everything anew")
