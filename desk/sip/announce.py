"""A message to whoever answers a telephone: dialled, played, and hung up; and what became of it."""

from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipmessage import Request, Response

from desk.sip.conversation import RING_S, Conversation, Peer
from desk.sip.g711 import BLOCK, BLOCK_S, RATE_HZ
from desk.sip.trouble import NoCall

SECONDS_MAX = 120.0


@dataclass(frozen=True)
class Outcome:
    """`code`: one of trouble.CODES, or "played": somebody, or something, answered and heard it to its end.
    `digits`: what was pressed meanwhile; a person shows by it that it was no answering machine."""

    answered: bool
    code: str
    text: str
    digits: str = ""


async def announce(
    peer: Peer, blocks: Iterable[bytes], *, ring_s: float = RING_S, until_digit: str = "", after_s: float = 0.0,
    noted: Callable[[Request, Response | None], None] = lambda invite, heard: None,
) -> Outcome:  # fmt: skip
    """Never raises NoCall. `blocks`: see `tone` and `recorded`. A key in `until_digit` ends it at once, and for
    `after_s` after the message such a key is waited for. `noted`: see Conversation.dial."""
    try:
        talk = await Conversation.dial(peer, ring_s=ring_s, noted=noted)
    except NoCall as trouble:
        return Outcome(False, trouble.code, trouble.text)
    digits: list[str] = []
    done, pressed = asyncio.Event(), asyncio.Event()
    waiting = iter(blocks)

    def speaker() -> bytes | None:
        if (block := next(waiting, None)) is None:
            done.set()
        return block

    def digit(key: str) -> None:
        digits.append(key)
        if key in until_digit:
            pressed.set()

    talk.sound.speaker, talk.sound.digit = speaker, digit
    try:
        ended = asyncio.ensure_future(_played(done, pressed, after_s))
        futures: list[asyncio.Future[Any]] = [ended, talk.over]
        await asyncio.wait(futures, timeout=SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if talk.over.done():
            why = talk.over.result()
            return Outcome(True, why.code, why.text, "".join(digits))
        return Outcome(True, "played", "", "".join(digits))
    finally:
        await talk.hang_up()


async def _played(done: asyncio.Event, pressed: asyncio.Event, after_s: float) -> None:
    """Until a key that ends it, or the end of the message and the time after it."""
    key = asyncio.ensure_future(pressed.wait())
    end = asyncio.ensure_future(done.wait())
    try:
        await asyncio.wait([key, end], return_when=asyncio.FIRST_COMPLETED)
        if not pressed.is_set() and after_s:
            await asyncio.wait([key], timeout=after_s)
    finally:
        key.cancel()
        end.cancel()


def tone(hertz: float, seconds: float, level: float = 0.25) -> Iterator[bytes]:
    """`level`: 1 is as loud as can be."""
    peak = level * 32767
    for number in range(round(seconds / BLOCK_S)):
        first = number * BLOCK
        angles = (2 * math.pi * hertz * at / RATE_HZ for at in range(first, first + BLOCK))
        yield array("h", [round(peak * math.sin(angle)) for angle in angles]).tobytes()


def recorded(path: Path) -> Iterator[bytes]:
    """The blocks of a WAV file of 8,000 samples a second, 16 bits, mono. Raises ValueError (at once), OSError."""
    with wave.open(str(path), "rb") as file:
        found = file.getframerate(), file.getsampwidth(), file.getnchannels()
        if found != (RATE_HZ, 2, 1):
            raise ValueError(f"{path} has {found[0]} samples a second, {8 * found[1]} bits, {found[2]} channels; "
                             f"must have {RATE_HZ}, 16, 1")  # fmt: skip
        samples = file.readframes(round(SECONDS_MAX * RATE_HZ))
    size = 2 * BLOCK
    return (samples[at : at + size].ljust(size, b"\0") for at in range(0, len(samples), size))
