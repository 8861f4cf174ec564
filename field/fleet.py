"""The fleet: a table with a row for each column, and beside it what all columns share (fleet.toml).

`read` gives a whole, valid fleet or raises FleetError with every trouble of both files, each with its line and column:
nothing is made of half a table.
"""

import csv
import io
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from common import release
from common.places import Spot, Stray, strays
from field import misread, rows, shared
from field.misread import Misread, delimiter_of
from field.rows import COLUMNS

SHARED_FILE, TABLE_FILE = "fleet.toml", "fleet.csv"
HEAD_BYTES = 1000
NEEDED = tuple(name for name, is_needed in COLUMNS.items() if is_needed)


class FleetError(ValueError):
    """`troubles`: a line for each, 'file:line:column (name): found ..., must be ...'. `on_wifi`: the columns that need
    the Wi-Fi's password, as far as the files tell; `wifi`: its section."""

    def __init__(self, troubles: list[str], on_wifi: Sequence[str] = (), wifi: Mapping[str, Any] | None = None) -> None:
        super().__init__("\n".join(troubles))
        self.troubles, self.on_wifi, self.wifi = troubles, on_wifi, wifi or {}


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
    text, troubles = _table(table)
    beside = _shared(table.with_name(SHARED_FILE))
    troubles += beside.troubles
    columns: dict[str, dict[str, Any]] = {}
    chips: dict[str, str] = {}
    seen: dict[str, tuple[int, dict[str, str]]] = {}
    addresses: dict[str, int] = {}
    for line, cells in _lines(table, text, troubles):
        row, wrong = rows.document(cells, beside.found)
        for name, what in wrong:
            if not beside.is_known and _is_of_shared(name, cells):
                continue
            place = _in_profile(beside.text, cells, what) or _place(table, line, cells, name)
            where = str(place) if name else _in_shared(beside.text, what)
            if (one := f"{where}: {what}") not in troubles:  # what rows share is told once
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
    troubles += _of_profiles(beside, troubles)
    if not seen and not troubles:
        troubles.append(f"{table.name}:1: no columns in the table; a row for each is needed below the header")
    if troubles:
        on_wifi = [name for name, (_, cells) in seen.items() if name and rows.is_on_wifi(cells, beside.found)]
        known = beside.is_known and isinstance(wifi := beside.found.get("wifi"), dict)
        raise FleetError(sorted(troubles, key=_standing), on_wifi if known else (), wifi if known else None)
    spots = {name: _spot(cells) for name, (_, cells) in seen.items()}
    warnings = [_far(table, *seen[stray.column], stray) for stray in strays(spots)]
    return Fleet(columns, chips, beside.found, warnings, table.parent)


def _of_profiles(beside: "Shared", told: list[str]) -> list[str]:
    """What is wrong with a profile, also where no row has it, or none that could be judged; told once."""
    found: list[str] = []
    for kind in ("links", "pins"):
        for name, values in beside.found.get(kind, {}).items() if beside.is_known else ():
            for what in rows.of_profile(kind, name, values):
                key = what.partition(":")[0].partition(".")[2]
                where = f"{SHARED_FILE}{shared.place(beside.text, (kind, name, key if key.isidentifier() else 'chip'))}"
                begin = f"{where}: {what.partition(':')[0]}:"
                if not any(what in one or one.startswith(begin) for one in told):
                    found.append(f"{where}: {what}")
    return found


class Shared(NamedTuple):
    """fleet.toml: its text, what of it could be used, and what is wrong with it. Not `is_known`: it cannot be read, and
    the rows are judged without it."""

    text: str
    found: dict[str, Any]
    troubles: list[str]
    is_known: bool = True


_UNKNOWN = {"broker": {"host": "a"}, "wifi": {"ssid": "a"}}  # stands in for one that cannot be read


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


def _standing(trouble: str) -> tuple[bool, str, int, int]:
    """To sort by: as a person goes through the files, and last what stands in none."""
    found = re.match(r"([^:]+):(\d+)(?::(\d+))?", trouble)
    return (False, found[1], int(found[2]), int(found[3] or 0)) if found else (True, "", 0, 0)


def _is_of_shared(name: str, cells: dict[str, str]) -> bool:
    """Whether it may be no mistake once fleet.toml, which nobody could read, is mended: a profile that stands there,
    what a profile lacks or all rows share, and what a row leaves to it."""
    return name in ("", "link", "pins") or name in rows.OF_LINK and not cells.get(name)


def _in_profile(text: str, cells: dict[str, str], error: str) -> str:
    """Where in fleet.toml that part of a profile stands, if the mistake is one of the profile alone: it is told once,
    and not in each row that has it. An address of a row's own may be what does not fit."""
    section, _, key = error.partition(":")[0].partition(".")
    if section not in ("link", "pins") or not key.isidentifier() or any(cells.get(name) for name in rows.OF_LINK):
        return ""
    kind = "links" if section == "link" else "pins"
    where = shared.place(text, (kind, cells[section].strip(), key))
    return f"{SHARED_FILE}{where}" if where else ""


def _in_shared(text: str, error: str) -> str:
    """Where in fleet.toml a key stands that the firmware's validator complains of."""
    keys = tuple(error.partition(":")[0].split("."))
    if keys == ("secrets", "wifi_password"):
        return rows.WIFI_PASSWORD
    if keys[0] == "secrets":
        return f"{SHARED_FILE}{shared.place(text, ('wifi', keys[-1].removeprefix('wifi_')))}"
    return f"{SHARED_FILE}{shared.place(text, keys) or shared.place(text, ('common', *keys))}"


def _place(table: Path, line: int, cells: dict[str, str], name: str) -> Cell:
    names = list(cells)
    return Cell(table.name, line, names.index(name) + 1 if name in names else 0, name)


def _lines(table: Path, text: str, troubles: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of its first line, cells by name) of every row with as many cells as the header has."""
    delimiter = delimiter_of(text.splitlines()[0] if text else "")
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
                # Behind the cell that is too many or too few nothing is where it belongs; before it stands the name.
                if header[0] == "device_id" and (wrong_name := rows.wrong_id(cells[0].strip())):
                    troubles.append(f"{Cell(table.name, start, 1, 'device_id')}: {wrong_name}")
            else:
                yield start, {name: cell for name, cell in zip(header, cells, strict=True) if name in COLUMNS}
    except csv.Error as error:
        troubles.append(str(misread.of_csv(table, text, line, error)))


def _table(file: Path) -> tuple[str, list[str]]:
    """(text, troubles); the text is empty when it cannot be read. Raises FleetError for another file, and OSError."""
    try:
        text = misread.text_of(file)
    except Misread as error:
        return "", [str(error)]
    if what := _no_table(file, text):
        raise FleetError([what])
    return text, []


def _no_table(file: Path, text: str) -> str:
    """What else it is, when its first line has few of the names: told once, not for each name."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    names = {cell.strip().strip('"') for cell in head.split(delimiter_of(head))}
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


def _shared(file: Path) -> Shared:
    """Raises OSError."""
    text = ""
    try:
        text = misread.text_of(file)
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return Shared("", {**_UNKNOWN}, [str(misread.of_toml(file, text, error))], is_known=False)
    except Misread as error:
        return Shared("", {**_UNKNOWN}, [str(error)], is_known=False)
    wrong = shared.check(found)
    for keys, _ in wrong:  # it is told once, not again for each row
        _drop(found, keys)
    if not isinstance(found.get("broker"), dict) or "host" not in found["broker"]:
        found["broker"] = {**(found.get("broker") or {}), "host": "a"}
    wrong += _release_keys(file, found)
    return Shared(text, found, [f"{file.name}{shared.place(text, keys)}: {what}" for keys, what in wrong])


def _release_keys(file: Path, found: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """What is wrong with the files that `[updates] keys` names: they lie beside fleet.toml."""
    wrong: list[tuple[tuple[str, ...], str]] = []
    for name in found.get("updates", {}).get("keys", []):
        try:
            release.load_public_key((file.parent / name).read_bytes())
        except release.ReleaseError as error:
            wrong.append((("updates", "keys"), f"[updates] keys: {file.parent / name}: {error}"))
        except OSError as error:
            wrong.append((("updates", "keys"), f"[updates] keys: {file.parent / name}: {error.strerror}"))
    return wrong


def _drop(found: dict[str, Any], keys: tuple[str, ...]) -> None:
    *sections, last = keys
    for name in sections:
        found = found.get(name, {})
    if sections or last != "broker":
        found.pop(last, None)
