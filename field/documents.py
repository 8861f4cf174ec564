"""A column's configuration on this computer: one document, or a column's folder as provisioned, or a fleet's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common.letters import in_letters
from field import bundle
from field.words import English, Trouble, listed
from firmware.startup import config as firmware_config
from firmware.startup.config_files import CONFIG_FILE, SECRETS_FILE
from firmware.startup.pins import CHIPS
from firmware.update.state import KEYS_FILE as KEYS_FILE

ANY_KEY = {"device_id", "region", "location", "broker", "link", "pins"}  # of which a configuration has one at least
CHIP_FILE = "chip"  # in a column's folder: the chip that it was provisioned for


class DocumentError(Trouble):
    """It is no configuration, or none for that board."""


def read_document(path: Path) -> dict[str, Any]:
    """One document, or config.json beside secrets.json; not validated. Raises DocumentError, and OSError for a file
    that is missing or cannot be read."""
    file = path / CONFIG_FILE if path.is_dir() else path
    document = _json(file)
    if not ANY_KEY & document.keys():  # another file of provisioning, perhaps
        raise DocumentError("document.none", file=file)
    beside = file.with_name(SECRETS_FILE)
    if "secrets" not in document and beside.exists():
        document["secrets"] = _json(beside)
    return document


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise DocumentError("document.no-json", file=file, line=error.lineno, column=error.colno) from error
    except RecursionError:
        raise DocumentError("document.none", file=file) from None
    except UnicodeDecodeError as error:
        raise DocumentError("document.no-utf8", file=file, at=error.start) from error
    if not isinstance(found, dict):
        raise DocumentError("document.none", file=file)
    return found


def provisioned_for(path: Path) -> str | None:
    """The chip that provisioning noted in a column's folder; None for a document of somebody's own."""
    file = path / CHIP_FILE
    return file.read_text("ascii").strip() if path.is_dir() and file.exists() else None


def files(path: Path, chip: str) -> dict[str, bytes]:
    """The configuration's files, as a board with that chip gets them. Raises DocumentError: none, or none for it."""
    document, meant = read_document(path), provisioned_for(path)
    errors = _errors(document, chip)
    if not errors and meant in (None, chip):
        keys = path / KEYS_FILE
        trusted = {KEYS_FILE: keys.read_bytes()} if path.is_dir() and keys.exists() else {}
        return {**bundle.configuration_files({"secrets": {}, **document}), **trusted}
    fits = [meant] if meant else [other for other in CHIPS if not _errors(document, other)]
    if fits and chip not in fits:
        raise DocumentError("document.other-chip", path=path, found=chip, fits=", ".join(fits))
    raise DocumentError("document.invalid", path=path, chip=chip, errors=English(listed(errors)))


def device_id(path: Path) -> str:
    """Which column a configuration makes of a board. Raises DocumentError when no chip could have it: before a column
    is taken off duty for it."""
    document, meant = read_document(path), provisioned_for(path)
    meant = meant if meant in CHIPS else None
    found = {chip: _errors(document, chip) for chip in CHIPS if meant in (None, chip)}
    chip = min(found, key=lambda one: len(found[one]))
    if found[chip]:
        raise DocumentError("document.invalid", path=path, chip=chip, errors=English(listed(found[chip])))
    return str(document["device_id"])


def _errors(document: dict[str, Any], chip: str) -> list[str]:
    return [in_letters(error) for error in firmware_config.validate(document, chip)[1]]


def is_fleet(path: Path) -> bool:
    """A folder of columns, one folder each, and not a column's own."""
    return path.is_dir() and not (path / CONFIG_FILE).exists()


def columns_of(path: Path) -> list[str]:
    """The columns in a fleet's folder. Raises DocumentError when there is none."""
    known = sorted(entry.name for entry in path.iterdir() if (entry / CONFIG_FILE).exists())
    if not known and any((path / "columns").glob(f"*/{CONFIG_FILE}")):
        raise DocumentError("fleet.above", path=path, columns=path / "columns")
    if not known:
        raise DocumentError("fleet.empty", path=path)
    return known


def of_fleet(path: Path, carried: str | None) -> Path:
    """The folder in a fleet's of the column that the board is already. Raises DocumentError."""
    known = columns_of(path)
    if carried is None:
        raise DocumentError("fleet.blank-board", path=path, first=known[0])
    if carried not in known:
        raise DocumentError("fleet.stranger", path=path, carried=carried, known=", ".join(known))
    return path / carried
