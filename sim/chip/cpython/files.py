"""The chip's file system on CPython: LittleFS from the flash image, behind `open` and the functions of `os`."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from typing import Any

from littlefs import FileHandle, LittleFS, LittleFSError, lfs
from littlefs.context import UserContext
from littlefs.lfs import LFSConfig

BLOCK_BYTES = 4096
_PAGE_BYTES = 256
# What MicroPython's VfsLfs2 takes by default.
_CACHE_BYTES = 128
_GEOMETRY: dict[str, Any] = {
    "block_size": BLOCK_BYTES,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": _CACHE_BYTES,
    "lookahead_size": 32,
}
_NAME_MAX = 255
_TYPE_FILE, _TYPE_DIR = 1, 2  # LittleFS's own
_MODE_DIR, _MODE_FILE = 0x4000, 0x8000
_fs: LittleFS | None = None
_folder = "/"


class Flash(UserContext):
    """The image file as NOR flash: what is written stays written when the process is killed."""

    def __init__(self, path: str, stall: Callable[[int], None], erase_us: int, program_us: int) -> None:
        self._file = os.open(path, os.O_RDWR)
        self._stall, self._erase_us, self._program_us = stall, erase_us, program_us
        self.in_size = os.fstat(self._file).st_size

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:
        return bytearray(os.pread(self._file, size, block * BLOCK_BYTES + off))

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        self._stall(self._program_us * -(-len(data) // _PAGE_BYTES))
        os.pwrite(self._file, data, block * BLOCK_BYTES + off)
        return 0

    def erase(self, cfg: LFSConfig, block: int) -> int:
        self._stall(self._erase_us)
        os.pwrite(self._file, b"\xff" * BLOCK_BYTES, block * BLOCK_BYTES)
        return 0


def mount(path: str, stall: Callable[[int], None], erase_us: int, program_us: int) -> None:
    """`stall` is what so many us of a busy flash do to the chip. Raises OSError when the image holds no file system."""
    global _fs
    flash = Flash(path, stall, erase_us, program_us)
    _fs = LittleFS(context=flash, mount=False, block_count=flash.in_size // BLOCK_BYTES, **_GEOMETRY)
    _run(_fs.mount)


def _run(operation: Any, *arguments: Any) -> Any:
    """LittleFS's errors as OSError with a positive number."""
    try:
        return operation(*arguments)
    except LittleFSError as error:
        code = -error.code
        raise OSError(code, errno.errorcode.get(code, "LittleFS error")) from None
    except FileNotFoundError:  # the library raises it without a number
        raise OSError(errno.ENOENT, "ENOENT") from None


def _path(name: str) -> str:
    return name if name.startswith("/") else _folder.rstrip("/") + "/" + name


class _File(FileHandle):
    """An open file whose errors are OSErrors."""

    def readinto(self, buffer: Any) -> int:
        return int(_run(super().readinto, buffer))

    def readall(self) -> bytes:
        return bytes(_run(super().readall))

    def write(self, data: Any) -> int:
        return int(_run(super().write, data))

    def flush(self) -> None:
        _run(super().flush)

    def close(self) -> None:
        _run(super().close)


def open_file(name: str, mode: str = "r", buffering: int = -1, encoding: str = "utf-8") -> Any:
    """MicroPython's open(): text is UTF-8, lines end as they are."""
    assert _fs is not None
    flags = mode.replace("a", "x") if "a" in mode and not exists(name) else mode  # lfs appends to what is there only
    handle = _run(lfs.file_open, _fs.fs, _path(name), flags, _fs.filename_encoding)
    raw = _File(_fs.fs, handle)
    kind = io.BufferedRandom if "+" in mode else io.BufferedReader if "r" in mode else io.BufferedWriter
    binary = kind(raw, _CACHE_BYTES)
    return binary if "b" in mode else io.TextIOWrapper(binary, encoding, newline="")


def chdir(name: str) -> None:
    global _folder
    if _path(name) != "/" and stat(name)[0] != _MODE_DIR:
        raise OSError(errno.ENOENT, "ENOENT")
    _folder = _path(name)


def getcwd() -> str:
    return _folder


def ilistdir(name: str = "") -> Iterator[tuple[str, int, int, int]]:
    """(name, 0x4000 or 0x8000, 0, size) of each entry."""
    assert _fs is not None
    entries = _run(lambda: list(_fs.scandir(_path(name))))
    return iter([(e.name, _MODE_DIR if e.type == _TYPE_DIR else _MODE_FILE, 0, e.size) for e in entries])


def listdir(name: str = "") -> list[str]:
    return [entry[0] for entry in ilistdir(name)]


def stat(name: str) -> tuple[int, ...]:
    assert _fs is not None
    if _path(name) == "/":
        return (_MODE_DIR, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    found = _run(lfs.stat, _fs.fs, _path(name), _fs.filename_encoding)
    mode = _MODE_DIR if found.type == _TYPE_DIR else _MODE_FILE
    return (mode, 0, 0, 0, 0, 0, found.size, 0, 0, 0)


def exists(name: str) -> bool:
    try:
        stat(name)
    except OSError:
        return False
    return True


def statvfs(name: str) -> tuple[int, ...]:
    assert _fs is not None
    free = _fs.block_count - _run(lambda: _fs.used_block_count)
    return (BLOCK_BYTES, BLOCK_BYTES, _fs.block_count, free, free, 0, 0, 0, 0, _NAME_MAX)


def remove(name: str) -> None:
    """A file or an empty folder, as on MicroPython's LittleFS."""
    assert _fs is not None
    _run(lfs.remove, _fs.fs, _path(name), _fs.filename_encoding)


def rename(old: str, new: str) -> None:
    assert _fs is not None
    _run(lfs.rename, _fs.fs, _path(old), _path(new), _fs.filename_encoding)


def mkdir(name: str) -> None:
    assert _fs is not None
    _run(lfs.mkdir, _fs.fs, _path(name), _fs.filename_encoding)


rmdir = unlink = remove
urandom = os.urandom


def sync() -> None:
    """Nothing waits outside of open files."""
