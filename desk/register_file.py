"""The file of the register: opened by one desk only, checked, and brought up to date."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from desk import trouble
from desk.register_tables import STEPS

BUSY_S = 10.0
OPEN_BUSY_S = 2.0  # at the start: who holds it longer is to be told of


class RegisterError(RuntimeError):
    """The register cannot be used; says which file, why, and what to do."""


def lock(path: Path) -> int:
    """Take the file for this process; the lock ends with it, however it ends. Raises RegisterError, and OSError."""
    held = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(held, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(held)
        raise RegisterError(
            f"{path}: another desk (process {holder}) has this register: give each desk a folder of its own"
        ) from None
    os.ftruncate(held, 0)
    os.pwrite(held, str(os.getpid()).encode(), 0)
    return held


def connect(path: Path) -> sqlite3.Connection:
    """A connection for any thread, without transactions of its own making."""
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    db.row_factory = sqlite3.Row
    return db


def open_checked(path: Path) -> sqlite3.Connection:
    """The connection that writes. Raises RegisterError when the file is damaged, or made by a newer version."""
    try:
        db = connect(path)
    except sqlite3.Error as error:
        raise RegisterError(trouble.of_register(error, path).text) from None
    try:
        db.execute(f"PRAGMA busy_timeout = {round(OPEN_BUSY_S * 1000)}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # each commit is on the disk before it returns
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise damaged(found)
        _bring_up_to_date(db, path)
        _try_to_write(db)
        db.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
    except sqlite3.Error as error:
        db.close()
        raise RegisterError(trouble.of_register(error, path).text) from None
    except RegisterError:
        db.close()
        raise
    return db


def damaged(why: str) -> sqlite3.DatabaseError:
    """SQLite's own error for what its check found."""
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _try_to_write(db: sqlite3.Connection) -> None:
    """A file that can be read only, or a full disk, is to be told now and not at the first call."""
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
