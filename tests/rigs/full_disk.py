"""A full disk for one process, without root: the kernel refuses what would make any of its files longer than a page
(RLIMIT_FSIZE), as it does at the end of a disk or a quota. What is there can still be read."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PAGE_BYTES = 4096


@contextmanager
def full_disk(pid: int | None, longest: int = PAGE_BYTES) -> Iterator[None]:
    """For the process `pid`, from now on; afterwards there is room again."""
    assert pid is not None
    _, hard = before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (longest, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it was killed meanwhile
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def make_room(pid: int | None) -> None:
    """There is room again for a process that was started without."""
    assert pid is not None
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
