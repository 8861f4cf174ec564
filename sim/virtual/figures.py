"""What is believed of the hardware (hal/assumptions.toml) as the virtual time world takes it: whole numbers, times in
microseconds."""

from common.assumptions import load
from sim.virtual.timeline import US_PER_MS, US_PER_S

_FIGURES = load()
_US = {"us": 1, "ms": US_PER_MS, "s": US_PER_S}


def of(name: str, chip: str = "") -> int:
    """The value: of a chip such as "esp32c3", or of the usual one."""
    return int(_FIGURES[name].on(chip))


def span(name: str) -> tuple[int, int]:
    """The lowest and the highest."""
    low, high = _FIGURES[name].range
    return int(low), int(high)


def us(name: str) -> int:
    return of(name) * _US[_FIGURES[name].unit]


def span_us(name: str) -> tuple[int, int]:
    low, high = span(name)
    return low * _US[_FIGURES[name].unit], high * _US[_FIGURES[name].unit]


def share(name: str) -> float:
    """What is in percent."""
    return of(name) / 100
