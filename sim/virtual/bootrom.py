"""Runs boot.py, unmodified, as the chip does: `open` and `os` are the virtual flash's, the rest is Python's own."""

import builtins
from pathlib import Path
from types import ModuleType
from typing import Any

from sim.virtual.flash import ENOENT, FlashStore, VirtualFlash

BOOT_FILE = Path(__file__).resolve().parents[2] / "boot.py"
IS_FILE = 0x8000  # st_mode


class VirtualFile:
    """A file as boot.py opens one. Opening for "w" empties it on flash at once, as LittleFS was seen to do in a cut."""

    def __init__(self, flash: VirtualFlash, store: FlashStore, name: str, mode: str) -> None:
        self._flash = flash
        self._name = name
        self._text = "b" not in mode
        self._writes = mode[0] in "wa"
        self._closed = False
        if mode[0] == "w":
            flash.change("truncate", {name: b""}, 0)
        data = flash.read(name)
        if data is None and mode[0] == "r":
            raise OSError(ENOENT, name)
        self._store = store
        self._data = data or b""
        self._position = 0

    def read(self, count: int = -1) -> Any:
        end = len(self._data) if count < 0 else self._position + count
        piece = self._data[self._position : end]
        self._position += len(piece)
        return piece.decode() if self._text else piece

    def write(self, data: Any) -> int:
        self._data += data.encode() if self._text else bytes(data)
        return len(data)

    def close(self) -> None:
        if self._writes and not self._closed:
            self._flash.change("close", {self._name: self._store.spoil(self._name, self._data)}, len(self._data))
        self._closed = True

    def __enter__(self) -> "VirtualFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def virtual_os(flash: VirtualFlash, store: FlashStore) -> ModuleType:
    """The part of MicroPython's `os` that works on files."""

    def remove(name: str) -> None:
        if flat(name) not in store.files:
            raise OSError(ENOENT, name)
        flash.remove(flat(name))

    def stat(name: str) -> tuple[int, ...]:
        if flat(name) not in store.files:
            raise OSError(ENOENT, name)
        return (IS_FILE, 0, 0, 0, 0, 0, flash.size(flat(name)), 0, 0, 0)

    module = ModuleType("os")
    vars(module).update(
        remove=remove,
        stat=stat,
        rename=lambda old, new: flash.rename(flat(old), flat(new)),
        listdir=lambda folder="/": sorted(store.files),
        urandom=store.dice.randbytes,
    )
    return module


def flat(name: str) -> str:
    return name.lstrip("/")


def run_boot(flash: VirtualFlash, store: FlashStore, source: Path = BOOT_FILE) -> dict[str, Any]:
    """Execute boot.py; returns its namespace. What leaves boot.py comes out of here."""
    os_module = virtual_os(flash, store)

    def open_file(name: str, mode: str = "r", **_: object) -> VirtualFile:
        return VirtualFile(flash, store, flat(name), mode)

    def import_module(name: str, *rest: Any) -> ModuleType:
        return os_module if name in ("os", "uos") else builtins.__import__(name, *rest)

    own = {**vars(builtins), "open": open_file, "__import__": import_module}
    namespace: dict[str, Any] = {"__name__": "boot", "__builtins__": own}
    exec(compile(source.read_text("utf-8"), str(source), "exec"), namespace)
    return namespace
