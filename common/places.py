"""Where columns stand: one that is far from its region's others was probably mistyped, or its coordinates swapped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

FAR_KM = 100  # a city and the villages around it
_EARTH_M = 6_371_000.0


class Spot(NamedTuple):
    region: str
    lat: float
    lon: float


class Stray(NamedTuple):
    """`km`: to the nearest of the others. `is_swapped`: with latitude and longitude exchanged it is among them."""

    column: str
    km: float
    is_swapped: bool


def strays(spots: Mapping[str, Spot]) -> list[Stray]:
    found = []
    for column, spot in spots.items():
        others = [other for name, other in spots.items() if name != column]
        near = [other for other in others if other.region == spot.region] or others
        if near and not any(distance_km(spot, other) <= FAR_KM for other in near):  # the first one mostly is
            swapped = Spot(spot.region, spot.lon, spot.lat)
            found.append(Stray(column, _nearest_km(spot, near), _nearest_km(swapped, near) <= FAR_KM))
    return found


def _nearest_km(spot: Spot, others: list[Spot]) -> float:
    return min(distance_km(spot, other) for other in others)


def distance_km(one: Spot, other: Spot) -> float:
    """Between two of them."""
    return apart_m(one[1:], other[1:]) / 1000


def apart_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two places (latitude, longitude), along a great circle, by the haversine formula."""
    lat, other_lat = math.radians(one[0]), math.radians(other[0])
    half = math.sin((other_lat - lat) / 2) ** 2
    half += math.cos(lat) * math.cos(other_lat) * math.sin(math.radians(other[1] - one[1]) / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, half)))
