"""The columns' keys, as provisioning writes them: {"v": 1, "columns": {"petropavl-01": 64 hex digits, ...}, "revoked":
["petropavl-07", ...]}. One file on the desk's machine, its owner's only. A change of it is noticed while the desk runs.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from desk.private_file import PrivateFileError, read_text

KEY = re.compile(r"[0-9a-f]{64}")
log = logging.getLogger(__name__)


class ColumnKeys:
    """Raises PrivateFileError when the file cannot be used; later the keys that were good stay."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen = (0, 0)
        self._trouble = ""
        """Why it was not read when it was last looked at."""
        self._keys: dict[str, bytes] = {}
        self.revoked: frozenset[str] = frozenset()
        """Columns that were stolen: nothing that is said in their name counts."""
        if path is not None:
            self._seen = _version(path)
            self._keys, self.revoked = _read(path)

    def of(self, device_id: str) -> bytes | None:
        """The column's key; None: there is none."""
        return self._keys.get(device_id)

    def look(self) -> bool:
        """Read the file again if it has changed; whether it did. Cheap; call it often: each trouble is told once."""
        if self._path is None:
            return False
        try:
            seen = _version(self._path)
            is_new = seen != self._seen
            if is_new:
                self._seen = seen
                self._keys, self.revoked = _read(self._path)
        except (OSError, PrivateFileError) as error:
            if str(error) != self._trouble:
                log.error("the columns' keys are not read again: %s", error)
            self._trouble = str(error)
            return False
        self._trouble = ""
        return is_new


def _version(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise PrivateFileError(f"{path}: {error.strerror}") from None
    return found.st_mtime_ns, found.st_ino


def _read(path: Path) -> tuple[dict[str, bytes], frozenset[str]]:
    text = read_text(path)
    try:
        document = json.loads(text)
        keys, revoked = document["columns"], document.get("revoked", [])
        if document["v"] != 1 or not all(KEY.fullmatch(key) for key in keys.values()):
            raise ValueError
        return {name: bytes.fromhex(key) for name, key in keys.items()}, frozenset(map(str, revoked))
    except (ValueError, KeyError, TypeError, AttributeError):  # its text may quote a key
        raise PrivateFileError(f"{path}: is no file of columns' keys; make provision writes it as keys.json") from None
