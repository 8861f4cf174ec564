"""Makes the integrator and lets it prove itself: discarded afterwards, see `Contact.integrate`."""

import time

import esp32
import machine

from hal.esp32_integrator import Integrator

PULSE_HZ = 1000
FILTER = 1023  # cycles of 80 MHz: the most that the hardware can filter
COUNT_MAX = 32767
_HALF_DUTY = 32768
_FIRST_UNIT = 1  # unit 0 counts the contact's closures
_PROOF_MS = 40
_PROOF_TRIES = 5  # a contact that bounces proves nothing
_PROOF_OFF = 5  # pulses that may be too many or too few


def make(contact, pin, pulse, closed_level, press_ms):
    """The integrator, or None. Leaves the contact's pin with its pull-up on."""
    made = []
    try:
        made.append(_unit(0, pin, pulse, closed_level, press_ms))
        made.append(_unit(1, pin, pulse, 1 - closed_level, COUNT_MAX))
        made.append(_closed(pin, pulse, closed_level))
        made.append(machine.PWM(pulse, freq=PULSE_HZ, duty_u16=_HALF_DUTY))  # last: each unit makes the pad an input
        contact.become_input()
        press, release, closed, _ = made
        if _is_proven(contact.is_closed, press, release, closed):
            return Integrator(press, release, closed, press_ms)
    except (OSError, ValueError, RuntimeError):
        pass
    for one in made:
        one.deinit()
    return None


def _unit(number, pin, pulse, up_level, limit):
    """Counts up at each pulse while the pin is at `up_level`, and else down at both of its edges."""
    pcnt = esp32.PCNT
    unit = pcnt(_FIRST_UNIT + number, pin=pulse, rising=pcnt.INCREMENT, mode_pin=pin, filter=FILTER,
                mode_low=pcnt.REVERSE * up_level, mode_high=pcnt.REVERSE * (1 - up_level),
                min=-1, max=limit)  # fmt: skip
    unit.init(channel=1, pin=pulse, falling=pcnt.DECREMENT, mode_pin=pin,
              mode_low=pcnt.HOLD * (1 - up_level), mode_high=pcnt.HOLD * up_level)  # fmt: skip
    unit.start()
    return unit


def _closed(pin, pulse, closed_level):
    """Counts up while the contact is closed."""
    pcnt = esp32.PCNT
    unit = pcnt(_FIRST_UNIT + 2, pin=pulse, rising=pcnt.INCREMENT, mode_pin=pin, filter=FILTER,
                mode_low=pcnt.HOLD * closed_level, mode_high=pcnt.HOLD * (1 - closed_level),
                min=-1, max=COUNT_MAX)  # fmt: skip
    unit.start()
    return unit


def _is_proven(is_closed, *units):
    """Whether they count what they should, by a contact that stays as it is for 40 ms."""
    for _ in range(_PROOF_TRIES):
        closed, began = is_closed(), time.ticks_ms()
        for unit in units:
            unit.value(0)
        time.sleep_ms(_PROOF_MS)
        press, idle, counted = [unit.value() for unit in units]
        took_ms = time.ticks_diff(time.ticks_ms(), began)
        if not closed:
            counted, idle = idle, max(counted, press)
        if is_closed() == closed:
            return _PROOF_MS - _PROOF_OFF <= counted <= took_ms + _PROOF_OFF and idle <= 0
    return False
