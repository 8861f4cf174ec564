"""Lets CPython import umqtt.simple as it is: its folder on the path, MicroPython's module names as aliases."""

import binascii
import socket
import struct
import sys

from tools import toolbox

ALIASES = {"usocket": socket, "ustruct": struct, "ubinascii": binascii}


def install() -> None:
    """Harmless when called again. Raises toolbox.ToolMissing when the library is not there and cannot be fetched."""
    folder = str(toolbox.device_libraries())
    if folder not in sys.path:
        sys.path.append(folder)
    for name, module in ALIASES.items():
        sys.modules.setdefault(name, module)
