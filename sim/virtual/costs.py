"""What the chip's operations cost in virtual time, and the chip's other seeded tempers. All figures may be changed."""

import random
from dataclasses import dataclass, replace

from common.assumptions import load
from sim.virtual.heaps import Room
from sim.virtual.timeline import US_PER_MS

_FIGURES = load()
_BROKEN_SHARE = 0.25
_SPREAD = 2  # the longest of one kind on a board takes so many times as long as the shortest
_PROGRAMS_A_WRITE = (3, 11)  # of LittleFS: data, and the folder's entry
_PROGRAM_BYTES = 256


def _of(name: str) -> tuple[int, int]:
    low, high = _FIGURES[name].range
    return int(low), int(high)


@dataclass(frozen=True)
class Costs:
    """Times in microseconds (pairs are lowest and highest, drawn by the dice)."""

    flash_write: tuple[int, int] = (2_000, 8_000)
    flash_erase: tuple[int, int] = (40_000, 100_000)  # a block erase, now and then on top of a write
    flash_erase_chance: float = 0.03
    flash_byte_us: int = 2
    flash_read_us: int = 300
    flash_stat_us: int = 100
    dial_us: int = 1_000
    tls_chunk: tuple[int, int] = (300_000, 1_000_000)  # a stretch of arithmetic inside the handshake
    tls_chunks: int = 2
    stream_us: int = 100  # one read or write
    lookup_us: int = 200
    log_us: int = 100
    collect_us: int = 5_000
    turn_us: int = 50  # entering `wait`: keeps a loop that never sleeps from standing still in time
    busy_turn_us: int = 2_000  # of a loop that does not sleep, because a socket has something to read: an estimate
    look_us: int = 5
    boot_us: int = 400_000  # from power to boot.py
    tick_us: int = int(_FIGURES["tick_ms"].value) * US_PER_MS  # on which every wait ends that is not less than one
    wake_us: int = int(_FIGURES["wake_us"].value)  # from an edge to the look of whom its interrupt woke, at the most
    pulses: bool = True  # the pulse counter, where there is one, sees those of the integrator
    room: Room = Room()  # in the two heaps
    clock_drift_ppm: int = 60  # largest; the board's own is drawn between minus and plus
    kept_clock_error_ppm: int = 10_000  # largest, of the time since the date was set, as it comes over a reset

    @staticmethod
    def drawn(dice: random.Random) -> "Costs":
        """With the tick of some chip: a promise that holds at one only is none. Some have no integrator."""
        low_ms, high_ms = _FIGURES["tick_ms"].range
        tick_us = dice.randint(int(low_ms), int(high_ms)) * US_PER_MS
        return Costs(tick_us=tick_us, pulses=dice.random() >= _BROKEN_SHARE, room=Room.drawn(dice))

    def at_another_pace(self, dice: random.Random) -> "Costs":
        """With the flash and the arithmetic of some chip, from the ranges of what the model believes of them."""
        erase_low_us, erase_high_us = _of("erase_us")
        erase_us = dice.randint(erase_low_us, erase_high_us // _SPREAD)
        program_us = dice.randint(*_of("program_us"))
        chunk_us = dice.randint(*_of("tls_ms")) * US_PER_MS // self.tls_chunks
        fewest, most = _PROGRAMS_A_WRITE
        return replace(
            self,
            flash_write=(fewest * program_us, most * program_us),
            flash_byte_us=program_us // _PROGRAM_BYTES,
            flash_erase=(erase_us, _SPREAD * erase_us),
            tls_chunk=(chunk_us // _SPREAD, chunk_us),
            wake_us=dice.randint(*_of("wake_us")),
        )

    def longest_write_us(self) -> int:
        """Of a small record."""
        return self.flash_write[1] + self.flash_erase[1]

    def flash_write_us(self, dice: random.Random, length: int) -> int:
        """One write of `length` bytes, with an erase when the dice say so."""
        erase = dice.randint(*self.flash_erase) if dice.random() < self.flash_erase_chance else 0
        return dice.randint(*self.flash_write) + length * self.flash_byte_us + erase
