"""Flash and device modules when the interpreter is real MicroPython."""

import os
import sys
import time

import vfs

from . import host

_BLOCK_BYTES = 4096
_PAGE_BYTES = 256
_ROM = "/rom"
_rom: bytearray | None = None
_ERASED = b"\xff" * 256


class Flash:
    """The image file as NOR flash: what is written stays written when the process is killed."""

    def __init__(self, path: str, stall, erase_us: int, program_us: int) -> None:
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK_BYTES
        self._stall = stall
        self._erase_us = erase_us
        self._program_us = program_us

    def readblocks(self, block, buffer, offset=0) -> None:
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=None) -> None:
        start = time.ticks_us()
        if offset is None:
            self._erase(block)
            offset = 0
        self._file.seek(block * _BLOCK_BYTES + offset)
        self._file.write(buffer)
        self._take(self._program_us * (-(-len(buffer) // _PAGE_BYTES)), start)

    def ioctl(self, request, argument):
        if request == 4:
            return self._blocks
        if request == 5:
            return _BLOCK_BYTES
        if request == 6:
            self._erase(argument)
        return 0

    def _erase(self, block: int) -> None:
        start = time.ticks_us()
        self._file.seek(block * _BLOCK_BYTES)
        for _ in range(_BLOCK_BYTES // len(_ERASED)):
            self._file.write(_ERASED)
        self._take(self._erase_us, start)

    def _take(self, us: int, start: int) -> None:
        """The file's own time counts."""
        left_us = us - time.ticks_diff(time.ticks_us(), start)
        if left_us > 0:
            self._stall(left_us)


class _Flashbdev:
    """The port's module: the block device that its _boot.py mounts."""

    def __init__(self, bdev: Flash) -> None:
        self.bdev = bdev


def estimated_heap():
    """Nothing is estimated here."""


def mount(image: str, stall, erase_us: int, program_us: int, rom: str = "") -> None:
    """The host's files are gone then. `stall`: what so many us of a busy flash do to the chip. `rom`: of an image of
    one's own, whose _boot.py mounts the flash.

    Raises OSError when the image holds no file system.
    """
    global _rom
    flash = Flash(image, stall, erase_us, program_us)
    _rom = host.map_rom(rom) if rom else None
    try:
        os.umount("/")
    except OSError:
        pass  # nothing there
    if _rom is None:
        vfs.mount(vfs.VfsLfs2(flash), "/")  # type: ignore[arg-type]
    else:
        vfs.mount(vfs.VfsRom(_rom), _ROM)  # type: ignore[attr-defined]
        sys.modules["flashbdev"] = _Flashbdev(flash)  # type: ignore[assignment]
        execute("_boot.py", {})
        del sys.modules["flashbdev"]
    os.chdir("/")


def install(modules: dict) -> dict:
    """Put the chip's modules in place; the namespace that boot.py and main.py share."""
    for name in list(sys.modules):
        if name == "sim" or name.startswith("sim."):
            del sys.modules[name]
    for name, module in modules.items():
        sys.modules[name] = sys.modules["u" + name] = module
    sys.path[:] = ["", _ROM if _rom is not None else ".frozen", "/lib"]
    if _rom is not None:
        sys.path.insert(2, _ROM + "/lib")
    namespace = sys.modules["__main__"].__dict__ if "__main__" in sys.modules else __import__("__main__").__dict__
    for name in list(namespace):
        if not name.startswith("__"):
            del namespace[name]
    return namespace


def execute(name: str, namespace: dict) -> None:
    """What an image has frozen goes before what is on the flash."""
    execfile(name if _rom is None else _ROM + "/" + name, namespace)  # type: ignore[name-defined]  # noqa: F821


def has(name: str) -> bool:
    try:
        os.stat(name if _rom is None else _ROM + "/" + name)
    except OSError:
        return False
    return True
