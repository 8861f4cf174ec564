"""Why a serial port cannot be opened, and what to do about it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from serial.tools import list_ports

from field.words import PortTrouble

_PORTS_SHOWN = 8
_LOCKED = "exclusively lock"  # pyserial's word for a port that another program has


def cannot_open(port: str, error: Exception) -> tuple[str, dict[str, object]]:
    """(key, values) of the text about `error`, which opening `port` raised."""
    number = getattr(error, "errno", None)
    if number == errno.ENOENT or not os.path.lexists(port) and os.name == "posix":
        found = [one.device for one in list_ports.comports()][:_PORTS_SHOWN]
        return "port.absent", {"ports": ", ".join(found) or "-"}
    if number in (errno.EACCES, errno.EPERM):
        return "port.permission", {"group": _group(port)}
    if number == errno.EBUSY or _LOCKED in str(error):
        return "port.busy", {}
    if number in (errno.ENOTTY, errno.EINVAL, errno.EISDIR) or Path(port).is_file() or Path(port).is_dir():
        return "port.none", {}
    return "port.fails", {"error": error}


def trouble(port: str, error: Exception) -> PortTrouble:
    key, values = cannot_open(port, error)
    return PortTrouble(port, key, **values)


def _group(port: str) -> str:
    """Whose members may use the port: dialout on Debian, uucp elsewhere."""
    try:
        return Path(port).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"
