"""What the watchdog's bite says of who did not return, as the parent of a chip reads it."""

import struct
from pathlib import Path

import pytest

from sim.chip.rtc import LENGTH_AT, LENGTH_FORM, MEMORY_AT
from sim.real.rtc import Registers


@pytest.mark.parametrize(
    ("memory", "name"),
    [(b"uplink\0T", "uplink"), (b"uplink run", "uplink"), (b"", ""), (b"\xb3\x16\x1f\0", ""), (b"a\x1b[2J\0", "")],
)
def test_only_a_tasks_name_is_one(tmp_path: Path, memory: bytes, name: str) -> None:
    """Other programs keep their own there: make accept a pattern. Red where whatever stands there is told."""
    registers = Registers(tmp_path / "registers")
    with (tmp_path / "registers").open("r+b") as file:
        for at, data in ((LENGTH_AT, struct.pack(LENGTH_FORM, len(memory))), (MEMORY_AT, memory)):
            file.seek(at)
            file.write(data)
    assert registers.breadcrumb() == name
    registers.close()
