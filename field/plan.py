"""What has to happen on a board so that one of its two folders holds the firmware and the configuration."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from field import bundle, documents
from firmware import VERSION

SLOTS = ("a", "b")


class Plan(NamedTuple):
    """What has to happen so that `slot` holds `wanted`."""

    slot: str
    wanted: dict[str, bytes]  # name within the slot -> content
    copies: dict[str, str]  # name within the slot -> file on the board with the same content
    sends: list[str]  # names within the slot that only the host has
    roots: list[str]  # boot.py and main.py, when they differ: they are in no slot
    strays: list[str]  # files in the slot that do not belong there
    is_current: bool  # the board has it all already, in force


def plan(survey: dict[str, Any], made: bundle.Bundle, configuration: dict[str, bytes]) -> Plan:
    """Compare the board with what it shall have. Names in `survey['files']` are paths from the root."""
    on_board: dict[str, str] = survey["files"]
    active = active_slot(survey)
    wanted = dict(configuration)
    if survey["frozen"] != VERSION:  # else it lies in the board's image already, and needs no heap there
        wanted |= {name: data for name, data in made.files.items() if name not in bundle.STAYS_SOURCE}
    if not survey["umqtt"]:
        wanted |= {name.removeprefix("lib/"): data for name, data in made.libraries.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()}
    kept = on_board.get(f"{active}/{documents.KEYS_FILE}")
    if kept is not None:  # a rerun makes no column forget whom it trusts
        hashes.setdefault(documents.KEYS_FILE, kept)
    roots = [name for name in bundle.STAYS_SOURCE if on_board.get(name) != hashlib.sha256(made.files[name]).hexdigest()]
    in_force = {name[2:]: value for name, value in on_board.items() if active and name.startswith(active + "/")}
    slot = SLOTS[0] if active != SLOTS[0] else SLOTS[1]
    there = {name[2:]: value for name, value in on_board.items() if name.startswith(slot + "/")}
    by_hash = {value: name for name, value in on_board.items() if not name.startswith(slot + "/")}
    missing = [name for name in sorted(hashes) if there.get(name) != hashes[name]]
    return Plan(
        slot=slot,
        wanted=wanted,
        copies={name: by_hash[hashes[name]] for name in missing if hashes[name] in by_hash},
        sends=[name for name in missing if hashes[name] not in by_hash],
        roots=roots,
        strays=sorted(f"{slot}/{name}" for name in there if name not in hashes),
        is_current=bool(active) and in_force == hashes and not roots,
    )


def active_slot(survey: dict[str, Any]) -> str:
    """The folder in force, or '' on a board that was flashed by hand."""
    return str(survey["active"]) if survey["active"] in SLOTS else ""
