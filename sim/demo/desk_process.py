"""The desk as a process of its own, as an operations centre runs it: it can be killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from common.ports import HOST
from common.running import Running
from desk import own_folder
from sim.real.flash_image import PROJECT
from sim.real.process import die_with_parent

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.02
LOG_TAIL = 2000


class DeskError(RuntimeError):
    """The desk did not start; the message has the end of its log."""


class DeskProcess(Running):
    """`python -m desk` for the broker at `host`:`port`, with its register in `folder`; a context manager.

    `listen`: the page's port, 0 for any; a desk that is started again gets the same one. `arguments`: more of its
    command line. Its log is `desk.log` in the folder. Start it in a thread that lives as long as it may: the kernel
    takes that thread for its parent.
    """

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        *,
        listen: int = 0,
        name: str = "desk-1",
        arguments: Sequence[str] = (),
    ) -> None:
        self.folder, self.name = folder, name
        self.url = ""
        self._broker = f"{host}:{port}"
        self._listen = listen
        self._arguments = tuple(arguments)
        self.longest_file: int | None = None
        """From its next start on none of its files becomes longer, as at the end of a disk or a quota; None: there is
        room. What is there can still be read."""
        self._process: subprocess.Popen[str] | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / "desk.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Returns when its page can be had. Does nothing if it runs. Raises DeskError."""
        if self.running:
            return
        own_folder.made(self.folder)
        command = [sys.executable, "-m", "desk", "--broker", self._broker, "--name", self.name,
                   "--folder", str(self.folder.resolve()), "--listen", f"{HOST}:{self._listen}",
                   *self._arguments]  # fmt: skip
        with open(self.log_path, "ab", opener=partial(os.open, mode=0o600)) as log:
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for who started it, and then ends it
                preexec_fn=self._before_it_runs,
            )
        self.url = self._wait_for_url(self._process)
        self._listen = urlsplit(self.url).port or self._listen

    def _before_it_runs(self) -> None:
        die_with_parent()
        if self.longest_file is not None:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.longest_file, hard))

    def freeze(self) -> None:
        """Its machine hangs: connected, and without a word."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on from there. Does nothing if it was not frozen."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL: its machine lost its power. Does nothing if it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._forget(self._process)

    def stop(self) -> None:
        """Ask it to end; if that takes too long, kill it."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
            self.kill()

    def log_tail(self) -> str:
        """The end of its log."""
        text = self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""
        return text[-LOG_TAIL:] or "(its log is empty)"

    def _wait_for_url(self, process: subprocess.Popen[str]) -> str:
        """From its first line."""
        assert process.stdout is not None
        watch = threading.Timer(START_TIMEOUT_S, process.kill)
        watch.start()
        started_s = time.monotonic()
        try:
            line = process.stdout.readline()
        finally:
            watch.cancel()
        try:
            return str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError):
            self.kill()
            took_s = time.monotonic() - started_s
            raise DeskError(f"the desk did not start ({took_s:.0f} s, status {process.returncode}). "
                            f"Its log:\n{self.log_tail()}") from None  # fmt: skip

    def _forget(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._process = None


def has_display() -> bool:
    """Whether a browser's window could open here."""
    return sys.platform == "darwin" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
