"""One rollout runs in a folder at a time: whoever runs it holds a lock, which ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

from desk.web.files import leave_to_the_desk

FILE = "running.lock"
PATIENCE_S, AGAIN_S = 2.0, 0.1  # for whoever only looks, who holds it for an instant


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Raises BlockingIOError: another process is at it."""
    until_s = time.monotonic() + PATIENCE_S
    with (folder / FILE).open("w") as lock:
        leave_to_the_desk(lock.fileno(), folder / FILE)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(AGAIN_S)
        yield


def is_running(folder: Path) -> bool:
    """Whether a process is at it now."""
    try:
        with (folder / FILE).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
