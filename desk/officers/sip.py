"""A call to a telephone by SIP. It plays a tone, or a recording of one's own, and wants a key pressed: whoever presses
it has heard it; an answering machine presses none, and then nobody knows. Which column it is stands on the desk."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from desk.officers import Call, NotTold, Tell
from desk.sip.announce import announce, recorded, tone
from desk.sip.conversation import Peer
from desk.sip.trouble import NoCall
from desk.sip.under_way import UnderWay

KEYS = {"to": True, "user": False, "password": False, "recording": False, "key": False, "ring_s": False}
RING_S, RING_MAX_S = 18, 20
MESSAGE_MAX_S = 12.0
AFTER_S = 6.0
ENDING_S = 2.0  # so long a call waits for the end of one that a killed desk has left ringing
TONES_HZ = (620, 880)
BLOCKS_A_SECOND = 50


def make(settings: Mapping[str, Any], notes: Path | None) -> Tell:
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
    return Telephone(to, login, recording, key, ring_s, UnderWay(notes))


class Telephone:
    """Rings it. What a desk that was killed has left ringing is ended first: from now on, and before the next call."""

    def __init__(
        self, to: str, login: dict[str, str], recording: Path | None, key: str, ring_s: int, under_way: UnderWay
    ) -> None:
        self._to, self._login, self._recording, self._key, self._ring_s = to, login, recording, key, ring_s
        self._under_way = under_way
        self._ending = threading.Thread(target=self._end_left, name="ending-calls", daemon=True)
        self._ending.start()

    def __call__(self, call: Call) -> str:
        self._ending.join(ENDING_S)
        return asyncio.run(self._call(f"{call.key} {call.repeated}"))

    def _end_left(self) -> None:
        asyncio.run(self._under_way.end_left(self._login))

    async def _call(self, name: str) -> str:
        peer = Peer.of(self._to, [], **self._login)
        try:
            found = await asyncio.get_running_loop().getaddrinfo(peer.uri.host, peer.port, type=socket.SOCK_DGRAM)
        except OSError as error:
            raise NotTold(f"{peer.uri.host}: no such name ({error.strerror})") from None
        peer = Peer.of(self._to, list(dict.fromkeys(str(one[4][0]) for one in found)), **self._login)
        try:
            outcome = await announce(
                peer, _message(self._recording), ring_s=self._ring_s, until_digit=self._key, after_s=AFTER_S,
                noted=self._under_way.noting(name, peer),
            )  # fmt: skip
        finally:
            self._under_way.over(name)
        if not outcome.answered:
            raise NotTold(f"{outcome.code}: {outcome.text}")
        if self._key not in outcome.digits:
            raise RuntimeError(f"somebody or something answered, and did not press {self._key}")
        return f"answered, and pressed {self._key}"


def _message(recording: Path | None) -> Iterable[bytes]:
    """Two tones in turn, a second each, until it is too long; or the recording, so far."""
    if recording is not None:
        return itertools.islice(recorded(recording), round(MESSAGE_MAX_S * BLOCKS_A_SECOND))
    return itertools.chain.from_iterable(tone(TONES_HZ[second % 2], 1.0) for second in range(round(MESSAGE_MAX_S)))
