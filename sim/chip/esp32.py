"""The virtual `esp32`: the pulse counter and the chip's thermometer."""

from . import wires
from .counters import PCNT  # noqa: F401

_CELSIUS = 41  # a chip at work in a closed housing at room temperature


def raw_temperature() -> int:
    """Degrees Fahrenheit; the first ESP32 only."""
    wires.touch()
    return _CELSIUS * 9 // 5 + 32


def mcu_temperature() -> int:
    """Degrees Celsius; S2, S3 and C3 only."""
    wires.touch()
    return _CELSIUS
