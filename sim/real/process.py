"""One life of a chip: the operating-system process, from reset to reset."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_READ_BYTES = 65536
_EXIT_TIMEOUT_S = 2  # from the end of its output to its exit
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For a new process: it goes when its starter is killed, even if it hangs and reads no end of file."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class ChipProcess:
    """Start it in a thread that lives as long as it may: the kernel takes that thread for its parent."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the column, which then ends the chip
            preexec_fn=die_with_parent,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdin.fileno(), False)
        os.set_blocking(self._stdout.fileno(), False)
        self._rest = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """For select: readable when there is output or an end."""
        return self._stdout.fileno()

    def send(self, line: str) -> bool:
        """False when the chip does not take it: dead, or its input is full because it no longer reads."""
        data = line.encode("ascii") + b"\n"
        try:
            return os.write(self._stdin.fileno(), data) == len(data)
        except (BlockingIOError, BrokenPipeError):
            return False

    def read_lines(self) -> list[str] | None:
        """The lines that have come; None at the end of the output. A last line may have been cut short."""
        try:
            data = os.read(self._stdout.fileno(), _READ_BYTES)
        except BlockingIOError:
            return []
        *lines, self._rest = (self._rest + (data or b"\n")).split(b"\n")
        if not data and not any(lines):
            return None
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines]

    def kill(self) -> None:
        """At once and for good, as a power cut; what it had written can still be read."""
        self._process.kill()
        self._process.wait()

    def close(self) -> int:
        """The exit status, negative for a signal. Call at the end of the output."""
        try:
            status = self._process.wait(_EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._stdin.close()
        self._stdout.close()
        return status
