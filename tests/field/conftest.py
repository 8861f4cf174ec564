"""A fleet's table, and what provisioning makes of two columns."""

from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, Tables, make


@pytest.fixture
def table(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


@pytest.fixture
def out(tmp_path: Path, table: Tables) -> Path:
    assert make(table(HEADER, GOOD, GOOD.replace("one", "two")), tmp_path / "out") == 0
    return tmp_path / "out"
