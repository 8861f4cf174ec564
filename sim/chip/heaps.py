"""The chip's two heaps: IDF's, of which Wi-Fi, TLS, sockets and threads take, and MicroPython's, which grows.

After IDF's heap_caps_malloc (the first region that has room) and py/gc.c (gc_try_add_heap; mem_free counts the largest
block of IDF's heap as free). The figures come from hal/assumptions.toml, through the parent. Holes within a region or
an area are not modelled.
"""

import gc as _gc
import json

from . import host

_POOL, _AREA = 125, 128  # so much of an area holds objects: 56,000 of 57,344 bytes; the rest is the collector's tables
_SPARE_BYTES = 2048  # gc_try_add_heap adds no area for less
_BOUNDLESS_BYTES = 1 << 20
regions: list = []  # [bytes, free, fewest free]
lowest = 0  # fewest bytes free in all of them
_prices: dict = {}  # what: [bytes, largest block of them]
_pool = 0  # bytes for objects in MicroPython's areas; 0 = its heap does not grow
_areas = 1
_simulators = 0  # bytes of the interpreter's heap that the simulation takes
_raw = _gc  # CPython has an estimate in its place, see cpython/small.py


def start(file: str, raw=None) -> None:
    """`file`: JSON, {"regions": [bytes, smallest first], "prices": {what: [bytes, largest block]}, "first": bytes of
    MicroPython's first area or 0, "simulators": bytes of the interpreter's heap that are the simulation's}"""
    global lowest, _prices, _pool, _simulators, _raw
    figures: dict = {"regions": [_BOUNDLESS_BYTES]}
    if file:
        with open(file) as text:
            figures = json.load(text)
    regions[:] = [[size, size, size] for size in figures["regions"]]
    lowest = sum(figures["regions"])
    _prices = figures.get("prices", {})
    _pool = figures.get("first", 0) * _POOL // _AREA
    _simulators = figures.get("simulators", 0)
    _raw = raw or _gc


# -- IDF's


def take(what: str):
    """[[region, bytes]] of `what`; None when there is no room for all of it, and then nothing is taken."""
    watch()
    left, block = _prices.get(what, (0, 1))
    taken: list = []
    while left > 0:
        size = min(left, block)
        region = _first(size)
        if region is None:
            give(taken)
            host.say("chip: no room in IDF's heap for %s: the largest block has %d bytes" % (what, largest()))
            return None
        region[1] -= size
        region[2] = min(region[1], region[2])
        if taken and taken[-1][0] is region:
            taken[-1][1] += size
        else:
            taken.append([region, size])
        left -= size
    _note()
    return taken


def give(taken) -> None:
    """Back what `take` gave; harmless when it is empty or was given back. Allocates nothing: the collector's finaliser
    of a TLS stream closes the socket below it while MicroPython's heap is locked."""
    for piece in taken:
        piece[0][1] += piece[1]
        piece[1] = 0


def largest() -> int:
    return max(free for _, free, _ in regions)


def free() -> int:
    return sum(free for _, free, _ in regions)


def _first(size: int):
    for region in regions:
        if region[1] >= size:
            return region
    return None


def _note() -> None:
    global lowest
    if free() < lowest:
        lowest = free()
        host.say('\x01{"idf_lowest":%d,"idf_largest":%d,"gc_areas":%d}' % (lowest, largest(), _areas))


# -- MicroPython's


def mem_alloc() -> int:
    return _raw.mem_alloc() - _simulators


def mem_free() -> int:
    """As on the chip: an area that could still be added counts as free."""
    watch()
    in_areas = _pool - mem_alloc() if _pool else _raw.mem_free()
    return max(0, in_areas) + largest()


def collect():
    _raw.collect()
    watch()


def watch() -> None:
    """Let the heap grow if what is in use would not fit on the chip. Raises MemoryError when it cannot."""
    if _pool and mem_alloc() > _pool:
        _raw.collect()
        if mem_alloc() > _pool:
            _grow(mem_alloc() - _pool)


def _grow(missing: int) -> None:
    global _pool, _areas
    available = largest()
    if available < missing + _SPARE_BYTES:
        raise MemoryError("memory allocation failed, allocating %d bytes" % missing)
    size = min(available, max(_pool * _AREA // _POOL, missing + _SPARE_BYTES))
    for region in regions:
        if region[1] == available:
            region[1] -= size
            region[2] = min(region[1], region[2])
            break
    _pool += size * _POOL // _AREA
    _areas += 1
    _note()
