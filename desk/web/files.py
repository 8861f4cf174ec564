"""Small files of the desk's folder: replaced whole or not at all, readable by their owner only, who is the desk's user
also where root has typed the command."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

Stamp = tuple[int, int, int]
ROOT = 0


def stamp(path: Path) -> Stamp | None:
    """Changes whenever the file is replaced or written; None when there is none."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def replace(path: Path, text: str) -> None:
    """Write the file anew: whoever reads it, after a power cut too, finds the old or the new text. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            leave_to_the_desk(file.fileno(), path)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def private(path: str, flags: int) -> int:
    """For `open`: what it makes is its owner's only."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def leave_to_the_desk(handle: int, path: Path) -> None:
    """What root makes belongs to the user who had it, else to the folder's: the desk could not read what is root's."""
    if os.geteuid() != ROOT:
        return
    owners = [place.stat() for place in (path, path.parent) if place.exists()]
    owner = next((one for one in owners if one.st_uid != ROOT), owners[-1])
    os.fchown(handle, owner.st_uid, owner.st_gid)


def unreadable(path: Path, error: OSError) -> str:
    """Why one of them cannot be had, and what to do."""
    return f"{path}: {error.strerror}: let this user read and write {path.parent}: see its owner and mode"


def damaged(error: Exception) -> str:
    """Where a file that is no JSON is damaged; what stands there, which may be a secret, is not quoted."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from line {error.lineno}, column {error.colno} on"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 from byte {error.start} on"
    return "JSON, but of another form"
