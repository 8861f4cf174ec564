"""What can run a simulated chip, and how its process is started."""

import sys
from pathlib import Path

from sim.chip import build
from tools import toolbox

RUNTIMES = ("cpython", "micropython", "micropython32", "micropython-newest", "micropython32-newest")
CPYTHON = (sys.executable, "-u")  # a chip's console keeps nothing back, whatever the environment says
_RUN = Path(__file__).parents[1] / "chip" / "run.py"
# What the simulated modules take of the heap: on silicon they lie in flash. With 64 bits it is half as much again.
_SHARE_64, _SHARE_32 = 1.5, 1.0


def command(runtime: str, heap_bytes: int | None, folder: Path, more_bytes: int = 0) -> list[str]:
    """The chip's command line, its KEY=VALUE arguments excepted. `heap_bytes`: what the firmware shall have;
    `more_bytes`: what the simulation takes of it on 32 bits on top of its own.

    On MicroPython the chip's modules are compiled into `folder`, so that the heap is not spent on compiling them.
    Raises ValueError for unusable arguments, toolbox.ToolMissing when the runtime cannot be had.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime is {runtime!r}, must be one of {', '.join(RUNTIMES)}")
    if runtime == "cpython":
        if heap_bytes is not None:
            raise ValueError("a heap size needs a MicroPython runtime: CPython's heap has no limit")
        return [*CPYTHON, str(_RUN)]
    heap = []
    if heap_bytes is not None:
        taken = round(build.heap_bytes_32(more_bytes) * (_SHARE_32 if "32" in runtime else _SHARE_64))
        heap = ["-X", f"heapsize={heap_bytes + taken}"]
    return [*toolbox.require(runtime), *heap, str(build.precompile(folder))]


def simulators_bytes(runtime: str, more_bytes: int) -> int | None:
    """Of the interpreter's heap, the simulation's own objects; None where objects are not as large as a chip's."""
    return build.OWN_BYTES_32 + more_bytes if runtime == "micropython32" else None
