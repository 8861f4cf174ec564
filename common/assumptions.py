"""What this project believes about the hardware: hal/assumptions.toml, read.

>>> figures = load()
>>> figures["tick_ms"].on("esp32")
10
"""

import json
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


CARD_VERSION = 1


def on_chip(chip: str, card: Path | None = None) -> dict[str, float]:
    """Each figure's value for a chip; those that a board's card has (`make accept JSON=1`) are that board's.

    Raises AssumptionError, OSError.
    """
    figures = {name: figure.on(chip) for name, figure in load().items()}
    if card is None:
        return figures
    try:
        document = json.loads(card.read_text("utf-8"))
        measured, of = dict(document["figures"]), document["chip"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        advice = "make one with: make accept PORT=... JSON=1"
        raise AssumptionError(f"{card}: no card of a board ({error}); {advice}") from None
    if document.get("v") != CARD_VERSION or of != chip:
        wrong = f"a card of version {document.get('v')} and of an {of}, must be {CARD_VERSION} and {chip}"
        raise AssumptionError(f"{card}: {wrong}")
    for name, value in measured.items():
        if name not in figures or not isinstance(value, (int, float)) or isinstance(value, bool):
            raise AssumptionError(f"{card}: {name}: {value!r}: must be a number, of a figure in {FILE.name}")
    return figures | measured


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
