"""The virtual board's two heaps: what a connection beside the session takes, and what an alarm wants meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from common.assumptions import load

ALARM_BYTES = 4_096  # of MicroPython's heap: a record of the journal, the payload, its packet
LOOK_BYTES = 3_072  # what a connection beside the session takes there, with the code that wants it
ENOMEM = 12


class HeapExhausted(MemoryError):
    """Nobody planned it: the firmware began something that there was no room for."""


@dataclass(frozen=True)
class Room:
    """At rest, in a session."""

    free_bytes: int = 90_000  # of MicroPython's heap
    growth_bytes: int = 53_248  # the largest block of the system's, which mem_free() counts as free as well
    system_bytes: int = 60_000  # of the system's heap
    connection_bytes: int = 11_264  # that a connection and its look-up take there

    @classmethod
    def drawn(cls, dice: random.Random) -> Room:
        """Every fourth board is a tight one: an alarm still fits, and little beside it."""
        tight = dice.random() < 0.25
        free_bytes = dice.randrange(ALARM_BYTES + 512, 8_192) if tight else dice.randrange(12_000, 90_000)
        figures = load()
        takes = (figures[name].range for name in ("tcp_socket_bytes", "thread_bytes"))
        connection_bytes = sum(dice.randint(int(low), int(high)) for low, high in takes)
        return cls(free_bytes, dice.randrange(4_096, 55_000), dice.randrange(8_192, 90_000), connection_bytes)


class Heaps:
    """Of one life of the board."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._beside = 0  # connections beside the session

    def free_bytes(self) -> int:
        return self._room.free_bytes - self._beside * LOOK_BYTES

    def growth_bytes(self) -> int:
        return self._room.growth_bytes

    def system_bytes(self) -> int:
        return self._room.system_bytes - self._beside * self._room.connection_bytes

    def beside(self) -> Callable[[], None]:
        """A connection beside the session begins; the answer gives back what it took. Raises OSError."""
        if self.system_bytes() < self._room.connection_bytes:
            raise OSError(ENOMEM, "no room in the system's heap for a connection")
        self._beside += 1

        def give_back() -> None:
            self._beside -= 1

        return give_back

    def want(self, size: int = ALARM_BYTES) -> None:
        """Raises HeapExhausted when so much is not free."""
        if self.free_bytes() < size:
            raise HeapExhausted(f"memory allocation failed: {self.free_bytes()} bytes are free, {size} are wanted")
