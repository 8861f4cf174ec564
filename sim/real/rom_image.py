"""Code that runs where it lies, as in an image of one's own: a ROMFS image, whose bytecode needs no heap."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpremote.romfs import VfsRomWriter


def content(files: Mapping[str, bytes]) -> bytes:
    """`files`: name on the device -> content."""
    from mpremote.romfs import VfsRomWriter  # only where it is used: a column of its own does without mpremote

    writer = VfsRomWriter()
    _folder(writer, {tuple(name.split("/")): data for name, data in files.items()})
    return bytes(writer.finalise())


def _folder(writer: "VfsRomWriter", files: Mapping[tuple[str, ...], bytes]) -> None:
    for name in sorted({path[0] for path in files}):
        if (name,) in files:
            writer.mkfile(name, files[name,])
            continue
        writer.opendir(name)
        _folder(writer, {path[1:]: data for path, data in files.items() if path[0] == name})
        writer.closedir()
