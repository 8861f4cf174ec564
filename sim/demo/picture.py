"""Plays a little on the screen, with the real town behind it, and saves what the terminal shows as SVG."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from sim.demo.screen import REFRESH_S, TownApp
from sim.demo.town import Town

SIZE = (100, 30)
TIMEOUT_S = 20.0
# Textual's pictures fetch their font from the network: whoever looks at one shall use a font that is there.
WEB_FONT = re.compile(r"@font-face \{.*?\}\s*", re.S)
FONT = "Fira Code, DejaVu Sans Mono, Menlo, Consolas"


def take(town: Town, path: Path) -> None:
    """One column with help on its way, one whose network is gone, one ready again. Raises TimeoutError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = asyncio.run(_play(town))
    path.write_text(WEB_FONT.sub("", picture).replace("Fira Code", FONT), "utf-8")


async def _play(town: Town) -> str:
    app = TownApp(town)
    async with app.run_test(size=SIZE) as pilot:

        async def until(what: str, predicate: Callable[[], bool]) -> None:
            await asyncio.to_thread(town.wait_for, predicate, TIMEOUT_S, what)
            await pilot.pause(2 * REFRESH_S)  # the screen looks at the town that often

        def lamp(number: int, state: str) -> Callable[[], bool]:
            return lambda: town.posts[number].lamp == state

        for number in range(3):
            await until("all ready", lamp(number, "ready"))
        for key, number, state in [("3", 2, "answered"), ("a", 2, "help-coming"), ("c", 2, "ready")]:
            await pilot.press(key)
            await until(f"column {number + 1} {state}", lamp(number, state))
        await pilot.press("1")
        await until("column 1 answered", lamp(0, "answered"))
        await pilot.press("a")
        await until("column 1 help-coming", lamp(0, "help-coming"))
        await until("column 1's queue is empty", lambda: _queue(town, 0) == 0)
        await pilot.press("l", "2", "2")
        await until("column 2 not-delivered", lamp(1, "not-delivered"))
        return app.export_screenshot(title=app.TITLE)


def _queue(town: Town, number: int) -> int | None:
    """What that column's last heartbeat said."""
    column = town.centre.look(lambda ledger: ledger.columns.get(town.posts[number].device_id))
    return column.heartbeat.get("queue") if column else None
