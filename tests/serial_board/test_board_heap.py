"""What the simulation of a chip takes for itself is none of the firmware's heap, whatever is simulated with it."""

from pathlib import Path
from typing import Any

import pytest
from column_probe import PATIENCE_S, Recorder, need

from common import connect_to
from common.assumptions import on_chip
from sim.real.column import RealColumn
from sim.real.flash_image import Image
from sim.serial_board.serial import SerialBoard

pytestmark = pytest.mark.micropython

HEAP_BYTES = 112 * 1024
UNTOLD_BYTES = 350  # what the collector takes old stack for, and names whose length is the folder's
MAIN = b"import gc, time\ngc.collect()\nprint('free', gc.mem_free())\ntime.sleep(60)\n"


def free_bytes(kind: type[RealColumn], folder: Path, **options: Any) -> int:
    seen, image = Recorder(), Image()
    image.write("main.py", MAIN)
    (folder / "flash.img").write_bytes(image.content())
    heap: dict[str, Any] = {"runtime": "micropython32", "heap_bytes": HEAP_BYTES}
    with kind(None, flash_path=folder / "flash.img", on_event=seen, **heap, **options) as column:
        column.power_on()
        said = seen.wait_for(lambda event: event.get("text", "").startswith("free "), PATIENCE_S, "what is free")
    return int(said["text"].split()[1])


def test_every_kind_of_chip_leaves_the_firmware_the_same_heap(tmp_path: Path) -> None:
    """Red when a chip's figures, or the servers' table, are arguments of its process again: MicroPython keeps each for
    ever, and none of more than 255 bytes; and when BOARD_BYTES_32 is not what the prompt takes any more."""
    need("micropython32")
    servers, figures = tmp_path / "connect-to", on_chip("esp32", None)
    places = {(f"camera-{at}.example", 554): ("127.0.0.1", 20_000 + at) for at in range(20)}
    connect_to.write(servers, places)
    found = {
        "plain": free_bytes(RealColumn, tmp_path),
        "a real one's figures": free_bytes(RealColumn, tmp_path, figures=figures),
        "a serial port": free_bytes(SerialBoard, tmp_path, figures=figures),
        "a table of servers": free_bytes(SerialBoard, tmp_path, figures=figures, servers=servers),
    }
    assert max(found.values()) - min(found.values()) < UNTOLD_BYTES, found
    assert min(found.values()) > 0, found
