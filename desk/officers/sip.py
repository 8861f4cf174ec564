"""A call to a telephone by SIP. It plays a tone, or a recording of one's own, and wants a key pressed: whoever presses
it has heard it; an answering machine presses none, and then nobody knows. Which column it is stands on the desk."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from desk.officers import NotTold, Tell
from desk.sip.announce import announce, recorded, tone
from desk.sip.conversation import Peer
from desk.sip.trouble import NoCall

KEYS = {"to": True, "user": False, "password": False, "recording": False, "key": False, "ring_s": False}
RING_S, RING_MAX_S = 18, 20
MESSAGE_MAX_S = 12.0
AFTER_S = 6.0
TONES_HZ = (620, 880)
BLOCKS_A_SECOND = 50


def make(settings: Mapping[str, Any]) -> Tell:
    """`to`: sip:NAME@HOST[:PORT], a telephone's exchange mostly. `recording`: WAV, 8,000 samples a second, mono."""
    to, key, ring_s = settings["to"], settings.get("key", "1"), settings.get("ring_s", RING_S)
    login = {name: settings[name] for name in ("user", "password") if name in settings}
    if len(login) == 1:
        raise ValueError("user and password go together")
    if key not in "0123456789*#" or len(key) != 1:
        raise ValueError(f"key: found {key!r}, must be one key of a telephone, such as '1'")
    if not isinstance(ring_s, int) or not 1 <= ring_s <= RING_MAX_S:
        raise ValueError(f"ring_s: found {ring_s!r}, must be a whole number from 1 to {RING_MAX_S}")
    try:
        Peer.of(to, [], **login)
    except NoCall as error:
        raise ValueError(f"to: found {to!r}, must be like sip:102@pbx.example: {error.text}") from None
    recording = Path(settings["recording"]) if "recording" in settings else None
    if recording is not None:
        try:
            recorded(recording)
        except OSError as error:
            raise ValueError(f"recording: {recording}: {error.strerror}") from None
    return lambda call: asyncio.run(_call(to, login, recording, key, ring_s))


async def _call(to: str, login: dict[str, str], recording: Path | None, key: str, ring_s: int) -> str:
    peer = Peer.of(to, [], **login)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(peer.uri.host, peer.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise NotTold(f"{peer.uri.host}: no such name ({error.strerror})") from None
    peer = Peer.of(to, list(dict.fromkeys(str(one[4][0]) for one in found)), **login)
    outcome = await announce(peer, _message(recording), ring_s=ring_s, until_digit=key, after_s=AFTER_S)
    if not outcome.answered:
        raise NotTold(f"{outcome.code}: {outcome.text}")
    if key not in outcome.digits:
        raise RuntimeError(f"somebody or something answered, and did not press {key}")
    return f"answered, and pressed {key}"


def _message(recording: Path | None) -> Iterable[bytes]:
    """Two tones in turn, a second each, until it is too long; or the recording, so far."""
    if recording is not None:
        return itertools.islice(recorded(recording), round(MESSAGE_MAX_S * BLOCKS_A_SECOND))
    return itertools.chain.from_iterable(tone(TONES_HZ[second % 2], 1.0) for second in range(round(MESSAGE_MAX_S)))
