"""Which GPIO of which chip can do what, so that a wrong pin is refused before it is driven.

Sources: Espressif's datasheets, chapters "Pin definitions" and "Strapping pins", and the GPIO notes of the IDF
programming guide for each chip.
"""


def _span(*parts):
    """A frozenset of pin numbers from numbers and (first, last) pairs."""
    pins = []
    for part in parts:
        if isinstance(part, tuple):
            pins.extend(range(part[0], part[1] + 1))
        else:
            pins.append(part)
    return frozenset(pins)


# chip: (exists, flash, strapping, console/USB, input only: no driver and no pull-up, ADC1: works beside Wi-Fi)
_CHIPS = {
    "esp32": (
        _span((0, 19), (21, 23), (25, 27), (32, 39)),
        _span((6, 11)),
        _span(0, 2, 5, 12, 15),
        _span(1, 3),
        _span((34, 39)),
        _span((32, 39)),
    ),
    "esp32s2": (
        _span((0, 21), (26, 46)),
        _span((26, 32)),
        _span(0, 45, 46),
        _span(19, 20, 43, 44),
        _span(46),
        _span((1, 10)),
    ),
    "esp32s3": (
        _span((0, 21), (26, 48)),
        _span((26, 37)),
        _span(0, 3, 45, 46),
        _span(19, 20, 43, 44),
        _span(),
        _span((1, 10)),
    ),
    "esp32c3": (
        _span((0, 21)),
        _span((12, 17)),
        _span(2, 8, 9),
        _span(18, 19, 20, 21),
        _span(),
        _span((0, 4)),
    ),
}

# Of the integrator's pulses. Nothing is wired to it, so a strapping pin does as well. The C3 has no pulse counter.
_PULSE = {"esp32": 5, "esp32s2": 16, "esp32s3": 16}

# Free of the above on every common board of the chip, and of the ESP32's RMII Ethernet pins.
_DEFAULTS = {
    "esp32": (32, 13, 14, 4, 33),
    "esp32s2": (4, 5, 6, 7, 15),
    "esp32s3": (4, 5, 6, 7, 15),
    "esp32c3": (3, 4, 5, 6, 7),
}

RMII = (19, 21, 22, 25, 26, 27)  # of the ESP32, fixed in silicon: TXD0, TX_EN, TXD1, RXD0, RXD1, CRS_DV

OUTPUTS = ("lamp_red", "lamp_green", "lamp_blue", "relay")
INPUTS = ("button", "tamper")
REQUIRED = ("button", "lamp_red", "lamp_green", "lamp_blue", "relay")


def defaults(chip: str) -> dict:
    """The default wiring of a chip; an unknown chip gets the ESP32's."""
    pins = dict(zip(REQUIRED, _DEFAULTS.get(chip, _DEFAULTS["esp32"])))
    pins["tamper"] = None
    pins["supply"] = None
    pins["pulse"] = _PULSE.get(chip)
    return pins


def problem(chip: str, role: str, pin: int):
    """Why `pin` cannot serve as `role` on `chip`, in words that end with what would be right; None if it can."""
    if chip not in _CHIPS:
        return None  # a chip this firmware does not know: the driver has the last word
    exists, flash, strapping, console, input_only, adc1 = _CHIPS[chip]
    if pin not in exists:
        return "there is no GPIO%d on the %s" % (pin, chip)
    if pin in flash:
        return "GPIO%d carries the flash on the %s: choose another" % (pin, chip)
    if pin in strapping and role != "pulse":
        return "GPIO%d is a strapping pin of the %s and decides how it boots: choose another" % (pin, chip)
    if pin in console:
        return "GPIO%d is the console of the %s: choose another" % (pin, chip)
    if pin in input_only and (role in OUTPUTS or role == "pulse"):
        return "GPIO%d is input-only on the %s: an output needs another" % (pin, chip)
    if pin in input_only and role in INPUTS:
        return "GPIO%d has no pull-up on the %s: a contact needs another" % (pin, chip)
    if role == "supply" and pin not in adc1:
        return "GPIO%d is not on ADC1, and ADC2 does not work beside Wi-Fi: choose one of %s" % (pin, sorted(adc1))
    return None
