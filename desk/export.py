"""The register as files: CSV for a spreadsheet (common/spreadsheet.py), JSON for a program. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from common.spreadsheet import BOM, SEPARATOR, cell, line, unsafe

Incident = Mapping[str, Any]

FIELDS = (
    *("id", "device_id", "region", "status", "site", "address", "lat", "lon", "press", "transmissions", "reopened"),
    *("state", "by", "outcome", "misuse", "note", "late", "clock", "age_ms"),
    *("raised", "received", "accepted", "dispatched", "closed"),  # times in UTC
    *("raised_ms", "received_ms", "accepted_ms", "dispatched_ms", "closed_ms"),
    *("contact_to_sent_ms", "sent_to_desk_ms", "desk_to_register_ms", "register_to_answer_ms"),
    *("faults", "fw", "first_press"),
)
OPENING_FIELDS = (
    *("n", "opened", "closed", "seconds", "by", "device_id", "camera", "incident_id", "way", "reason", "ended"),
    *("at_ms", "ended_ms"),
)
TIMES = ("raised", "received", "accepted", "dispatched", "closed")


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
