"""The folder that MicroPython starts from: the compiled firmware and this package's device side, as a copy in which a
negative control can break something."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sim.real import flash_image

DEVICE = "sim/search/power_cuts/device"
ENTRY = f"{DEVICE}/entry.py"


class Break(NamedTuple):
    """One place in one file, replaced in the copy."""

    file: str
    old: str
    new: str


@contextmanager
def staged(breaks: tuple[Break, ...] = ()) -> Iterator[Path]:
    """The folder, removed at the end. Raises ValueError when a break does not fit its file exactly once."""
    with tempfile.TemporaryDirectory(prefix="cuts-") as scratch:
        tree, stage = Path(scratch, "tree"), Path(scratch, "stage")
        _copy(tree)
        for one in breaks:
            _apply(tree / one.file, one)
        for name, data in flash_image.firmware_files(mpy=True, sources=tree).items():
            target = stage / name.removeprefix("lib/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        shutil.copytree(tree / DEVICE, stage / DEVICE)
        yield stage


def _copy(tree: Path) -> None:
    for name in ("firmware", "hal", DEVICE):
        shutil.copytree(flash_image.PROJECT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("boot.py", "main.py"):
        shutil.copyfile(flash_image.PROJECT / name, tree / name)


def _apply(path: Path, one: Break) -> None:
    text = path.read_text()
    if text.count(one.old) != 1:
        raise ValueError(
            f"{one.file} has {text.count(one.old)} places that read {one.old!r}, must be exactly one: "
            "the negative control no longer fits the code; bring it up to date in sim/search/power_cuts/controls.py"
        )
    path.write_text(text.replace(one.old, one.new))
