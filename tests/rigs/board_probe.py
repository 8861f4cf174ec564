"""A virtual board under test: real mpremote as a process, and bytes typed by hand."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from column_probe import Recorder

from sim.real.flash_image import PROJECT, Image
from sim.serial_board import SerialBoard

MPREMOTE = [sys.executable, "-m", "mpremote"]
PATIENCE_S = 10.0


class Bench:
    """A board that is on, and what it did."""

    def __init__(self, folder: Path, config: Any = None, **options: Any) -> None:
        self.seen = Recorder()
        self.board = SerialBoard(config, link=folder / "board", on_event=self.seen, **options)

    def mpremote(self, *arguments: str, timeout_s: float = 20) -> "subprocess.CompletedProcess[str]":
        """To its end; raises subprocess.TimeoutExpired."""
        command = [*MPREMOTE, "connect", self.board.port, *arguments]
        return subprocess.run(
            command,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
        )

    def does(self, *arguments: str) -> str:
        """Standard output of an mpremote that has to succeed."""
        run = self.mpremote(*arguments)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def console(self, state: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the board is at that."""
        deadline = time.monotonic() + timeout_s
        while self.board.console != state:
            assert time.monotonic() < deadline, f"the board is at {self.board.console}, not {state}"
            time.sleep(0.01)


@contextlib.contextmanager
def bench(folder: Path, config: Any = None, **options: Any) -> Iterator[Bench]:
    made = Bench(folder, config, **options)
    try:
        made.board.power_on()
        yield made
    finally:
        made.board.close()


class Typist:
    """The port, opened as a terminal program opens it."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY)
        self.shown = b""

    def __enter__(self) -> "Typist":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def type(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]

    def until(self, wanted: bytes, timeout_s: float = PATIENCE_S) -> bytes:
        """Everything up to and with `wanted`."""
        deadline = time.monotonic() + timeout_s
        while wanted not in self.shown:
            left_s = deadline - time.monotonic()
            assert left_s > 0 and select.select([self._file], [], [], left_s)[0], f"no {wanted!r} in {self.shown!r}"
            self.shown += os.read(self._file, 4096)
        found, _, self.shown = self.shown.partition(wanted)
        return found + wanted

    def talk(self, typed: bytes, wanted: bytes) -> bytes:
        self.type(typed)
        return self.until(wanted)


def unhealthy(image: Path) -> int:
    """Starts in a row that did not become healthy, as boot.py has counted them."""
    found = Image(image.read_bytes()).read("boot.rec")
    assert found is not None
    return int(json.loads(found.strip()[9:])["u"])
