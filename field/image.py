"""`make image PORT=... IMAGE=... SHA256=...`: write MicroPython itself to a board, with esptool.

The image is checked before the board is touched: its SHA-256 against the one that its publisher gives, and the chip
that it is for. esptool then refuses a board with another chip. Nothing is erased but what the image covers, so a column
keeps its firmware, configuration and journal; ERASE=1 makes an empty board first.
"""

import argparse
import hashlib
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

# esp_image_header_t of ESP-IDF: magic, ..., the chip's id at byte 12, little endian.
MAGIC = 0xE9
CHIP_AT = 12
HEADER_BYTES = 24
EXIT_FAILED = 1


class Chip(NamedTuple):
    name: str  # as esptool calls it
    offset: int  # where the boot loader, with which MicroPython's images begin, has to lie


CHIPS = {0: Chip("esp32", 0x1000), 2: Chip("esp32s2", 0x1000), 5: Chip("esp32c3", 0x0), 9: Chip("esp32s3", 0x0)}


class ImageError(Exception):
    """The image must not be written; says why, and what to do."""


def check(image: bytes, sha256: str) -> Chip:
    """The chip that the image is for. Raises ImageError."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ImageError(f"SHA256: found {sha256!r}, must be the 64 hex digits that the image's publisher gives")
    found = hashlib.sha256(image).hexdigest()
    if found != sha256.lower():
        raise ImageError(f"the image's SHA-256 is {found}, must be {sha256.lower()}; fetch it again")
    if len(image) < HEADER_BYTES or image[0] != MAGIC:
        raise ImageError("no image of an ESP chip (its first byte is not 0xE9); give MicroPython's .bin file")
    (number,) = struct.unpack_from("<H", image, CHIP_AT)
    if number not in CHIPS:
        names = ", ".join(chip.name for chip in CHIPS.values())
        raise ImageError(f"the image is for a chip with the id {number}; a column runs on {names}")
    return CHIPS[number]


def commands(chip: Chip, port: str, image: Path, erase: bool) -> list[list[str]]:
    """What esptool is asked to do, one after another. `write-flash` verifies what it wrote by a hash on the chip."""
    head = [sys.executable, "-m", "esptool", "--chip", chip.name, "--port", port]
    wipe = [[*head, "erase-flash"]] if erase else []
    return [*wipe, [*head, "write-flash", hex(chip.offset), str(image)]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.image", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("port")
    parser.add_argument("image", type=Path, help="MicroPython's .bin file for the board")
    parser.add_argument("--sha256", required=True, help="of the image, as its publisher gives it")
    parser.add_argument("--erase", action="store_true", help="make the board empty first: configuration, journal, all")
    arguments = parser.parse_args(argv)
    try:
        chip = check(arguments.image.read_bytes(), arguments.sha256)
    except (ImageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    for command in commands(chip, arguments.port, arguments.image, arguments.erase):
        if subprocess.run(command, check=False).returncode:
            advice = "if it found no chip, hold BOOT while you press RESET, and try again"
            print(f"error: {arguments.port}: esptool failed, see above; {advice}", file=sys.stderr)
            return EXIT_FAILED
    print(f"{arguments.port}: MicroPython is on the {chip.name}; next: make flash PORT={arguments.port} CONFIG=...")
    return 0


if __name__ == "__main__":
    sys.exit(main())
