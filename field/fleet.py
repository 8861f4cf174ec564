"""The fleet: a table with a row for each column, and beside it what all columns share (fleet.toml).

`read` gives a whole, valid fleet or raises FleetError with every trouble of both files, each with its line and column:
nothing is made of half a table.
"""

import csv
import io
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from common.numbers import WITH_COMMA, must_be
from common.places import Spot, Stray, strays
from field import rows, shared
from field.rows import COLUMNS

DELIMITERS = ",;\t"  # a spreadsheet set to Russian writes semicolons
SHARED_FILE, TABLE_FILE = "fleet.toml", "fleet.csv"
HEAD_BYTES = 1000
NEEDED = tuple(name for name, is_needed in COLUMNS.items() if is_needed)


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
    warnings: list[str] = field(default_factory=list)
    folder: Path = Path()
    """Of the table: what fleet.toml names lies beside it."""


def read(table: Path) -> Fleet:
    """The fleet of a CSV file and of the fleet.toml beside it. Raises FleetError with all that is wrong in both, and
    OSError when a file is missing."""
    text = _text(table)
    if what := _no_table(table, text):
        raise FleetError([what])
    beside = table.with_name(SHARED_FILE)
    shared_text = _text(beside)
    common, troubles = _shared(beside, shared_text)
    columns: dict[str, dict[str, Any]] = {}
    chips: dict[str, str] = {}
    seen: dict[str, tuple[int, dict[str, str]]] = {}
    addresses: dict[str, int] = {}
    for line, cells in _lines(table, text, troubles):
        row, wrong = rows.document(cells, common)
        for name, what in wrong:
            where = str(_place(table, line, cells, name)) if name else _in_shared(shared_text, what)
            if (one := f"{where}: {what}") not in troubles:  # what all rows share is told once
                troubles.append(one)
        device_id = cells["device_id"].strip()
        if row is not None and (address := row[0]["link"].get("address")):
            if address in addresses:
                other = f"{addresses[address]} has it too"
                troubles.append(f"{_place(table, line, cells, 'ip')}: {address}: line {other}; give each its own")
            addresses.setdefault(address, line)
        if device_id in seen:
            troubles.append(
                f"{_place(table, line, cells, 'device_id')}: {device_id} stands in line {seen[device_id][0]} too"
            )
        seen.setdefault(device_id, (line, cells))
        if row is not None:
            columns[device_id], chips[device_id] = row
    if not seen and not troubles:
        troubles.append(f"{table.name}:1: no columns in the table; a row for each is needed below the header")
    if troubles:
        raise FleetError(troubles)
    spots = {name: _spot(cells) for name, (_, cells) in seen.items()}
    warnings = [_far(table, *seen[stray.column], stray) for stray in strays(spots)]
    return Fleet(columns, chips, common, warnings, table.parent)


def places(columns: Mapping[str, dict[str, Any]]) -> list[str]:
    """Where each region stands, in lines. Where all of a table's latitudes and longitudes are exchanged, no column is
    far from the others: only a person sees that."""
    regions: dict[str, list[tuple[float, float]]] = {}
    for one in columns.values():
        lat, lon = one["location"]["geo"].removeprefix("geo:").partition(";")[0].split(",")
        regions.setdefault(one["region"], []).append((float(lat), float(lon)))
    lines = []
    for region, spots in sorted(regions.items()):
        lat, lon = (f"{math.fsum(found) / len(spots):.2f}" for found in zip(*spots, strict=True))
        lines.append(
            f"region {region}: {len(spots)} columns around latitude {lat}, longitude {lon}; is that the place?"
        )
    return lines


def _spot(cells: dict[str, str]) -> Spot:
    return Spot(cells["region"].strip(), float(cells["lat"]), float(cells["lon"]))


def _far(table: Path, line: int, cells: dict[str, str], stray: Stray) -> str:
    hint = "; are lat and lon swapped?" if stray.is_swapped else "; is that right?"
    what = f"{stray.column} stands {stray.km:.0f} km from the nearest other column of its region{hint}"
    return f"{_place(table, line, cells, 'lat')}: {what}"


def _in_shared(text: str, error: str) -> str:
    """Where in fleet.toml a key stands that the firmware's validator complains of."""
    keys = tuple(error.partition(":")[0].split("."))
    if keys == ("secrets", "wifi_password"):
        return rows.WIFI_PASSWORD
    if keys[0] == "secrets":
        return f"{SHARED_FILE}{shared.place(text, ('wifi',))}"
    return f"{SHARED_FILE}{shared.place(text, keys) or shared.place(text, ('common', *keys))}"


def _place(table: Path, line: int, cells: dict[str, str], name: str) -> Cell:
    names = list(cells)
    return Cell(table.name, line, names.index(name) + 1 if name in names else 0, name)


def _lines(table: Path, text: str, troubles: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its first line, cells by name) of every row with as many cells as the header has."""
    delimiter = _delimiter(text.splitlines()[0] if text else "")
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
                if wrong := _wrong_in_header(table, header):
                    troubles += wrong
                    if not _names_all(header):
                        return
            elif len(cells) != len(header):
                hint = ": is a comma without quotes in one, or in a number?" if delimiter == "," else ""
                troubles.append(
                    f"{table.name}:{start}: found {len(cells)} cells, must be {len(header)} as in the header{hint}"
                )
            else:
                yield start, {name: cell for name, cell in zip(header, cells, strict=True) if name in COLUMNS}
    except csv.Error as error:
        troubles.append(f"{table.name}:{reader.line_num}: {error}; must be a CSV table")


def _no_table(file: Path, text: str) -> str:
    """What else it is, when its first line has few of the names: told once, not for each name."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    names = {cell.strip().strip('"') for cell in head.split(_delimiter(head))}
    if not head or 2 * len(names & {*NEEDED}) >= len(NEEDED):
        return ""
    if file.suffix == ".toml" or _is_toml(text):
        beside = [one for one in sorted(file.parent.glob("*.csv")) if b"device_id" in one.read_bytes()[:HEAD_BYTES]]
        return f"{file.name}: these are the settings; the table is another file: FLEET={[*beside, Path(TABLE_FILE)][0]}"
    return f"{file.name}:1: is no table of columns: its first line must have the names {', '.join(NEEDED)}"


def _is_toml(text: str) -> bool:
    try:
        return any(isinstance(value, dict) for value in tomllib.loads(text).values())
    except tomllib.TOMLDecodeError:
        return False


def _names_all(header: list[str]) -> bool:
    """Whether the rows can be read: a column too many keeps nobody from being told what is wrong in the rest."""
    return {*NEEDED} <= set(header) and len(set(header)) == len(header)


def _wrong_in_header(table: Path, header: list[str]) -> list[str]:
    missing = [name for name in NEEDED if name not in header]
    troubles = [f"{table.name}:1: no column {name}" for name in missing]
    for number, name in enumerate(header, 1):
        if name not in COLUMNS:
            troubles.append(f"{table.name}:1:{number}: unknown column {name!r}, must be one of {', '.join(COLUMNS)}")
        elif name in header[: number - 1]:
            troubles.append(f"{table.name}:1:{number}: column {name} stands there twice")
    return troubles


def _text(file: Path) -> str:
    """Raises FleetError where it is in another encoding; a zero byte is UTF-16 that looks like UTF-8."""
    data = file.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start
    else:
        if (at := data.find(b"\0")) < 0:
            return text
    *above, here = (data[:at] + b"-").decode("utf-8-sig", "replace").splitlines()
    if file.name == SHARED_FILE:
        raise FleetError([f"{file.name}:{len(above) + 1}:{len(here)}: not UTF-8 (byte {at}); save it as UTF-8"])
    cell = len(next(csv.reader([here], delimiter=_delimiter(above[0] if above else here))))
    raise FleetError([f"{file.name}:{len(above) + 1}:{cell}: not UTF-8 (byte {at}); save it as 'CSV UTF-8'"])


def _delimiter(header: str) -> str:
    return max(DELIMITERS, key=header.count)


def _shared(file: Path, text: str) -> tuple[dict[str, Any], list[str]]:
    """(what could be used, troubles)."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{file.name}:{place[1]}:{place[2]}" if place else file.name
        line = text.split("\n")[int(place[1]) - 1] if place else ""
        if comma := re.search(rf"=\s*({WITH_COMMA.pattern})\s*(#|$)", line):
            raise FleetError([f"{where}: found {comma[1]!r}, must be {must_be(comma[1], '')}"]) from error
        raise FleetError([f"{where}: {error}; must be TOML"]) from error
    wrong = shared.check(found)
    for keys, _ in wrong:  # it is told once, not again for each row
        _drop(found, keys)
    if not isinstance(found.get("broker"), dict) or "host" not in found["broker"]:
        found["broker"] = {**(found.get("broker") or {}), "host": "a"}
    return found, [f"{file.name}{shared.place(text, keys)}: {what}" for keys, what in wrong]


def _drop(found: dict[str, Any], keys: tuple[str, ...]) -> None:
    *sections, last = keys
    for name in sections:
        found = found.get(name, {})
    if sections or last != "broker":
        found.pop(last, None)
