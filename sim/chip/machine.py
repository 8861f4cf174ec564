"""The virtual `machine` of an ESP32."""

from . import heaps, host, wires
from . import time as _time
from .counters import Counter  # noqa: F401
from .pins import ADC, PWM, Pin  # noqa: F401
from .pins import pin_id as _pin_id

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
_CAUSES = {
    "power-on": PWRON_RESET,
    "hard": HARD_RESET,
    "watchdog": WDT_RESET,
    "deepsleep": DEEPSLEEP_RESET,
    "soft": SOFT_RESET,
}
_FREQUENCIES_HZ = (20000000, 40000000, 80000000, 160000000, 240000000)
_TIMERS = 4
_FEED_GRAIN_US = 10000  # feeds that follow each other faster are one
# sck, mosi, miso of SPI 1 and 2 when they are not given
_SPI_PINS = {
    "esp32": ((14, 13, 12), (18, 23, 19)),
    "esp32s2": ((12, 11, 13), (36, 35, 37)),
    "esp32s3": ((12, 11, 13), (36, 35, 37)),
    "esp32c3": ((6, 7, 2),),
}
_freq = 160000000
_masked: list = []


class WDT:
    """The IDF's task watchdog: nothing stops it again; another WDT(timeout=...) changes its timeout."""

    _fed = 0
    _timeout_us = 0

    def __init__(self, *, id=0, timeout=5000) -> None:
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        wires.registers.arm(host.now_us(), timeout * wires.options["watchdog_2s_ms"] // 2)

    def feed(self) -> None:
        ticks = _time.ticks_us()
        if not 0 <= _time.ticks_diff(ticks, WDT._fed) < _FEED_GRAIN_US:
            WDT._fed = ticks
            wires.registers.feed(host.now_us())
            heaps.watch()


class RTC:
    def init(self, __datetime=None) -> None:
        if __datetime is not None:
            self.datetime(__datetime)

    def datetime(self, datetimetuple=None):
        """(year, month, day, weekday, hour, minute, second, microsecond)"""
        now_us = host.now_us()
        if datetimetuple is None:
            seconds, us = divmod(now_us + wires.registers.rtc_offset_us, 1000000)
            year, month, day, hour, minute, second, weekday, _ = _time.gmtime(seconds)
            return (year, month, day, weekday, hour, minute, second, us)
        year, month, day, _, hour, minute, second, us = datetimetuple
        seconds = _time.mktime((year, month, day, hour, minute, second))
        wires.registers.rtc_offset_us = seconds * 1000000 + us - now_us

    def memory(self, data=None):
        """RTC memory, up to 2048 bytes. Hangs when `data` begins with the task that the parent wants to hang."""
        wires.touch()
        if data is None:
            return wires.registers.memory
        wires.registers.memory = data
        if wires.hang_task and bytes(data[: len(wires.hang_task)]) == wires.hang_task:
            wires.hang()


class Timer:
    """A soft timer: it wakes whoever waits, and its callback runs when the device's code touches hardware next."""

    ONE_SHOT = 0
    PERIODIC = 1

    def __init__(self, __id, *, mode=1, period=None, freq=None, callback=None) -> None:
        if not 0 <= __id < _TIMERS:
            raise ValueError("invalid Timer number")
        self._active = False
        self._poll_ref, self._alarm_ref = self._poll, self._alarm  # one object each, so that the list finds it again
        if period is not None or freq is not None:
            self.init(mode=mode, period=period, freq=freq, callback=callback)

    def init(self, *, mode=1, period=None, freq=None, callback=None) -> None:
        self.deinit()
        period_ms = 1000 // freq if freq else period
        if not period_ms or period_ms < 1:
            raise ValueError("period or freq required")
        self._mode, self._period_ms, self._callback = mode, period_ms, callback
        self._due = _time.ticks_add(_time.ticks_ms(), period_ms + wires.options["timer_late_ms"])
        self._active = True
        wires.polls.append(self._poll_ref)
        wires.alarms.append(self._alarm_ref)

    def deinit(self) -> None:
        if self._active:
            wires.polls.remove(self._poll_ref)
            wires.alarms.remove(self._alarm_ref)
            self._active = False

    def _poll(self) -> None:
        if _time.ticks_diff(_time.ticks_ms(), self._due) < 0:
            return
        if self._mode == Timer.ONE_SHOT:
            self.deinit()
        self._due = _time.ticks_add(_time.ticks_ms(), self._period_ms)
        if self._callback is not None:
            wires.wake()
            self._callback(self)

    def _alarm(self) -> int:
        return max(0, _time.ticks_diff(self._due, _time.ticks_ms())) * 1000


class SPI:
    """A bus to hand to network.LAN; nothing else is wired to it."""

    def __init__(self, __id, baudrate=1000000, *, sck=None, mosi=None, miso=None) -> None:
        own = _SPI_PINS[wires.options["chip"]]
        if not 1 <= __id <= len(own):
            raise ValueError("SPI(%s) doesn't exist" % __id)
        given = zip((sck, mosi, miso), own[__id - 1])
        self._pins = [default if pin is None else _pin_id(pin) for pin, default in given]

    def _is_free(self) -> bool:
        """No output took one of the bus's pins: on the chip the last one to be set up has it, without a word."""
        return not any(pin in PWM._channels or Pin._is_output(pin) for pin in self._pins)


def reset_cause() -> int:
    cause = wires.options["cause"]
    return wires.options.get("cause_" + cause, _CAUSES.get(cause))


def reset() -> None:
    host.say('\x01{"reset":"hard"}')
    host.end(0)


def soft_reset() -> None:
    host.say('\x01{"reset":"soft"}')
    host.end(0)


def unique_id() -> bytes:
    return b"\x24\x0a\xc4" + (wires.options["seed"] * 2654435761 & 0xFFFFFF).to_bytes(3, "big")


def freq(__hz=wires.ASK):
    """CPU frequency in Hz; setting it changes what it reads, not how fast the simulation runs."""
    global _freq
    if __hz is wires.ASK:
        return _freq
    if __hz not in _FREQUENCIES_HZ:
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _freq = __hz


def idle() -> None:
    wires.sleep_ms(1)


def lightsleep(__time_ms=None) -> None:
    if __time_ms is None:
        raise ValueError("the simulated chip has nothing that wakes it: give a time in ms")
    wires.sleep_ms(__time_ms)


def disable_irq() -> int:
    """Holds back soft interrupts and timers until enable_irq()."""
    if not _masked:
        _masked.append(list(wires.polls))
        wires.polls.clear()
        return 1
    return 0


def enable_irq(__state) -> None:
    if __state and _masked:
        wires.polls.extend(_masked.pop())
