"""Flash and device modules when the interpreter is real MicroPython."""

import os
import sys

import vfs

from . import host

_BLOCK_BYTES = 4096
_ROM = "/rom"
_rom: bytearray | None = None
_ERASED = b"\xff" * 256


class Flash:
    """The image file as NOR flash: what is written stays written when the process is killed."""

    def __init__(self, path: str, stall) -> None:
        self._file = open(path, "r+b")
        self._blocks = self._file.seek(0, 2) // _BLOCK_BYTES
        self._stall = stall

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
        self._stall()
        self._file.seek(block * _BLOCK_BYTES)
        for _ in range(_BLOCK_BYTES // len(_ERASED)):
            self._file.write(_ERASED)


class _Flashbdev:
    """The port's module: the block device that its _boot.py mounts."""

    def __init__(self, bdev: Flash) -> None:
        self.bdev = bdev


def estimated_heap():
    """Nothing is estimated here."""


def mount(image: str, stall, rom: str = "") -> None:
    """The host's files are gone then. `stall`: what an erase does to the chip. `rom`: of an image of one's own, whose
    _boot.py mounts the flash.

    Raises OSError when the image holds no file system.
    """
    global _rom
    flash = Flash(image, stall)
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
