"""The virtual `esp32`: the pulse counter, IDF's heap and the chip's thermometer."""

from . import heaps, wires
from .counters import PCNT  # noqa: F401

HEAP_EXEC = 1
HEAP_DATA = 4
_CELSIUS = 41  # a chip at work in a closed housing at room temperature


def raw_temperature() -> int:
    """Degrees Fahrenheit; the first ESP32 only."""
    wires.touch()
    return _CELSIUS * 9 // 5 + 32


def mcu_temperature() -> int:
    """Degrees Celsius; S2, S3 and C3 only."""
    wires.touch()
    return _CELSIUS


def idf_heap_info(capabilities: int) -> list:
    """[(bytes, bytes free, largest free block, fewest bytes free)] of each region; there is no other than HEAP_DATA."""
    heaps.watch()
    return [(size, free, free, fewest) for size, free, fewest in heaps.regions]
