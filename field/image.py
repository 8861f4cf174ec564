"""`make image PORT=... IMAGE=... SHA256=...`: write MicroPython itself to a board, with esptool.

What would leave a dead board is refused before anything is written: a file that is not what its publisher gave, or an
application without its boot loader (.app-bin); a board with another chip, or with too little flash; a file system on
the board that the new image would not mount, or would lie elsewhere. Nothing is erased but what the image covers, so a
column keeps its firmware, configuration and journal; ERASE=1 makes an empty board first.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from field import ports
from field.telling import in_words
from field.words import PortTrouble, Trouble, asked_for, tool_parser

# esp_image_header_t of ESP-IDF: magic, ..., the chip's id at byte 12, little endian.
MAGIC = 0xE9
CHIP_AT = 12
HEADER_BYTES = 24
# The partition table: entries of magic, type, subtype, offset, size, name, flags.
TABLE_AT, TABLE_BYTES = 0x8000, 0xC00
_ENTRY = struct.Struct("<HBBII16sI")
_ENTRY_MAGIC = 0x50AA
_DATA = 1
FILE_SYSTEM = "vfs"
# The first block of a LittleFS file system: "littlefs", then among others how many blocks it has.
_LITTLEFS, _LITTLEFS_AT, _BLOCK_COUNT_AT = b"littlefs", 8, 28
BLOCK_BYTES = 4096
SUPERBLOCK_BYTES = 64


class Chip(NamedTuple):
    name: str  # as esptool calls it
    offset: int  # where the boot loader, with which MicroPython's images begin, has to lie


CHIPS = {0: Chip("esp32", 0x1000), 2: Chip("esp32s2", 0x1000), 5: Chip("esp32c3", 0x0), 9: Chip("esp32s3", 0x0)}


class ImageError(Trouble):
    """The image must not be written; says why, and what to do."""


class Partition(NamedTuple):
    kind: int
    name: str
    start: int
    end: int


def check(image: bytes, sha256: str) -> Chip:
    """The chip that the image is for. Raises ImageError."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ImageError("image.sha256", found=sha256)
    found = hashlib.sha256(image).hexdigest()
    if found != sha256.lower():
        raise ImageError("image.differs", found=found, wanted=sha256.lower())
    if len(image) < HEADER_BYTES or image[0] != MAGIC:
        raise ImageError("image.none")
    (number,) = struct.unpack_from("<H", image, CHIP_AT)
    if number not in CHIPS:
        names = ", ".join(chip.name for chip in CHIPS.values())
        raise ImageError("image.other-chip", number=number, names=names)
    if not partitions(image[TABLE_AT - CHIPS[number].offset :]):
        raise ImageError("image.application")
    return CHIPS[number]


def partitions(table: bytes) -> list[Partition]:
    """Of a partition table; none when it is none."""
    found = []
    for at in range(0, min(len(table), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, _, start, size, name, _ = _ENTRY.unpack_from(table, at)
        if magic != _ENTRY_MAGIC:
            break
        found.append(Partition(kind, name.rstrip(b"\0").decode("ascii", "replace"), start, start + size))
    return found


def file_system(table: Sequence[Partition], flash_bytes: int) -> tuple[int, int]:
    """(first, last + 1) byte of the file system: its partition, or since MicroPython 1.26 all the rest of the flash."""
    for one in table:
        if one.kind == _DATA and one.name == FILE_SYSTEM:
            return one.start, one.end
    return max(one.end for one in table), flash_bytes


def check_room(image: bytes, chip: Chip, flash_bytes: int) -> None:
    """Raises ImageError for a board whose flash ends before the image or one of its partitions does."""
    ends = [one.end for one in partitions(image[TABLE_AT - chip.offset :])]
    needed = max(*ends, chip.offset + len(image))
    start, end = file_system(partitions(image[TABLE_AT - chip.offset :]), flash_bytes)
    if needed > flash_bytes or end <= start:
        raise ImageError("image.too-large", found=flash_bytes >> 20, needed=-(-needed >> 20))


def check_file_system(image: bytes, chip: Chip, board: Board) -> None:
    """Raises ImageError when the board has a file system that the new image would not find, or not mount: littlefs
    wants as many blocks as it was made with, and MicroPython's start then says for ever that it is corrupted."""
    old = partitions(board.read(TABLE_AT, TABLE_BYTES))
    if not old:
        return
    there, wanted = (file_system(one, board.flash_bytes) for one in (old, partitions(image[TABLE_AT - chip.offset :])))
    blocks = _blocks(board.read(there[0], SUPERBLOCK_BYTES))
    if blocks is None:
        return
    if there[0] != wanted[0]:
        raise ImageError("image.elsewhere", found=f"{there[0]:#x}", wanted=f"{wanted[0]:#x}")
    if blocks * BLOCK_BYTES != wanted[1] - wanted[0]:
        raise ImageError("image.unmountable", found=blocks * BLOCK_BYTES, wanted=wanted[1] - wanted[0])


def _blocks(superblock: bytes) -> int | None:
    """Of a LittleFS file system; None when there is none."""
    if superblock[_LITTLEFS_AT : _LITTLEFS_AT + len(_LITTLEFS)] != _LITTLEFS:
        return None
    return int(struct.unpack_from("<I", superblock, _BLOCK_COUNT_AT)[0])


class Board:
    """What is read of a board before anything is written. Raises PortTrouble when esptool does not reach it."""

    def __init__(self, chip: Chip, port: str) -> None:
        self._head = [sys.executable, "-m", "esptool", "--chip", chip.name, "--port", port]
        self._port = port
        said = self._run("flash-id")
        found = re.search(r"Detected flash size: (\d+)([KM])B", said)
        if not found:
            raise PortTrouble(port, "image.no-size", said=said)
        self.flash_bytes = int(found[1]) << (20 if found[2] == "M" else 10)

    def read(self, start: int, count: int) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "part")
            self._run("read-flash", hex(start), hex(count), str(file))
            return file.read_bytes()

    def _run(self, *words: str) -> str:
        run = subprocess.run([*self._head, *words], capture_output=True, text=True, check=False)
        if run.returncode:
            raise PortTrouble(self._port, "image.not-read", said=run.stdout + run.stderr)
        return run.stdout


def commands(chip: Chip, port: str, image: Path, erase: bool) -> list[list[str]]:
    """What esptool is asked to do, one after another. `write-flash` verifies what it wrote by a hash on the chip."""
    head = [sys.executable, "-m", "esptool", "--chip", chip.name, "--port", port]
    wipe = [[*head, "erase-flash"]] if erase else []
    return [*wipe, [*head, "write-flash", hex(chip.offset), str(image)]]


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.image", __doc__)
    parser.add_argument("port", help="serial port of a board, such as /dev/ttyUSB0")
    parser.add_argument("image", type=Path, help="MicroPython's .bin file for the board")
    parser.add_argument("--sha256", required=True, help="of the image, as its publisher gives it")
    parser.add_argument("--erase", action="store_true", help="make the board empty first: configuration, journal, all")
    arguments = parser.parse_args(argv)
    image = arguments.image.read_bytes()
    try:
        chip = check(image, arguments.sha256)
    except ImageError as error:
        if error.key == "image.sha256":  # of what was typed, and not of the file
            raise
        raise Trouble("image.of-file", name=arguments.image, why=error) from error
    ports.check(arguments.port, PortTrouble)
    board = Board(chip, arguments.port)
    check_room(image, chip, board.flash_bytes)
    if not arguments.erase:
        check_file_system(image, chip, board)
    for command in commands(chip, arguments.port, arguments.image, arguments.erase):
        if subprocess.run(command, check=False).returncode:
            raise PortTrouble(arguments.port, "image.esptool")
    print(words("image.written", port=arguments.port, chip=chip.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
