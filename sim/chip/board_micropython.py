"""Flash and device modules when the interpreter is real MicroPython."""

import os
import sys
import time

import vfs

_BLOCK_BYTES = 4096
_ERASED = b"\xff" * 256


class Flash:
    """The image file as NOR flash: what is written stays written when the process is killed."""

    def __init__(self, path: str, erase_us: int) -> None:
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK_BYTES
        self._erase_us = erase_us

    def readblocks(self, block, buffer, offset=0) -> None:
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=None) -> None:
        if offset is None:
            self._erase(block)
            offset = 0
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.write(buffer)

    def ioctl(self, request, argument):
        if request == 4:
            return self._blocks
        if request == 5:
            return _BLOCK_BYTES
        if request == 6:
            self._erase(argument)
        return 0

    def _erase(self, block: int) -> None:
        time.sleep_us(self._erase_us)
        self._file.seek(block * _BLOCK_BYTES)
        for _ in range(_BLOCK_BYTES // len(_ERASED)):
            self._file.write(_ERASED)


def mount(image: str, erase_us: int) -> None:
    """The host's files are gone then. Raises OSError when the image holds no file system."""
    flash = Flash(image, erase_us)
    try:
        os.umount("/")
    except OSError:
        pass  # nothing there
    vfs.mount(vfs.VfsLfs2(flash), "/")  # type: ignore[arg-type]
    os.chdir("/")


def install(modules: dict) -> dict:
    """Put the chip's modules in place; the namespace that boot.py and main.py share."""
    for name in list(sys.modules):
        if name == "sim" or name.startswith("sim."):
            del sys.modules[name]
    for name, module in modules.items():
        sys.modules[name] = sys.modules["u" + name] = module
    sys.path[:] = ["", ".frozen", "/lib"]
    namespace = sys.modules["__main__"].__dict__ if "__main__" in sys.modules else __import__("__main__").__dict__
    for name in list(namespace):
        if not name.startswith("__"):
            del namespace[name]
    return namespace


def execute(name: str, namespace: dict) -> None:
    execfile(name, namespace)  # type: ignore[name-defined]  # noqa: F821


def has(name: str) -> bool:
    try:
        os.stat(name)
    except OSError:
        return False
    return True
