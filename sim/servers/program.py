"""A program that nobody here wrote, as a process in a folder of its own."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common.running import Running

LOG_TAIL = 2000


class NotStarted(RuntimeError):
    """A program that nobody here wrote did not start; says why, perhaps with the end of its log."""


class Program(Running):
    """`name` begins its folder's, which goes with `close`."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def running(self) -> bool:
        return self._process is not None

    def _spawn(self, line: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(line, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self._process

    def close(self) -> None:
        """Stop, and forget everything."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.close)

    def log_tail(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")[-LOG_TAIL:]
