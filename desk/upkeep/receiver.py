"""The right receiver, with the right address: what this desk signs in its answer to a drill.

The answer says which centre answered, and which address and place its screen shows for the column. The column holds
that against its own configuration (firmware/drill.py) and says what it found in the event `drill`, and as the
faults `wrong-receiver` and `wrong-address`.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.receiver import key_of, signature

KEY = re.compile(r"[0-9a-f]{64}")


class KeyFileError(ValueError):
    """The file holds no key; says what it should hold."""


def read_key(path: Path) -> bytes:
    """The desk's key. Raises KeyFileError."""
    try:
        text = path.read_text("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise KeyFileError(f"{path}: {why}: give the answer.key that provisioning writes into centre/") from None
    if not KEY.fullmatch(text):
        why = f"found {len(text)} characters, must be 64 hexadecimal digits"
        raise KeyFileError(f"{path}: {why}: give the answer.key that provisioning writes into centre/")
    return bytes.fromhex(text)


def receiver(
    desks_key: bytes | None, name: str, device_id: str, incident_id: str, place: tuple[str, str]
) -> dict[str, str]:
    """The key `receiver` of an answer. `place`: the address and the geo URI that the screen shows. Without a key it is
    not signed, and the column calls it unproven."""
    address, geo = place
    found = {"name": name, "address": address, "geo": geo}
    if desks_key is not None:
        found["sig"] = signature(key_of(desks_key, device_id), incident_id, name, address, geo)
    return found
