"""A fleet's files that cannot be read as what they are to be: not UTF-8, not TOML, not CSV. Each with line and column,
and with the reason as its library says it (English, for `Words.said`)."""

import bisect
import csv
import io
import re
import tomllib
from pathlib import Path

from common import toml
from common.numbers import WITH_COMMA, must_be

DELIMITERS = ",;\t"  # a spreadsheet set to Russian writes semicolons
UNCLOSED = "unexpected end of data"  # as the csv module says it
_KEYS = re.compile(r"\((?:'[^']*',? ?)+\)")  # as tomllib writes the names of a section
# A quote ' that nobody closes, which tomllib tells otherwise than one of the kind ".
_UNCLOSED_TEXT = {
    re.compile(r"^Expected \"'+\"$"): "Unterminated string",
    re.compile(r"^Found invalid character '\\n'$"): r"Illegal character '\n'",
}


class Misread(ValueError):
    """Says 'file:line:column: what is wrong'."""


def delimiter_of(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def text_of(file: Path) -> str:
    """Raises Misread where it is in another encoding; a zero byte is UTF-16 that looks like UTF-8. OSError."""
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
    else:
        if (at := data.find(b"\0")) < 0:
            return text
    *above, here = (data[:at] + b"-").decode("utf-8-sig", "replace").splitlines()
    if file.suffix == ".toml":
        raise Misread(f"{file.name}:{len(above) + 1}:{len(here)}: not UTF-8 (byte {at}); save it as UTF-8")
    cell = len(next(csv.reader([here], delimiter=delimiter_of(above[0] if above else here))))
    raise Misread(f"{file.name}:{len(above) + 1}:{cell}: not UTF-8 (byte {at}); save it as 'CSV UTF-8'")


def of_toml(file: Path, text: str, error: tomllib.TOMLDecodeError) -> Misread:
    """What is wrong with a text that is no TOML."""
    line, column = toml.place(text, error)
    where = f"{file.name}:{line}:{column}"
    if comma := re.search(rf"=\s*({WITH_COMMA.pattern})\s*(#|$)", text.replace("\r\n", "\n").split("\n")[line - 1]):
        return Misread(f"{where}: found {comma[1]!r}, must be {must_be(comma[1], '')}")
    why = _KEYS.sub(_section, toml.AT.sub("", str(error)))
    for said, meant in _UNCLOSED_TEXT.items():
        why = said.sub(lambda _, meant=meant: meant, why)  # type: ignore[misc]
    return Misread(f"{where}: no TOML: {why}")


def _section(keys: re.Match[str]) -> str:
    return "[" + ".".join(re.findall("'([^']*)'", keys[0])) + "]"


def of_csv(file: Path, text: str, line: int, error: csv.Error) -> Misread:
    """What is wrong with the row that begins in that line. Of a quote that nobody closes, which takes all that follows
    it, the cell is told in which it was opened; else the one at which the reader gives up."""
    lines, delimiter, why = [*io.StringIO(text, newline="")], delimiter_of(text.splitlines()[0]), str(error)
    row = "".join(lines[line - 1 :])
    if why == UNCLOSED:
        cells = next(csv.reader(io.StringIO(row, newline=""), delimiter=delimiter))
    else:
        end = bisect.bisect_left(range(len(row)), True, key=lambda at: _why(row[:at], delimiter) == why)
        cells = next(csv.reader(io.StringIO(row[: end - 1], newline=""), delimiter=delimiter))
    line += sum(len([*io.StringIO(f"{cell}-", newline="")]) - 1 for cell in cells[:-1])
    return Misread(f"{file.name}:{line}:{len(cells)}: no CSV table: {why}")


def _why(row: str, delimiter: str) -> str:
    """Why the reader gives a row up that ends there; '' if it does not. Once it has, it does with all that follows."""
    try:
        next(csv.reader(io.StringIO(row, newline=""), delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return str(error)
    return ""
