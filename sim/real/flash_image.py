"""Flash images of simulated columns: LittleFS, as a technician would have flashed them.

An image holds boot.py, main.py, firmware/, hal/, lib/ (third-party device libraries) and the configuration in
its two files. What the column itself wrote (journal, last good configuration) is never touched here.
"""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from littlefs import LittleFS, LittleFSError
from littlefs.context import UserContext

from common.assumptions import load
from common.beside import named
from field import bundle
from firmware.startup import config as firmware_config
from firmware.startup.config_files import CONFIG_FILE
from tools import toolbox

PROJECT = Path(__file__).resolve().parents[2]
_FIGURES = load()
BLOCK_BYTES = int(_FIGURES["block_bytes"].value)
PRIVATE_MODE = 0o600
SIZE_BYTES = int(_FIGURES["fs_bytes"].value)  # a stock image on 4 MB of flash
# What MicroPython's VfsLfs2 takes by default: a different cache size would change which files lie inline.
_GEOMETRY: dict[str, Any] = {
    "block_size": BLOCK_BYTES,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
}
_FLASHED = ("boot.py", "main.py", "firmware/", "hal/", "lib/")  # the rest is the column's own


class Image:
    """A LittleFS image in memory. `read` and `size` are those of `hal.interface.Flash`."""

    def __init__(self, content: bytes | None = None, size_bytes: int = SIZE_BYTES) -> None:
        """Open an image, or make an empty one of `size_bytes` (a multiple of 4096).

        Raises ValueError when the content is no LittleFS image.
        """
        buffer = bytearray(content) if content is not None else bytearray(b"\xff" * size_bytes)
        if not buffer or len(buffer) % BLOCK_BYTES:
            raise ValueError(f"the flash image has {len(buffer)} bytes, must be a multiple of {BLOCK_BYTES}")
        self._context = UserContext(buffer=buffer)
        blocks = len(buffer) // BLOCK_BYTES
        self._fs = LittleFS(context=self._context, mount=False, block_count=blocks, **_GEOMETRY)
        try:
            if content is None:
                self._fs.format()
            self._fs.mount()
        except LittleFSError as error:
            raise ValueError(f"the flash image cannot be mounted as LittleFS ({error})") from error

    def content(self) -> bytes:
        return bytes(self._context.buffer)

    def read(self, name: str) -> bytes | None:
        """The whole file, or None when there is none."""
        try:
            with self._fs.open(name, "rb") as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int:
        return len(self.read(name) or b"")

    def write(self, name: str, data: bytes) -> None:
        """Raises LittleFSError when the image is full."""
        folder = name.rpartition("/")[0]
        if folder:
            self._fs.makedirs(folder, exist_ok=True)
        with self._fs.open(name, "wb") as file:
            file.write(data)

    def remove(self, name: str) -> None:
        self._fs.remove(name)

    def free_blocks(self) -> int:
        return len(self._context.buffer) // BLOCK_BYTES - self._fs.used_block_count

    def names(self) -> list[str]:
        """Every file, as "firmware/lamp.mpy"."""
        return sorted(
            f"{folder.strip('/')}/{file}".lstrip("/") for folder, _, files in self._fs.walk("/") for file in files
        )


def build_image(
    path: Path,
    config: Mapping[str, Any] | bytes,
    *,
    mpy: bool,
    size_bytes: int = SIZE_BYTES,
    sources: Path = PROJECT,
    in_place: bool = False,
) -> None:
    """Make the image at `path`, or bring the firmware and the configuration of an existing one up to date.

    `config`: a configuration document, or the raw bytes of one that may be broken (they go to the device
    as they are). `mpy`: compile for MicroPython; otherwise Python source. `sources`: the tree with boot.py.
    `in_place`: its code lies in the chip's own image, and none of it here.
    Raises ValueError when the existing file is no LittleFS image or a source does not compile.
    """
    before = path.read_bytes() if path.exists() and path.stat().st_size else None
    try:
        image = Image(before, size_bytes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; remove it to have a new one made") from error
    made = {} if in_place else firmware_files(mpy=mpy, sources=sources)
    wanted = {**made, **configuration_files(config)}
    for name in image.names():
        if name.startswith(_FLASHED) and name not in wanted:
            image.remove(name)
    for name, data in wanted.items():
        if image.read(name) != data:
            image.write(name, data)
    if image.content() != before:
        replace(path, image.content())


def firmware_files(*, mpy: bool, sources: Path = PROJECT) -> dict[str, bytes]:
    """Name on the device -> content, of everything but the configuration: what a board gets."""
    made = bundle.make(sources, toolbox.device_libraries(), mpy=mpy)
    return {**made.files, **made.libraries}


def configuration_files(config: Mapping[str, Any] | bytes) -> dict[str, bytes]:
    """The document as the device's two files, sealed; without "secrets" in it, those on the device stay."""
    if isinstance(config, bytes):
        try:
            document = json.loads(config)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            return {CONFIG_FILE: config}  # the column itself says what is wrong with it
        config = document
    return bundle.configuration_files(config)


def configuration_in_force(path: Path, chip: str) -> dict[str, Any]:
    """The configuration that the firmware on the image will choose, validated; else its fallback."""
    config, _, _ = firmware_config.load(Image(path.read_bytes()), chip)
    return config or firmware_config.fallback(chip)


def replace(path: Path, content: bytes) -> None:
    """All or nothing: an interrupted technician leaves the old image. For its owner only: an image holds keys."""
    beside = path.with_name(path.name + ".new")
    with named(path):
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_MODE), "wb") as file:
            file.write(content)
        beside.replace(path)
