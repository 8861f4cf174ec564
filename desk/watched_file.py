"""A file that is read again while the desk runs, as soon as it has changed. What was good stays while the new one is
not, and why it was refused can be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Version = tuple[int, int, int]


class WatchedFile(Generic[T]):
    """`read` gives what is in the file, and raises a ValueError that says what is wrong with it; the first time this
    goes to whoever makes the object, unless there is something good of `before`."""

    def __init__(self, path: Path, read: Callable[[Path], T], before: T | None = None) -> None:
        self._path, self._read = path, read
        self._version = _version(path)
        self.trouble = ""
        """Why the file that lies there now was not taken."""
        try:
            self.content = read(path)
        except ValueError as error:
            if before is None:
                raise
            self.content, self.trouble = before, str(error)

    def look(self) -> bool:
        """Whether the content or the trouble is another than before. Cheap; call it often."""
        version, before = _version(self._path), self.trouble
        if version == self._version:
            return False
        self._version = version
        try:
            self.content = self._read(self._path)
        except (OSError, ValueError) as error:
            self.trouble = str(error)
            return self.trouble != before
        self.trouble = ""
        return True


def _version(path: Path) -> Version | None:
    """Another one for each writing, and when somebody may read it who might not before; None: there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_ino, found.st_size
