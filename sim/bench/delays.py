"""Glass to glass and mouth to ear, in a Chromium without a window, and how soon an intercom is heard.

A camera of GStreamer's films a clock and hears it strike (clock_camera.py); Chromium reads the clock from the picture
that it is about to show, and hears the strike at its loudspeaker (delays.js). The intercom is baresip: for the first
sound its microphone hears a tone; for the way there and back it hears its own loudspeaker.

Not in these figures: a real lens, microphone, loudspeaker and screen, and the network between the machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
from playwright.async_api import Page, async_playwright

from desk.media.gateway import Gateway
from desk.media.source import OPTIONS
from sim.bench.stats import spread
from sim.servers.intercom import Intercom
from sim.servers.rtsp import RtspCamera
from tools import toolbox
from tools.chromium import FLAGS

CLOCK = Path(__file__).with_name("clock_camera.py")
PAGE = Path(__file__).with_name("delays.js")
PATH = "/clock"
CLOCK_BITS, BLOCK, GREY = 24, 16, 128
SETTLE_S = 3.0  # until the browser's buffers are as long as they need to be
WATCH_S = 10.0
FIRST_S = 30.0  # until the first click comes back
CLICK_EVERY_S = 1.0
STRIKE_MS = 1000.0  # the clock strikes at whole seconds; what is later than a second cannot be told from what is not
SECURE = "http://localhost/"  # where Chromium gives a page worklets; nothing is fetched from there


async def measure(gateway: Gateway, echo: Intercom) -> dict[str, Any]:
    """All delays, each over WATCH_S. `echo`: hears its own loudspeaker. Raises ToolMissing."""
    with RtspCamera({}, server=CLOCK) as camera:
        address = camera.address(PATH)
        straight = await asyncio.to_thread(_straight, address)
        async with _browser() as page:
            async with _call(page, gateway, {"rtsp": address}):
                await asyncio.sleep(SETTLE_S + WATCH_S)
                found = await _found(page)
            async with _call(page, gateway, {"sip": echo.address}, speaks=True):
                await _speak(page, FIRST_S, until_heard=True)
                await _speak(page, WATCH_S)
                talk = await _found(page)
    return {
        "glass": _spread(_pictures(found["pictures"])),
        "straight": _spread(straight),
        "place": _spread(one % STRIKE_MS for one in found["clicks"][round(SETTLE_S) :]),
        "there_and_back": _spread(_echoes(talk["said"], talk["clicks"])),
    }


def _spread(delays_ms: Any) -> dict[str, Any] | None:
    """None: nothing was seen or heard."""
    values = [one * 1000 for one in delays_ms]
    return spread(values).as_dict() if values else None


def _straight(address: str) -> list[float]:
    """The peer: the same camera straight into FFmpeg, as in ffplay, with neither desk nor browser."""
    ways, begin_s = list[float](), time.monotonic()
    with av.open(address, options=dict(OPTIONS)) as film:
        for frame in film.decode(video=0):
            passed_s = time.monotonic() - begin_s
            if passed_s > SETTLE_S:
                ways.append((time.time() * 1000 - _read(frame.to_ndarray(format="gray"))) % (1 << CLOCK_BITS))
            if passed_s > SETTLE_S + WATCH_S:
                return ways
    return ways


def _read(luma: Any) -> int:
    """The clock in a picture."""
    return sum(int(luma[BLOCK // 2, bit * BLOCK + BLOCK // 2] > GREY) << bit for bit in range(CLOCK_BITS))


def _pictures(seen: Sequence[Sequence[float]]) -> list[float]:
    """From the clock to the screen: of all that were shown after the browser had settled."""
    wrap = 1 << CLOCK_BITS
    begin_ms = seen[0][0] + SETTLE_S * 1000 if seen else 0.0
    return [(shown - made) % wrap for shown, made in seen if shown > begin_ms]


def _echoes(said: Sequence[float], heard: Sequence[float]) -> list[float]:
    """From each click to the next that was heard, if there was one before the next click."""
    ways = []
    for at in said:
        back = next((one for one in heard if one > at), None)
        if back is not None and back - at < CLICK_EVERY_S * 1000:
            ways.append(back - at)
    return ways


async def _speak(page: Page, seconds: float, *, until_heard: bool = False) -> None:
    """A click now and then. Raises TimeoutError."""
    for _ in range(round(seconds / CLICK_EVERY_S)):
        await page.evaluate("call.say()")
        await asyncio.sleep(CLICK_EVERY_S)
        if until_heard and await page.evaluate("call.found.clicks.length"):
            return
    if until_heard:
        raise TimeoutError(f"the intercom did not say back what it was told in {seconds:.0f} s")


@contextlib.asynccontextmanager
async def _browser() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=toolbox.require("chromium")[0], args=list(FLAGS))
        try:
            page = await browser.new_page()
            await page.route(SECURE, lambda route: route.fulfill(body="<body>", content_type="text/html"))
            await page.goto(SECURE)
            await page.add_script_tag(content=PAGE.read_text())
            yield page
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def _call(
    page: Page, gateway: Gateway, stream: Mapping[str, str], *, speaks: bool = False
) -> AsyncIterator[None]:
    offer = await page.evaluate("speaks => (window.call = new Call()).offer(speaks)", speaks)
    done = await gateway.call(stream, "bench", offer.encode(), "127.0.0.1")
    try:
        await page.evaluate("answer => call.answer(answer)", done.answer.decode())
        yield
    finally:
        await page.evaluate("call.close()")
        await gateway.hang_up(done.name)


async def _found(page: Page) -> dict[str, Any]:
    return dict(await page.evaluate("call.found"))
