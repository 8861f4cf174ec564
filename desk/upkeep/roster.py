"""The roster: which columns should be there, and what is wrong with those that are. Pure but for `read`.

Without a roster the desk knows a column only once it has spoken, so one that is dead since its installation never
appears. Provisioning writes `centre/roster.json` (docs/desk.md has its form); the desk reads it when it starts, and
again when it has changed.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from common.places import Spot, distance_km, strays
from desk.ledger import TWO_BOARDS, Column, milliseconds

VERSION = 1
COLUMNS_MAX = 2000
CENTRE_MAX = 64
MOVED_KM = 0.3  # between the roster's place and the column's own: two corners of one crossing are nearer
DAY_MS = 24 * 3600 * 1000
OLD_MS = 90 * DAY_MS  # a certificate that was made so much earlier than the others' newest
ENDS_MS = 180 * DAY_MS
NAME = re.compile(r"[a-z0-9-]{1,32}")
GEO = re.compile(r"geo:(-?[0-9]{1,2}(?:\.[0-9]+)?),(-?[0-9]{1,3}(?:\.[0-9]+)?)(?:[;,].*)?")
DIGITS = re.compile(r"[0-9]+")
FINDINGS = (
    "never-online", "not-in-roster", "two-boards", "far", "swapped", "moved", "other-address", "other-region",
    "old-firmware", "old-certificate", "certificate-ends",
)  # fmt: skip


class RosterError(ValueError):
    """The file is no roster; says which file, where, what was found and what would be right."""


class Entry(NamedTuple):
    """One column that should be there. `made_ms`, `ends_ms`: of its certificate, None if nobody said."""

    device_id: str
    region: str
    address: str
    geo: str
    site: str
    links: tuple[str, ...]
    """What its stream has: `picture`, `voice`."""
    made_ms: int | None = None
    ends_ms: int | None = None

    def agrees(self, location: Mapping[str, Any]) -> bool:
        """Whether a column that says this of its place stands where it should."""
        return location.get("address") == self.address and apart_km(self.geo, location.get("geo")) <= MOVED_KM


class Finding(NamedTuple):
    """Something is wrong with one column. `values` fill the sentence `finding.KIND` of the page's words."""

    device_id: str
    kind: str
    values: dict[str, str | int]


@dataclass(frozen=True)
class Roster:
    """`known`: there is one; else only what was heard is known. `centre`: the name with which its desks answer."""

    entries: Mapping[str, Entry]
    known: bool = True
    centre: str = ""

    @classmethod
    def nothing(cls) -> Roster:
        """No roster was given."""
        return cls({}, known=False)


def read(path: Path) -> Roster:
    """Raises RosterError, all troubles at once."""
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise RosterError(
            f"{path}: {error.strerror}: give the roster.json that provisioning writes into centre/"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RosterError(f"{path}: {error}: give the roster.json that provisioning writes into centre/") from None
    return parse(document, str(path))


def parse(document: Any, name: str) -> Roster:
    """A roster of its JSON document. Raises RosterError."""
    rows = document.get("columns") if isinstance(document, dict) and document.get("v") == VERSION else None
    if not isinstance(rows, list) or not 0 < len(rows) <= COLUMNS_MAX:
        found = type(document).__name__ if not isinstance(document, dict) else f"v {document.get('v')!r}"
        why = f"found {found}, must be v {VERSION} with a list of 1 to {COLUMNS_MAX} columns"
        raise RosterError(f"{name}: {why}: give the roster.json that provisioning writes into centre/")
    wrong, entries = [], {}
    centre = document.get("centre", "")
    if not isinstance(centre, str) or len(centre) > CENTRE_MAX:
        wrong.append(f"{name}: centre: found {centre!r:.80}, must be a name of at most {CENTRE_MAX} characters")
    for number, row in enumerate(rows, 1):
        troubles = list(_wrong(row))
        wrong += [f"{name}: entry {number}: {trouble}" for trouble in troubles]
        if not troubles and row["device_id"] in entries:
            wrong.append(f"{name}: entry {number}: {row['device_id']} is there twice")
        elif not troubles:
            entries[row["device_id"]] = _entry(row)
    if wrong:
        raise RosterError("\n".join(wrong))
    return Roster(entries, centre=centre)


def _wrong(row: Any) -> Iterator[str]:
    if not isinstance(row, dict):
        yield f"found {type(row).__name__}, must be an object"
        return
    for key in ("device_id", "region"):
        if not isinstance(row.get(key), str) or not NAME.fullmatch(row[key]):
            yield f"{key}: found {row.get(key)!r}, must be 1 to 32 of the characters a-z, 0-9 and '-'"
    if not isinstance(row.get("address"), str) or not row["address"].strip():
        yield f"address: found {row.get('address')!r}, must be the place in words"
    if not isinstance(row.get("geo"), str) or not GEO.fullmatch(row["geo"]):
        yield f"geo: found {row.get('geo')!r}, must be like 'geo:54.8753,69.1628;u=5'"
    if row.get("site") not in ("public", "school"):
        yield f"site: found {row.get('site')!r}, must be public or school"
    for key in ("certificate_made", "certificate_ends"):
        if row.get(key) is not None and _time_ms(row[key]) is None:
            yield f"{key}: found {row[key]!r}, must be a time such as 2041-11-25T00:00:00.000Z"


def _time_ms(value: Any) -> int | None:
    try:
        return milliseconds(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _entry(row: Mapping[str, Any]) -> Entry:
    stream = row.get("stream")
    links = fitted(stream) if isinstance(stream, list) else ()
    return Entry(
        *(row["device_id"], row["region"], row["address"], row["geo"], row["site"], links),
        *(_time_ms(row.get(key)) for key in ("certificate_made", "certificate_ends")),
    )


def fitted(stream: Iterable[str]) -> tuple[str, ...]:
    """The links of the chain that a stream of these kinds is for."""
    kinds = {kind for kind in stream if isinstance(kind, str)}
    picture = ("picture",) if kinds & {"rtsp", "webrtc", "http"} else ()
    return (*picture, *(("voice",) if kinds & {"sip", "webrtc"} else ()))


def spot(region: str, geo: object) -> Spot | None:
    """A geo URI's place; None when it is none."""
    found = GEO.fullmatch(geo) if isinstance(geo, str) else None
    return Spot(region, float(found[1]), float(found[2])) if found else None


# What is wrong


def findings(
    roster: Roster, columns: Mapping[str, Column], now_ms: int, first: Mapping[str, int] | None = None
) -> list[Finding]:
    """All of them, by column. `columns`: what was heard; `first`: columns that ever came online, and when."""
    came = set(first or {}) | {name for name, column in columns.items() if column.info}
    found = [
        *_absent(roster, columns, came),
        *_two(columns),
        *_places(roster, columns),
        *_moved(roster, columns),
        *_firmware(columns),
        *_certificates(roster, now_ms),
    ]
    return sorted(found, key=lambda one: (one.device_id, FINDINGS.index(one.kind)))


def _absent(roster: Roster, columns: Mapping[str, Column], came: set[str]) -> Iterator[Finding]:
    if not roster.known:
        return
    for device_id in roster.entries:
        if device_id not in came:
            yield Finding(device_id, "never-online", {})
    for device_id in columns.keys() - roster.entries.keys():
        yield Finding(device_id, "not-in-roster", {})


def _two(columns: Mapping[str, Column]) -> Iterator[Finding]:
    for device_id, column in columns.items():
        if TWO_BOARDS in column.faults:
            yield Finding(device_id, "two-boards", {"boards": str(column.faults[TWO_BOARDS].get("detail") or "")[:80]})


def _places(roster: Roster, columns: Mapping[str, Column]) -> Iterator[Finding]:
    """By what each column itself says, else by the roster."""
    spots = {}
    for device_id in roster.entries.keys() | columns.keys():
        said = columns[device_id].info.get("location", {}).get("geo") if device_id in columns else None
        entry = roster.entries.get(device_id)
        region = columns[device_id].region if device_id in columns else entry.region if entry else ""
        place = spot(region, said) or (spot(region, entry.geo) if entry else None)
        if place is not None:
            spots[device_id] = place
    for stray in strays(spots):
        yield Finding(stray.column, "swapped" if stray.is_swapped else "far", {"km": round(stray.km)})


def _moved(roster: Roster, columns: Mapping[str, Column]) -> Iterator[Finding]:
    """What the column says of its place is not what the roster has: the configuration of another one, or an old one."""
    for device_id, entry in roster.entries.items():
        column = columns.get(device_id)
        location = column.info.get("location", {}) if column else {}
        if column is None or not location:
            continue
        if column.region != entry.region:
            yield Finding(device_id, "other-region", {"found": column.region, "right": entry.region})
        km = apart_km(entry.geo, location.get("geo"))
        if km > MOVED_KM:
            yield Finding(device_id, "moved", {"m": round(min(km, 30_000.0) * 1000)})
        if location.get("address") != entry.address:
            values: dict[str, str | int] = {"found": str(location.get("address"))[:120], "right": entry.address[:120]}
            yield Finding(device_id, "other-address", values)


def apart_km(one: object, other: object) -> float:
    """Between two geo URIs; infinite when one is none."""
    spots = spot("", one), spot("", other)
    return distance_km(*spots) if spots[0] and spots[1] else math.inf  # type: ignore[arg-type]


def _firmware(columns: Mapping[str, Column]) -> Iterator[Finding]:
    """Older than what most have: one that runs ahead of the others is being tried."""
    versions = {name: column.info["fw"] for name, column in columns.items() if isinstance(column.info.get("fw"), str)}
    if not versions:
        return
    counts = Counter(versions.values())
    usual = max(counts, key=lambda version: (counts[version], _numbers(version)))
    for device_id, version in versions.items():
        if _numbers(version) < _numbers(usual):
            yield Finding(device_id, "old-firmware", {"found": version[:40], "usual": usual[:40]})


def _numbers(version: str) -> list[int]:
    return [int(part[:9]) for part in DIGITS.findall(version[:80])[:6]]


def _certificates(roster: Roster, now_ms: int) -> Iterator[Finding]:
    made = [entry.made_ms for entry in roster.entries.values() if entry.made_ms is not None]
    for device_id, entry in roster.entries.items():
        if entry.made_ms is not None and max(made) - entry.made_ms > OLD_MS:
            days = (max(made) - entry.made_ms) // DAY_MS
            yield Finding(device_id, "old-certificate", {"days": days})
        if entry.ends_ms is not None and entry.ends_ms - now_ms < ENDS_MS:
            yield Finding(device_id, "certificate-ends", {"days": max(0, (entry.ends_ms - now_ms) // DAY_MS)})
