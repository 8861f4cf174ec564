"""The chip's `gc`: what it says of MicroPython's heap, see heaps.py."""

import sys

from . import heaps

if sys.implementation.name == "micropython":
    from gc import disable, enable, isenabled, threshold  # noqa: F401
else:
    from .cpython.small import disable, enable, isenabled, threshold  # type: ignore[no-redef]  # noqa: F401

collect = heaps.collect
mem_alloc = heaps.mem_alloc
mem_free = heaps.mem_free
