"""The chain from a column's button to this desk: what proves each of its links, and for how long. Pure.

A link is proven by something that cannot have happened without it, never by the absence of a fault: a call that was
answered, not a column that says nothing wrong of itself. Nobody presses a button every day, so the button's proof by
hand holds longer than the others', and `contact` says only that the column looks at it. A link that a column does not
have (no microphone, no supply to measure) is `absent` and asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from contract.validator import Topic
from desk.ledger import Column, milliseconds
from desk.upkeep.roster import Entry, fitted

DAY_MS = 24 * 3600 * 1000
BUTTON_DAYS = 92  # by hand, once a quarter
CALL = ("button", "contact", "journal", "network", "broker", "desk", "drill", "clock", "supply", "certificate")
"""What a call needs."""
LINKS = (*CALL[:7], "picture", "voice", *CALL[7:])
PROVEN, UNPROVEN, OVERDUE, BROKEN, ABSENT = "proven", "unproven", "overdue", "broken", "absent"
WRONG_RECEIVER, WRONG_ADDRESS = "wrong-receiver", "wrong-address"

BREAKS = {
    "button-stuck": "button", "journal": "journal", "flash-full": "journal", "not-subscribed": "broker",
    "broker-refuses": "broker", "duplicate-id": "broker", "drill-unanswered": "drill", WRONG_RECEIVER: "drill",
    WRONG_ADDRESS: "drill", "stream-down": "picture", "clock-unset": "clock", "supply": "supply",
}  # fmt: skip
"""Which link a column's fault breaks."""
SKEW_MS = 60_000  # a column's clock may be so much ahead of the desk's

Proofs = Mapping[str, tuple[int, str]]
"""Link -> (when it was last proven, by what)."""


class Link(NamedTuple):
    """`at_ms`: of the last proof, None if there never was one; `how`: what proved it; `fault`: what breaks it."""

    name: str
    state: str
    at_ms: int | None
    how: str
    fault: str


class Proof(NamedTuple):
    link: str
    at_ms: int
    how: str


def proofs(parts: Topic, document: Mapping[str, Any], now_ms: int) -> list[Proof]:
    """What a message that has just come from a column (not from the broker's store) proves."""
    if parts.kind == "state" and document.get("state") != "online":
        return []  # its last will: the broker's word, not the column's
    found = [Proof("network", now_ms, parts.kind), Proof("certificate", now_ms, "session")]
    if parts.kind != "heartbeat":  # all else is of QoS 1: the broker took it, and answered
        found.append(Proof("broker", now_ms, parts.kind))
    if parts.kind == "alarm":
        found += _of_alarm(document, now_ms)
    elif parts.kind == "heartbeat":
        found += _of_heartbeat(document, now_ms)
    elif parts.kind == "event":
        found += _of_event(document, now_ms)
    elif parts.kind == "result":
        found += _of_result(document, now_ms)
    return found


def _of_alarm(alarm: Mapping[str, Any], now_ms: int) -> list[Proof]:
    """Only a hand makes a call that is actual; it is on the flash before it leaves."""
    found = []
    if alarm["status"] == "actual":
        found = [Proof("button", now_ms, "press"), Proof("journal", now_ms, "press")]
    seen = alarm["stream"].get("ok_at")
    if seen is not None and alarm["clock"] == "ntp":
        found.append(Proof("picture", min(milliseconds(seen), now_ms), "look"))
    return found


def _of_heartbeat(beat: Mapping[str, Any], now_ms: int) -> list[Proof]:
    """One loop sends it and looks at the contact between any two of its steps: so it is looked at. Whether a wire still
    leads to the button no heartbeat can tell (docs/wiring.md)."""
    found = [Proof("contact", now_ms, "heartbeat")]
    if beat["clock"] == "ntp":
        found.append(Proof("clock", now_ms, "network time"))
    if beat["supply_mv"] is not None and "supply" not in beat["faults"]:
        found.append(Proof("supply", now_ms, "measured"))
    return found


def _of_event(event: Mapping[str, Any], now_ms: int) -> list[Proof]:
    detail = event["detail"] if isinstance(event["detail"], dict) else {}
    if event["event"] == "test-press":
        return [Proof("button", now_ms, "test")]
    if event["event"] == "drill" and detail.get("answered") is True:
        found = [Proof("drill", now_ms, "drill")] if detail.get("receiver") != "wrong" else []
        return found + ([Proof("journal", now_ms, "drill")] if detail.get("flash") == "ok" else [])
    return []


def _of_result(result: Mapping[str, Any], now_ms: int) -> list[Proof]:
    detail = result.get("detail")
    if result["ok"] and isinstance(detail, dict):
        if "round_trip_ms" in detail:
            return [Proof("drill", now_ms, "drill")] if detail.get("receiver") != "wrong" else []
        if detail.get("flash") == "ok":
            return [Proof("journal", now_ms, "selftest")]
    return []


# How it stands


def links(
    column: Column | None,
    entry: Entry | None,
    known: Proofs,
    now_ms: int,
    button_days: int = BUTTON_DAYS,
    wrong: Mapping[str, str] = MappingProxyType({}),
) -> list[Link]:
    """Every link of one column's chain, in the order of `LINKS`. `wrong`: link -> what the desk itself found there."""
    broken = {BREAKS[fault]: fault for fault in sorted(column.faults) if fault in BREAKS} if column else {}
    broken |= wrong
    have = _has(column, entry)
    found = []
    for name in LINKS:
        at_ms, how = known.get(name, (None, ""))
        holds_ms = button_days * DAY_MS if name == "button" else DAY_MS
        if name not in have:
            state = ABSENT
        elif name in broken or name == "certificate" and _has_ended(entry, now_ms):
            state = BROKEN
        elif at_ms is None:
            state = UNPROVEN
        else:
            state = PROVEN if -SKEW_MS <= now_ms - at_ms < holds_ms else OVERDUE
        found.append(Link(name, state, at_ms, how, broken.get(name, "")))
    return found


def _has_ended(entry: Entry | None, now_ms: int) -> bool:
    return entry is not None and entry.ends_ms is not None and entry.ends_ms <= now_ms


def _has(column: Column | None, entry: Entry | None) -> set[str]:
    """The links that this column has; of one that never spoke, those that the roster says."""
    info = column.info if column else {}
    have = {name for name in LINKS if name not in ("picture", "voice", "supply")}
    stream = [kind for kind in info["stream"] if kind != "ok_at"] if "stream" in info else None
    have |= set(fitted(stream) if stream is not None else entry.links if entry else ())
    if "supply" in info.get("capabilities", ()):
        have.add("supply")
    return have


def is_proven(found: list[Link], wanted: tuple[str, ...] = LINKS) -> bool:
    """Whether every link of them that there is was proven in its time. A column without a single proof is not."""
    states = [link.state for link in found if link.name in wanted and link.state != ABSENT]
    return bool(states) and all(state == PROVEN for state in states)
