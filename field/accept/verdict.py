"""What a board showed, held against what the model believes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from common.assumptions import Figure
from field.accept.measures import NEAR, Value


class Verdict(StrEnum):
    AGREES = "agrees"
    WITHIN = "within"  # another figure than the model's, and within the range that the campaign draws from
    OUTSIDE = "outside"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True)
class Line:
    figure: Figure
    modelled: float
    measured: Value
    verdict: Verdict


def judge(figures: Mapping[str, Figure], chip: str, measured: Mapping[str, Value]) -> Iterator[Line]:
    """A line for each figure of the model, in its order."""
    for name, figure in figures.items():
        value, modelled = measured.get(name), figure.on(chip)
        yield Line(figure, modelled, value, _verdict(figure, modelled, value))


def _verdict(figure: Figure, modelled: float, value: Value) -> Verdict:
    if value is None:
        return Verdict.UNMEASURED
    if abs(value - modelled) <= NEAR[figure.name]:
        return Verdict.AGREES
    low, high = figure.range
    return Verdict.WITHIN if low <= value <= high else Verdict.OUTSIDE
