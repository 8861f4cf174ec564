"""A queue between a camera's reading thread and a sender of WebRTC: bounded, and never the past when it overflows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from fractions import Fraction
from typing import Any, Literal

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

ITEMS_MAX, BYTES_MAX = 256, 8 * 1024 * 1024
STUCK_S = 10.0
LIVE_MAX = 3  # decoded pictures that may wait: the newest


class Track(MediaStreamTrack):
    """`put` from any thread, `recv` in the loop that it was made in."""

    def __init__(self, kind: Literal["audio", "video"]) -> None:
        super().__init__()
        self.kind = kind
        self._home = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._items: deque[tuple[Any, int]] = deque()
        self._bytes = 0
        self._skips = False
        self._ready = asyncio.Event()
        self._start_s = time.monotonic()
        self._last = -1
        self.samples = 0  # of decoded sound, so far
        self._was_taken = False
        self._waits_s: float | None = None  # since when something waits

    @property
    def is_stuck(self) -> bool:
        """Whether there was somebody who took what is put here, and nobody does so any more."""
        return self._was_taken and self._waits_s is not None and time.monotonic() - self._waits_s > STUCK_S

    def elapsed_s(self) -> float:
        return time.monotonic() - self._start_s

    def stamp(self, at_s: float, base: Fraction) -> int:
        """The time in units of `base`, later than the last."""
        self._last = max(self._last + 1, int(at_s / base))
        return self._last

    def put(self, item: Any, size: int, *, is_key: bool) -> None:
        """`is_key`: it can be understood without what went before."""
        with self._lock:
            if self._skips and not is_key:
                return
            self._skips = False
            most = LIVE_MAX if self.kind == "video" and not hasattr(item, "is_keyframe") else ITEMS_MAX
            if len(self._items) >= most or self._bytes + size > BYTES_MAX:
                self._items.clear()  # nobody takes them, or too slowly: what they show is past
                self._bytes = 0
                self._skips = not is_key
            if not self._skips:
                self._items.append((item, size))
                self._bytes += size
                self._waits_s = time.monotonic() if self._waits_s is None else self._waits_s
            wakes = len(self._items) == 1
        if wakes:
            self._home.call_soon_threadsafe(self._ready.set)

    async def recv(self) -> Any:
        """The next packet or frame. Raises MediaStreamError at the end."""
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            with self._lock:
                if self._items:
                    item, size = self._items.popleft()
                    self._was_taken, self._waits_s = True, time.monotonic() if self._items else None
                    self._bytes -= size
                    return item
                self._ready.clear()
            await self._ready.wait()

    def stop(self) -> None:
        super().stop()
        self._home.call_soon_threadsafe(self._ready.set)
