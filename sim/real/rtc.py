"""The chip's registers that outlive its process, as the parent sees them: watchdog and RTC memory, in a small shared
file whose form is in sim/chip/rtc.py."""

import os
import struct
import time
from pathlib import Path

from sim.chip.rtc import FILE_BYTES, LENGTH_AT, LENGTH_FORM, MEMORY_AT, RTC_MEMORY_BYTES, WATCHDOG_FORM

_WATCHDOG = struct.Struct(WATCHDOG_FORM)
_LENGTH = struct.Struct(LENGTH_FORM)


def now_us() -> int:
    """The clock that the column and the chip share."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


class Registers:
    """The column's view of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.power_cut()

    def power_cut(self) -> None:
        """Nothing survives."""
        os.pwrite(self._file, bytes(FILE_BYTES), 0)

    def reset(self) -> None:
        """The watchdog is disarmed; RTC memory survives."""
        os.pwrite(self._file, bytes(_WATCHDOG.size), 0)

    def is_armed(self) -> bool:
        return self._watchdog()[1] > 0

    def fed_us(self) -> int:
        """The last feed, CLOCK_MONOTONIC; 0 = none since the reset."""
        return int(self._watchdog()[0])

    def is_overdue(self) -> bool:
        """True when an armed watchdog was not fed in time."""
        fed_us, timeout_us = self._watchdog()
        return timeout_us > 0 and now_us() - fed_us > timeout_us

    def breadcrumb(self) -> str:
        """The name of the task that ran last: RTC memory up to the first NUL or space. "" if no column wrote there."""
        (length,) = _LENGTH.unpack(os.pread(self._file, _LENGTH.size, LENGTH_AT))
        memory = os.pread(self._file, min(length, RTC_MEMORY_BYTES), MEMORY_AT)
        name = memory.replace(b" ", b"\0").split(b"\0")[0].decode("latin-1")
        return name if name.isascii() and name.isprintable() else ""

    def close(self) -> None:
        os.close(self._file)

    def _watchdog(self) -> tuple[int, int]:
        fed_us, timeout_us = _WATCHDOG.unpack(os.pread(self._file, _WATCHDOG.size, 0))
        return fed_us, timeout_us
