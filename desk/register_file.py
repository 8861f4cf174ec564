"""The register's file: opened by one desk only, checked, and brought up to date; on a full disk, too."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from common.beside import Held, Hold
from desk import trouble
from desk.tables import STEPS
from desk.trouble import Trouble

REGISTER_FILE = "register.sqlite"
BUSY_S = 10.0
OPEN_BUSY_S = 2.0  # at the start: report another program that holds the file longer


class RegisterError(RuntimeError):
    """The register cannot be used; says which file, why, and what to do."""


def lock(path: Path) -> Hold:
    """Take the file for this process; the lock ends with it, however it ends. Raises RegisterError, and OSError."""
    try:
        return Hold(path)
    except Held as held:
        raise RegisterError(
            f"{path}: another desk (process {held.process}) has this register: give each desk a folder of its own"
        ) from None


def read_only(path: Path) -> sqlite3.Connection:
    """The file of a desk that may be running, or be another user's; none is made. Raises sqlite3.Error."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread, without transactions of its own making."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


def open_checked(path: Path) -> tuple[sqlite3.Connection, Trouble]:
    """The connection that writes, and why it can not just now: on a full disk a register that is there can be read.
    Raises RegisterError when the file is damaged, or made by a newer version."""
    try:
        return _opened(path), trouble.NONE
    except sqlite3.Error as error:
        why = trouble.of_register(error, path)
    if why.code != trouble.DISK_FULL:
        raise RegisterError(why.text)
    try:
        return _opened(path, alone=True), why
    except sqlite3.Error as error:
        raise RegisterError(trouble.of_register(error, path).text) from None


def _opened(path: Path, *, alone: bool = False) -> sqlite3.Connection:
    """`alone`: nobody else may have the file open; then what SQLite shares between connections is in no file, and it
    needs no room to read. Raises RegisterError, and sqlite3.Error."""
    db = connect(path)
    try:
        db.execute(f"PRAGMA busy_timeout = {round(OPEN_BUSY_S * 1000)}")
        if alone:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # each commit is on the disk before it returns
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(found)
        _bring_up_to_date(db, path)
        if not alone:
            _try_to_write(db)
        db.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
    except BaseException:
        db.close()
        raise
    return db


def damaged(why: str) -> sqlite3.DatabaseError:
    """SQLite's own error for what its check found."""
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _try_to_write(db: sqlite3.Connection) -> None:
    """Find a read-only file or a full disk now, not at the first call."""
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT OR REPLACE INTO desk VALUES ('opened', strftime('%s'))")
    db.execute("COMMIT")


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    (done,) = db.execute("PRAGMA user_version").fetchone()
    if done > len(STEPS):
        raise RegisterError(
            f"{path}: made by a newer version (step {done} of its tables, this one knows {len(STEPS)}): update this one"
        )
    for number, step in enumerate(STEPS[done:], done + 1):
        db.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
