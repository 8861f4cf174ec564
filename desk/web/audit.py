"""Logins and login attempts, in a file of the desk's folder: JSON, one entry a line, the oldest are dropped."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

FILE = "audit.log"
FILE_MAX_BYTES, FILES = 1_000_000, 10


class Audit:
    """Entries {"at", "what", "name", "from"}. A name is what somebody typed, and need not be an account's."""

    def __init__(self, folder: Path) -> None:
        self._handler = _Private(folder / FILE, maxBytes=FILE_MAX_BYTES, backupCount=FILES - 1, delay=True)

    def enter(self, what: str, name: str, address: str) -> None:
        """Any thread; never raises: a full disk must not keep anybody from logging in."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        line = json.dumps({"at": at, "what": what, "name": name, "from": address})
        self._handler.handle(logging.makeLogRecord({"msg": line, "levelno": logging.INFO}))

    def close(self) -> None:
        self._handler.close()


class _Private(RotatingFileHandler):
    """For the owner only."""

    def _open(self):  # type: ignore[no-untyped-def]
        os.close(os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """The register says what is wrong with the disk."""
