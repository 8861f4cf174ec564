"""The presses of a rehearsal: what the columns say that they took, beside what the desk has of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

from sim.demo.desk_client import Incident
from sim.real.column import Event

WORDS_MAX = 12  # of a column, when something is amiss: enough to see its last boot and its last answers
_TAKEN = re.compile(r"press: incident (\S+) press (\d+)")
_CLOSED = re.compile(r"answer: (\S+) closed")
_TIMELESS = re.compile(r"fault: clock-unset( cleared)?")


class Taken(NamedTuple):
    """A press as its column has it: on flash, in an incident, as the incident's press of that number."""

    column: str
    incident: str
    number: int

    def __str__(self) -> str:
        return f"press {self.number} of {self.incident} at {self.column}"


class Seen:
    """What each column says: the presses that it took, which incidents wait for their end, boots, and its last words.

    `add` is called in the columns' threads."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.boots: Counter[str] = Counter()
        self.timeless: set[str] = set()  # columns that do not know the time, and refuse commands
        self._open: dict[str, Taken] = {}
        self._words: defaultdict[str, deque[str]] = defaultdict(lambda: deque(maxlen=WORDS_MAX))

    def add(self, name: str, event: Event) -> None:
        if event["event"] == "boot":
            self.boots[name] += 1
        if event["event"] != "log":
            return
        text = event["text"]
        self._words[name].append(f"{event['t_ms']} ms {text}")
        if found := _TAKEN.match(text):
            taken = Taken(name, found[1], int(found[2]))
            self._open[taken.incident] = taken  # before the list: who sees it there looks here
            self.taken.append(taken)
        elif found := _CLOSED.match(text):
            self._open.pop(found[1], None)
        elif found := _TIMELESS.match(text):
            (self.timeless.discard if found[1] else self.timeless.add)(name)

    def count(self, name: str) -> int:
        """Presses that this column took."""
        return sum(one.column == name for one in list(self.taken))

    def waiting(self) -> list[Taken]:
        """The last press of each incident whose column does not know of its end."""
        return list(self._open.values())

    def words(self, name: str) -> str:
        return "; ".join(list(self._words[name]))


def unknown(taken: Iterable[Taken], incidents: Iterable[Incident]) -> list[Taken]:
    """Those that the desk does not have."""
    has = {one.id: one.press for one in incidents}
    return [one for one in taken if one.number > has.get(one.incident, 0)]


def unheard_of(taken: Iterable[Taken], incidents: Iterable[Incident]) -> list[Taken]:
    """Those that the desk has and no column took."""
    took = set(taken)
    has = [Taken(one.device_id, one.id, number) for one in incidents for number in range(1, one.press + 1)]
    return [one for one in has if one not in took]
