"""A third line for the time of a flood: it brings the calls of all columns but those that flood.

The broker has one queue for each line. What a column says too much of stands in that of the calls, up to ten thousand
messages, and everybody else's call stands behind them. So while a column's calls are too many, those of all others come
over a line of their own as well. The line for calls goes on hearing everybody, unknown columns too: should this one
not stand, nothing is worse than without it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Any

from paho.mqtt import client as mqtt

from desk import limits
from desk.line import Line

STANDS_WITHIN_MS = 5_000
AGAIN_MS = 60_000  # after one that did not: brokers lock out who connects too often
COPIES_MAX = 10_000

Copy = tuple[str, bytes]
"""What a message says: its topic and its payload."""


class Copies:
    """What came over the bypass and is written. It comes over the line for calls once more, and means nothing there.
    What is not written yet means something there: the bypass ends without remembering it."""

    def __init__(self) -> None:
        self._written: Counter[Copy] = Counter()

    def written(self, copy: Copy) -> None:
        if len(self._written) >= COPIES_MAX:
            self._written.clear()  # each counts twice then, as after any receipt that was lost
        self._written[copy] += 1

    def take(self, copy: Copy) -> bool:
        """Whether this is one; each is one once, for a column may say the same again."""
        if not self._written or not self._written[copy]:
            return False
        self._written[copy] -= 1
        if not self._written[copy]:
            del self._written[copy]
        return True

    def clear(self) -> None:
        self._written.clear()


class BypassLine(Line):
    """Its session ends with it. `copies`: learns what was heard and is written."""

    KEEPS = False

    def __init__(self, *arguments: Any, copies: Copies, **options: Any) -> None:
        self._copies = copies
        self._heard: dict[int, Copy] = {}
        super().__init__(*arguments, **options)

    def acknowledge(self, mid: int, qos: int) -> None:
        super().acknowledge(mid, qos)
        copy = self._heard.pop(mid, None)
        if copy is not None:
            self._copies.written(copy)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.qos:
            self._heard[message.mid] = message.topic, bytes(message.payload)
        super()._on_message(client, userdata, message)


class Bypass:
    """`make`: the line for the calls of these columns. `look` and `stop` are called in one thread."""

    def __init__(self, make: Callable[[Iterable[str], Copies], Line]) -> None:
        self._make = make
        self.copies = Copies()
        self._line: Line | None = None
        self._without: frozenset[str] = frozenset()
        """The columns that it does not bring."""
        self._since_ms = 0
        self._not_before_ms: int | None = None
        self._begins = limits.Flood(*limits.OWN_CONNECTIONS)

    def look(self, flooding: Collection[str], columns: Collection[str], now_ms: int) -> None:
        """`flooding`: those whose calls are too many; `columns`: all that are known."""
        may_begin = self._begins.has("", now_ms)
        if not flooding:
            # A flood in pulses: what ends now could not begin again at once.
            if self._line is not None and may_begin:
                self._end()
                self.copies.clear()
            return
        if self._line is not None and not self._line.stands and now_ms - self._since_ms > STANDS_WITHIN_MS:
            self._end()
            self._not_before_ms = now_ms + AGAIN_MS
        if self._not_before_ms is not None and now_ms < self._not_before_ms:
            return
        if may_begin and (self._line is None or not self._without.issuperset(flooding)):
            self._end()
            self._begin(frozenset(flooding), columns, now_ms)

    def stop(self) -> None:
        if self._line is not None:
            self._line.stop()
            self._line = None

    def _begin(self, flooding: frozenset[str], columns: Collection[str], now_ms: int) -> None:
        if others := sorted(set(columns) - flooding):
            self._line, self._without = self._make(others, self.copies), flooding
            self._since_ms, self._not_before_ms = now_ms, None
            self._begins.admits("", now_ms)
            self._line.start()

    def _end(self) -> None:
        """Elsewhere: it waits for the line's thread, which may be about to connect."""
        if self._line is not None:
            threading.Thread(target=self._line.stop, name="bypass-end", daemon=True).start()
            self._line = None
