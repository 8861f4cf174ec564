"""What a kill of this process must not make forgotten, on a disk that may be full: a page that was made while there was
room, and is written where it lies."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

PAGE_BYTES = 16_384
"""Room for some hundred steps of the ladder, or ten telephone calls; the newest stay."""
log = logging.getLogger(__name__)


class Page:
    """One line of JSON and its hash, in a file that never grows. `lost`: what it means when it cannot be written."""

    def __init__(self, path: Path, lost: str) -> None:
        self.path, self._lost = path, lost
        self._is_bad = False
        with contextlib.suppress(OSError):  # then there is no room; writing will say so
            if not path.exists() or path.stat().st_size < PAGE_BYTES:
                self._put(b"".ljust(PAGE_BYTES))

    def read(self) -> list[dict[str, Any]]:
        """What was written last; nothing, if it is not whole."""
        try:
            line = self.path.read_bytes().partition(b"\n")[0]
        except OSError:
            return []
        text, _, known = line.rpartition(b" ")
        if not text.strip():
            return []
        if known != _hash(text):
            log.error("%s: is damaged: what was noted there is lost", self.path)
            return []
        return list(json.loads(text))

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Never raises: what cannot be noted is done all the same, and said."""
        while len(line := _line(rows)) > PAGE_BYTES:
            rows = rows[1 + len(rows) // 10 :]
        try:
            self._put(line)
        except OSError as error:
            if not self._is_bad:
                log.error("%s: %s: %s", self.path, error, self._lost)
            self._is_bad = True
            return
        self._is_bad = False

    def _put(self, content: bytes) -> None:
        page = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(page, content, 0) < len(content):
                raise OSError(errno.ENOSPC, "no room for all of it")
            os.fsync(page)
        finally:
            os.close(page)


def _line(rows: list[dict[str, Any]]) -> bytes:
    text = json.dumps(rows, separators=(",", ":")).encode()
    return text + b" " + _hash(text) + b"\n"


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
