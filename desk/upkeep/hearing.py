"""How much of what a column said arrived: heartbeats that it counted and nobody heard here, messages that it dropped
itself, and how often it started anew. By month, in the desk's own time. Pure: no disk, no clock.

A heartbeat is sent once (QoS 0), so a gap in its numbers is a message that got lost on the way. What a column said
while this desk was deaf is no loss of the column's: then counting begins anew. A column may say any number, so nothing
is believed that nobody could have sent in the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

PER_S = 10
"""No column says more: a higher number is another board's, or invented."""
BOOTS_MAX = 1000
"""Between two of its words; else it is another board."""


@dataclass
class Heard:
    """Of one column in one month."""

    heartbeats: int = 0
    lost: int = 0
    dropped: int = 0
    restarts: int = 0

    def __bool__(self) -> bool:
        return any(vars(self).values())


FIELDS = tuple(field.name for field in fields(Heard))


class _Mark(NamedTuple):
    """The last heartbeat: what is beyond it counts."""

    seq: int
    dropped: int
    at_ms: int


class Hearing:
    """`boots`: the latest known boot number of each column."""

    def __init__(self, boots: Mapping[str, int], zone: tzinfo | None = None) -> None:
        self._boots, self._zone = dict(boots), zone
        self._marks: dict[str, _Mark] = {}
        self._counted: dict[tuple[str, str], Heard] = {}

    def deaf(self) -> None:
        """This desk hears nobody."""
        self._marks.clear()

    def told(self, device_id: str, document: Mapping[str, Any], now_ms: int) -> None:
        """A birth certificate or a heartbeat has come from the column itself."""
        counted = self._of(device_id, now_ms)
        self._boot(device_id, document["boot"], counted, now_ms)
        if "seq" not in document:
            return
        mark = self._marks.get(device_id)
        seq, dropped = document["seq"], document["dropped"]
        counted.heartbeats += 1
        if mark is not None:
            most = PER_S * (1 + max(0, now_ms - mark.at_ms) // 1000)
            counted.lost += _plausible(seq - mark.seq - 1, most)
            counted.dropped += _plausible(dropped - mark.dropped, most)
        self._marks[device_id] = _Mark(seq, dropped, now_ms)

    def _boot(self, device_id: str, boot: int, counted: Heard, now_ms: int) -> None:
        before = self._boots.get(device_id)
        self._boots[device_id] = boot
        if before is None or boot == before:
            return
        is_same_board = before < boot <= before + BOOTS_MAX
        counted.restarts += boot - before if is_same_board else 0
        if device_id in self._marks and is_same_board:
            self._marks[device_id] = _Mark(-1, 0, now_ms)  # it counts from 0
        else:
            self._marks.pop(device_id, None)

    def _of(self, device_id: str, now_ms: int) -> Heard:
        month = datetime.fromtimestamp(now_ms / 1000, self._zone).strftime("%Y-%m")
        return self._counted.setdefault((device_id, month), Heard())

    def take(self) -> Iterator[tuple[str, str, Heard, int]]:
        """(column, month, what was counted since the last time, its boot number), to be written."""
        counted, self._counted = self._counted, {}
        for (device_id, month), heard in counted.items():
            if heard:
                yield device_id, month, heard, self._boots[device_id]


def _plausible(count: int, most: int) -> int:
    return count if 0 <= count <= most else 0
