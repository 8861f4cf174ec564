"""The columns' keys, as provisioning writes them: {"v": 1, "columns": {"petropavl-01": 64 hex digits, ...}, "revoked":
["petropavl-07", ...]}. One file on the desk's machine, its owner's only. A change of it is noticed while the desk runs.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

from desk.private_file import PrivateFileError, read_text
from desk.watched_file import WatchedFile

KEY = re.compile(r"[0-9a-f]{64}")
log = logging.getLogger(__name__)


class ColumnKeys:
    """Raises PrivateFileError when the file cannot be used; later the keys that were good stay."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = None if path is None else WatchedFile(path, _read)

    def of(self, device_id: str) -> bytes | None:
        """The column's key; None: there is none."""
        return None if self._file is None else self._file.content[0].get(device_id)

    @property
    def revoked(self) -> frozenset[str]:
        """Columns that were stolen: nothing that is said in their name counts."""
        return frozenset() if self._file is None else self._file.content[1]

    def look(self) -> bool:
        """Read the file again if it has changed; whether there are new keys. Cheap: call it often."""
        if self._file is None or not self._file.look():
            return False
        if self._file.trouble:
            log.error("the columns' keys are not read again: %s", self._file.trouble)
        return not self._file.trouble


def _read(path: Path) -> tuple[dict[str, bytes], frozenset[str]]:
    text = read_text(path)
    try:
        document = json.loads(text)
        keys, revoked = document["columns"], document.get("revoked", [])
        if document["v"] != 1 or not all(KEY.fullmatch(key) for key in keys.values()):
            raise ValueError
        return {name: bytes.fromhex(key) for name, key in keys.items()}, frozenset(map(str, revoked))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # its text may quote a key
        raise PrivateFileError(f"{path}: is no file of columns' keys; make provision writes it as keys.json") from None
