"""The device's sources with something changed in them: a negative control, a release, a probe."""

import shutil
from pathlib import Path
from typing import NamedTuple

from sim.real.flash_image import PROJECT

PACKAGES = ("firmware", "hal")


class Change(NamedTuple):
    """One place in one file, replaced in the copy."""

    file: str
    old: str
    new: str


def changed_copy(tree: Path, *changes: Change, packages: tuple[str, ...] = PACKAGES) -> Path:
    """Makes the folder `tree`. Raises ValueError when a change does not fit its file exactly once."""
    for name in packages:
        shutil.copytree(PROJECT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("boot.py", "main.py"):
        shutil.copyfile(PROJECT / name, tree / name)
    for one in changes:
        text = (tree / one.file).read_text("utf-8")
        if text.count(one.old) != 1:
            raise ValueError(
                f"{one.file} has {text.count(one.old)} places that read {one.old!r}, must be exactly one: "
                "the change no longer fits the code; bring it up to date"
            )
        (tree / one.file).write_text(text.replace(one.old, one.new), "utf-8")
    return tree
