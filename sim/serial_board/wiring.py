"""The chip and the wiring that a configuration is for, so that a blank board can be flashed with it."""

from pathlib import Path
from typing import Any

from field.documents import CHIP_FILE, read_document
from firmware.startup import config as firmware_config
from sim.chip.options import CHIPS


def wired_for(path: Path, chip: str | None = None) -> tuple[str, dict[str, Any]]:
    """(chip, validated configuration) of a document or of a folder made by provisioning, which names the chip.

    Raises DocumentError or ValueError when it is no configuration for that chip, OSError when there is none.
    """
    named = path / CHIP_FILE
    chip = chip or (named.read_text("ascii").strip() if named.exists() else CHIPS[0])
    made, errors = firmware_config.validate(read_document(path), chip)
    if made is None or errors:
        raise ValueError(f"{path} is no valid configuration for an {chip} (--chip):\n  " + "\n  ".join(errors))
    return chip, made
