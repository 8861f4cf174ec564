"""What hangs on the virtual board: contact, lamp, relay, scratch memory, watchdog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.virtual.endings import PowerCut
from sim.virtual.figures import of
from sim.virtual.integrator import VirtualIntegrator
from sim.virtual.timeline import US_PER_S

if TYPE_CHECKING:
    from sim.virtual.board import VirtualBoard

SCRATCH_BYTES = of("rtc_bytes")
PROOF_US = 40_000  # the integrator counts for so long to prove itself
HANG_GRACE_US = 2 * US_PER_S
DARK = (0, 0, 0)


class VirtualContact:
    """`hal.interface.Contact`"""

    def __init__(self, board: VirtualBoard, has_counter: bool) -> None:
        self._board = board
        self.counts = has_counter
        self._counted_us = board.hardware.timeline.now_us
        self.last_level = False

    def integrate(self, press_ms: int) -> VirtualIntegrator | None:
        board, hardware = self._board, self._board.hardware
        if not (self.counts and hardware.costs.pulses and board.interrupts):
            return None
        board.spend(PROOF_US)
        return VirtualIntegrator(hardware.contact, lambda: hardware.timeline.now_us, press_ms)

    def is_closed(self) -> bool:
        board = self._board
        board.spend(board.hardware.costs.look_us)
        board.sampled()
        self.last_level = bool(board.hardware.contact.level_at(board.hardware.timeline.now_us))
        return self.last_level

    def closures(self) -> int | None:
        if not self.counts:
            return None
        self._board.spend(self._board.hardware.costs.look_us)
        now_us = self._board.hardware.timeline.now_us
        counted = self._board.hardware.contact.closures_between(self._counted_us, now_us)
        self._counted_us = now_us
        return counted


class VirtualLamp:
    """`hal.interface.Lamp`"""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board
        self._shown = DARK

    def show(self, red: int, green: int, blue: int) -> None:
        self._board.spend(0)
        if (red, green, blue) != self._shown:
            self._shown = (red, green, blue)
            self._board.hardware.trace.add("lamp", red, green, blue)


class VirtualRelay:
    """`hal.interface.Relay`"""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board
        self._closed = False

    def set(self, closed: bool) -> None:
        self._board.spend(0)
        if closed != self._closed:
            self._closed = closed
            self._board.hardware.trace.add("relay", closed)


class VirtualScratch:
    """`hal.interface.Scratch`; a hang of a task begins when its breadcrumb is written."""

    def __init__(self, board: VirtualBoard) -> None:
        self._board = board

    def read(self) -> bytes:
        self._board.spend(0)
        return self._board.hardware.scratch

    def write(self, data: bytes) -> None:
        board = self._board
        board.spend(0)
        if len(data) > SCRATCH_BYTES:
            raise ValueError(f"scratch memory holds {SCRATCH_BYTES} bytes, not {len(data)}")
        hardware = board.hardware
        hardware.scratch = data
        if hardware.hang is not None and data.startswith(hardware.hang.encode()):
            self._spin()

    def _spin(self) -> None:
        """Hang until the watchdog bites; when it does not, somebody cuts the power in the end."""
        hardware = self._board.hardware
        task, hardware.hang = hardware.hang, None
        hardware.trace.add("hang", task)
        hardware.trace.took_effect("hang")
        self._board.spend(self._board.watchdog_timeout_us + HANG_GRACE_US)
        raise PowerCut


class VirtualWatchdog:
    """`hal.interface.Watchdog`"""

    def __init__(self, board: VirtualBoard, timeout_us: int) -> None:
        self._board = board
        self._timeout_us = board.watchdog_timeout_us = timeout_us
        self.feed()

    def feed(self) -> None:
        self._board.spend(0)
        self._board.watchdog_us = self._board.hardware.timeline.now_us + self._timeout_us
