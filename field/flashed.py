"""The log of what went onto which board: one line of CSV for each flash. Who has a board in hand can look up which
column it was, and a column that goes onto a second board is noticed."""

from __future__ import annotations

import csv
import datetime
import os
from pathlib import Path
from typing import NamedTuple

from field.keeping import PRIVATE_FILE, made_private

OK = "ok"


class Entry(NamedTuple):
    """`board`: the chip's own id. `result`: OK, or what went wrong."""

    at: str
    board: str
    column: str
    version: str
    port: str
    result: str


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def read(file: Path) -> list[Entry]:
    """Oldest first; lines that are none are passed over. Raises OSError."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8", errors="replace") as stream:
        rows = [row for row in csv.reader(stream) if len(row) == len(Entry._fields)]
    return [Entry(*row) for row in rows if tuple(row) != Entry._fields]


def elsewhere(file: Path, board: str, column: str) -> Entry | None:
    """The newest entry of that column, when it went onto another board. Raises OSError."""
    of_column = [one for one in read(file) if one.column == column and one.result == OK]
    return of_column[-1] if of_column and of_column[-1].board != board else None


def note(file: Path, entry: Entry) -> None:
    """Append one line, which one program writes in one go. Raises OSError."""
    if not file.parent.exists():
        made_private(file.parent)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE), "a", newline="") as stream:
        writer = csv.writer(stream)
        if not stream.tell():
            writer.writerow(Entry._fields)
        writer.writerow(entry)
