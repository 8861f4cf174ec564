"""The upkeep as documents and tables: what the page, the wall, the public and a spreadsheet get of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any

from common.spreadsheet import BOM, cell, line
from desk.export import utc
from desk.ledger import Column
from desk.upkeep import chain, life, orders
from desk.upkeep.chain import Link
from desk.upkeep.hearing import FIELDS as HEARD
from desk.upkeep.hearing import Heard
from desk.upkeep.keeper import Keeper
from desk.upkeep.life import DOWN, Span
from desk.upkeep.orders import WorkOrder
from desk.upkeep.roster import Finding

Document = dict[str, Any]
HOUR_MS = 3600 * 1000
WORKS, CHECKED, OUT = "works", "checked", "out"
"""What the public is told of a column: proven within a day; not proven, and nothing known against it; out of order."""


def overview(keeper: Keeper, columns: Mapping[str, Column], now_ms: int) -> Document:
    """Everything about all columns that there should be, or are, but for the roster's findings: these take longer."""
    names = sorted(set(keeper.roster.entries) | set(columns))
    found = [_column(keeper, name, columns.get(name), now_ms) for name in names]
    wanted = [one for one in found if not keeper.roster.known or one["device_id"] in keeper.roster.entries]
    return {
        "now_ms": now_ms,
        "roster": keeper.roster.known,
        "button_days": keeper.button_days,
        "share": share(wanted),
        "columns": found,
        "orders": [order(one) for one in sorted(keeper.orders.values(), key=lambda one: -one.n)],
    }


def with_findings(found: Document, findings: Sequence[Finding]) -> Document:
    """The overview with what is wrong with roster and columns, shown and counted."""
    return {
        **found,
        "findings": [finding._asdict() for finding in findings],
        "counts": dict(Counter(finding.kind for finding in findings)),
    }


def _column(keeper: Keeper, name: str, column: Column | None, now_ms: int) -> Document:
    links = keeper.chain(name, column, now_ms)
    entry, span = keeper.roster.entries.get(name), keeper.span(name)
    location = column.info.get("location", {}) if column else {}
    maintenance = keeper.maintenance(name)
    is_up = span is None or span.state != DOWN
    return {
        "device_id": name,
        "region": column.region if column else entry.region if entry else "",
        "address": location.get("address") or (entry.address if entry else ""),
        "state": span.state if span else life.PRESUMED,
        "cause": span.cause if span else "",
        "why": span.why if span else "",
        "since_ms": span.from_ms if span else None,
        "proven": is_up and chain.is_proven(links),
        "call_proven": is_up and chain.is_proven(links, chain.CALL),
        "links": [link._asdict() for link in links],
        "maintenance": order(maintenance) if maintenance else None,
        "muted": keeper.mutes(name, now_ms),
    }


def share(columns: Sequence[Document]) -> Document:
    """The headline: how many are proven end to end, of all that there should be."""
    return {
        "total": len(columns),
        "proven": sum(one["proven"] for one in columns),
        "call_proven": sum(one["call_proven"] for one in columns),
        "down": sum(one["state"] == DOWN for one in columns),
    }


def order(one: WorkOrder) -> Document:
    return one._asdict()


# For the public


def public(found: Document) -> Document:
    """Figures without a name: nobody learns from them which column is out of order."""
    return {"v": 1, "at_ms": found["now_ms"] // HOUR_MS * HOUR_MS, **found["share"]}


def public_column(found: Document, device_id: str) -> Document | None:
    """What a person who stands in front of it may know. No cause, no fault, no version, and times to the hour."""
    one = next((one for one in found["columns"] if one["device_id"] == device_id), None)
    if one is None:
        return None
    drill = next(link for link in one["links"] if link["name"] == "drill")
    state = OUT if one["state"] == DOWN else WORKS if one["call_proven"] else CHECKED
    proven_ms = drill["at_ms"]
    return {
        "v": 1,
        "device_id": device_id,
        "address": one["address"],
        "state": state,
        "proven_ms": None if proven_ms is None else proven_ms // HOUR_MS * HOUR_MS,
        "at_ms": found["now_ms"] // HOUR_MS * HOUR_MS,
    }


# Months and years


def begin_of(year: int, month: int, zone: tzinfo | None) -> int:
    """A month's first moment in the desk's own time zone; the 13th is the next year's first."""
    at = datetime(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)
    return round((at.replace(tzinfo=zone) if zone else at.astimezone()).timestamp() * 1000)


def month(
    spans: Mapping[str, Iterable[Span]],
    closed: Iterable[WorkOrder],
    from_ms: int,
    to_ms: int,
    heard: Mapping[str, Heard] | None = None,
) -> Document:
    """Minutes by state and cause of every column; a column's life begins with its first span. `heard`: what of each
    column's words arrived in that month."""
    rows = {}
    for name, mine in spans.items():
        kept = list(mine)
        begin_ms = max(from_ms, kept[0].from_ms // life.MINUTE_MS * life.MINUTE_MS) if kept else to_ms
        painted = life.minutes(kept, begin_ms, to_ms)
        if was_there(painted):
            rows[name] = life.summed(painted)
    total: Counter[str] = Counter()
    for row in rows.values():
        total.update(row)
    counted = {name: one for name, one in (heard or {}).items() if name in rows}
    repaired = [one for one in closed if one.repaired_ms is not None and from_ms <= one.repaired_ms < to_ms]
    return {
        "from_ms": from_ms,
        "to_ms": to_ms,
        "columns": [
            {"device_id": name, **row, "availability": life.availability(row), **vars(counted.get(name, Heard()))}
            for name, row in rows.items()
        ],
        "total": {
            **{name: total[name] for name in FIELDS},
            "availability": life.availability(total) if rows else None,
            **{name: sum(getattr(one, name) for one in counted.values()) for name in HEARD},
        },
        "losses": len({one.loss for mine in spans.values() for one in mine if one.loss and from_ms <= one.from_ms}),
        "repair": orders.repair_ms(repaired),
    }


FIELDS = (life.PROVEN, life.PRESUMED, DOWN, *life.CAUSES, "none")


def month_csv(found: Document) -> Iterator[str]:
    """The month as a table: a line for each column, in minutes and messages, and one for all."""
    yield BOM + line(["device_id", "availability", *(f"{name}_min" for name in FIELDS), *HEARD])
    for row in [*found["columns"], {"device_id": "*", **found["total"]}]:
        figures = [cell(row[name]) for name in (*FIELDS, *HEARD)]
        yield line([cell(row["device_id"]), _share(row["availability"]), *figures])


def roster_csv(found: Document) -> Iterator[str]:
    """The roster as a table: what of each column was proven when, and what is wrong with it."""
    wrong: dict[str, list[str]] = {}
    for finding in found["findings"]:
        said = " ".join(f"{key}={value}" for key, value in finding["values"].items())
        wrong.setdefault(finding["device_id"], []).append(f"{finding['kind']} {said}".strip())
    names = chain.LINKS
    head = ["device_id", "region", "address", "state", "cause", "since", "proven", "call_proven"]
    yield BOM + line([*head, *names, *(f"{name}_at" for name in names), "findings"])
    for one in found["columns"]:
        links = [Link(**link) for link in one["links"]]
        since = utc(one["since_ms"])
        values = [one[key] for key in ("device_id", "region", "address", "state", "cause")]
        values += [since, one["proven"], one["call_proven"], *(link.state for link in links)]
        values += [*(utc(link.at_ms) for link in links), "; ".join(wrong.get(one["device_id"], []))]
        yield line([cell(value) for value in values])


def _share(value: float | None) -> str:
    return "" if value is None else f"{int(value * 1e6) / 1e6:.6f}"


def year_lives(spans: Mapping[str, Iterable[Span]], from_ms: int, to_ms: int) -> dict[str, bytes]:
    """Each column's minutes, for the picture."""
    drawn = {name: life.minutes(mine, from_ms, to_ms) for name, mine in sorted(spans.items())}
    return {name: painted for name, painted in drawn.items() if was_there(painted)}


def was_there(painted: bytes) -> bool:
    """Whether the column was on the roster at any of these minutes."""
    return not painted or bool(painted.strip(bytes([life.CODES.index(life.GONE)])))
