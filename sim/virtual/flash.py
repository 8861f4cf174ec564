"""The flash chip and its LittleFS: files whose changes happen at close or not at all, wear counted, faults by name."""

import random
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any

from sim.virtual.costs import Costs
from sim.virtual.timeline import WorldEvent
from sim.virtual.trace import Trace

CAPACITY_BYTES = 512 * 1024
ENOENT, EIO, ENOSPC = 2, 5, 28
ERASED = b"\xff"


class FlashFault(StrEnum):
    """What goes wrong while it is switched on with `FlashStore.start`."""

    FULL = "full"  # nothing can be written any more
    WRITE_ERROR = "write-error"  # every write fails
    CORRUPT_BIT = "corrupt-bit"  # what is written has one bit flipped (LittleFS keeps no checksum over data)
    TRUNCATE = "truncate"  # what is written loses its end


class FlashStore:
    """What outlives resets and power cuts."""

    def __init__(self, trace: Trace, dice: random.Random, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.files: dict[str, bytes] = {}
        self.writes = 0
        self.written_bytes = 0
        self.faults: dict[FlashFault, None] = {}
        self.trace = trace
        self.dice = dice
        self.capacity_bytes = capacity_bytes
        self.on_write: Callable[[int], None] | None = None  # told once of the next write, with its microseconds
        self.on_loss: Callable[[str, bytes, bytes], None] = lambda name, before, after: None

    def start(self, fault: FlashFault) -> None:
        self.faults[fault] = None
        self.trace.add("condition", "flash", fault.value, "start")

    def stop(self, fault: FlashFault) -> None:
        self.faults.pop(fault, None)
        self.trace.add("condition", "flash", fault.value, "stop")

    def free_bytes(self) -> int:
        if FlashFault.FULL in self.faults:
            return 0
        return max(0, self.capacity_bytes - sum(map(len, self.files.values())))

    def _bites(self, fault: FlashFault) -> bool:
        """The fault is on, and a write meets it just now: that counts as its effect."""
        if fault not in self.faults:
            return False
        self.trace.took_effect(f"flash {fault.value}")
        return True

    def flip_bit(self, name: str, bit: int) -> None:
        """One bit of a file at rest turns over (`bit` wraps around the file)."""
        data = bytearray(self.files[name])
        bit %= len(data) * 8
        data[bit // 8] ^= 1 << bit % 8
        self._damage(name, bytes(data), "flip-bit", bit)

    def truncate(self, name: str, keep: int) -> None:
        """A file at rest loses its end (`keep` wraps around the file)."""
        keep %= len(self.files[name])
        self._damage(name, self.files[name][:keep], "truncate", keep)

    def erase(self, name: str, start: int, count: int) -> None:
        """A stretch of a file at rest reads as erased flash does (`start` wraps around the file)."""
        data = bytearray(self.files[name])
        start %= len(data)
        end = min(len(data), start + count)
        data[start:end] = ERASED * (end - start)
        self._damage(name, bytes(data), "erase", start)

    def _damage(self, name: str, data: bytes, how: str, where: int) -> None:
        before, self.files[name] = self.files[name], data
        self.trace.add("condition", "file", how, name, where)
        self.on_loss(name, before, data)

    def spoil(self, name: str, data: bytes) -> bytes:
        """What of `data` reaches the chip under the faults of this moment; raises OSError when nothing does."""
        stored = self._spoilt(data)
        if stored != data:
            self.on_loss(name, data, stored)
        return stored

    def _spoilt(self, data: bytes) -> bytes:
        if self._bites(FlashFault.WRITE_ERROR):
            raise OSError(EIO, "flash write failed")
        if len(data) > self.free_bytes():
            self._bites(FlashFault.FULL)
            raise OSError(ENOSPC, f"no space for {len(data)} bytes on flash")
        if data and self._bites(FlashFault.CORRUPT_BIT):
            spoilt = bytearray(data)
            spoilt[self.dice.randrange(len(spoilt))] ^= 1 << self.dice.randrange(8)
            data = bytes(spoilt)
        if data and self._bites(FlashFault.TRUNCATE):
            data = data[: self.dice.randrange(len(data) + 1)]
        return data

    def commit(self, operation: str, files: dict[str, bytes | None]) -> None:
        """All of `files` at once have these contents from now on (None = gone)."""
        for name, data in files.items():
            if data is None:
                self.files.pop(name, None)
            else:
                self.files[name] = data
        self.writes += 1
        sizes = tuple((name, -1 if data is None else len(data)) for name, data in files.items())
        self.trace.add("flash", operation, *sizes)


class VirtualFlash:
    """`hal.interface.Flash` of one life of the board: every operation takes time, and a cut may fall into it."""

    def __init__(
        self, store: FlashStore, spend: Callable[[int], None], costs: Costs, want: Callable[[], None] = lambda: None
    ) -> None:
        """`want`: memory for a record; raises MemoryError."""
        self._store = store
        self._spend = spend
        self._want = want
        self._costs = costs

    def read(self, name: str) -> bytes | None:
        self._spend(self._costs.flash_read_us)
        return self._store.files.get(name)

    def append(self, name: str, data: bytes) -> None:
        self._want()
        self._spend(self._costs.flash_stat_us)
        whole = self._store.files.get(name, b"") + self._store.spoil(name, bytes(data))
        self.change("append", {name: whole}, len(data))

    def replace(self, name: str, data: bytes) -> None:
        self._spend(self._costs.flash_stat_us)
        self.change("replace", {name: self._store.spoil(name, bytes(data))}, len(data))

    def rename(self, old: str, new: str) -> None:
        self._spend(self._costs.flash_stat_us)
        if old not in self._store.files:
            raise OSError(ENOENT, f"no file {old} to rename to {new}")
        self.change("rename", {new: self._store.files[old], old: None}, 0)

    def remove(self, name: str) -> None:
        self._spend(self._costs.flash_stat_us)
        if name in self._store.files:
            self.change("remove", {name: None}, 0)

    def make_folder(self, name: str) -> None:
        self._spend(self._costs.flash_stat_us)  # a folder is there as soon as a file is

    def read_at(self, name: str, start: int, limit: int) -> bytes:
        self._spend(self._costs.flash_read_us)
        return self._store.files.get(name, b"")[start : start + limit]

    def size(self, name: str) -> int:
        self._spend(self._costs.flash_stat_us)
        return len(self._store.files.get(name, b""))

    def entries(self, folder: str) -> Iterator[tuple[Any, ...]]:
        self._spend(self._costs.flash_stat_us)
        below = [name.removeprefix(folder + "/") for name in self._store.files if name.startswith(folder + "/")]
        if not below:
            raise OSError(ENOENT, f"no folder {folder}")
        for name in dict.fromkeys(name.partition("/")[0] for name in below):
            yield name, 0x8000 if name in below else 0x4000, 0

    def free_bytes(self) -> int:
        self._spend(self._costs.flash_stat_us)
        return self._store.free_bytes()

    def change(self, operation: str, files: dict[str, bytes | None], length: int) -> None:
        """Take the time of a write, then commit all of `files`. A cut or a reset meanwhile gives the old state or the
        new one, by the dice, and never a mixture."""
        store = self._store
        store.written_bytes += length
        takes_us = self._costs.flash_write_us(store.dice, length)
        if store.on_write is not None:
            told, store.on_write = store.on_write, None
            told(takes_us)
        try:
            self._spend(takes_us)
        except WorldEvent:
            if store.dice.random() < 0.5:  # the cut came just after the commit
                store.commit(operation, files)
            raise
        store.commit(operation, files)
