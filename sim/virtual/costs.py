"""What the chip's operations cost in virtual time, and the chip's other seeded tempers: as hal/assumptions.toml has it.

No figure is typed here, nor in the rest of sim/virtual/: tests/house/test_assumptions.py looks."""

import random
from dataclasses import dataclass, replace

from sim.virtual.figures import of, share, span, span_us, us
from sim.virtual.heaps import Room
from sim.virtual.timeline import PPM, US_PER_MS


@dataclass(frozen=True)
class Costs:
    """Times in microseconds (pairs are lowest and highest, drawn by the dice)."""

    flash_write: tuple[int, int] = span_us("record_write_us")
    flash_erase: tuple[int, int] = span_us("record_erase_us")  # now and then on top of a write
    flash_erase_chance: float = share("erase_chance_percent")
    flash_byte_us: int = us("byte_write_us")
    flash_read_us: int = us("file_read_us")
    flash_stat_us: int = us("file_stat_us")
    dial_us: int = us("dial_us")
    tls_chunk: tuple[int, int] = span_us("tls_stretch_ms")  # a stretch of arithmetic inside the handshake
    tls_chunks: int = of("tls_stretches")
    stream_us: int = us("stream_us")  # one read or write
    lookup_us: int = us("lookup_call_us")
    log_us: int = us("log_us")
    collect_us: int = us("collect_us")
    turn_us: int = us("turn_us")  # entering `wait`: keeps a loop that never sleeps from standing still in time
    busy_turn_us: int = us("busy_turn_us")  # of a loop that does not sleep, because a socket has something to read
    look_us: int = us("look_us")
    boot_us: int = us("boot_ms")
    tick_us: int = us("tick_ms")  # on which every wait ends that is not less than one
    wake_us: int = us("wake_us")  # from an edge to the look of whom its interrupt woke, at the most
    pulses: bool = True  # the pulse counter, where there is one, sees those of the integrator
    room: Room = Room()  # in the two heaps
    clock_drift_ppm: int = of("crystal_ppm")  # largest; the board's own is drawn between minus and plus
    # Largest, of the time since the date was set, as it comes over a reset.
    kept_clock_error_ppm: int = round(share("kept_clock_error_percent") * PPM)

    @staticmethod
    def drawn(dice: random.Random) -> "Costs":
        """With the tick of some chip: a promise that holds at one only is none. Some have no integrator."""
        tick_us = dice.randint(*span("tick_ms")) * US_PER_MS
        has_pulses = dice.random() >= share("no_integrator_percent")
        return Costs(tick_us=tick_us, pulses=has_pulses, room=Room.drawn(dice))

    def at_another_pace(self, dice: random.Random) -> "Costs":
        """With the flash and the arithmetic of some chip, from the ranges of what the model believes of them."""
        spread = of("longest_by_shortest")
        erase_low_us, erase_high_us = span_us("erase_us")
        erase_us = dice.randint(erase_low_us, erase_high_us // spread)
        program_us = dice.randint(*span_us("program_us"))
        chunk_us = dice.randint(*span("tls_ms")) * US_PER_MS // self.tls_chunks
        fewest, most = span("programs_a_write")
        return replace(
            self,
            flash_write=(fewest * program_us, most * program_us),
            flash_byte_us=program_us // of("page_bytes"),
            flash_erase=(erase_us, spread * erase_us),
            tls_chunk=(chunk_us // spread, chunk_us),
            wake_us=dice.randint(*span_us("wake_us")),
        )

    def longest_write_us(self) -> int:
        """Of a small record."""
        return self.flash_write[1] + self.flash_erase[1]

    def flash_write_us(self, dice: random.Random, length: int) -> int:
        """One write of `length` bytes, with an erase when the dice say so."""
        erase = dice.randint(*self.flash_erase) if dice.random() < self.flash_erase_chance else 0
        return dice.randint(*self.flash_write) + length * self.flash_byte_us + erase
