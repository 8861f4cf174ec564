"""The seed of a run, printed and replayable; runtimes as parameters."""

import os
import random

import pytest
from groups import pytest_xdist_make_scheduler as pytest_xdist_make_scheduler

SEED = int(
    os.environ.setdefault("SEED", str(random.SystemRandom().randrange(1 << 31)))
)  # processes of xdist inherit it


def runtime_parameters(*names: str) -> list[object]:
    """Runtimes as parameters, with the marks of what they need."""
    return [
        pytest.param(
            name,
            marks=[pytest.mark.micropython] * name.startswith("micropython")
            + [pytest.mark.mosquitto] * (name != "virtual"),
        )
        for name in names
    ]
