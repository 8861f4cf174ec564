"""Figures of many rounds: median, 99th percentile, slope."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """`count` values, in milliseconds."""

    count: int
    median_ms: float
    p99_ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spread(values_us: Sequence[float]) -> Spread:
    """Of values in microseconds. The p99 is the nearest rank, so with fewer than 100 values it is the highest."""
    ordered = sorted(values_us)
    rank = math.ceil(0.99 * len(ordered)) - 1
    return Spread(len(ordered), round(statistics.median(ordered) / 1000, 3), round(ordered[rank] / 1000, 3))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits best (least squares); 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope
