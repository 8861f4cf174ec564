"""Tables that a spreadsheet program opens: each line of CSV, and cells that are never formulas. Pure.

The separator is `;`: a Russian or Kazakh spreadsheet program takes no other.

A spreadsheet runs a cell that looks like a formula, and columns, boards and people write such texts. So such a cell
gets an apostrophe in front: spreadsheets hide it or show it, and never run the cell. A program may split the line at
another separator. So text after any separator is escaped in the same way. `unsafe` removes the apostrophes.
"""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

BOM = "\ufeff"  # without it a spreadsheet takes UTF-8 for something else
DANGEROUS = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full-width forms count too
APOSTROPHE = "'"
SEPARATOR = ";"
STARTS = (";", ",", "\t", "|", "\r", "\n")
"""After each of these, some program starts a new cell or row."""
PARTS = re.compile("([;,\t|\r\n])")


def safe(text: str) -> str:
    """The text as a cell that no spreadsheet runs, even if it ignores invisible characters at the start."""
    found = "".join(part if part in STARTS else _safe(part) for part in PARTS.split(text))
    return APOSTROPHE + found if found[:1] in ("\t", "\r", "\n") else found


def unsafe(text: str) -> str:
    """Undo `safe`."""
    return "".join(part.removeprefix(APOSTROPHE) for part in PARTS.split(text))


def _safe(part: str) -> str:
    first = next((char for char in part if char.isprintable() and not char.isspace() and char != '"'), "")
    return APOSTROPHE + part if first in DANGEROUS else part


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    # Numbers need no escaping: a place south of the equator keeps its sign.
    return str(value) if isinstance(value, int | float) else safe(_clean(str(value)))


def _clean(text: str) -> str:
    """Replace what no file can hold: NUL and half surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def line(cells: Iterable[str], separator: str = SEPARATOR) -> str:
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=separator, lineterminator="\r\n").writerow(cells)
    return made.getvalue()
