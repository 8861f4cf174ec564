"""The log of what went onto which board: one line of CSV for each flash. Who has a board in hand can look up which
column it was, and a column that goes onto a second board is noticed. It opens in a spreadsheet program of any language
(common/spreadsheet.py); one that was begun with commas goes on so."""

from __future__ import annotations

import csv
import datetime
import os
from pathlib import Path
from typing import NamedTuple

from common.beside import within
from common.spreadsheet import BOM, SEPARATOR, cell, line, unsafe
from field.keeping import PRIVATE_FILE, made_private

OK = "ok"
OF_BEFORE = ","


class Entry(NamedTuple):
    """`board`: the chip's own id. `result`: OK in every language, which programs look for, or what went wrong, in the
    language of whoever flashed: a person looks it up."""

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
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = [row for row in csv.reader(stream, delimiter=_separator(file)) if len(row) == len(Entry._fields)]
    return [Entry(*map(unsafe, row)) for row in rows if tuple(row) != Entry._fields]


def _separator(file: Path) -> str:
    """Of a file that is there. Raises OSError."""
    with file.open(encoding="utf-8-sig", errors="replace") as stream:
        return OF_BEFORE if OF_BEFORE.join(Entry._fields) in stream.readline() else SEPARATOR


def elsewhere(file: Path, board: str, column: str) -> Entry | None:
    """The newest entry of that column, when it went onto another board. Raises OSError."""
    of_column = [one for one in read(file) if one.column == column and one.result == OK]
    return of_column[-1] if of_column and of_column[-1].board != board else None


def note(file: Path, entry: Entry) -> None:
    """Append one line, which one program writes in one go. Raises OSError."""
    if not file.parent.exists():
        made_private(file.parent)
    separator = _separator(file) if file.exists() else SEPARATOR
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
    with within(file.parent), os.fdopen(descriptor, "a", newline="", encoding="utf-8") as stream:
        if not stream.tell():
            stream.write(BOM + line(Entry._fields, separator))
        stream.write(line(map(cell, entry), separator))
