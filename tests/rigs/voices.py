"""What a conversation sounds like: a recorded one, or one with an intercom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import av
import numpy as np
from pillar_rig import until

from desk.sip.announce import tone
from desk.sip.conversation import Conversation
from sim.servers.intercom import Intercom


def ears(path: Path) -> tuple[Any, Any, int]:
    """(left, right, samples a second) of a file, as a player has them."""
    with av.open(str(path)) as film:
        frames = [frame.to_ndarray() for frame in film.decode(audio=0)]
        rate_hz = film.streams.audio[0].sample_rate
        left, right = np.concatenate(frames, axis=1)
    return left, right, rate_hz


async def hear_each_other_and_end(intercom: Intercom, talk: Conversation) -> None:
    """Both, and then the desk hangs up."""
    voice, sound = tone(700, 60), talk.sound
    sound.speaker = lambda: next(voice)
    await until(lambda: sound.in_meter.db > -20, "the intercom's tone")
    await until(intercom.hears, "our tone there")
    await talk.hang_up()
    await asyncio.to_thread(intercom.wait_for_calls, 0)
