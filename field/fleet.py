"""The fleet: a table with a row for each column, and beside it what all columns share (fleet.toml).

`read` gives a whole, valid fleet or raises FleetError with every trouble of both files, each with its line and column:
nothing is made of half a table.
"""

import csv
import io
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from field import rows
from field.rows import COLUMNS

DELIMITERS = ",;\t"  # a spreadsheet set to Russian writes semicolons
SHARED_SECTIONS = ("authority", "broker", "centre", "clock", "wifi", "links", "pins", "common")


class FleetError(ValueError):
    """`troubles`: a line for each, 'file:line:column (name): found ..., must be ...'."""

    def __init__(self, troubles: list[str]) -> None:
        super().__init__("\n".join(troubles))
        self.troubles = troubles


class Cell(NamedTuple):
    """Where in the table a value stands; counted from 1, as spreadsheets and editors do."""

    file: str
    line: int
    column: int = 0
    name: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}"
        return where + (f":{self.column} ({self.name})" if self.column else "")


@dataclass(frozen=True)
class Fleet:
    """Documents by device id, without what provisioning adds: certificates, keys and passwords."""

    columns: dict[str, dict[str, Any]]
    chips: dict[str, str]
    shared: dict[str, Any]


def read(table: Path) -> Fleet:
    """The fleet of a CSV file and of the fleet.toml beside it. Raises FleetError; OSError when a file is missing."""
    shared = _shared(table.with_name("fleet.toml"))
    troubles: list[str] = []
    columns: dict[str, dict[str, Any]] = {}
    chips: dict[str, str] = {}
    seen: dict[str, Cell] = {}
    for line, cells in _lines(table, troubles):
        row, wrong = rows.document(cells, shared)
        for name, text in wrong:
            troubles.append(f"{_place(table, line, cells, name)}: {text}")
        device_id = cells["device_id"].strip()
        if device_id in seen:
            troubles.append(
                f"{_place(table, line, cells, 'device_id')}: {device_id} stands in line {seen[device_id].line} too"
            )
        seen.setdefault(device_id, Cell(table.name, line))
        if row is not None:
            columns[device_id], chips[device_id] = row
    if not seen and not troubles:
        troubles.append(f"{table.name}:1: no columns in the table; a row for each is needed below the header")
    if troubles:
        raise FleetError(troubles)
    return Fleet(columns, chips, shared)


def _place(table: Path, line: int, cells: dict[str, str], name: str) -> Cell:
    names = list(cells)
    return Cell(table.name, line, names.index(name) + 1 if name in names else 0, name)


def _lines(table: Path, troubles: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its first line, cells by name) of every row with as many cells as the header has."""
    text = _text(table)
    first = text.splitlines()[0] if text else ""
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            start, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_header(table, header)
            elif len(cells) != len(header):
                troubles.append(
                    f"{table.name}:{start}: found {len(cells)} cells, must be {len(header)} as in the header"
                )
            else:
                yield start, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        troubles.append(f"{table.name}:{reader.line_num}: {error}; must be a CSV table")


def _check_header(table: Path, header: list[str]) -> None:
    missing = [name for name, is_needed in COLUMNS.items() if is_needed and name not in header]
    troubles = [f"{table.name}:1: no column {name}" for name in missing]
    for number, name in enumerate(header, 1):
        if name not in COLUMNS:
            troubles.append(f"{table.name}:1:{number}: unknown column {name!r}, must be one of {', '.join(COLUMNS)}")
        elif name in header[: number - 1]:
            troubles.append(f"{table.name}:1:{number}: column {name} stands there twice")
    if troubles:
        raise FleetError(troubles)


def _text(file: Path) -> str:
    data = file.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FleetError([f"{file.name}:{line}: not UTF-8 (byte {error.start}); save it as 'CSV UTF-8'"]) from error


def _is_port(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 65535


def _shared(file: Path) -> dict[str, Any]:
    try:
        shared = tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{file.name}:{found[1]}:{found[2]}" if found else file.name
        raise FleetError([f"{where}: {error}; must be TOML"]) from error
    troubles = [
        f"{file.name}: unknown section [{name}], must be one of {', '.join(SHARED_SECTIONS)}"
        for name in shared
        if name not in SHARED_SECTIONS
    ]
    troubles += [
        f"{file.name}: [{name}] must be a section with keys below it"
        for name, value in shared.items()
        if name in SHARED_SECTIONS and not isinstance(value, dict)
    ]
    broker = shared.get("broker")
    if not isinstance(broker, dict) or not isinstance(broker.get("host"), str):
        troubles.append(f"{file.name}: [broker] host is missing, must be the name or address of the MQTT broker")
    elif not _is_port(broker.get("centre_port", 1)) or broker.get("centre_port") == broker.get("port", 8883):
        troubles.append(
            f"{file.name}: [broker] centre_port: found {broker['centre_port']!r}, must be a port other than port"
        )
    for kind in ("links", "pins"):
        for name, value in (shared.get(kind) or {}).items() if isinstance(shared.get(kind), dict) else ():
            if not isinstance(value, dict):
                troubles.append(f"{file.name}: [{kind}.{name}] must be a section with keys below it")
    if troubles:
        raise FleetError(troubles)
    return shared
