"""The files of recordings: what one holds, and whether there is room for more. Needs neither aiortc nor PyAV."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from desk.disk import NO_ROOM

NAME = re.compile(r"(?P<incident>[a-z0-9-]{1,32}-[0-9]{1,10}-[0-9]{1,10})-(?P<from_ms>[0-9]{13})\.(mp4|mkv|m4a)")
CHUNK = 1024 * 1024
DISK_FULL, NOT_WRITTEN = "disk-full", "not-written"


class NoRoom(Exception):
    """The disk has no place for more; `code`: DISK_FULL or NOT_WRITTEN."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class Room:
    """How much may be kept in `folder`: at most `most` bytes; `spare` bytes of the disk stay free for the register."""

    folder: Path
    most: int
    spare: int

    def check(self) -> None:
        """Raises NoRoom."""
        try:
            free = shutil.disk_usage(self.folder).free
            used = sum(one.stat().st_size for one in os.scandir(self.folder) if one.is_file())
        except FileNotFoundError:  # one was deleted meanwhile
            return
        except OSError:
            raise NoRoom(NOT_WRITTEN) from None
        if free < self.spare or used >= self.most:
            raise NoRoom(DISK_FULL)


@dataclass(frozen=True)
class Part:
    """One file, closed. Times in ms since the epoch."""

    incident_id: str
    file: str
    from_ms: int
    to_ms: int
    size: int
    sha256: str


def create(folder: Path, incident_id: str, began_s: float, ending: str) -> tuple[Path, int]:
    """A new file that only its owner may read, and its beginning in ms since the epoch. `began_s`: of time.monotonic.
    Raises OSError."""
    from_ms = time.time_ns() // 1_000_000 - round((time.monotonic() - began_s) * 1000)
    path = folder / f"{incident_id}-{from_ms}.{ending}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return path, from_ms


def reason(error: NoRoom | OSError) -> str:
    """Why it could not be written."""
    if isinstance(error, NoRoom):
        return error.code
    return DISK_FULL if error.errno in NO_ROOM else NOT_WRITTEN


def part_of(path: Path, incident_id: str, from_ms: int, to_ms: int) -> Part | None:
    """What is in that file; None: nothing, and then it is gone."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
            size = file.tell()
        if not size:
            path.unlink()
            return None
    except OSError:
        return None
    return Part(incident_id, path.name, from_ms, to_ms, size, digest.hexdigest())


def orphans(folder: Path, known: Container[str]) -> list[Part]:
    """Files that nobody has entered: the desk or its gateway was killed while it wrote them."""
    found = []
    for path in sorted(folder.iterdir()):
        name = NAME.fullmatch(path.name)
        if name is not None and path.name not in known:
            from_ms = int(name["from_ms"])
            part = part_of(path, name["incident"], from_ms, max(from_ms, path.stat().st_mtime_ns // 1_000_000))
            found += [part] if part is not None else []
    return found
