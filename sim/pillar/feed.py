"""The feed of a pillar's page: the state as it changes goes out, what somebody does to the pillar comes in.

Server: {"about": {...}} once, then {"state": {...}} after each change and {"log": "a line of the console"}.
Client: {"do": "hold"} | "release" | "reset" | {"do": "press", "ms": 1 to 60000} |
        {"do": "power" | "link" | "tamper" | "stuck" | "chatter", "on": true | false}.
Anything else is answered with {"error": "..."}. A page that goes away takes its finger off the button.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import WSMsgType, web

from sim.pillar.button import LONGEST_PRESS_MS
from sim.pillar.pillar import Pillar

MESSAGE_BYTES_MAX = 1024
PAUSE_S = 0.05  # between two messages of state: more often nobody can see
LOOK_S = 0.25  # levels fade by themselves
HEARTBEAT_S = 10.0  # a browser that vanished is noticed within 1.5 of it
CLOSE_S = 1.0  # for a page to say goodbye
LINES_AT_FIRST = 40

SWITCHES = {
    "power": lambda pillar, on: (pillar.power_on if on else pillar.power_off)(),
    "link": Pillar.link,
    "tamper": Pillar.tamper,
    "stuck": Pillar.stick,
    "chatter": Pillar.chatter,
}
_FINGER = {"hold": Pillar.hold, "release": Pillar.release}


class BadOrder(ValueError):
    """A message that is no order; the text says what would be right."""


def order(pillar: Pillar, text: str, finger: object) -> Callable[[], None]:
    """What the message asks to be done; doing it may wait for the column. Raises BadOrder."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadOrder("this is no JSON") from None
    what = message.get("do") if isinstance(message, dict) else None
    if not isinstance(what, str):
        raise BadOrder('must be an object with a text "do"')
    if what in _FINGER:
        return lambda: _FINGER[what](pillar, finger)
    if what == "reset":
        return pillar.reset
    if what == "press":
        duration_ms = message.get("ms")
        if type(duration_ms) not in (int, float) or not 1 <= duration_ms <= LONGEST_PRESS_MS:
            raise BadOrder(f'press: "ms" must be a number from 1 to {LONGEST_PRESS_MS}')
        return lambda: pillar.press(duration_ms)
    if what in SWITCHES:
        if not isinstance(message.get("on"), bool):
            raise BadOrder(f'{what}: "on" must be true or false')
        return lambda: SWITCHES[what](pillar, message["on"])
    known = ", ".join([*_FINGER, "press", "reset", *SWITCHES])
    raise BadOrder(f"do: found {what[:40]!r}, must be one of {known}")


class Feed:
    """One page's connection to its pillar. `hands` does the orders, one after the other."""

    def __init__(self, pillar: Pillar, hands: ThreadPoolExecutor) -> None:
        self._pillar, self._hands = pillar, hands
        self._socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES_MAX, heartbeat=HEARTBEAT_S, timeout=CLOSE_S)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Until the page goes away."""
        await self._socket.prepare(request)
        reporting = asyncio.create_task(self._report())
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._obey(message.data)
                else:
                    await self._socket.send_json({"error": "must be text"})
        finally:
            reporting.cancel()
            with contextlib.suppress(RuntimeError):  # the pillar is closed
                await self._do(lambda: self._pillar.release(self))
        return self._socket

    async def close(self) -> None:
        await self._socket.close()

    async def _obey(self, text: str) -> None:
        try:
            await self._do(order(self._pillar, text, self))
        except BadOrder as error:
            await self._socket.send_json({"error": str(error)})
        except RuntimeError:  # the pillar is closed
            await self._socket.close()

    async def _do(self, action: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._hands, action)

    async def _report(self) -> None:
        """The latest state: what a slow page missed is not kept for it."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        said: dict[str, Any] = {}
        line = max(0, self._pillar.lines(0)[1] - LINES_AT_FIRST)
        with self._pillar.listening(lambda: _wake(loop, changed)), contextlib.suppress(ConnectionError):
            await self._socket.send_json({"about": self._pillar.about()})
            while True:
                changed.clear()
                if (state := self._pillar.state()) != said:
                    await self._socket.send_json({"state": state})
                    said = state
                lines, line = self._pillar.lines(line)
                for text in lines:
                    await self._socket.send_json({"log": text})
                await asyncio.sleep(PAUSE_S)
                await _wait(changed)


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(changed.set)


async def _wait(changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_S):
            await changed.wait()
    except TimeoutError:
        return
