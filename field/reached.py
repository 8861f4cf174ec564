"""Which columns are known to have the certificates that `make provision` made last: flashed since (OUT/flashed.csv), or
reached over the air, as the status of a rollout says. Whoever is not known to have them may be off the air for good
after the next step of another authority."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

from field import flashed
from field.certificates import fingerprint
from field.keeping import KeepError, understood

LOG = "flashed.csv"
RENEWALS = "renewals.json"  # of `make renew`, in centre/
KEPT = "kept"  # as desk.rollout calls a column that has them


def unreached(out: Path, rollout: Path | None) -> list[str]:
    """Their names. `rollout`: what `python -m desk.rollout status --json` printed. Raises KeepError."""
    by_air = set() if rollout is None else _by_air(out, rollout)
    return [name for name in names(out) if name not in by_air and not _by_cable(out, name)]


def names(out: Path) -> list[str]:
    """Of all columns that are provisioned."""
    return sorted(file.parent.name for file in (out / "columns").glob("*/config.json"))


def tls(out: Path, name: str) -> dict[str, Any]:
    """What the column is to have: whom it trusts, and its certificate. Raises KeepError."""
    file = out / "columns" / name / "config.json"
    with understood(file, "make provision writes it anew"):
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))["broker"]["tls"]
        return {"ca": str(found["ca"]), "cert": str(found["cert"])}


def _by_cable(out: Path, name: str) -> bool:
    """Since its configuration was written: a run of provisioning that changes nothing leaves the file as it is."""
    written_s = int((out / "columns" / name / "config.json").stat().st_mtime)
    good = [one.at for one in flashed.read(out / LOG) if one.column == name and one.result == flashed.OK]
    try:
        return bool(good) and datetime.datetime.fromisoformat(good[-1]).timestamp() >= written_s
    except ValueError:
        return False


def _by_air(out: Path, rollout: Path) -> set[str]:
    """Those that kept a package of `make renew` which holds what they are to have."""
    sent = out / "centre" / RENEWALS
    try:
        status = json.loads(rollout.read_text("utf-8"))
        kept = {name for name, one in status["columns"].items() if one["state"] == KEPT}
        release = str(status["release"])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise KeepError(f"{rollout}: it is not what .venv/bin/python -m desk.rollout status --json prints") from error
    if not sent.exists() or hashlib.sha256(sent.read_bytes()).hexdigest() != release:
        raise KeepError(f"{rollout}: it is the status of another rollout, and not of that of {sent}")
    packed = json.loads(sent.read_text("utf-8"))["columns"]
    return {
        name
        for name in kept & packed.keys() & {*names(out)}
        if packed[name]["certificates"] == fingerprint(tls(out, name)["ca"], tls(out, name)["cert"])
    }
