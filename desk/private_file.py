"""A file with secrets in it: read only if it is its owner's alone. What is wrong is said without quoting it."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from typing import Any

from common import toml

SIZE_MAX = 256 * 1024
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class PrivateFileError(ValueError):
    """The file cannot be used; says what to change, and nothing that stands in it."""


def read_text(path: Path) -> str:
    """Raises PrivateFileError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise PrivateFileError(f"{path}: {error.strerror}") from None
    try:
        _check_owner(path, os.fstat(descriptor))
        text = os.read(descriptor, SIZE_MAX + 1)
    finally:
        os.close(descriptor)
    if len(text) > SIZE_MAX:
        raise PrivateFileError(f"{path}: has more than {SIZE_MAX} bytes")
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PrivateFileError(f"{path}: not UTF-8 (byte {error.start}): save it as UTF-8") from None


def read_toml(path: Path, documented: str) -> dict[str, Any]:
    """Its document. `documented`: where the form is explained. Raises PrivateFileError."""
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # the rest of its text may quote a password
        line, column = toml.place(text, error)
        raise PrivateFileError(f"{path}:{line}:{column}: is no TOML; see {documented}") from None


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise PrivateFileError(f"{path}: is no file")
    if found.st_uid != os.geteuid():
        raise PrivateFileError(f"{path}: belongs to another user than the desk's")
    if found.st_mode & OTHERS:
        raise PrivateFileError(f"{path}: others may read or write it; run: chmod 600 {path}")
