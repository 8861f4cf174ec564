"""Flash and device modules when the interpreter is CPython."""

import types
from collections.abc import Callable
from typing import Any

from .cpython import files, importer, small


def estimated_heap() -> types.ModuleType:
    """CPython has no fixed heap."""
    return small.estimated_gc()


def mount(image: str, stall: Callable[[int], None], erase_us: int, program_us: int, rom: str = "") -> None:
    """Raises OSError when the image holds no file system."""
    if rom:
        raise ValueError("code in place needs MicroPython")
    files.mount(image, stall, erase_us, program_us)


def install(modules: dict[str, types.ModuleType]) -> dict[str, Any]:
    """Put the chip's modules in place; the namespace that boot.py and main.py share."""
    importer.install({**modules, "vfs": types.ModuleType("vfs")})
    return importer.start_main()


def execute(name: str, namespace: dict[str, Any]) -> None:
    importer.execfile(name, namespace)


has = files.exists
