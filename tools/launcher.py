"""The installed package `sos_column`: this folder holds the project's tree, just as a checkout does.

It stays a tree: a chip's process runs its files, and a board gets them. Nothing of it is importable under a name of its
own (`sim`, `hal`, `desk`) but in the processes of these two commands and their children.
"""

import os
import runpy
import sys
from pathlib import Path

_TREE = str(Path(__file__).resolve().parent)


def column() -> None:
    """`sos-column`: `python -m sim` in a checkout."""
    _run("sim")


def desk() -> None:
    """`sos-desk`: `python -m desk` in a checkout."""
    _run("desk")


def _run(package: str) -> None:
    sys.path.insert(0, _TREE)
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{_TREE}{os.pathsep}{inherited}" if inherited else _TREE
    runpy.run_module(package, run_name="__main__", alter_sys=True)
