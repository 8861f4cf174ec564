"""The button's contact on a pin, and the pulse counter behind it where the chip has one (not the C3)."""

import time

import machine

# The counter ignores pulses shorter than this: 1,023 cycles of 80 MHz are the most that the hardware can filter.
FILTER_NS = 12700


def _make_counter(pin, falling):
    """machine.Counter (MicroPython 1.26 and newer), or None."""
    counter = getattr(machine, "Counter", None)
    if counter is None:
        return None
    try:
        edge = counter.FALLING if falling else counter.RISING
        return counter(0, pin, edge=edge, filter_ns=FILTER_NS)
    except (OSError, ValueError, RuntimeError, NotImplementedError):
        return None


class Contact:
    def __init__(self, pin, active_low):
        pull = machine.Pin.PULL_UP if active_low else machine.Pin.PULL_DOWN
        self._pin = machine.Pin(pin, machine.Pin.IN, pull)
        self._closed_level = 0 if active_low else 1
        self._last = self._pin.value()
        self.looked = time.ticks_ms()  # when `is_closed` was asked last
        self._counter = _make_counter(self._pin, active_low)
        self.counts = self._counter is not None

    def is_closed(self):
        self.looked = time.ticks_ms()
        self._last = self._pin.value()
        return self._last == self._closed_level

    def has_changed(self):
        """The level differs from the last `is_closed`."""
        return self._pin.value() != self._last

    def closures(self):
        return None if self._counter is None else self._counter.value(0)
