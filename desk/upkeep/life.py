"""Every minute of a column's life: proven, presumed or down, and why it was down. Pure: no disk, no clock.

A life is a row of spans, each of which holds until the next: nothing that happens leaves a gap. While a column is lost
nobody knows why; when it comes back it tells (it kept its boot number: the link; it started anew: by what), and what
several that were lost at once tell counts for all of them. So a cause is revised, and every revision is kept. What a
person said is never revised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

PROVEN, PRESUMED, DOWN = "proven", "presumed", "down"
GONE = "gone"
"""It was taken off the roster: nobody counts its minutes, until it is there again."""
SUPPLY, LINK, BROKER, DESK, CAMERA = "supply", "link", "broker", "desk", "camera"
FIRMWARE, VANDALISM, WORKS, MAINTENANCE, UNKNOWN = "firmware", "vandalism", "works", "maintenance", "unknown"
CAUSES = (SUPPLY, LINK, BROKER, DESK, CAMERA, FIRMWARE, VANDALISM, WORKS, MAINTENANCE, UNKNOWN)
TOGETHER_MS = 90_000  # lost within that: one loss. Silence is told up to 20 s late, a keepalive adds as much
MANY = 3  # what most of so many say counts for the others
TAMPER_MS = 600_000  # an open housing so long before a loss explains it

OF_FAULT = {
    "tamper": VANDALISM, "supply": SUPPLY, "boot-loop": FIRMWARE, "task": FIRMWARE, "config": FIRMWARE,
    "journal": FIRMWARE, "flash-full": FIRMWARE, "not-subscribed": BROKER, "broker-refuses": BROKER,
    "duplicate-id": WORKS, "desk.two-boards": WORKS, "wrong-receiver": WORKS, "wrong-address": WORKS,
    "button-stuck": UNKNOWN, "drill-unanswered": UNKNOWN, "stream-down": CAMERA,
}  # fmt: skip
"""The faults with which a column does not do all of its duty, the worst first. `tamper` alone does not stop a call, but
nobody can rely on a column whose housing is open."""
OF_RESET = {
    "power-on": SUPPLY, "watchdog": FIRMWARE, "panic": FIRMWARE, "soft": FIRMWARE, "hard": WORKS, "unknown": UNKNOWN,
}  # fmt: skip


class Span(NamedTuple):
    """From `from_ms` until the column's next span. `loss`: those of one loss have the same; `by`: who gave the cause,
    "" for the desk itself."""

    device_id: str
    from_ms: int
    state: str
    cause: str = ""
    loss: str = ""
    why: str = ""
    by: str = ""


class Judged(NamedTuple):
    """What a column is now, and since when as far as anybody knows. `lost`: nothing is heard of it."""

    state: str
    cause: str = ""
    why: str = ""
    since_ms: int | None = None
    lost: bool = False


class Revision(NamedTuple):
    """A span's cause, seen otherwise later."""

    device_id: str
    from_ms: int
    cause: str
    why: str


@dataclass
class _Loss:
    """Columns that were lost at once, and what each that came back told."""

    name: str
    at_ms: int
    members: dict[str, int] = field(default_factory=dict)
    """Column -> where its span begins."""
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Column -> (cause, why)"""


class Lives:
    """`look` for what is so now, `tell` for what a column told of its last loss. Both give what there is to write."""

    def __init__(self, latest: Iterable[Span] = ()) -> None:
        """`latest`: the last span of each column."""
        self.latest = {span.device_id: span for span in latest}
        self._losses: dict[str, _Loss] = {}
        self._last_loss: dict[str, _Loss] = {}
        for span in self.latest.values():
            if span.loss:
                loss = self._losses.setdefault(span.loss, _Loss(span.loss, span.from_ms))
                loss.members[span.device_id] = span.from_ms
                self._last_loss[span.device_id] = loss

    def look(self, judged: Mapping[str, Judged], now_ms: int) -> list[Span]:
        """The spans that begin, each written over whatever the column had from there on."""
        self._forget(now_ms)
        return [span for device_id, one in judged.items() if (span := self._enter(device_id, one, now_ms)) is not None]

    def _enter(self, device_id: str, one: Judged, now_ms: int) -> Span | None:
        last = self.latest.get(device_id)
        if last is not None and last.state == one.state and self._is_same(last, one):
            return None
        from_ms = min(one.since_ms if one.since_ms is not None else now_ms, now_ms)
        if last is not None:  # never before the span before: what was known then stays known
            from_ms = max(from_ms, last.from_ms + (last.from_ms < now_ms))
        span = Span(device_id, from_ms, one.state, one.cause, "", one.why)
        if one.lost:
            loss = self._join(device_id, from_ms)
            cause, why = self._of_others(loss) or (one.cause, one.why)
            span = span._replace(loss=loss.name, cause=cause, why=why)
        self.latest[device_id] = span
        return span

    def _is_same(self, last: Span, one: Judged) -> bool:
        """A loss goes on whatever is thought of its cause meanwhile."""
        return bool(last.loss) if one.lost else not last.loss and last.cause == one.cause

    def _join(self, device_id: str, from_ms: int) -> _Loss:
        near = (loss for loss in self._losses.values() if abs(loss.at_ms - from_ms) <= TOGETHER_MS)
        loss = next((one for one in near if device_id not in one.members), None)
        if loss is None:
            name = f"{device_id}-{from_ms}"
            loss = self._losses.setdefault(name, _Loss(name, from_ms))
        loss.members[device_id] = from_ms
        self._last_loss[device_id] = loss
        return loss

    def _of_others(self, loss: _Loss) -> tuple[str, str] | None:
        """What most of those who were lost with it tell, if enough do."""
        if len(loss.members) < MANY or not loss.told:
            return None
        (cause, count), *_ = Counter(cause for cause, _ in loss.told.values()).most_common(1)
        return (cause, f"lost with {len(loss.members) - 1} others") if 2 * count > len(loss.told) else None

    def tell(self, device_id: str, cause: str, why: str) -> list[Revision]:
        """A column is back and tells why it was away; for those that were lost with it, too."""
        loss = self._last_loss.get(device_id)
        if loss is None:
            return []
        loss.told[device_id] = (cause, why)
        revised = []
        for member, from_ms in loss.members.items():
            found = self._of_others(loss) or loss.told.get(member)
            if found is not None:
                revised.append(Revision(member, from_ms, *found))
        for one in revised:
            last = self.latest[one.device_id]
            if last.from_ms == one.from_ms and not last.by:
                self.latest[one.device_id] = last._replace(cause=one.cause, why=one.why)
        return revised

    def was_lost(self, device_id: str) -> bool:
        """Whether the column was lost, and has not told why."""
        loss = self._last_loss.get(device_id)
        return loss is not None and device_id not in loss.told

    def _forget(self, now_ms: int) -> None:
        """Losses of which all have told, and whose last word is long ago."""
        over = [
            name for name, loss in self._losses.items()
            if now_ms - loss.at_ms > TAMPER_MS and all(self._last_loss.get(each) is not loss or each in loss.told
                                                       for each in loss.members)
        ]  # fmt: skip
        for name in over:
            loss = self._losses.pop(name)
            for member in loss.members:
                if self._last_loss.get(member) is loss:
                    del self._last_loss[member]


# Minutes

T = TypeVar("T")
MINUTE_MS = 60_000
CODES = ("", PROVEN, PRESUMED, *CAUSES, GONE)
"""What a minute's byte stands for; 0: nobody knows, which must not be."""


def with_ends(rows: Sequence[Span], last: T) -> Iterator[tuple[Span, int | T]]:
    """Each with when it ended, as the next one began; of the last one that is `last`."""
    ends: list[int | T] = [*(span.from_ms for span in rows[1:]), last]
    return zip(rows, ends[: len(rows)], strict=True)


def minutes(spans: Iterable[Span], from_ms: int, to_ms: int) -> bytes:
    """One column's minutes between the two, a byte each (see `CODES`). A minute is the worst of what was in it: down
    before presumed before proven."""
    count = max(0, -(-(to_ms - from_ms) // MINUTE_MS))
    painted = bytearray(count)
    rows = sorted(spans, key=lambda span: span.from_ms)
    for wanted in (GONE, PROVEN, PRESUMED, DOWN):
        for span, end_ms in with_ends(rows, to_ms):
            if span.state == wanted and (begin := max(span.from_ms, from_ms)) < (end := min(end_ms, to_ms)):
                first, last = (begin - from_ms) // MINUTE_MS, -(-(end - from_ms) // MINUTE_MS)
                painted[first:last] = bytes([_code(span)]) * (last - first)
    return bytes(painted)


def _code(span: Span) -> int:
    return CODES.index(span.cause if span.state == DOWN else span.state)


def summed(painted: bytes) -> dict[str, int]:
    """How many minutes of each state, and of each cause; `none`: without a state."""
    counts = Counter(painted)
    found = {name: counts[code] for code, name in enumerate(CODES) if code}
    return {"none": counts[0], DOWN: sum(found[cause] for cause in CAUSES), **found}


def availability(found: Mapping[str, int]) -> float | None:
    """Proven minutes of all minutes; None when there are none."""
    total = found[PROVEN] + found[PRESUMED] + found[DOWN] + found["none"]
    return found[PROVEN] / total if total else None


def of_reset(reset: Any) -> tuple[str, str]:
    """Why a column that started anew was away."""
    name = reset if isinstance(reset, str) else "unknown"
    return OF_RESET.get(name, UNKNOWN), f"it started anew: {name[:20]}"
