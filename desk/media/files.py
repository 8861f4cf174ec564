"""The files of recordings: what one holds, and whether there is room for more. Needs neither aiortc nor PyAV."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"(?P<incident>[a-z0-9-]{1,32}-[0-9]{1,10}-[0-9]{1,10})-(?P<from_ms>[0-9]{13})\.(mp4|mkv)")
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
