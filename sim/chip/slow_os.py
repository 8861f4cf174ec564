"""The chip's `os` where a chip is not as quick and as random as the host."""

from . import host, network, wires
from . import os as _os

QUICKEST_RENAME_MS = 2  # LittleFS's own, with programs of 0.7 ms
_rename, _noise = _os.rename, _os.urandom
_state = 0


def install() -> None:
    """What the chip's options ask for."""
    if wires.options["rename_ms"] > QUICKEST_RENAME_MS:
        _os.rename = rename  # type: ignore[assignment]
    if wires.options["rng_state"] >= 0:
        _os.urandom = urandom  # type: ignore[assignment]


def rename(old, new):
    began_us = host.now_us()
    _rename(old, new)
    left_us = wires.options["rename_ms"] * 1000 - (host.now_us() - began_us)
    if left_us > 0:
        host.sleep_us(left_us)


def urandom(n):
    """C3: without the radio what comes follows from the state in which the boot loader left the generator."""
    global _state
    if network._is_radio_on():
        return _noise(n)
    _state = _state or wires.options["rng_state"] * 48271 % 0x7FFFFFFF + 1
    made = bytearray(n)
    for at in range(n):
        _state = _state * 48271 % 0x7FFFFFFF
        made[at] = _state >> 8 & 0xFF
    return bytes(made)
