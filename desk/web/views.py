"""What the browser gets to see of the register: its rows as the documents of the API. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from desk.misuse import FALSE

Row = Mapping[str, Any]
Document = dict[str, Any]

_GEO = re.compile(r"geo:(-?[0-9.]+),(-?[0-9.]+)")
SKEW_MS = 2000  # a column's clock may be that much ahead of the desk's; more, and its times say nothing
AS_THEY_ARE = (
    *("id", "device_id", "region", "status", "site", "press", "state", "by", "outcome", "note", "late", "clock"),
    *("raised_ms", "age_ms", "received_ms", "accepted_ms", "accepted_by", "dispatched_ms", "closed_ms"),
    *("reopened", "transmissions", "unanswered_s", "waiting_ms", "origin", "first_press"),
)


def place(geo: object) -> dict[str, float] | None:
    """Latitude and longitude of a geo URI."""
    found = _GEO.match(geo) if isinstance(geo, str) else None
    return {"lat": float(found[1]), "lon": float(found[2])} if found else None


def incident(row: Row) -> Document:
    """One incident, without its timeline."""
    alarm: Mapping[str, Any] = row["alarm"]
    location = {key: alarm["location"].get(key) for key in ("geo", "address", "site", "height_m")}
    stream = {key: alarm["stream"].get(key) for key in ("rtsp", "webrtc", "sip", "http", "ok_at")}
    found = {key: row[key] for key in AS_THEY_ARE}
    return {
        **found,
        "late": bool(row["late"]),
        "misuse": row["misuse"] if row["outcome"] == FALSE else "",
        "location": {**location, **(place(location["geo"]) or {"lat": None, "lon": None})},
        "stream": stream,
        "faults": alarm["faults"],
        "fw": alarm["fw"],
        "legs": legs(row),
    }


def legs(row: Row) -> dict[str, int | None]:
    """How long each part of the way took, in ms; None where nobody can tell."""
    sent_to_desk = None
    if row["clock"] == "ntp" and row["raised_ms"] is not None:
        took_ms = row["received_ms"] - row["raised_ms"] - row["age_ms"]
        sent_to_desk = max(0, took_ms) if took_ms >= -SKEW_MS else None
    return {
        "contact_to_sent_ms": row["age_ms"],
        "sent_to_desk_ms": sent_to_desk,
        "desk_to_register_ms": _between(row["received_ms"], row["registered_ms"]),
        "register_to_answer_ms": _between(row["registered_ms"], row["answered_ms"]),
    }


def column(row: Row, open_ids: Iterable[str], origin: str = "") -> Document:
    """One column. `open_ids`: its incidents that ask for help. `origin`: a word of desk/origin.py."""
    info, beat = row["info"] or {}, row["heartbeat"] or {}
    location, waiting = info.get("location", {}), list(open_ids)
    faults = [{"id": name, "since": fault.get("since"), "detail": fault.get("detail")} for name, fault in _faults(row)]
    return {
        "device_id": row["device_id"],
        "region": row["region"],
        "address": location.get("address"),
        "geo": place(location.get("geo")),
        "site": location.get("site"),
        "online": None if row["online"] is None else bool(row["online"]),
        "presence": row["presence"],
        "silent_since_ms": row["silent_since_ms"],
        "heard_ms": row["heard_ms"],
        "boot": row["boot"],
        "fw": info.get("fw"),
        "mode": info.get("mode"),
        "faults": faults,
        "info": info,
        "heartbeat": beat,
        "open": waiting,
        "origin": origin,
        "status": _status(row, bool(faults), bool(waiting)),
        **{key: beat.get(key) for key in ("link", "rssi_dbm", "supply_mv", "clock")},
    }


def _status(row: Row, has_faults: bool, has_open: bool) -> str:
    """The worst of what is so."""
    if has_open:
        return "alarm"
    if row["presence"] in ("silent", "offline"):
        return str(row["presence"])
    if row["presence"] is None and not row["online"]:
        return "offline"  # nobody has heard it yet
    return "fault" if has_faults else "ready"


def _faults(row: Row) -> list[tuple[str, Mapping[str, Any]]]:
    return sorted((row["faults"] or {}).items())


def _between(from_ms: int | None, to_ms: int | None) -> int | None:
    return None if from_ms is None or to_ms is None else max(0, to_ms - from_ms)


def with_reason(row: Row, said: Callable[[str], str]) -> Document:
    """A step of the timeline, or a column's event, with why it failed or was refused turned by `said`."""
    detail = row["detail"]
    if isinstance(detail, dict):
        turned = {key: said(detail[key]) for key in ("why", "error") if isinstance(detail.get(key), str)}
        detail = {**detail, **turned}
    return {**row, "detail": detail}
