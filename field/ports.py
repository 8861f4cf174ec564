"""Why a serial port cannot be opened, and what to do about it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mpremote.transport import TransportError
from serial.tools import list_ports

from field.words import PortTrouble

_PORTS_SHOWN = 8
_LOCKED = "exclusively lock"  # pyserial's word for a port that another program has
_LEAVING_S, _PAUSE_S = 1.0, 0.05  # a program that has just ended may have the port for a moment longer
T = TypeVar("T")


def opened(port: str, how: Callable[[str], T], trouble: type[PortTrouble]) -> T:
    """What `how(path)` makes of the port; raises `trouble` with the reason, and what to do about it."""
    deadline_s = time.monotonic() + _LEAVING_S
    while True:
        try:
            return how(os.path.realpath(port))
        except (TransportError, OSError, ValueError) as error:
            key, values = _cannot_open(port, error)
            if key != "port.busy" or time.monotonic() > deadline_s:
                raise trouble(port, key, **values) from error
        time.sleep(_PAUSE_S)


def check(port: str, trouble: type[PortTrouble]) -> None:
    """Raises `trouble` for a port that is not there: before another program looks for it and says so in English. One
    of pyserial's own kinds (socket://...) is no file."""
    if os.name == "posix" and "://" not in port and not Path(port).exists():
        key, values = _cannot_open(port, FileNotFoundError(errno.ENOENT, port))
        raise trouble(port, key, **values)


def _cannot_open(port: str, error: Exception) -> tuple[str, dict[str, object]]:
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


def _group(port: str) -> str:
    """Whose members may use the port: dialout on Debian, uucp elsewhere."""
    try:
        return Path(port).group()
    except (OSError, KeyError, NotImplementedError):
        return "dialout"
