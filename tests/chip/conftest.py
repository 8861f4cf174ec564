"""A chip under test, on each runtime."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from chip_net_rig import Make, chips


@pytest.fixture
def chip(runtime: str, tmp_path: Path) -> Iterator[Make]:
    with chips(tmp_path, runtime) as make:
        yield make
