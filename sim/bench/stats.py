"""Figures of many rounds: median, 95th and 99th percentile, slope."""

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
    p95_ms: float
    p99_ms: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def spread(values_us: Sequence[float]) -> Spread:
    """Of values in microseconds. Percentiles are the nearest rank: of fewer than 100 values the p99 is the highest."""
    ordered = sorted(values_us)
    p95, p99 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.95, 0.99))
    return Spread(len(ordered), *(round(one / 1000, 3) for one in (statistics.median(ordered), p95, p99)))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line that fits best (least squares); 0 for fewer than two points."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope
