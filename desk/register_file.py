"""The file of the register: opened by one desk only, checked, and brought up to date."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from pathlib import Path

from desk.register_tables import STEPS

BUSY_S = 10.0


class RegisterError(RuntimeError):
    """The register cannot be used; says which file, why, and what to do."""


def lock(path: Path) -> int:
    """Take the file for this process; the lock ends with it, however it ends. Raises RegisterError."""
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
    db = connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # each commit is on the disk before it returns
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        _bring_up_to_date(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        raise RegisterError(
            f"{path}: {error}: the register is damaged or not one: put a backup in its place, or move it away"
        ) from None
    except RegisterError:
        db.close()
        raise
    return db


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    (done,) = db.execute("PRAGMA user_version").fetchone()
    if done > len(STEPS):
        raise RegisterError(
            f"{path}: made by a newer version (step {done} of its tables, this one knows {len(STEPS)}): update this one"
        )
    for number, step in enumerate(STEPS[done:], done + 1):
        db.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT")
