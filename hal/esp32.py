"""The board on an ESP32, S2, S3 or C3 under stock MicroPython (1.24 and newer). What a method must do: interface.py.

Differences between chips are found by looking for the feature, never by the chip's name.
"""

import gc
import io
import os
import select
import sys
import time

import esp32
import machine
import micropython
from micropython import const

# Collect after so many bytes, not when the heap is full: what lives for ever (modules) then lies close together, and
# a long packet finds room in one piece. A collection takes a few milliseconds, so a board with room to spare collects
# less often once it runs (`Esp32Board.collect`).
_COLLECT_MIN_BYTES = const(4096)
_COLLECT_SHARE = const(4)
gc.threshold(_COLLECT_MIN_BYTES)

from hal.esp32_contact import LATE_MS, TICK_MS  # noqa: E402
from hal.esp32_flash import Flash  # noqa: E402
from hal.esp32_net import Datagram, Lookup, Stream  # noqa: E402

_SYSTEM_NEEDS_BYTES = const(98304)  # of IDF's heap, in one piece: Wi-Fi, TLS and its handshake, sockets, some
_DUTY_MAX = const(65535)
_COLOUR_MAX = const(255)
_EPOCH_2000_MS = const(946684800000)
_CTRL_C = const(3)
_NO_CHARACTER = const(-1)

_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.SOFT_RESET: "soft",
}


class Scratch:
    """RTC memory: outlives every reset but a power cut."""

    def __init__(self):
        self._rtc = machine.RTC()

    def read(self):
        return bytes(self._rtc.memory())

    def write(self, data):
        self._rtc.memory(data)


class RgbLamp:
    def __init__(self, channels):
        self._channels = channels  # of PWM

    def show(self, red, green, blue):
        for channel, value in zip(self._channels, (red, green, blue)):
            channel.duty_u16(value * _DUTY_MAX // _COLOUR_MAX)


class Relay:
    def __init__(self, pin, active_high):
        self._active_high = active_high
        self._pin = pin

    def set(self, closed):
        self._pin.value(closed == self._active_high)


class Esp32Board:
    def __init__(self):
        from hal.esp32_start import chip, uid

        self.chip = chip()
        self.uid = uid()
        self.micropython = ".".join(str(part) for part in sys.implementation.version[:3])
        self.flash = Flash()
        self.scratch = Scratch()
        self.ticks_ms = time.ticks_ms
        self.ticks_diff = time.ticks_diff
        self.ticks_add = time.ticks_add
        self._epoch_offset_ms = _EPOCH_2000_MS if time.gmtime(0)[0] == 2000 else 0
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._lookups = {}

    def configure(self, config):
        from hal.esp32_start import wire  # 1 KB, forgotten again

        self.contact, self.lamp, self.relay, self._tamper, self._supply, self.link, self._tls = wire(self, config)
        self._divider = config["supply"]["divider"]
        self._poll.register(self.contact, select.POLLIN)
        del wire
        self.discard("hal.esp32_network", "hal.esp32_start")

    # -- time

    def epoch_ms(self):
        return time.time_ns() // 1000000 + self._epoch_offset_ms

    def set_epoch_ms(self, epoch_ms):
        seconds, ms = divmod(epoch_ms - self._epoch_offset_ms, 1000)
        year, month, day, hour, minute, second, weekday = time.gmtime(seconds)[:7]
        machine.RTC().datetime((year, month, day, weekday, hour, minute, second, ms * 1000))

    def wait(self, timeout_ms):
        contact = self.contact
        if contact.look() or timeout_ms <= 0:
            return contact.unseen_ms
        if timeout_ms >= TICK_MS:
            self._is_ready(timeout_ms)
        else:  # poll would wait for the next tick
            while timeout_ms > 0 and not self._is_ready(0):
                time.sleep_ms(1)
                timeout_ms -= 1
            contact.look()
        return contact.unseen_ms if contact.unseen_ms >= LATE_MS else 0

    def _is_ready(self, timeout_ms):
        for _ in self._poll.ipoll(timeout_ms):
            return True
        return False

    # -- the chip

    def reset_cause(self):
        return _CAUSES.get(machine.reset_cause(), "unknown")

    def random(self, below):
        number = 0
        for byte in os.urandom(4):
            number = number << 8 | byte
        return number % below

    def heap(self):
        # mem_free() counts the largest block of IDF's heap as free, for MicroPython's heap would grow by it. What it
        # takes is gone for Wi-Fi and TLS until a reset, so it is none of ours but where IDF has more than it needs.
        growth = max(region[2] for region in esp32.idf_heap_info(esp32.HEAP_DATA))
        free = gc.mem_free() - growth
        step = gc.mem_alloc() + free  # it doubles
        return free + step if growth >= step + _SYSTEM_NEEDS_BYTES else free

    def system_heap(self):
        return sum(region[1] for region in esp32.idf_heap_info(esp32.HEAP_DATA))

    def collect(self):
        gc.collect()
        gc.threshold(max(_COLLECT_MIN_BYTES, self.heap() // _COLLECT_SHARE))

    def discard(self, *modules):
        for module in modules:
            if module in sys.modules:  # py/objmodule.c: the table itself, but for images built without it
                getattr(sys.modules[module], "__dict__", {}).clear()
        self.forget(*modules)

    def forget(self, *modules):
        for module in modules:
            package, _, name = module.rpartition(".")
            was_loaded = sys.modules.pop(module, None) is not None
            if was_loaded and package in sys.modules and hasattr(sys.modules[package], name):
                delattr(sys.modules[package], name)
        gc.collect()

    def describe_error(self, error):
        text = io.StringIO()
        sys.print_exception(error, text)
        return text.getvalue()

    def log(self, text):
        print(text.replace("\r", "\n").replace("\n", "\n  "))

    def typed(self, limit):
        # One by one, for a read waits until it has all that it was asked for; the text stream even for a whole letter.
        taken = b""
        while len(taken) < limit:
            for source, _ in self._poll.ipoll(0):
                if source is sys.stdin:
                    taken += sys.stdin.buffer.read(1)
                    break
            else:
                break
        return taken

    def heed_interrupt(self, is_heeded):
        micropython.kbd_intr(_CTRL_C if is_heeded else _NO_CHARACTER)

    def watchdog(self, timeout_ms):
        return machine.WDT(timeout=timeout_ms)

    def reset(self):
        machine.reset()

    def tamper_open(self):
        return None if self._tamper is None else bool(self._tamper.value())

    def supply_mv(self):
        return None if self._supply is None else int(self._supply.read_uv() * self._divider) // 1000

    # -- the network

    def lookup(self, name):
        """One thread per name at most: getaddrinfo can take 19 s, and a retry must not start another."""
        running = self._lookups.get(name)
        if running is None or running.is_over():
            running = self._lookups[name] = Lookup(name)
        return running

    def dial(self, address, port, server_name):
        return Stream(address, port, self._tls if server_name else None, server_name, self._poll)

    def datagram(self, address, port):
        return Datagram(address, port)
