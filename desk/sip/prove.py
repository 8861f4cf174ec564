"""The voice proof of one intercom: called, three tones said, and heard back. See voice_figures for what they tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import numpy as np

from desk.sip.conversation import Conversation, Peer
from desk.sip.g711 import BLOCK, BLOCK_S
from desk.sip.voice_figures import Figures, measured, said

RING_S = 10.0
SETTLE_S = 1.5  # an intercom may say by a sound of its own that it has answered
PATIENCE_S = 5.0  # beyond the tones' own time


async def prove(peer: Peer, may_send: Callable[[str], bool]) -> Figures:
    """Raises NoCall. Cancelled, it hangs up first."""
    talk = await Conversation.dial(peer, ring_s=RING_S, may_send=may_send)
    try:
        await asyncio.wait([talk.over], timeout=SETTLE_S)
        if talk.over.done():
            raise talk.over.result()
        return await _listen(talk)
    finally:
        await talk.hang_up()


async def _listen(talk: Conversation) -> Figures:
    """Raises NoCall when it is hung up meanwhile."""
    whole = said()
    heard: list[bytes] = []
    done = asyncio.Event()
    received = talk.sound.received

    def blocks() -> Iterator[bytes]:
        samples = np.round(whole * 32767).astype(np.int16).tobytes()
        for at in range(0, len(samples), 2 * BLOCK):
            yield samples[at : at + 2 * BLOCK]
        done.set()

    waiting = blocks()

    def hears(block: bytes) -> None:
        if not done.is_set():
            heard.append(block)

    talk.sound.heard, talk.sound.speaker = hears, lambda: next(waiting, None)
    ended = asyncio.ensure_future(done.wait())
    try:
        both: list[asyncio.Future[object]] = [ended, talk.over]  # type: ignore[list-item]
        await asyncio.wait(both, timeout=len(whole) / BLOCK * BLOCK_S + PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
    if talk.over.done():
        raise talk.over.result()
    samples = np.frombuffer(b"".join(heard), np.int16).astype(np.float64) / 32768
    return measured(samples, min(1.0, (talk.sound.received - received) / max(1, len(heard))))
