"""A TCP proxy that spoils what goes through it, to stand between a column and its broker; asyncio, in its own thread.

Faults are set by `Proxy.weather` (what is so until it is changed) and by `cut_next` and `reset` (what happens once).
Every fault is counted in `fired` when it took effect, not when it was asked for.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from common.ports import HOST
from sim.servers.dropping import drop, dropped

CHUNK_BYTES = 65536
START_TIMEOUT_S = 10.0
RETRY_S = 0.1
UP, DOWN = "up", "down"  # column to broker, broker to column
SEGMENT_BYTES = 1448
# TCP sends a lost segment again as soon as others have arrived that were sent after it; if it is lost again, only after
# a time-out, and each further time after twice that (RFC 6298, 8985; Linux's shortest).
ROUND_TRIP_S, TIME_OUT_S, TIME_OUT_MAX_S = 0.02, 0.2, 60.0
_RST_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER without a linger time


class Weather(NamedTuple):
    """What the way to the broker is like. All off: a plain proxy."""

    latency_ms: int = 0  # each chunk is this late
    drip_ms: int = 0  # byte by byte, with this pause after each
    hole: bool = False  # bytes vanish, ends of connections too; new connections are accepted and lead nowhere
    refuse: bool = False  # new connections are refused, those that stand stay
    dropped: float = 0.0  # this share of what the broker sends, by the kernel: TCP mends it on a way of no length
    lost: float = 0.0  # ... as it is on a long way, pretended: what follows a segment waits until it was sent again


FAIR = Weather()


class _Pair:
    """One connection of a column, and the one to the broker that belongs to it."""

    def __init__(self, column: asyncio.StreamWriter) -> None:
        self.writers = [column]
        self.left: dict[str, int | None] = {UP: None, DOWN: None}  # bytes until it is cut
        self.passed = {UP: 0, DOWN: 0}
        self.swallowed = False  # it lost bytes, so it cannot go on when the hole closes
        self.over = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def end(self, *, rst: bool) -> None:
        self.over.set()
        for writer in self.writers:
            if rst:
                with contextlib.suppress(OSError):  # it is gone already
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
                writer.transport.abort()
            else:
                writer.close()


class Proxy:
    """Listens on `port` of 127.0.0.1 and passes everything on to `target_port`; a context manager.

    All methods may be called from any thread. `fired` counts latency, drip, lost, dropped, black-hole, refuse, reset,
    cut-up and cut-down; `passed` the bytes of all connections, by direction; `sessions` the connections that were
    accepted.
    """

    def __init__(self, target_port: int, seed: int = 0) -> None:
        """`seed`: of what is lost."""
        self._target_port = target_port
        self._dice = random.Random(seed)
        self.port = 0
        self.fired: Counter[str] = Counter()
        self.passed: Counter[str] = Counter()
        self.sessions = 0
        self.last_down_us = 0  # CLOCK_MONOTONIC, just before bytes were given to the column
        self.longest: Counter[str] = Counter()  # the most bytes that one connection passed, by direction
        self._weather = FAIR
        self._cut: tuple[str, int] | None = None  # of the next connection
        self._pairs: set[_Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- faults

    @property
    def weather(self) -> Weather:
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        """Returns when it holds. When a hole closes, connections that lost bytes in it are reset."""
        self._do(self._change(weather))

    def cut_next(self, direction: str, after_bytes: int) -> None:
        """Reset what stands now; cut the next connection when `after_bytes` have gone in `direction` (UP or DOWN).

        Exactly so many bytes arrive; then both ends see the end of the stream. Raises ValueError on bad arguments.
        """
        if direction not in (UP, DOWN) or after_bytes < 0:
            raise ValueError(f"cut {direction!r} after {after_bytes} bytes: must be {UP!r} or {DOWN!r}, 0 or more")
        self._cut = (direction, after_bytes)
        self._do(self._reset())

    def reset(self) -> int:
        """RST to both ends of all connections; how many there were."""
        count = self._do(self._reset())
        self.fired["reset"] += count
        return count

    # -- in the loop

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(START_TIMEOUT_S)

    async def _listen(self) -> None:
        end_s = time.monotonic() + START_TIMEOUT_S / 2
        while self._server is None:
            try:
                self._server = await asyncio.start_server(self._accept, HOST, self.port)
            except OSError:  # somebody's outgoing connection got the port meanwhile
                if time.monotonic() > end_s:
                    raise
                await asyncio.sleep(RETRY_S)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _close(self) -> None:
        await self._unlisten()
        tasks = [pair.task for pair in self._pairs if pair.task is not None]
        await self._reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _change(self, weather: Weather) -> None:
        was, self._weather = self._weather, weather
        if was.dropped != weather.dropped:
            for sock in [one.writers[1].get_extra_info("socket") for one in self._pairs if len(one.writers) > 1]:
                self.fired["dropped"] += dropped(sock)
                drop(sock, weather.dropped)
        if weather.refuse and self._server is not None:
            await self._unlisten()
        elif not weather.refuse and self._server is None:
            await self._listen()
        if was.hole and not weather.hole:
            for pair in list(self._pairs):
                if pair.swallowed:
                    pair.end(rst=True)

    async def _reset(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.end(rst=True)
        self._pairs.clear()  # each one's task ends by itself
        return len(pairs)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = _Pair(writer)
        pair.task = asyncio.current_task()
        self._pairs.add(pair)
        self.sessions += 1
        try:
            await self._serve(pair, reader, writer)
        except OSError:
            pair.end(rst=True)  # the broker is not there: what stood behind a real one's port would do the same
        finally:
            pair.end(rst=False)
            self._pairs.discard(pair)
            for direction, count in pair.passed.items():
                self.longest[direction] = max(self.longest[direction], count)

    async def _serve(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._weather.hole:
            pair.swallowed = True
            self.fired["black-hole"] += 1
            await reader.read()  # until it ends, or the hole does
            return
        if self._cut is not None:
            (direction, count), self._cut = self._cut, None
            pair.left[direction] = count
        up_reader, up_writer = await asyncio.open_connection(HOST, self._target_port)
        pair.writers.append(up_writer)
        if self._weather.dropped:
            drop(up_writer.get_extra_info("socket"), self._weather.dropped)
        for each in pair.writers:
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways = [self._pump(pair, UP, reader, up_writer), self._pump(pair, DOWN, up_reader, writer)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(
        self, pair: _Pair, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass bytes one way until the end of the stream, or until the cut."""
        if self._cut_reached(pair, direction):
            return
        while True:
            data = await reader.read(CHUNK_BYTES)
            if self._weather.hole:
                pair.swallowed = True
                self.fired["black-hole"] += 1
                if not data:  # the end of a connection vanishes too
                    await pair.over.wait()
                continue
            if not data:
                return
            left = pair.left[direction]
            await self._pass(pair, direction, data[:left], writer)
            if self._cut_reached(pair, direction):
                return

    async def _pass(self, pair: _Pair, direction: str, data: bytes, writer: asyncio.StreamWriter) -> None:
        if self._weather.latency_ms:
            self.fired["latency"] += 1
            await asyncio.sleep(self._weather.latency_ms / 1000)
        while data:
            pause_ms = self._weather.drip_ms
            piece = data[:1] if pause_ms else data[:SEGMENT_BYTES] if self._weather.lost else data
            if (stall_s := self._stall_s()) > 0:
                self.fired["lost"] += 1
                await asyncio.sleep(stall_s)
            data = data[len(piece) :]
            left = pair.left[direction]
            if left is not None:
                pair.left[direction] = left - len(piece)
            pair.passed[direction] += len(piece)
            self.passed[direction] += len(piece)
            if direction == DOWN:
                self.last_down_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            writer.write(piece)
            await writer.drain()
            if pause_ms:
                self.fired["drip"] += 1
                await asyncio.sleep(pause_ms / 1000)

    def _stall_s(self) -> float:
        """For how long the next segment holds up what follows it, if the dice will have it lost."""
        lost, stall_s, pause_s = self._weather.lost, 0.0, ROUND_TRIP_S
        while lost and self._dice.random() < lost:
            stall_s += pause_s
            pause_s = min(max(2 * pause_s, TIME_OUT_S), TIME_OUT_MAX_S)
        return stall_s

    def _cut_reached(self, pair: _Pair, direction: str) -> bool:
        if pair.left[direction] == 0:
            self.fired[f"cut-{direction}"] += 1
            return True
        return False


def wait_until(look: Callable[[], bool], timeout_s: float, what: str, pause_s: float = 0.01) -> None:
    """Poll `look` until it is true. Raises TimeoutError, which names `what`."""
    end_s = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > end_s:
            raise TimeoutError(f"no {what} within {timeout_s} s")
        time.sleep(pause_s)
