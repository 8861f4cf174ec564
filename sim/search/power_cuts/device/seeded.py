# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""MicroPython's `os`, but for its dice, which fall alike in every run: the first boot number comes out of them."""

from os import ilistdir, listdir, mkdir, remove, rename, rmdir, stat, statvfs, umount, unlink  # noqa: F401


def urandom(count: int) -> bytes:
    return bytes(range(1, count + 1))
