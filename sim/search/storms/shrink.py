"""Makes a storm that breaks a promise as small as it gets while it still breaks it: delta debugging."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sim.search.storms.script import Happening, Storm

ROUND_MS = (60_000, 10_000, 1_000, 100, 10)  # a time that is rounded reads better
TAIL_MS = (1_000, 10_000, 60_000)  # what a shorter storm keeps after its last happening

_T = TypeVar("_T")


def shrink(storm: Storm, fails: Callable[[Storm], bool]) -> Storm:
    """The smallest storm found that `fails`; `storm` itself has to. Give up early by letting `fails` say False."""
    script = fewest(storm.script, lambda some: fails(storm._replace(script=tuple(some))))
    storm = storm._replace(script=tuple(script))
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(storm):
            if fails(candidate):
                storm, smaller = candidate, True
                break
    return storm


def fewest(items: Sequence[_T], fails: Callable[[list[_T]], bool]) -> list[_T]:
    """ddmin (Zeller and Hildebrandt): a list of which no single item, nor any chunk tried, can be left out."""
    kept = list(items)
    if kept and fails([]):
        return []
    chunks = 2
    while len(kept) >= 2:
        size = max(1, len(kept) // chunks)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if fails(rest):
                kept, chunks = rest, max(chunks - 1, 2)
                break
        else:
            if size == 1:
                break
            chunks = min(len(kept), chunks * 2)
    return kept


def _simpler(storm: Storm) -> Iterator[Storm]:
    """Storms that are a step easier to read, the largest steps first. Each is different from `storm`."""
    last_ms = max((one.at_ms for one in storm.script), default=0)
    for tail_ms in TAIL_MS:
        if last_ms + tail_ms < storm.length_ms:
            yield storm._replace(length_ms=last_ms + tail_ms)
    for index, one in enumerate(storm.script):
        for simpler in _simpler_happenings(one):
            yield storm._replace(script=(*storm.script[:index], simpler, *storm.script[index + 1 :]))


def _simpler_happenings(one: Happening) -> Iterator[Happening]:
    for unit_ms in ROUND_MS:
        if one.at_ms % unit_ms == 0:
            break
        yield one._replace(at_ms=max(1, round(one.at_ms / unit_ms)) * unit_ms)
    for place, value in enumerate(one.values):
        for smaller in _smaller(value):
            yield one._replace(values=(*one.values[:place], smaller, *one.values[place + 1 :]))


def _smaller(value: int | str) -> Iterator[int]:
    """Numbers below it: fewer digits that matter, then half of it."""
    if not isinstance(value, int) or value <= 1:
        return
    yield 1
    yield value // 2
    for unit in (1_000_000, 100_000, 10_000, 1_000, 100, 10):
        if value > unit and value % unit:
            yield value // unit * unit
            break
