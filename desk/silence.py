"""Which columns have fallen silent. Pure: messages and the time go in, presence comes out.

Two things tell it. The broker publishes a column's last will, `offline`, when its keepalive has run out: that names
a dead column soonest. And a column of which nothing was heard for longer than its link allows is silent whatever its
`state` says: the will may be lost with the broker. What the desk could not have heard, because it had no broker or did
not run, is nobody's silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from desk.ledger import Column

UP, SILENT, OFFLINE = "up", "silent", "offline"
WIRE_LINKS = ("wifi", "ethernet")
DEFAULT_BEAT_MS = 30_000
BEAT_MAX_MS = 120_000  # the longest interval that a column may claim for itself
STALL_MS = 5_000  # between two looks: this process was stopped, or the clock was set


@dataclass(frozen=True)
class Limits:
    """How long nothing may be heard, in ms. A heartbeat less often than that is waited for `beats` times."""

    wire_ms: int = 20_000
    cellular_ms: int = 90_000
    beats: float = 2.5
    offline_ms: int = 500
    """How long a column may be offline that is only connecting again."""
    stall_ms: int = STALL_MS
    """Between two looks, or this process was stopped."""


class Presence(NamedTuple):
    """`kind`: up, silent or offline; `since_ms`: when that began, as far as the desk knows."""

    kind: str
    since_ms: int


class _Watched:
    """What silence has to know of one column."""

    def __init__(self) -> None:
        self.beat_ms = DEFAULT_BEAT_MS
        self.offline_ms: int | None = None
        """Since when its last will stands."""
        self.last: tuple[int, int, int] | None = None
        """(boot, seq, uptime in s) of its last heartbeat."""
        self.presence: Presence | None = None


class Silence:
    """Fed by `heard`, asked by `look`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._columns: dict[str, _Watched] = {}
        self._listening_ms: int | None = None
        self._looked_ms: int | None = None

    def listen(self, now_ms: int | None) -> None:
        """From now on the desk hears the columns; None: it does not any more."""
        self._listening_ms = self._looked_ms = now_ms
        for watched in self._columns.values():
            if now_ms is None and watched.presence is not None and watched.presence.kind == UP:
                watched.presence = None

    def heard(self, column: Column, now_ms: int) -> None:
        """The column, or the broker for it, has said something; `column` knows it already."""
        watched = self._columns.setdefault(column.device_id, _Watched())
        if column.online is not False:
            watched.offline_ms = None
        elif watched.offline_ms is None:
            watched.offline_ms = now_ms
        if column.heartbeat:
            beat = column.heartbeat
            self._learn(watched, (beat["boot"], beat["seq"], beat["uptime_s"]))

    def recall(self, device_id: str, presence: Presence) -> None:
        """What the register knew before this start: a column that was silent still is."""
        self._columns.setdefault(device_id, _Watched()).presence = presence

    def forget(self, device_id: str) -> None:
        """Nobody watches this column any more."""
        self._columns.pop(device_id, None)

    def presence(self, device_id: str) -> Presence | None:
        """As of the last look; None: nothing is known of it."""
        watched = self._columns.get(device_id)
        return watched.presence if watched else None

    def look(self, columns: list[Column], now_ms: int) -> list[Column]:
        """The columns whose presence has changed."""
        if self._listening_ms is None or self._looked_ms is None:
            return []
        if not 0 <= now_ms - self._looked_ms <= self.limits.stall_ms:
            self._listening_ms = now_ms
        self._looked_ms = now_ms
        return [column for column in columns if self._look_at(column, now_ms, self._listening_ms)]

    def limit_ms(self, column: Column) -> int:
        """How long nothing may be heard of this column."""
        link = column.heartbeat.get("link", WIRE_LINKS[0])
        limit_ms = self.limits.wire_ms if link in WIRE_LINKS else self.limits.cellular_ms
        watched = self._columns.get(column.device_id)
        return max(limit_ms, round(self.limits.beats * (watched.beat_ms if watched else DEFAULT_BEAT_MS)))

    def _look_at(self, column: Column, now_ms: int, listening_ms: int) -> bool:
        watched = self._columns.setdefault(column.device_id, _Watched())
        if column.online is False and watched.offline_ms is None:
            watched.offline_ms = now_ms
        now = self._judged(column, watched, now_ms, listening_ms)
        if now is None or (watched.presence is not None and now.kind == watched.presence.kind):
            return False
        if now.kind == OFFLINE and watched.presence is not None and watched.presence.kind == SILENT:
            now = Presence(OFFLINE, watched.presence.since_ms)
        watched.presence = now
        return True

    def _judged(self, column: Column, watched: _Watched, now_ms: int, listening_ms: int) -> Presence | None:
        """None: too early to tell anything new."""
        heard_ms = column.heard_s * 1000
        if not listening_ms <= heard_ms <= now_ms:  # in the future: the clock was set back
            heard_ms = listening_ms
        if watched.offline_ms is not None and column.online is False:
            if now_ms - watched.offline_ms < self.limits.offline_ms:
                return None
            return Presence(OFFLINE, watched.offline_ms)
        if now_ms - heard_ms >= self.limit_ms(column):
            return Presence(SILENT, self._last_sign_ms(column, listening_ms))
        if column.heard_s * 1000 >= listening_ms:
            return Presence(UP, round(column.heard_s * 1000))
        return None

    @staticmethod
    def _last_sign_ms(column: Column, listening_ms: int) -> int:
        return round(column.heard_s * 1000) if column.heard_s > 0 else listening_ms

    @staticmethod
    def _learn(watched: _Watched, beat: tuple[int, int, int]) -> None:
        """How often it beats, from two heartbeats of one run: it counts those that were lost, too."""
        if watched.last is not None and watched.last[0] == beat[0] and watched.last[1] < beat[1]:
            beats, seconds = beat[1] - watched.last[1], beat[2] - watched.last[2]
            watched.beat_ms = max(1, min(BEAT_MAX_MS, round(1000 * seconds / beats)))
        watched.last = beat
