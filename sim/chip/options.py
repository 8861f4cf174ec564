"""How this chip is made and wired: the `KEY=VALUE` arguments of its process."""

import json

CHIPS = ("esp32", "esp32s2", "esp32s3", "esp32c3")
CAUSES = ("power-on", "watchdog", "hard", "soft", "deepsleep")

_FIGURE = "a figure of hal/assumptions.toml, which says what it is; by default a chip that is quicker than any"
# key: (default, what it is). A default of None must be given; the type of the default is the type of the value.
KEYS = {
    "flash": (None, "LittleFS image, blocks of 4096 bytes"),
    "registers": (None, "file shared with the parent: watchdog and RTC, see registers.py"),
    "cause": ("power-on", "reset cause: power-on, watchdog, hard, soft, deepsleep"),
    "chip": ("esp32", "esp32, esp32s2, esp32s3, esp32c3"),
    "seed": (0, "decides where ticks start (5 to 60 s before they wrap) and the unique id"),
    "button": (-1, "GPIO that the contact is wired to, -1 = none"),
    "button_active_low": (1, "1 = a closed contact pulls the pin to ground"),
    "tamper_pin": (-1, "GPIO of the housing's switch (closed to ground while the housing is shut), -1 = none"),
    "contact": (0, "the contact's level at power-on, 1 = closed"),
    "link": (1, "1 = access point in reach, cable plugged in"),
    "tamper": (0, "1 = housing open"),
    "ssid": ("", "name of the access point in reach; empty = whichever is asked for"),
    "password": ("", "its password; empty = whichever is given"),
    "connect_to": ("", "file of servers that are elsewhere than they seem, see routes.py; empty = there are none"),
    "join_ms": (150, "from WLAN.connect() to an address"),
    "fails": ("", "KIND:TIMES of hardware that fails at its start: wlan, wifi-start, lan, eth-start; tls-memory"),
    "counter": (1, "0 = an image older than MicroPython 1.26, which has no pulse counter"),
    "pulse": (1, "0 = PWM comes out of no pad that the pulse counter could count"),
    "tick_ms": (10, "FreeRTOS tick, on which every wait of the poll ends: hal/assumptions.toml"),
    "erase_us": (0, "the whole chip stalls for this long while a flash sector is erased (real: 45000)"),
    "program_us": (0, _FIGURE),
    "sleep_floor_ms": (0, _FIGURE),
    "timer_late_ms": (0, _FIGURE),
    "drift_ppm": (0, _FIGURE),
    "counter_pulls_up": (1, _FIGURE),
    "pulls": (2, _FIGURE),
    "pulse_hz": (1000, _FIGURE),
    "wake_us": (0, "of an edge that comes over the lead; " + _FIGURE),
    "counter_filter_us": (13, _FIGURE),
    "rename_ms": (0, _FIGURE),
    "rtc_bytes": (2048, _FIGURE),
    "rtc_kept_soft": (1, _FIGURE),
    "rtc_kept_hard": (1, _FIGURE),
    "rtc_kept_watchdog": (1, _FIGURE),
    "cause_soft": (5, _FIGURE),
    "cause_hard": (2, _FIGURE),
    "cause_watchdog": (3, _FIGURE),
    "watchdog_2s_ms": (2000, _FIGURE),
    "adc_low_mv": (142, _FIGURE),
    "adc_high_mv": (2450, _FIGURE),
    "rng_state": (-1, "in which the boot loader left the random generator, until the radio is on; -1 = true noise"),
    "lead_from": (-1, "a GPIO from which a lead goes to `lead_to`, -1 = none"),
    "lead_to": (-1, "the GPIO at the lead's other end"),
    "stuck_pin": (-1, "a GPIO that is shorted to ground, -1 = none"),
    "tls_ms": (0, _FIGURE),
    "board": ("", "settings (JSON) of a board with a serial port, see repl.py; empty = the console is lines"),
    "heaps": ("", "file of figures (JSON) of the chip's two heaps, see heaps.py; empty = one without bounds"),
    "rom": ("", "ROMFS image of code that runs where it lies; empty = none"),
    "figures": ("", "file (JSON) of more of these keys: a real chip's, which as arguments would stay in the heap"),
    "heap": (1 << 22, "heap that CPython pretends to have, bytes: its objects take several times a chip's"),
}


def parse(arguments: list[str]) -> dict:
    """{key: value} with all defaults. Raises ValueError naming the argument that is wrong."""
    values = {key: default for key, (default, _) in KEYS.items()}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or key not in KEYS:
            raise ValueError("argument '%s': must be KEY=VALUE with one of: %s" % (argument, " ".join(KEYS)))
        values[key] = _value(key, text)
    if values["figures"]:
        with open(str(values["figures"])) as file:
            values.update(json.load(file))
    for key, allowed in (("chip", CHIPS), ("cause", CAUSES)):
        if values[key] not in allowed:
            raise ValueError("%s=%s: must be one of %s" % (key, values[key], ", ".join(allowed)))
    for key, (default, meaning) in KEYS.items():
        if default is None and not values[key]:
            raise ValueError("argument %s=... is missing: %s" % (key, meaning))
    return values


def _value(key: str, text: str) -> object:
    default = KEYS[key][0]
    if not isinstance(default, int):
        return text
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ValueError("%s=%s: must be a whole number (%s)" % (key, text, KEYS[key][1]))
