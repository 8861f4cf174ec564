"""The button's contact on a pin, and the pulse counter behind it where the chip has one (not the C3)."""

import io
import select
import time

import esp32
import machine

TICK_MS = 10  # of FreeRTOS: a poll that waits looks only so often, unless an interrupt wakes it
LATE_MS = 13  # a look that comes later ends the wait: what the contact did before it is for the debouncer to judge
ROOM_BYTES = 16000  # of free heap, as the button is made: what an alarm takes is dearer than the integrator's 3 KB
# The counter ignores pulses shorter than this: 1,023 cycles of 80 MHz are the most that the hardware can filter.
FILTER_NS = 12700
_STREAM_POLL = 3


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


def _wake(_):
    """The interrupt of each edge wakes the poll, and that looks at the contact."""


class Contact(io.IOBase):
    """To a poll it is a stream, with something to read while its level differs from the last `is_closed`."""

    def __init__(self, pin, active_low, pulse, board):
        """`pulse`: GPIO of a pad for the integrator's pulses, or None."""
        self._pin = machine.Pin(pin)
        self._pull = machine.Pin.PULL_UP if active_low else machine.Pin.PULL_DOWN
        self._pulse = pulse
        self._board = board
        self._counter = _make_counter(self._pin, active_low)
        self.counts = self._counter is not None
        self.become_input()
        self._pin.irq(_wake)
        self._closed_level = 0 if active_low else 1
        self._last = self._pin.value()
        self.looked = time.ticks_ms()
        self.unseen_ms = 0  # before the last look

    def become_input(self):
        """Again after each counter, which switches the pull-up on and the pull-down off."""
        self._pin.init(machine.Pin.IN, self._pull)

    def integrate(self, press_ms):
        if self._pulse is None or not hasattr(esp32, "PCNT"):
            return None
        self._board.collect()
        if self._board.heap() < ROOM_BYTES:
            return None
        from hal.esp32_integrate import make

        made = make(self, self._pin, machine.Pin(self._pulse), self._closed_level, press_ms)
        del make
        self._board.discard("hal.esp32_integrate")
        self.become_input()
        if made:
            self._board.flash.quiet = made
        return made

    def is_closed(self):
        self.looked = time.ticks_ms()
        self._last = self._pin.value()
        return self._last == self._closed_level

    def look(self):
        """The level differs from the last `is_closed`, or nobody had looked for long."""
        now = time.ticks_ms()
        self.unseen_ms = time.ticks_diff(now, self.looked)
        self.looked = now
        return self._pin.value() != self._last or self.unseen_ms >= LATE_MS

    def ioctl(self, request, flags):
        return flags & select.POLLIN if request == _STREAM_POLL and self.look() else 0

    def closures(self):
        return None if self._counter is None else self._counter.value(0)
