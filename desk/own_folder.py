"""The desk's folder as somebody names it on a command line: held against what is there before anything in it is
opened, or made. SQLite says of a mistyped name that a database cannot be opened, of a folder that the disk fails."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from desk.broker_options import SetupError
from desk.register_file import REGISTER_FILE, read_only
from desk.trouble import of_register


def made(folder: Path) -> Path:
    """The folder, made if it is missing, for its owner only; one that is there already stays as it is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def check(folder: Path, *, may_be_new: bool = False) -> None:
    """Raises SetupError: it is no folder, or is not there."""
    if folder.is_dir() or (may_be_new and not folder.exists()):
        return
    if folder.exists():
        raise SetupError(f"--folder {folder}: is no folder: give the one in which the desk keeps its register")
    raise SetupError(
        f"--folder {folder}: there is no such folder: give the one that the desk itself was started with, and look "
        "for a slip of the pen"
    )


def register_in(folder: Path) -> Path:
    """Its register's file, which can be read and is one. Raises SetupError and OSError."""
    check(folder)
    path = folder / REGISTER_FILE
    if not path.exists():
        raise SetupError(
            f"--folder {folder}: there is no register ({REGISTER_FILE}): no desk has run with this folder; give the "
            "one that the desk itself was started with"
        )
    if not path.is_file():
        raise SetupError(f"{path}: is no file: put a backup in its place, or move it away")
    path.open("rb").close()  # whose it is, in the system's words
    try:
        with contextlib.closing(read_only(path)) as db:
            db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        raise SetupError(of_register(error, path).text) from None
    return path
