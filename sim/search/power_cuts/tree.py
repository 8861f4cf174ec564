"""The folder that MicroPython starts from: the compiled firmware and this package's device side, as a copy in which a
negative control can break something."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim.real import flash_image
from sim.real.changed import PACKAGES, Change, changed_copy

DEVICE = "sim/search/power_cuts/device"
ENTRY = f"{DEVICE}/entry.py"


@contextmanager
def staged(breaks: tuple[Change, ...] = ()) -> Iterator[Path]:
    """The folder, removed at the end. Raises ValueError when a break does not fit its file exactly once."""
    with tempfile.TemporaryDirectory(prefix="cuts-") as scratch:
        tree, stage = Path(scratch, "tree"), Path(scratch, "stage")
        changed_copy(tree, *breaks, packages=(*PACKAGES, DEVICE))
        for name, data in flash_image.firmware_files(mpy=True, sources=tree).items():
            target = stage / name.removeprefix("lib/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        shutil.copytree(tree / DEVICE, stage / DEVICE)
        yield stage
