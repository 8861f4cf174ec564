"""The chip's `time`: ticks that wrap at 2**30 and start shortly before it, an RTC that counts from 2000-01-01."""

import time as _host_time

from . import host, wires

_PERIOD = 1 << 30
_MASK = _PERIOD - 1
_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)
_ms_offset = 0
_us_offset = 0
_began_us = 0

_native_add = getattr(_host_time, "ticks_add", None)
if _native_add is not None and _native_add(0, -1) == _MASK:  # 32-bit MicroPython: the same period, and no big ints
    ticks_add = _native_add
    ticks_diff = _host_time.ticks_diff  # type: ignore[attr-defined]
else:

    def ticks_add(ticks: int, delta: int) -> int:
        if not -_PERIOD // 2 < delta < _PERIOD // 2:
            raise OverflowError("ticks interval overflow")
        return (ticks + delta) & _MASK

    def ticks_diff(end: int, start: int) -> int:
        return ((end - start + _PERIOD // 2) & _MASK) - _PERIOD // 2


def start_ticks(seed: int) -> None:
    """Ticks begin 5 to 60 seconds before they wrap; `seed` decides where."""
    global _ms_offset, _us_offset, _began_us
    _began_us = host.now_us()
    before_ms = 5000 + seed * 7919 % 55000
    _ms_offset = ticks_diff(_PERIOD - before_ms, host.ticks_ms() & _MASK)
    _us_offset = ticks_diff(_PERIOD - before_ms * 1000, host.ticks_us() & _MASK)


def ticks_ms() -> int:
    return ticks_add(host.ticks_ms() & _MASK, _ms_offset)


def ticks_us() -> int:
    ticks = ticks_add(host.ticks_us() & _MASK, _us_offset)
    drift_ppm = wires.options["drift_ppm"]
    return ticks_add(ticks, (host.now_us() - _began_us) // 1000 * drift_ppm // 1000) if drift_ppm else ticks


ticks_cpu = ticks_us


def sleep(seconds: float) -> None:
    sleep_ms(int(seconds * 1000))


def sleep_ms(ms: int) -> None:
    """Exact, as on the chip: mp_hal_delay_ms spins for what is left of less than a tick."""
    wires.sleep_ms(ms)


def sleep_us(us: int) -> None:
    host.sleep_us(max(us, 0))


def time_ns() -> int:
    return (host.now_us() + wires.registers.rtc_offset_us) * 1000


def time() -> int:
    """Seconds since 2000-01-01 by the chip's clock."""
    return (host.now_us() + wires.registers.rtc_offset_us) // 1000000


def gmtime(seconds: int | None = None) -> tuple[int, ...]:
    """(year, month, day, hour, minute, second, weekday, yearday)"""
    total = time() if seconds is None else seconds
    days, rest = divmod(total, 86400)
    year = 2000 + days // 366
    while _days_to(year + 1) <= days:
        year += 1
    yearday = days - _days_to(year)
    month = 12
    while _days_in_year_before(year, month) > yearday:
        month -= 1
    day = yearday - _days_in_year_before(year, month) + 1
    return (year, month, day, rest // 3600, rest // 60 % 60, rest % 60, (days + 5) % 7, yearday + 1)


localtime = gmtime


def mktime(parts: tuple[int, ...]) -> int:
    """Seconds since 2000-01-01 of (year, month, day, hour, minute, second, ...)."""
    year, month, day, hour, minute, second = parts[:6]
    days = _days_to(year) + _days_in_year_before(year, month) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


def _days_to(year: int) -> int:
    """Days from 2000-01-01 to the first of January."""
    past = year - 1
    return (year - 2000) * 365 + past // 4 - past // 100 + past // 400 - 484


def _days_in_year_before(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _DAYS_BEFORE[month - 1] + (1 if leap and month > 2 else 0)
