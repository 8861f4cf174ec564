"""A column in real time under test."""

from pathlib import Path

import pytest
from column_probe import sources

from firmware.lamp import COLOURS


@pytest.fixture
def probe(tmp_path: Path) -> Path:
    """Sources of a column that does what a test writes to it."""
    return sources(tmp_path / "probe", COLOURS)
