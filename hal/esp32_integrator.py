"""The debouncer's integrator in the pulse counter (MicroPython 1.26 and newer; ESP32, S2, S3). See interface.py.

Pulses of 1 kHz, which PWM makes on a pad of their own, move three units: `press` goes up while the contact is closed
and down, twice as fast, while it is open, never below 0; `release` the other way round; `closed` up while it is closed.
A rising and a falling edge never come together, so that no unit steps over its limit.

The interrupt of the pulse counter runs while the flash is written, and calls code that is in the flash (esp32_pcnt.c
asks for ESP_INTR_FLAG_IRAM): that would be a panic. So a press alone has one, no more once it is taken, and none while
`with` this object (hal/esp32_flash.py).
"""

import esp32


class Integrator:
    def __init__(self, press, release, closed, press_ms):
        """From units that count: hal/esp32_integrate.py."""
        self._press = press
        self._release = release
        self._closed = closed
        self._press_ms = press_ms
        self._before = 0
        self._armed = self._latched = False
        self._latch_ref = self._latch  # made once: an interrupt's handler takes no memory

    def arm(self):
        self._armed, self._latched = True, False
        self._press.value(0)
        self._press.irq(self._latch_ref, esp32.PCNT.IRQ_MAX)
        self._press.start()

    def disarm(self):
        self._armed = self._latched = False
        self._press.irq(None)
        self._press.stop()
        self._release.value(0)

    def is_latched(self):
        self._press.value()  # runs the interrupt's handler, if it has not run yet
        return self._latched

    def open_ms(self):
        return self._release.value()

    def _latch(self, unit):
        unit.irq().flags()
        self._latched = True

    def __enter__(self):
        if self._armed:
            self._before = self._press.value()
            self._press.irq(None)
            self._closed.value(0)

    def __exit__(self, *_):
        """Nobody knows what lay between the closures in so short a time: they are taken together."""
        if self._armed:
            if max(self._before + self._closed.value(), self._press.value()) >= self._press_ms:
                self._latched = True
            self._press.irq(self._latch_ref, esp32.PCNT.IRQ_MAX)
