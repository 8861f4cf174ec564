"""Which GPIO of which chip can do what, and who wants it, so that a wrong pin is refused before it is driven.

Sources: Espressif's datasheets, chapters "Pin definitions" and "Strapping pins", the GPIO notes of the IDF programming
guide for each chip, and MicroPython's ports/esp32/machine_hw_spi.c for the pins of an SPI host.
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
        _span((11, 17)),  # 11 is VDD_SPI, the flash's supply
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

CHIPS = tuple(sorted(_CHIPS))

RMII = (19, 21, 22, 25, 26, 27)  # of the ESP32, fixed in silicon: TXD0, TX_EN, TXD1, RXD0, RXD1, CRS_DV
# As one text each: a short name of its own would stay in MicroPython's table of names for ever.
RMII_PHYS = "PHY_LAN8710 PHY_LAN8720 PHY_IP101 PHY_RTL8201 PHY_DP83848 PHY_KSZ8041 PHY_KSZ8081 PHY_LAN8670 PHY_GENERIC"
SPI_PHYS = "PHY_W5500 PHY_KSZ8851SNL PHY_DM9051"
# What machine.SPI(id) takes when it is not told: sck, mosi, miso.
_SPI = {
    "esp32": {1: (14, 13, 12), 2: (18, 23, 19)},
    "esp32s2": {1: (12, 11, 13), 2: (36, 35, 37)},
    "esp32s3": {1: (12, 11, 13), 2: (36, 35, 37)},
    "esp32c3": {1: (6, 7, 2)},
}
_BUS = ("sck", "mosi", "miso")

OUTPUTS = ("lamp_red", "lamp_green", "lamp_blue", "relay")
INPUTS = ("button", "tamper")
REQUIRED = ("button", "lamp_red", "lamp_green", "lamp_blue", "relay")
# Of an Ethernet chip, in the section "link". The maker of a board decided where they go: those that the column drives
# may be strapping pins, and so may the clock, which boards keep quiet until the chip has started.
_LINK_OUTPUTS = ("mdc", "mdio", "power", "reset", "cs", "sck", "mosi")
LINK = _LINK_OUTPUTS + ("ref_clk", "miso", "int")


def phy(value, chip="esp32"):
    """For the validator: what would be right on that chip, or None."""
    if value not in (RMII_PHYS + " " + SPI_PHYS).split():
        return "one of %s" % (SPI_PHYS if chip != "esp32" else RMII_PHYS + " " + SPI_PHYS)
    return None


def unknown(chip: str):
    """Why nothing can be said of a chip's pins; None for one that is known."""
    if chip not in _CHIPS:
        return "chip: this firmware knows no pins of the %s, must be one of %s" % (chip, ", ".join(CHIPS))
    return None


def defaults(chip: str) -> dict:
    """The default wiring of a chip. Raises ValueError for an unknown one, whose pins must not be driven."""
    if chip not in _CHIPS:
        raise ValueError(unknown(chip))
    pins = dict(zip(REQUIRED, _DEFAULTS[chip]))
    pins["tamper"] = None
    pins["supply"] = None
    pins["pulse"] = _PULSE.get(chip)
    return pins


def problem(chip: str, role: str, pin: int):
    """Why `pin` cannot serve as `role` on `chip`, in words that end with what would be right; None if it can.

    `role`: of the section "pins", or a key of LINK.
    """
    exists, flash, strapping, console, input_only, adc1 = _CHIPS[chip]
    if pin not in exists:
        return "there is no GPIO%d on the %s" % (pin, chip)
    taken = "carries the flash" if pin in flash else "is the console" if pin in console else None
    if pin in strapping and role not in _LINK_OUTPUTS and role not in ("ref_clk", "pulse"):
        taken = "is a strapping pin that decides how the chip boots"
    if taken:
        return "GPIO%d %s (%s): choose another" % (pin, taken, chip)
    if pin in input_only and (role in OUTPUTS + _LINK_OUTPUTS or role == "pulse"):
        return "GPIO%d is input-only on the %s: an output needs another" % (pin, chip)
    if pin in input_only and role in INPUTS:
        return "GPIO%d has no pull-up on the %s: a contact needs another" % (pin, chip)
    if role == "supply" and pin not in adc1:
        return "GPIO%d is not on ADC1, and ADC2 does not work beside Wi-Fi: choose one of %s" % (pin, sorted(adc1))
    return None


def pulse_gives_way(chip: str, roles: dict, link) -> None:
    """A default takes no pin away from what was chosen."""
    if len(_claimants(_claims(chip, roles, link or {}), link or {}).get(roles["pulse"], ())) > 1:
        roles["pulse"] = None


def troubles(chip: str, roles: dict, link) -> list:
    """All that is wrong with the pins that everything on a board claims. `link`: the section, as far as it is valid."""
    link = link or {}
    found = _ethernet(chip, link) if link.get("type") == "ethernet" else []
    claims = _claims(chip, roles, link)
    for name, role, pin in claims:
        why = problem(chip, role, pin)
        if why:
            found.append("%s: found %d, but %s" % (name, pin, why))
    claimants = _claimants(claims, link)
    for pin in claimants:
        if len(claimants[pin]) > 1:
            found.append("%s: GPIO%d is used twice; give each its own pin" % (" and ".join(claimants[pin]), pin))
    return found


def _claims(chip, roles, link):
    """(claimant, role or key, pin) of everything that wants one."""
    claims = [("pins." + role, role, roles[role]) for role in sorted(roles)]
    if link.get("type") == "ethernet":
        claims.extend(_bus(chip, link))
    claims.extend([("link." + key, key, link.get(key)) for key in LINK])
    return [claim for claim in claims if claim[2] is not None]


def _claimants(claims, link):
    """{pin: names of those that claim it}"""
    claimants = {}
    for name, _, pin in claims:
        claimants.setdefault(pin, []).append(name)
    if link.get("mdc") is not None:
        for pin in RMII:
            claimants.setdefault(pin, []).append("Ethernet (RMII, fixed)")
    return claimants


def _ethernet(chip, link):
    """What network.LAN could not work with on this chip."""
    # A key that is not there was wrong, and that is told already: what would follow from its default is not.
    if "phy" not in link or "spi" not in link:
        return []
    phy, spi = link["phy"] or "PHY_LAN8720", link["spi"]
    needed = ("spi", "cs", "int") if phy in SPI_PHYS.split() else ("mdc", "mdio")
    if phy not in SPI_PHYS.split() and chip != "esp32":
        return ["link.phy: found %s, but the %s has no RMII: must be one of %s" % (phy, chip, SPI_PHYS)]
    if spi is not None and spi not in _SPI[chip]:
        return ["link.spi: found %d, but the %s has only 1" % (spi, chip)]
    return ["link.%s: missing, a %s needs it" % (key, phy) for key in needed if link.get(key, 0) is None]


def _bus(chip, link):
    """(claimant, key, pin) of the bus's pins that the configuration leaves to machine.SPI."""
    taken = zip(_BUS, _SPI[chip].get(link.get("spi"), ()))
    return [("link.%s (SPI's own, unless set)" % key, key, pin)
            for key, pin in taken if link.get(key, 0) is None]  # fmt: skip
