"""What of the chip outlives its process: watchdog and RTC domain, shared with the parent through a file.

Little endian: 0-7 last feed (CLOCK_MONOTONIC us), 8-15 timeout (us, 0 = not armed), 16-23 the RTC's time (us since
2000-01-01) at CLOCK_MONOTONIC 0, 24-27 length of the RTC memory, 28.. RTC memory.
"""

import struct

FILE_BYTES = 4096
RTC_MEMORY_BYTES = 2048
WATCHDOG_FORM = "<QQ"
_RTC_TIME = 16
LENGTH_FORM, LENGTH_AT = "<I", 24
MEMORY_AT = 28


class Registers:
    def __init__(self, shared, options: dict, now_us: int) -> None:
        """`shared`: the file as a writable buffer. A power-on clears it, any other reset disarms the watchdog."""
        self._shared = shared
        self._capacity = options["rtc_bytes"]
        cause = options["cause"]
        if cause == "power-on":
            for at in range(0, FILE_BYTES, 64):
                shared[at : at + 64] = bytes(64)
        elif cause != "soft":  # the IDF's task watchdog runs on through a soft reset
            shared[0:_RTC_TIME] = bytes(_RTC_TIME)
        if not options.get("rtc_kept_" + cause, True):
            self.memory = b""
        if self.rtc_offset_us == 0:
            self.rtc_offset_us = -now_us  # the clock starts at 2000-01-01

    def arm(self, now_us: int, timeout_us: int) -> None:
        self._shared[0:16] = struct.pack(WATCHDOG_FORM, now_us, timeout_us)

    def feed(self, now_us: int) -> None:
        self._shared[0:8] = struct.pack("<Q", now_us)

    @property
    def rtc_offset_us(self) -> int:
        """RTC time (us since 2000-01-01) minus CLOCK_MONOTONIC."""
        return struct.unpack_from("<q", self._shared, _RTC_TIME)[0]

    @rtc_offset_us.setter
    def rtc_offset_us(self, offset_us: int) -> None:
        self._shared[_RTC_TIME:LENGTH_AT] = struct.pack("<q", offset_us)

    @property
    def memory(self) -> bytes:
        length = struct.unpack_from(LENGTH_FORM, self._shared, LENGTH_AT)[0]
        return bytes(self._shared[MEMORY_AT : MEMORY_AT + min(length, RTC_MEMORY_BYTES)])

    @memory.setter
    def memory(self, data) -> None:
        if len(data) > self._capacity:
            raise ValueError("buffer too long")
        self._shared[MEMORY_AT : MEMORY_AT + len(data)] = bytes(data)
        self._shared[LENGTH_AT:MEMORY_AT] = struct.pack(LENGTH_FORM, len(data))
