"""`make image PORT=... IMAGE=... SHA256=...`: write MicroPython itself to a board, with esptool.

The image is checked before the board is touched: its SHA-256 against the one that its publisher gives, and the chip
that it is for. esptool then refuses a board with another chip. Nothing is erased but what the image covers, so a column
keeps its firmware, configuration and journal; ERASE=1 makes an empty board first.
"""

import argparse
import hashlib
import os
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from field.telling import in_words
from field.words import PortTrouble, Trouble, add_language, asked_for

# esp_image_header_t of ESP-IDF: magic, ..., the chip's id at byte 12, little endian.
MAGIC = 0xE9
CHIP_AT = 12
HEADER_BYTES = 24


class Chip(NamedTuple):
    name: str  # as esptool calls it
    offset: int  # where the boot loader, with which MicroPython's images begin, has to lie


CHIPS = {0: Chip("esp32", 0x1000), 2: Chip("esp32s2", 0x1000), 5: Chip("esp32c3", 0x0), 9: Chip("esp32s3", 0x0)}


class ImageError(Trouble):
    """The image must not be written; says why, and what to do."""


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
    return CHIPS[number]


def commands(chip: Chip, port: str, image: Path, erase: bool) -> list[list[str]]:
    """What esptool is asked to do, one after another. `write-flash` verifies what it wrote by a hash on the chip."""
    head = [sys.executable, "-m", "esptool", "--chip", chip.name, "--port", port]
    wipe = [[*head, "erase-flash"]] if erase else []
    return [*wipe, [*head, "write-flash", hex(chip.offset), str(image)]]


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.image", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("port")
    parser.add_argument("image", type=Path, help="MicroPython's .bin file for the board")
    parser.add_argument("--sha256", required=True, help="of the image, as its publisher gives it")
    parser.add_argument("--erase", action="store_true", help="make the board empty first: configuration, journal, all")
    add_language(parser)
    arguments = parser.parse_args(argv)
    chip = check(arguments.image.read_bytes(), arguments.sha256)
    for command in commands(chip, arguments.port, arguments.image, arguments.erase):
        if subprocess.run(command, check=False).returncode:
            raise PortTrouble(arguments.port, "image.esptool")
    print(asked_for(argv, os.environ)("image.written", port=arguments.port, chip=chip.name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
