"""The command line under test: runs `python -m sim`, commands a column and listens to it."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from column_probe import Recorder

from sim.real.flash_image import PROJECT

BOOT_TIMEOUT_S = 30.0
COMMAND = [sys.executable, "-m", "sim"]


class Column:
    """The process, its events, and a way to command it."""

    program = COMMAND
    command = "column"
    own_session = False  # with all that it starts

    def __init__(self, *arguments: str) -> None:
        self.seen = Recorder()
        self.process = subprocess.Popen(
            [*self.program, self.command, *arguments],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=self.own_session,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen(json.loads(line))

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def chips(self) -> list[int]:
        """Process ids of the column's children."""
        children = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in children for pid in file.read_text().split()]

    def end(self) -> int:
        """End of its input; the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)


def run_sim(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command line, to its end, with no input."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@contextmanager
def column(*arguments: str) -> Iterator[Column]:
    running = Column(*arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def marked(mark: str) -> dict[int, str]:
    """Processes that run with `mark` in their environment: process id -> command line."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile, or somebody else's
            if mark.encode() in (entry / "environ").read_bytes():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found
