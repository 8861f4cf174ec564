"""The sound of one call: packets of RTP (RFC 3550) from a socket of its own, a block each way every 20 ms.

What comes is put into order and played at a steady pace; what is missing is concealed. No RTCP is sent.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import math
import secrets
import struct
from collections.abc import Callable

from desk.sip.g711 import BLOCK, BLOCK_S, SILENCE, Law
from desk.sip.level import Meter
from desk.sip.sdp import Session

HEADER = struct.Struct("!BBHII")
VERSION, EXTENSION, PADDING, CSRC_COUNT, MARKER = 0x80, 0x10, 0x20, 0x0F, 0x80
AHEAD = 3  # packets that wait before they are played: 60 ms of jitter
WAIT_MAX = 12  # ... and no more than that, or the newest are played
CONCEALED_MAX = 3  # blocks in a row that are made up from the last one
LATE_S = 0.5  # behind by more, the pace leaves out what it missed
PACKET_MAX = 1500
LOST_MAX = 50  # a number further away than this is another stream's
DIGIT_NAMES = "0123456789*#ABCD"
END_OF_DIGIT = 0x80

Speaker = Callable[[], bytes | None]
log = logging.getLogger(__name__)


async def pace(tick: Callable[[], None]) -> None:
    """Every 20 ms, until it is cancelled."""
    loop = asyncio.get_running_loop()
    next_s = loop.time()
    while True:
        next_s += BLOCK_S
        ahead_s = next_s - loop.time()
        if ahead_s < -LATE_S:
            next_s = loop.time()
        await asyncio.sleep(max(0.0, ahead_s))
        tick()


class Mouth:
    """A speaker for live sound: `put` blocks of any length; the past is left out when they come too fast."""

    def __init__(self, most: int = 8, ahead: int = 2) -> None:
        self._most, self._ahead = most * 2 * BLOCK, ahead * 2 * BLOCK
        self._waiting = bytearray()
        self._plays = False

    def put(self, samples: bytes) -> None:
        self._waiting += samples
        if len(self._waiting) > self._most:
            del self._waiting[: len(self._waiting) - self._ahead]

    def clear(self) -> None:
        self._waiting.clear()
        self._plays = False

    def __call__(self) -> bytes | None:
        self._plays = self._plays and len(self._waiting) >= 2 * BLOCK or len(self._waiting) >= self._ahead
        if not self._plays:
            return None
        block = bytes(self._waiting[: 2 * BLOCK])
        del self._waiting[: 2 * BLOCK]
        return block


class Order:
    """Payloads in their order, a block at a time. Pure."""

    def __init__(self, law: Law) -> None:
        self._law = law
        self._waiting: dict[int, bytes] = {}
        self._newest = self._next = -1
        self._plays = False
        self._ready = b""
        self._last, self._concealed = SILENCE, 0

    def put(self, number: int, payload: bytes) -> None:
        """`number`: as in the packet, 16 bits."""
        if self._newest < 0:
            self._newest = number
        whole = self._newest + (number - self._newest + 0x8000 & 0xFFFF) - 0x8000
        if abs(whole - self._newest) > LOST_MAX:  # it began anew
            self._waiting.clear()
            self._newest, self._plays, whole = number, False, number
        self._newest = max(self._newest, whole)
        if not self._plays or whole >= self._next:
            self._waiting[whole] = payload
        if len(self._waiting) > WAIT_MAX:
            self._next = self._newest - AHEAD + 1
            self._waiting = {one: data for one, data in self._waiting.items() if one >= self._next}

    def take(self) -> bytes:
        """The next 20 ms."""
        while len(self._ready) < 2 * BLOCK:
            self._ready += self._more()
        block, self._ready = self._ready[: 2 * BLOCK], self._ready[2 * BLOCK :]
        return block

    def _more(self) -> bytes:
        if not self._plays:
            if len(self._waiting) < AHEAD:
                return SILENCE
            self._plays, self._next = True, min(self._waiting)
        payload = self._waiting.pop(self._next, None)
        if payload is None:
            self._plays = bool(self._waiting) or self._concealed < CONCEALED_MAX
            self._next += bool(self._waiting)  # lost; else it is only late
            return self._conceal()
        self._next, self._concealed = self._next + 1, 0
        self._last = self._law.decode(payload) or SILENCE
        return self._last

    def _conceal(self) -> bytes:
        """The last packet once more, softer each time."""
        self._concealed += 1
        if self._concealed > CONCEALED_MAX:
            return SILENCE
        self._last = array.array("h", [sample // 2 for sample in array.array("h", self._last)]).tobytes()
        return self._last


class Sound(asyncio.DatagramProtocol):
    """`heard` gets each block that was heard, `both` that and the one that was said in the same 20 ms, `digit` each key
    that somebody pressed; `speaker` is asked for each
    block to be sent, and silence is sent when it has none."""

    def __init__(self) -> None:
        self.heard: Callable[[bytes], None] = lambda block: None
        self.digit: Callable[[str], None] = lambda digit: None
        self.both: Callable[[bytes, bytes], None] = lambda heard, said: None
        self.speaker: Speaker = lambda: None
        self.in_meter, self.out_meter = Meter(), Meter()
        self.received = self.sent = 0  # packets
        self._session: Session | None = None
        self._order: Order | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ssrc, self._number = secrets.randbits(32), secrets.randbits(16)
        self._stamp = secrets.randbits(32)
        self._came_s = 0.0
        self._failed = False
        self._digit_stamp = -1

    async def open(self, address: str) -> int:
        """The port that it listens on. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (address, 0))
        return int(self._transport.get_extra_info("sockname")[1])

    def start(self, session: Session) -> None:
        """... or go on in another way."""
        if self._session is None or self._session.law is not session.law:
            self._order = Order(session.law)
        self._session = session
        self._came_s = asyncio.get_running_loop().time()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            await pace(self._tick)
        except Exception:  # of whoever hears or speaks: then nothing is heard or said any more
            log.exception("the sound of a call failed through an error of its own")
            self._failed = True

    def silent_s(self) -> float:
        """For how long no packet has come; for ever, if nothing can be made of them any more."""
        return math.inf if self._failed else asyncio.get_running_loop().time() - self._came_s

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Only from the machine that the two agreed on."""
        session = self._session
        if session is None or addr[0] != session.address or not HEADER.size < len(data) <= PACKET_MAX:
            return
        flags, kind, number, stamp, _ = HEADER.unpack_from(data)
        at = HEADER.size + 4 * (flags & CSRC_COUNT)
        if flags & 0xC0 != VERSION:
            return
        if flags & EXTENSION:
            at += 4 + 4 * int.from_bytes(data[at + 2 : at + 4])
        end = len(data) - (data[-1] if flags & PADDING else 0)
        payload, kind = data[at:end], kind & ~MARKER
        if not payload:
            return
        self._came_s = asyncio.get_running_loop().time()
        if kind == session.law.payload_type and self._order is not None:
            self.received += 1
            self._order.put(number, payload)
        elif kind == session.digits and len(payload) >= 4 and payload[1] & END_OF_DIGIT and stamp != self._digit_stamp:
            self._digit_stamp = stamp
            if payload[0] < len(DIGIT_NAMES):
                self.digit(DIGIT_NAMES[payload[0]])

    def error_received(self, error: Exception) -> None:
        """Its port is closed: that no sound comes says so, too."""

    def _tick(self) -> None:
        session, order = self._session, self._order
        assert session is not None and order is not None and self._transport is not None
        block = order.take()
        self.in_meter.take(block)
        self.heard(block)
        said = self.speaker() or SILENCE
        self.out_meter.take(said)
        self.both(block, said)
        mark = MARKER if self.sent == 0 else 0
        head = HEADER.pack(VERSION, session.law.payload_type | mark, self._number, self._stamp, self._ssrc)
        self._number, self._stamp = self._number + 1 & 0xFFFF, self._stamp + BLOCK & 0xFFFFFFFF
        self.sent += 1
        with contextlib.suppress(OSError):  # no route just now
            self._transport.sendto(head + session.law.encode(said), (session.address, session.port))
