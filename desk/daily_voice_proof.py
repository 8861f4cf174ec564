"""The daily voice proof: once a day, by day, the desk calls each intercom and hears whether it hears and speaks.

A column with an open call is left alone, and an officer who opens a column's picture ends a proof that runs there. What
is not right is looked at again after some minutes, and only then believed: a lorry, or somebody who leans there. What
is known of each column is kept in `voice.json` in the desk's folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from desk.web import files

LOOK_S = 30.0
AGAIN_MS = 5 * 60_000  # before what is not right is looked at again
LATER_MS = 30 * 60_000  # before what could not be told is tried again
TRIES_MAX = 6  # a day
KNOWN_MAX = 30  # figures of good days
COLUMNS_MAX = 2000
OK, UNSURE, NO_CALL = "ok", "unsure", "no-call"
FILE = "voice.json"
log = logging.getLogger(__name__)

Document = dict[str, Any]
Prove = Callable[[str, str, list[Document]], Awaitable[Document]]
"""(address, device_id, figures of good days) -> {"verdict", "figures"}. Raises NotNow, Unreached."""


class NotNow(Exception):
    """Somebody speaks with that intercom, or wants to: nothing is told by that."""


class Unreached(Exception):
    """It does not take the desk's call; the text says why."""


@dataclass
class Known:
    """Of one column. `verdict`: the last that is believed; `suspected`: one that has yet to be seen again."""

    figures: list[Document] = field(default_factory=list)
    verdict: str = ""
    at_ms: int = 0
    suspected: str = ""
    day: str = ""  # of the tries
    tries: int = 0
    next_ms: int = 0


class DailyVoiceProof:
    """`hours`: minutes of the local day, from and to. `intercoms`: device_id -> address, of those that may be called.

    `told(device_id, verdict)` hears each verdict that is believed, and at the start those that are known.
    """

    def __init__(
        self,
        folder: Path,
        hours: tuple[int, int],
        prove: Prove,
        intercoms: Callable[[], Mapping[str, str]],
        told: Callable[[str, str], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._path, self._hours, self._prove, self._told = folder / FILE, hours, prove, told
        self._intercoms, self._now_ms = intercoms, now_ms
        self.known = self._read()

    async def run(self) -> None:
        """For ever."""
        for device_id, known in self.known.items():
            if known.verdict not in ("", OK):
                await asyncio.to_thread(self._told, device_id, known.verdict)
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("the voice proof failed; it is tried again")
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Proves one that is due, if there is any."""
        now_ms = self._now_ms()
        if not self._by_day(now_ms):
            return
        intercoms = await asyncio.to_thread(self._intercoms)
        due = [device_id for device_id in sorted(intercoms)[:COLUMNS_MAX] if self._is_due(device_id, now_ms)]
        if due:
            await self._one(due[0], intercoms[due[0]], now_ms)

    def _by_day(self, now_ms: int) -> bool:
        local = datetime.fromtimestamp(now_ms / 1000)
        begin, end = self._hours
        return begin <= local.hour * 60 + local.minute < end

    def _is_due(self, device_id: str, now_ms: int) -> bool:
        known, today = self.known.setdefault(device_id, Known()), _day(now_ms)
        if known.day != today:
            known.day, known.tries, known.next_ms = today, 0, 0
        if known.tries >= TRIES_MAX or now_ms < known.next_ms:
            return False
        return _day(known.at_ms) != today or bool(known.suspected)

    async def _one(self, device_id: str, address: str, now_ms: int) -> None:
        known = self.known[device_id]
        known.tries += 1
        known.next_ms = now_ms + LATER_MS
        try:
            done = await self._prove(address, device_id, known.figures)
            verdict, figures = str(done["verdict"]), done["figures"]
        except NotNow:
            return
        except Unreached as why:
            log.warning("voice proof of %s: %s", device_id, why)
            verdict, figures = NO_CALL, None
        if verdict == UNSURE:
            return
        if verdict == OK or verdict == known.suspected or known.verdict == verdict:
            known.verdict, known.at_ms, known.suspected = verdict, now_ms, ""
            if verdict == OK and figures is not None:
                known.figures = [*known.figures, figures][-KNOWN_MAX:]
            await asyncio.to_thread(self._told, device_id, verdict)
        else:
            known.suspected, known.next_ms = verdict, now_ms + AGAIN_MS
        self._write()

    def _read(self) -> dict[str, Known]:
        """What was known. A file that cannot be read is one more reason to begin anew, not to keep the desk down."""
        try:
            return {name: Known(**one) for name, one in json.loads(self._path.read_text("utf-8")).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read, the columns' usual figures are learnt anew: %s", self._path, error)
            return {}

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            files.replace(self._path, json.dumps({name: vars(one) for name, one in self.known.items()}))


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000).date().isoformat()
