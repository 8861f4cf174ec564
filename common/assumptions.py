"""What this project believes about the hardware: hal/assumptions.toml, read.

>>> figures = load()
>>> figures["tick_ms"].on("esp32")
10
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parent.parent / "hal" / "assumptions.toml"


class AssumptionError(ValueError):
    """The file is not what it must be; says which table and key, what was found and what would be right."""


@dataclass(frozen=True)
class Figure:
    """One assumption. `range`: the lowest and the highest value that a search draws from."""

    name: str
    what: str
    value: float
    range: tuple[float, float]
    unit: str
    source: str
    sure_percent: int
    chips: Mapping[str, float] = field(default_factory=dict)

    def on(self, chip: str) -> float:
        """The value for a chip such as "esp32c3"."""
        return self.chips.get(chip, self.value)


def load(file: Path = FILE) -> dict[str, Figure]:
    """All figures by name. Raises AssumptionError, OSError."""
    return {name: _figure(name, table) for name, table in tomllib.loads(file.read_text("utf-8")).items()}


def _figure(name: str, table: dict[str, Any]) -> Figure:
    try:
        figure = Figure(name=name, **{**table, "range": tuple(table["range"])})
    except (KeyError, TypeError) as error:
        raise AssumptionError(f"{FILE.name}: [{name}]: {error}") from None
    low, high = figure.range
    for where, value in {"value": figure.value, **figure.chips}.items():
        if not low <= value <= high:
            raise AssumptionError(f"{FILE.name}: [{name}] {where}: found {value}, must be in [{low}, {high}]")
    if not figure.source.strip() or not 0 < figure.sure_percent <= 100:
        raise AssumptionError(f"{FILE.name}: [{name}]: needs a source, and sure_percent from 1 to 100")
    return figure
