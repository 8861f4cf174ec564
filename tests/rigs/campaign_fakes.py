"""A part of the campaign that does what its `control` says, in the process that `sim.search.apart` gives it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sim.search.findings import Control, Findings
from tools.toolbox import ToolMissing

CONTROLS: dict[str, Control] = {}


def run(budget_s: float, seed: int, control: str | None, say: Callable[[str], None]) -> Findings:
    say(f"{control} for {budget_s:g} s")
    if control == "raises":
        raise ArithmeticError("the year has no end")
    if control == "tool-missing":
        raise ToolMissing("micropython: not there")
    if control == "dies":
        os._exit(7)
    if control is not None and control.startswith("sleeps"):
        try:
            time.sleep(60)
        finally:
            Path(control.partition(":")[2]).write_text("cleaned up")
    return Findings("a fake", runs=seed, figures={"modules": str("sim.virtual.world" in sys.modules)})
