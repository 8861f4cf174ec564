"""A module's tables in MicroPython's heap: what lies behind them is another's, and must not be kept with the module."""

from collections.abc import Callable
from pathlib import Path

import pytest
from chip_net_rig import chips
from column_probe import need

from common.compiler import compiled, crossed

BLOCK_BYTES = 16  # of a 32-bit MicroPython's heap
COUNTS = range(1, 9)  # of names: among eight in a row are some that fill whole blocks

# py/bc.h, mp_module_context_t: type, globals, names' address, constants' address
PROBE = """
import struct, uctypes
for name in %r:
    module = __import__(name)
    names, constants = struct.unpack("II", uctypes.bytes_at(id(module) + 8, 8))
    first = struct.unpack("I", uctypes.bytes_at(constants, 4))[0]
    print("module", constants - names, int(first == id(None)))
"""


def tables(folder: Path, make: Callable[[str, bytes], bytes]) -> list[tuple[int, bool]]:
    """Of modules with 1 to 8 names and no constant: (bytes of names before the constants, is the first one None?)"""
    files: dict[str, str | bytes] = {}
    for count in COUNTS:
        source = " = ".join("abcdefgh"[:count]) + " = 0\n"
        files[f"m{count}.mpy"] = make(f"m{count}.py", source.encode())
    with chips(folder, need("micropython32")) as chip:
        one = chip(PROBE % [name.removesuffix(".mpy") for name in files], files).start()
        found = [one.wait(r"^module (\d+) ([01])") for _ in COUNTS]
    return [(int(each[1]), each[2] == "1") for each in found]


@pytest.mark.micropython
def test_a_modules_constants_are_its_own(tmp_path: Path) -> None:
    """Red without `_with_a_constant`. A column lost its console to that, but not always: to what came to lie behind the
    tables of firmware/hmac.py."""
    assert all(is_its_own for _, is_its_own in tables(tmp_path, compiled))


@pytest.mark.micropython
def test_mpy_cross_leaves_a_module_with_anothers(tmp_path: Path) -> None:
    """The control: names that fill whole blocks, and nothing behind them."""
    found = tables(tmp_path, crossed)
    assert not any(is_its_own for _, is_its_own in found)
    assert sum(size % BLOCK_BYTES == 0 for size, _ in found) == 2, found
