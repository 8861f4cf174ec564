"""What can run a simulated chip, and how its process is started."""

import sys
from pathlib import Path

from sim import toolbox
from sim.chip import build

RUNTIMES = ("cpython", "micropython", "micropython32")
_RUN = Path(__file__).parent / "chip" / "run.py"
# What the simulated modules take of the heap: on silicon they lie in flash. With 64 bits it is half as much again.
_CHIP_HEAP_BYTES = {"micropython32": build.HEAP_BYTES_32, "micropython": build.HEAP_BYTES_32 * 3 // 2}


def command(runtime: str, heap_bytes: int | None, folder: Path) -> list[str]:
    """The chip's command line, its KEY=VALUE arguments excepted. `heap_bytes`: what the firmware shall have.

    On MicroPython the chip's modules are compiled into `folder`, so that the heap is not spent on compiling them.
    Raises ValueError for unusable arguments, toolbox.ToolMissing when the runtime cannot be had.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"runtime is {runtime!r}, must be one of {', '.join(RUNTIMES)}")
    if runtime == "cpython":
        if heap_bytes is not None:
            raise ValueError("a heap size needs a MicroPython runtime: CPython's heap has no limit")
        return [sys.executable, str(_RUN)]
    heap = [] if heap_bytes is None else ["-X", f"heapsize={heap_bytes + _CHIP_HEAP_BYTES[runtime]}"]
    return [*toolbox.require(runtime), *heap, str(build.precompile(folder))]
