"""The virtual board's two heaps: what a connection beside the session takes, and what an alarm wants meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sim.virtual.figures import of, share, span

ALARM_BYTES = of("alarm_bytes")  # of MicroPython's heap: a record of the journal, the payload, its packet
LOOK_BYTES = of("look_bytes")  # what a connection beside the session takes there, with the code that wants it
_BESIDE = ("tcp_socket_bytes", "thread_bytes")  # of the system's: a connection, and its look-up's thread
ENOMEM = 12


class HeapExhausted(MemoryError):
    """Nobody planned it: the firmware began something that there was no room for."""


@dataclass(frozen=True)
class Room:
    """At rest, in a session."""

    free_bytes: int = of("heap_free_bytes")  # of MicroPython's heap
    growth_bytes: int = of("heap_growth_bytes")  # the system's largest block, which mem_free() counts as free as well
    system_bytes: int = of("system_free_bytes")  # of the system's heap
    connection_bytes: int = sum(of(name) for name in _BESIDE)  # that a connection and its look-up take there

    @classmethod
    def drawn(cls, dice: random.Random) -> Room:
        """Some boards are tight: an alarm still fits, and little beside it."""
        tight = dice.random() < share("tight_boards_percent")
        free_bytes = dice.randrange(*span("heap_free_tight_bytes" if tight else "heap_free_bytes"))
        connection_bytes = sum(dice.randint(*span(name)) for name in _BESIDE)
        growth_bytes = dice.randrange(*span("heap_growth_bytes"))
        return cls(free_bytes, growth_bytes, dice.randrange(*span("system_free_bytes")), connection_bytes)


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
