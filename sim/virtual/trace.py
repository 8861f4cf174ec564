"""What a person there, or somebody on the network, could see: each entry is hashed as it happens."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from sim.virtual.timeline import Timeline

KEPT = 20_000  # entries kept for reading; the hash covers all of them


class Entry(NamedTuple):
    """`kind` is one of lamp, relay, out, in, flash, boot, reset, power, log, contact, condition, centre, violation."""

    t_us: int
    kind: str
    data: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.t_us / 1e6:14.6f} s  {self.kind:9} " + " ".join(str(part) for part in self.data)


class Trace:
    """A running SHA-256 over all entries, the last of them, and those who watch."""

    def __init__(self, timeline: Timeline, kept: int = KEPT) -> None:
        self._timeline = timeline
        self._hash = hashlib.sha256()
        self._watchers: list[Callable[[Entry], None]] = []
        self.entries: deque[Entry] = deque(maxlen=kept)
        self.count = 0
        self.effects: Counter[str] = Counter()  # how often each named fault really did something

    def watch(self, watcher: Callable[[Entry], None]) -> None:
        self._watchers.append(watcher)

    def add(self, kind: str, *data: Any) -> None:
        """`data` must print the same on every run: numbers, strings, bytes and tuples of them."""
        entry = Entry(self._timeline.now_us, kind, data)
        self._hash.update(f"{entry!r}\n".encode())
        self.entries.append(entry)
        self.count += 1
        for watcher in self._watchers:
            watcher(entry)

    def took_effect(self, name: str) -> None:
        """A fault did not only stand in the script: it changed what happened just now."""
        self.effects[name] += 1

    def digest(self) -> str:
        return self._hash.hexdigest()

    def of(self, *kinds: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.kind in kinds]

    def tail(self, count: int = 40) -> str:
        """The last entries as text, for the message of a failed test."""
        return "\n".join(str(entry) for entry in list(self.entries)[-count:])
