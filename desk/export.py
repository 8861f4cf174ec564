"""The register as files: CSV for a spreadsheet, JSON for a program. Pure.

The separator is `;`: a Russian or Kazakh spreadsheet program takes no other.

A spreadsheet runs a cell that looks like a formula, and columns and people write an incident's texts. So such a cell
gets an apostrophe in front: spreadsheets hide it or show it, and never run the cell. A program may split the line at
another separator. So text after any separator is escaped in the same way. `read_csv` removes the apostrophes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Incident = Mapping[str, Any]

FIELDS = (
    *("id", "device_id", "region", "status", "site", "address", "lat", "lon", "press", "transmissions", "reopened"),
    *("state", "by", "outcome", "misuse", "note", "late", "clock", "age_ms"),
    *("raised", "received", "accepted", "dispatched", "closed"),  # times in UTC
    *("raised_ms", "received_ms", "accepted_ms", "dispatched_ms", "closed_ms"),
    *("contact_to_sent_ms", "sent_to_desk_ms", "desk_to_register_ms", "register_to_answer_ms"),
    *("faults", "fw"),
)
OPENING_FIELDS = (
    *("n", "opened", "closed", "seconds", "by", "device_id", "camera", "incident_id", "way", "reason", "ended"),
    *("at_ms", "ended_ms"),
)
TIMES = ("raised", "received", "accepted", "dispatched", "closed")
BOM = "\ufeff"  # without it a spreadsheet takes UTF-8 for something else
DANGEROUS = ("=", "+", "-", "@", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full-width forms count too
APOSTROPHE = "'"
SEPARATOR = ";"
STARTS = (";", ",", "\t", "|", "\r", "\n")
"""After each of these, some program starts a new cell or row."""
PARTS = re.compile("([;,\t|\r\n])")


def csv_text(incidents: Iterable[Incident]) -> Iterator[str]:
    """The file, line by line; the first one names the fields."""
    yield BOM + line(FIELDS)
    for incident in incidents:
        flat = _flat(incident)
        yield line([cell(flat[field]) for field in FIELDS])


def json_text(incidents: Iterable[Incident], **head: Any) -> Iterator[str]:
    """An object with `head` and the list `incidents`, one of them a line."""
    return _json_lines("incidents", incidents, head)


def openings_csv(openings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The audit list of picture and sound, as `csv_text`."""
    yield BOM + line(OPENING_FIELDS)
    for one in openings:
        ended_ms = one["ended_ms"]
        span_s = "" if ended_ms is None else (ended_ms - one["at_ms"]) / 1000
        flat = {**one, "opened": utc(one["at_ms"]), "closed": utc(ended_ms), "seconds": span_s}
        yield line([cell(flat[field]) for field in OPENING_FIELDS])


def openings_json(openings: Iterable[Mapping[str, Any]], **head: Any) -> Iterator[str]:
    """An object with `head` and the list `openings`, one of them a line."""
    return _json_lines("openings", openings, head)


def _json_lines(name: str, documents: Iterable[Mapping[str, Any]], head: Mapping[str, Any]) -> Iterator[str]:
    yield json.dumps(head)[:-1] + (", " if head else "") + f'"{name}": ['
    before = "\n"
    for document in documents:
        yield before + json.dumps(document)
        before = ",\n"
    yield "\n]}\n"


def read_csv(text: str) -> list[dict[str, str]]:
    """The rows of an exported file, with the apostrophes taken off."""
    rows = csv.DictReader(io.StringIO(text.removeprefix(BOM), newline=""), delimiter=SEPARATOR)
    return [{field: unsafe(value) for field, value in row.items()} for row in rows]


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


def utc(at_ms: int | None) -> str:
    """A time as RFC 3339 in UTC with milliseconds; None is the empty text."""
    if at_ms is None:
        return ""
    at = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _flat(incident: Incident) -> dict[str, Any]:
    times = {name: utc(incident[f"{name}_ms"]) for name in TIMES}
    flat = {**incident["location"], **incident["legs"], **incident, **times}
    return {**flat, "faults": " ".join(incident["faults"])}


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


def line(cells: Iterable[str]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made, delimiter=SEPARATOR, lineterminator="\r\n").writerow(cells)
    return made.getvalue()
