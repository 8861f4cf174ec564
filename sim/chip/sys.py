"""The chip's `sys`: it claims to be an ESP32 and says in its machine name that it is simulated."""

import sys as _host

from . import wires

if _host.implementation.name == "micropython":
    _version = _host.implementation.version
    from sys import exit, maxsize, modules, path, print_exception, stderr, stdout  # noqa: F401
else:
    from sys import exit, stderr, stdout  # noqa: F401

    from .cpython.importer import modules, path, print_exception  # type: ignore[no-redef]  # noqa: F401

    _version = (1, 26, 1, "")  # whose interface this is
    maxsize = 0x7FFFFFFF


class _NoInput:
    """`sys.stdin` of a chip whose console only shows; sim/chip/uart.py has that of one with a serial port."""

    raw = None  # the host's standard input carries the parent's messages

    def pending(self) -> bool:
        return False

    def flush(self) -> None:
        pass


stdin = _NoInput()
RELEASE = "%d.%d.%d" % _version[:3]
platform = "esp32"
byteorder = "little"
version = "3.4.0; MicroPython v" + RELEASE
version_info = (3, 4, 0)
argv: list = []
_NAMES = {"esp32": "ESP32", "esp32s2": "ESP32-S2", "esp32s3": "ESP32-S3", "esp32c3": "ESP32-C3"}


class implementation:
    name = "micropython"
    version = _version
    _mpy = getattr(_host.implementation, "_mpy", 0)
    _build = "SIMULATED"
    _machine = ""


def describe() -> None:
    """Call when the wiring is known."""
    name = _NAMES[wires.options["chip"]]
    mcu = name.replace("-", "")
    implementation._machine = "Simulated %s module on %s with %s" % (name, _host.implementation.name, mcu)
