"""The chip's `os`: files on LittleFS."""

import sys
from collections import namedtuple

if sys.implementation.name == "micropython":
    from os import (  # noqa: F401
        chdir,
        getcwd,
        ilistdir,
        listdir,
        mkdir,
        remove,
        rename,
        rmdir,
        stat,
        statvfs,
        unlink,
        urandom,
    )

    def sync() -> None:
        """Nothing waits outside of open files."""
else:
    from .cpython.files import (  # type: ignore[no-redef,assignment]  # noqa: F401
        chdir,
        getcwd,
        ilistdir,
        listdir,
        mkdir,
        remove,
        rename,
        rmdir,
        stat,
        statvfs,
        sync,
        unlink,
        urandom,
    )

from . import sys as _sys

_Uname = namedtuple("_Uname", ("sysname", "nodename", "release", "version", "machine"))


def uname():
    return _Uname("esp32", "esp32", _sys.RELEASE, _sys.version, _sys.implementation._machine)
