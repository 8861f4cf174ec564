"""A minimal board for unit tests of the firmware: virtual time that tests move by hand, no network of its own.

Ticks start shortly before they wrap. Everything that the firmware shows or does is recorded; every way in which the
flash fails has a name. Link, streams and look-ups are scripted by whoever needs them: `link`, `on_dial`, `names`,
`on_datagram`.
"""

import random
import sys
import traceback
from collections.abc import Callable, Iterator
from enum import Enum
from types import FrameType
from typing import Any

from hal import interface
from sim.chip.contact import Contact
from sim.virtual.integrator import VirtualIntegrator

TICKS_PERIOD = 1 << 30
BEFORE_THE_WRAP_MS = 1500  # most tests walk over the wrap
EPOCH_MS = 1_795_000_000_000  # in November 2026
LOOK_MS = 3  # as on the chip: how often `wait` polls the contact
TURN_US = 50  # nothing is free: a loop that waits for nothing still gets on
ENOENT, EIO, ENOSPC = 2, 5, 28


class FlashMode(Enum):
    OK = "works"
    FULL = "every write fails with ENOSPC"
    FULL_STUCK = "as FULL, and nothing can be removed either"
    WRITE_ERROR = "every write fails with EIO"
    READ_ERROR = "every read fails with EIO"
    CUT = "the power goes during the next write, after `cut_bytes` of it"


class PowerCut(BaseException):
    """No `except Exception` of the firmware can catch a power cut."""


class FakeFlash:
    """Files in a dict. `writes` counts what wore the flash."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.mode = FlashMode.OK
        self.cut_bytes = 0  # with CUT: how much of an append still gets there (a replace is atomic: all or nothing)
        self.writes = 0
        self.free = 1_000_000

    def read(self, name: str) -> bytes | None:
        if self.mode is FlashMode.READ_ERROR:
            raise OSError(EIO, "flash read")
        return self.files.get(name)

    def append(self, name: str, data: bytes) -> None:
        self._may_write(lambda: self._put(name, self.files.get(name, b"") + data[: self.cut_bytes]))
        self._put(name, self.files.get(name, b"") + data)

    def replace(self, name: str, data: bytes) -> None:
        self._may_write(lambda: None)
        self._put(name, data)

    def rename(self, old: str, new: str) -> None:
        self._may_write(lambda: None)
        if old not in self.files:
            raise OSError(ENOENT, old)
        self.files[new] = self.files.pop(old)

    def remove(self, name: str) -> None:
        if name in self.files and self.mode in (FlashMode.FULL_STUCK, FlashMode.WRITE_ERROR):
            raise OSError(EIO, "flash remove")
        self.files.pop(name, None)

    def make_folder(self, name: str) -> None:
        pass  # there as soon as a file is

    def size(self, name: str) -> int:
        return len(self.files.get(name, b""))

    def read_at(self, name: str, start: int, limit: int) -> bytes:
        return (self.read(name) or b"")[start : start + limit]

    def entries(self, folder: str) -> Iterator[tuple[Any, ...]]:
        below = [name.removeprefix(folder + "/") for name in self.files if name.startswith(folder + "/")]
        if not below:
            raise OSError(ENOENT, folder)
        for name in dict.fromkeys(name.partition("/")[0] for name in below):
            yield name, 0x8000 if name in below else 0x4000, 0

    def free_bytes(self) -> int:
        return self.free

    def _put(self, name: str, data: bytes) -> None:
        self.files[name] = bytes(data)

    def _may_write(self, torn: Callable[[], None]) -> None:
        if self.mode in (FlashMode.FULL, FlashMode.FULL_STUCK):
            raise OSError(ENOSPC, "no space left")
        if self.mode is FlashMode.WRITE_ERROR:
            raise OSError(EIO, "flash write")
        if self.mode is FlashMode.CUT:
            torn()
            raise PowerCut
        self.writes += 1


class FakeContact:
    """Follows a waveform; `counts = False` makes it the contact of a chip without a counter."""

    def __init__(self, board: "FakeBoard") -> None:
        self._board = board
        self._wave = Contact()
        self._counted = 0
        self._last = False
        self.looked_ms = 0  # when `is_closed` was asked last
        self.counts = True
        self.integrates = False
        self.integrator: VirtualIntegrator | None = None

    def integrate(self, press_ms: int) -> VirtualIntegrator | None:
        if self.integrates:
            self.integrator = VirtualIntegrator(self._wave, lambda: self._board.now_us, press_ms)
        return self.integrator

    def is_closed(self) -> bool:
        self.looked_ms = self._board.now_ms
        self._last = bool(self._wave.level_at(self._board.now_us))
        return self._last

    def has_changed(self) -> bool:
        return bool(self._wave.level_at(self._board.now_us)) != self._last

    def closures(self) -> int | None:
        if not self.counts:
            return None
        total = self._wave.closures_until(self._board.now_us)
        new, self._counted = total - self._counted, total
        return new

    def set(self, closed: bool) -> None:
        self.wave((0, int(closed)))

    def wave(self, *edges: tuple[float, int]) -> None:
        """(milliseconds from now, level), in order; replaces what was still to come."""
        now_us = self._board.now_us
        self._wave.replace_from(now_us, [(now_us + round(ms * 1000), level) for ms, level in edges])


class FakeLamp:
    def __init__(self, board: "FakeBoard") -> None:
        self._board = board
        self.shown: list[tuple[int, tuple[int, int, int]]] = []  # (now_ms, colour)

    def show(self, red: int, green: int, blue: int) -> None:
        self.shown.append((self._board.now_ms, (red, green, blue)))


class FakeRelay:
    def __init__(self, board: "FakeBoard") -> None:
        self._board = board
        self.set_to: list[tuple[int, bool]] = []  # (now_ms, closed)

    def set(self, closed: bool) -> None:
        self.set_to.append((self._board.now_ms, closed))

    @property
    def closed(self) -> bool:
        return bool(self.set_to) and self.set_to[-1][1]


class FakeScratch:
    def __init__(self) -> None:
        self.data = b""
        self.written: list[bytes] = []

    def read(self) -> bytes:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = bytes(data)
        self.written.append(self.data)


class FakeWatchdog:
    def __init__(self, board: "FakeBoard", timeout_ms: int) -> None:
        self._board = board
        self.timeout_ms = timeout_ms
        self.fed_ms: list[int] = []

    def feed(self) -> None:
        self.fed_ms.append(self._board.now_ms)


class FakeLink:
    failure: str | None = None

    def __init__(self) -> None:
        self.up = True
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def restart(self) -> None:
        self.calls.append("restart")

    def is_up(self) -> bool:
        return self.up

    def describe(self) -> dict[str, Any]:
        network = ("10.0.0.9", "255.0.0.0", "10.0.0.1", "10.0.0.53") if self.up else None
        return {"kind": "wifi", "rssi_dbm": -60, "network": network, "status": 1010}


class FakeLookup:
    """`address`: what it finds; None: still running; an OSError: raised."""

    def __init__(self, address: str | OSError | None) -> None:
        self.address = address

    def result(self) -> str | None:
        if isinstance(self.address, OSError):
            raise self.address
        return self.address


class FakeReset(Exception):
    """`board.reset()` does not return."""


def _nobody_answers(*_: Any) -> Any:
    raise OSError(113, "no route to host")


class FakeBoard:
    chip = "esp32"
    uid = "a0b1c2d3e4f5"
    micropython = "cpython"

    def __init__(self, seed: int = 1, ticks: int = TICKS_PERIOD - BEFORE_THE_WRAP_MS) -> None:
        self.now_us = 0  # since this board was made; never wraps
        self._first_ticks = ticks
        self._dice = random.Random(seed)
        self._epoch_offset_ms = EPOCH_MS
        self.cause = "power-on"
        self.heap_free = 60_000
        self.system_free = 60_000
        self.tamper: bool | None = None
        self.supply: int | None = None
        self.logged: list[str] = []
        self.heeds_interrupt = True
        self.keys: bytearray | None = None  # typed and not read yet; None: the console only shows
        self.waits: list[int] = []
        self.forgotten: list[str] = []
        self.config: dict[str, Any] | None = None
        self.flash = FakeFlash()
        self.scratch = FakeScratch()
        self.contact = FakeContact(self)
        self.lamp = FakeLamp(self)
        self.relay = FakeRelay(self)
        self.link = FakeLink()
        self.dog: FakeWatchdog | None = None
        self.wakes: list[Callable[[], bool]] = []  # what else ends a wait: a stream with input
        self.names: dict[str, str | OSError | None] = {}
        self.on_dial: Callable[[str, int, str | None], Any] = _nobody_answers
        self.on_datagram: Callable[[str, int], Any] = _nobody_answers

    # -- for the tests

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def advance(self, ms: float) -> None:
        self.now_us += round(ms * 1000)

    # -- for the firmware

    def configure(self, config: dict[str, Any]) -> None:
        self.config = config

    def reset_cause(self) -> str:
        return self.cause

    def ticks_ms(self) -> int:
        return (self._first_ticks + self.now_ms) % TICKS_PERIOD

    def ticks_diff(self, later: int, earlier: int) -> int:
        half = TICKS_PERIOD // 2
        return (later - earlier + half) % TICKS_PERIOD - half

    def ticks_add(self, ticks: int, delta_ms: int) -> int:
        return (ticks + delta_ms) % TICKS_PERIOD

    def epoch_ms(self) -> int:
        return self._epoch_offset_ms + self.now_ms

    def set_epoch_ms(self, epoch_ms: int) -> None:
        self._epoch_offset_ms = epoch_ms - self.now_ms

    def wait(self, timeout_ms: int) -> int:
        self.waits.append(timeout_ms)
        self.now_us += TURN_US
        left_ms, looked_ms = timeout_ms, self.contact.looked_ms
        while left_ms > 0 and not self.contact.has_changed() and not self.keys and not any(w() for w in self.wakes):
            looked_ms = self.now_ms
            step_ms = min(left_ms, LOOK_MS)
            self.advance(step_ms)
            left_ms -= step_ms
        return self.now_ms - looked_ms

    def random(self, below: int) -> int:
        return self._dice.randrange(below)

    def heap(self) -> int:
        return self.heap_free

    def system_heap(self) -> int:
        return self.system_free

    def collect(self) -> None:
        pass

    def forget(self, *modules: str) -> None:
        self.forgotten += modules

    def discard(self, *modules: str) -> None:
        """Refuses what is at work: on a chip its next line would find none of its names."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_globals.get("__name__")
            assert name not in modules, f"{name} is emptied while {frame.f_code.co_name} runs"
            frame = frame.f_back
        self.forget(*modules)

    def describe_error(self, error: BaseException) -> str:
        return "".join(traceback.format_exception(error))

    def log(self, text: str) -> None:
        self.logged.append(text)

    def typed(self, limit: int) -> bytes | None:
        if self.keys is None:
            return None
        taken = bytes(self.keys[:limit])
        del self.keys[:limit]
        return taken

    def heed_interrupt(self, is_heeded: bool) -> None:
        self.heeds_interrupt = is_heeded

    def watchdog(self, timeout_ms: int) -> FakeWatchdog:
        self.dog = FakeWatchdog(self, timeout_ms)
        return self.dog

    def reset(self) -> None:
        raise FakeReset

    def tamper_open(self) -> bool | None:
        return self.tamper

    def supply_mv(self) -> int | None:
        return self.supply

    def lookup(self, name: str) -> FakeLookup:
        return FakeLookup(self.names.get(name, OSError(-2, f"no address for {name}")))

    def dial(self, address: str, port: int, server_name: str | None) -> Any:
        return self.on_dial(address, port, server_name)

    def datagram(self, address: str, port: int) -> Any:
        return self.on_datagram(address, port)


def _parts_as_the_interface_wants(
    board: FakeBoard,
) -> tuple[interface.Flash, interface.Scratch, interface.Contact, interface.Lamp, interface.Relay, interface.Link]:
    """For mypy: the parts keep their own types, so that tests can look inside."""
    return board.flash, board.scratch, board.contact, board.lamp, board.relay, board.link
