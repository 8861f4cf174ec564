"""What lies beside a file: its lock, and for a moment the new one. What goes wrong there is told of the file itself:
that is the name that somebody typed. A disk that takes nothing more names none, so its folder is told."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

PROCESS_BYTES = 20  # of the number of the one that has it
PRIVATE_MODE = 0o600
OF_A_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


class Held(Exception):
    """Another one has it; `process`: its number, or "unknown"."""

    def __init__(self, process: str) -> None:
        super().__init__(f"held by process {process}")
        self.process = process


class Hold:
    """`path` is this process's alone until `release`, or until the process ends, however it ends. The lock is a file
    beside it (NAME.lock), which stays there and hinders nobody."""

    def __init__(self, path: Path) -> None:
        """Raises Held, and OSError where no file can be beside it."""
        with named(path):
            lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            process = os.pread(lock, PROCESS_BYTES, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise Held(process) from None
        with contextlib.suppress(OSError):  # on a full disk nobody is told who has it
            os.pwrite(lock, str(os.getpid()).encode().ljust(PROCESS_BYTES), 0)
        self._closed = weakref.finalize(self, os.close, lock)

    def release(self) -> None:
        """Harmless when it is released already."""
        self._closed()


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Within, an OSError is one of `path`, whichever file beside it was meant."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextlib.contextmanager
def within(folder: Path) -> Iterator[None]:
    """Around what writes there: `write` and `fsync` do not say of which file the disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in OF_A_DISK:
            raise OSError(error.errno, error.strerror, str(folder)) from error
        raise
