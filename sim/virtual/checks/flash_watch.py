"""What a faulty flash excuses, and nothing more: a press that the flash refused, a record that it spoilt."""

import json
from collections.abc import Set

from firmware import journal, record
from sim.virtual.flash import FlashStore
from sim.virtual.timeline import US_PER_S, Timeline

WELL_AGAIN_US = 10 * US_PER_S  # after a fault the journal has to be whole again: its retries, and a pause of the loop


def presses_in(data: bytes) -> dict[str, int]:
    """Incident id -> the highest press among the sound records of a journal."""
    found: dict[str, int] = {}
    for payload in record.split(data)[0]:
        entry = json.loads(payload)
        if entry["k"] in ("open", "press"):
            found[entry["id"]] = max(found.get(entry["id"], 0), entry["n"])
    return found


class FlashWatch:
    """Follows the faults of one flash."""

    def __init__(self, timeline: Timeline, store: FlashStore) -> None:
        self.lost: dict[str, int] = {}  # incident id -> up to which press its records were spoilt
        self._timeline = timeline
        self._store = store
        self._spans: list[tuple[int, int | None]] = []  # when the flash was sick, until it had to be well again
        self._ends_us: list[int] = []  # of the lives of the board: what waited in RAM is gone
        self._sent_sick: set[str] = set()
        self._retried_us = 0  # from when on what waits in RAM is tried again
        store.on_loss = self._spoilt

    def changed(self) -> None:
        """A fault began or ended."""
        now_us = self._timeline.now_us
        if self._store.faults and not self._is_open():
            self._spans.append((now_us, None))
        elif not self._store.faults and self._is_open():
            self._spans[-1] = (self._spans[-1][0], max(now_us, self._retried_us) + WELL_AGAIN_US)

    def nobody_retries(self, for_us: int) -> None:
        """The task that tries again does nothing for so long."""
        now_us = self._timeline.now_us
        self._retried_us = max(self._retried_us, now_us + for_us)
        if self._spans and (end_us := self._spans[-1][1]) is not None and end_us >= now_us:
            self._spans[-1] = (self._spans[-1][0], self._retried_us + WELL_AGAIN_US)

    def life_ends(self) -> None:
        self._ends_us.append(self._timeline.now_us)

    def is_sick(self) -> bool:
        return self._span_at(self._timeline.now_us) is not None

    def well_again_us(self, t_us: int) -> int:
        """By when a press of that moment has to be on flash."""
        span = self._span_at(t_us)
        return t_us if span is None else self._end_of(span)

    def excuses_silence(self, t_us: int) -> bool:
        """The press of that moment need not be in the journal: it waited in RAM when the board went down, or its record
        was spoilt."""
        span = self._span_at(t_us)
        if span is None:
            return False
        return bool(self.lost) or any(t_us <= end_us <= self._end_of(span) for end_us in self._ends_us)

    def excuses_sending(self, ident: str, press: int) -> bool:
        """An alarm may go out without a record: none is refused because the flash is."""
        if self.is_sick():
            self._sent_sick.add(ident)
            return True
        return press <= self.lost.get(ident, 0)

    def is_recalled(self, ident: str, press: int) -> bool:
        """A record of that press was spoilt before: when the journal tells of it (again), it may be from RAM."""
        return press <= self.lost.get(ident, 0)

    def excuses_id(self, ident: str) -> bool:
        """The incident may be unknown to the journal for ever."""
        return ident in self._sent_sick or ident in self.lost

    def forgotten(self, known: Set[str]) -> set[str]:
        """Incidents that a column knows nothing of when it starts with a journal of `known` ones: their records were
        spoilt, or refused until the power went."""
        return (self.lost.keys() | self._sent_sick) - known

    def _spoilt(self, name: str, before: bytes, after: bytes) -> None:
        if name != journal.FILE:
            return
        left = presses_in(after)
        for ident, press in presses_in(before).items():
            if press > left.get(ident, 0):
                self.lost[ident] = max(self.lost.get(ident, 0), press)

    def _is_open(self) -> bool:
        return bool(self._spans) and self._spans[-1][1] is None

    def _span_at(self, t_us: int) -> tuple[int, int | None] | None:
        for span in reversed(self._spans):
            if span[0] <= t_us <= self._end_of(span):
                return span
        return None

    def _end_of(self, span: tuple[int, int | None]) -> int:
        return self._timeline.now_us + WELL_AGAIN_US if span[1] is None else span[1]
