"""Whether there is room on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The disk is full; a quota is; the process may make no longer file."""
PAGE_BYTES = 4096


def has_no_room(path: Path, wanted_bytes: int = PAGE_BYTES) -> bool:
    """Whether a file like this one cannot become so much longer. SQLite knows a full disk by itself; a quota or a limit
    that is reached it only calls an error. So it is tried where this file, or its journal, would go on."""
    if not path.name:
        return False
    probe = path.with_name(path.name + ".room")
    try:
        end = max(one.stat().st_size for one in (path, path.with_name(path.name + "-wal")) if one.exists())
        tried = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(tried, bytes(wanted_bytes), end) < wanted_bytes:
                return True
        finally:
            os.close(tried)
            probe.unlink()
    except (OSError, ValueError) as error:
        return isinstance(error, OSError) and error.errno in NO_ROOM
    return False
