"""The columns' keys, as provisioning writes them: {"v": 1, "number": 1790000000000, "columns": {"petropavl-01": 64 hex
digits, ...}, "revoked": ["petropavl-07", ...], "retired": ["0123456789abcdef", ...]}. One file on the desk's machine,
its owner's only. A change of it is noticed while the desk runs.

`number` rises with each change, and `retired` has the marks of the keys of stolen columns. What was taken last is kept
in the desk's own folder, in the same form: a file that is older, or that trusts a retired key again, comes out of a
backup of before a theft. It is refused, and the keys of before stay, after a restart too.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
from pathlib import Path
from typing import NamedTuple

from common.key_mark import mark_of
from desk.private_file import PrivateFileError, read_text
from desk.watched_file import WatchedFile
from desk.web.files import replace

KEY = re.compile(r"[0-9a-f]{64}")
TAKEN_FILE = "column-keys.json"
SHOWN = 5
log = logging.getLogger(__name__)


class Stated(NamedTuple):
    """What such a file says."""

    keys: dict[str, bytes]
    revoked: frozenset[str]
    number: int = 0
    """0: by a provisioning that had none."""
    retired: frozenset[str] = frozenset()

    def after(self, before: Stated) -> Stated:
        """What was revoked stays so, unless the column has another key by now."""
        revoked = self.revoked | (before.revoked - self.keys.keys())
        return self._replace(revoked=revoked, retired=self.retired | before.retired)


class ColumnKeys:
    """`folder`: where what was taken last is kept. Raises PrivateFileError when the file cannot be used and none was
    ever taken; later the keys that were good stay."""

    def __init__(self, path: Path | None = None, folder: Path | None = None) -> None:
        self._kept = None if folder is None or path is None else folder / TAKEN_FILE
        self._taken = self._taken_before()
        self._is_kept = True
        self._file = None if path is None else WatchedFile(path, self._read, self._taken)
        self._tell()

    def of(self, device_id: str) -> bytes | None:
        """The column's key; None: there is none."""
        return None if self._file is None else self._file.content.keys.get(device_id)

    @property
    def revoked(self) -> frozenset[str]:
        """Columns that were stolen: nothing that is said in their name counts."""
        return frozenset() if self._file is None else self._file.content.revoked

    @property
    def trouble(self) -> str:
        """Why the file that lies there now was not taken."""
        return "" if self._file is None else self._file.trouble

    def look(self) -> bool:
        """Read the file again if it has changed; whether there are new keys. Cheap: call it often."""
        if not self._is_kept:  # the disk was full
            self._keep()
        if self._file is None or not self._file.look():
            return False
        self._tell()
        return not self.trouble

    def _tell(self) -> None:
        if self.trouble:
            log.error("the columns' keys are not read again: %s", self.trouble)

    def _read(self, path: Path) -> Stated:
        found, before = _parsed(path), self._taken
        if before is not None and found.number < before.number:
            raise PrivateFileError(
                f"{path}: older than the one that was taken last (number {found.number}, not {before.number}): a file"
                " of before a theft trusts the stolen column; bring the newest centre/keys.json from provisioning"
            )
        found = found if before is None else found.after(before)
        back = sorted(name for name, key in found.keys.items() if mark_of(key) in found.retired)
        if back:
            raise PrivateFileError(
                f"{path}: trusts the revoked key of {', '.join(back[:SHOWN])} again: was provisioned/ put back to"
                " before the theft? Run make revoke there again, and bring broker/ and centre/keys.json"
            )
        if found != before:
            self._taken = found
            self._keep()
        return found

    def _keep(self) -> None:
        """A disk that is full keeps nobody from being revoked: it is tried again at the next look."""
        if self._kept is None or self._taken is None:
            return
        was_kept, self._is_kept = self._is_kept, False
        try:
            replace(self._kept, _text(self._taken))
            self._is_kept = True
        except OSError as error:
            if was_kept:
                log.error("%s: which keys were taken last cannot be kept: %s", self._kept, error.strerror)

    def _taken_before(self) -> Stated | None:
        if self._kept is None or not self._kept.exists():
            return None
        try:
            return _parsed(self._kept)
        except PrivateFileError as error:
            log.error("%s; it is put aside: an older file of keys would not be noticed this time", error)
            with contextlib.suppress(OSError):
                self._kept.replace(self._kept.with_name(self._kept.name + ".damaged"))
            return None


def _parsed(path: Path) -> Stated:
    text = read_text(path)
    try:
        document = json.loads(text)
        keys, number = document["columns"], document.get("number", 0)
        names, marks = (frozenset(map(str, document.get(key, []))) for key in ("revoked", "retired"))
        if document["v"] != 1 or type(number) is not int or not all(KEY.fullmatch(key) for key in keys.values()):
            raise ValueError
        return Stated({name: bytes.fromhex(key) for name, key in keys.items()}, names, number, marks)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # its text may quote a key
        raise PrivateFileError(f"{path}: is no file of columns' keys; make provision writes it as keys.json") from None


def _text(stated: Stated) -> str:
    keys = {name: key.hex() for name, key in stated.keys.items()}
    document = {"v": 1, "number": stated.number, "columns": keys}
    return json.dumps({**document, "revoked": sorted(stated.revoked), "retired": sorted(stated.retired)}, indent=1)
