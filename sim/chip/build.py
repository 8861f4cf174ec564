"""On the host: the chip's modules compiled for real MicroPython, which spares a small heap."""

import shutil
from pathlib import Path

from common.compiler import compiled

_PROJECT = Path(__file__).resolve().parent.parent.parent
_ENTRY = "sim/chip/run.py"
_HOST_ONLY = ("build.py", "board_cpython.py")

# What the simulation takes of the 32-bit build's heap and a chip does not. Measured with `gc.mem_alloc()` and
# `micropython.qstr_info()`:
#   the virtual modules and their 700 names, before boot.py starts; on silicon they are in ROM
MODULES_BYTES_32 = 79_760
#   and beside them
#    0.2 KB  MicroPython's tables of names double: the firmware's 950 need one of 1,280 entries of 7 bytes behind the
#            simulation's, and without that tables of 20 + 40 + ... + 640
#    2.8 KB  umqtt.simple, which ESP32 images have frozen
#    3.0 KB  pins, PWM, counters, sockets and poll objects, which are static or smaller in C
OWN_BYTES_32 = MODULES_BYTES_32 + 5_292
# On top of it, measured as what a column says is free in the same heap: the prompt of a board with a serial port
# (repl.py, readline.py, uart.py), routes.py, and each line of its table.
BOARD_BYTES_32 = 10_800
ROUTES_BYTES_32 = 1_000
ROUTE_BYTES_32 = 200


def heap_bytes_32(more_bytes: int = 0) -> int:
    """To be added to the heap that the firmware shall have, with `more_bytes` on top of the simulation's own: the
    allocator's own table is 2.3 % of it all."""
    return round((OWN_BYTES_32 + more_bytes) * 1.0235)


def precompile(folder: Path) -> Path:
    """Compile into `folder` (made if missing); the `run.py` to start instead of the project's.

    Raises ValueError with mpy-cross's words when a file does not compile.
    """
    sources = [p for p in sorted((_PROJECT / "sim/chip").glob("*.py")) if p.name not in _HOST_ONLY]
    sources.append(_PROJECT / "sim/__init__.py")
    for source in sources:
        name = source.relative_to(_PROJECT).as_posix()
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == _ENTRY:
            shutil.copyfile(source, target)  # an interpreter's first file is always source
            continue
        try:
            target.with_suffix(".mpy").write_bytes(compiled(name, source.read_bytes(), "-O2"))
        except ValueError as error:
            raise ValueError(f"{name}: mpy-cross refuses it: {error}") from None
    return folder / _ENTRY
