"""What a column remembers of an update, on flash: the release that it was told of, and what became of it.

`update.rec` is one framed record: {"state", "digest" of the manifest (hex), "bytes" of it, "version", "to", "why",
"kind"}.
"""

import json

from firmware import VERSION, record
from firmware.resets import UPDATE_FILE

MANIFEST_FILE = "update.manifest"
SIGNATURE_FILE = "update.signature"
PART_FILE = "update.part"  # of the file that is being fetched
FLOOR_FILE = "update.floor"  # the oldest version that is still taken
KEYS_FILE = "release.keys"  # in the folder in force: with it its trust goes back as well

RELEASE, RENEWAL = "release", "renewal"  # `kind`; a record without one is of a release
FETCHING = "fetching"
TRIAL = "trial"  # the new folder, or the new certificates, were put in force
KEPT = "kept"
RETURNED = "returned"
REFUSED = "refused"
ABORTED = "aborted"
_TOLD_DIGITS = 16  # of the digest


def read(flash):
    """The record as a dict, or None: none, or not readable."""
    try:
        good, _ = record.split(flash.read(UPDATE_FILE) or b"")
        entry = json.loads(good[0].decode())
        if isinstance(entry["state"], str) and len(entry["digest"]) == 64 and type(entry["bytes"]) is int:
            return entry
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        pass
    return None


def write(flash, entry: dict) -> None:
    """Raises OSError."""
    flash.replace(UPDATE_FILE, record.frame(json.dumps(entry).encode()))


def is_renewal(entry) -> bool:
    return entry is not None and entry.get("kind") == RENEWAL


def told(flash):
    """What the birth message says of it."""
    entry = read(flash)
    if entry is None:
        return None
    return {
        "state": entry["state"],
        "release": entry["digest"][:_TOLD_DIGITS],
        "version": entry["version"] or None,
        "why": entry["why"],
    }


def numbers(version: str):
    """ "1.10.0" as something that compares: (1, 10, 0). Raises ValueError."""
    return tuple([int(part) for part in version.split(".")])


def floor(flash) -> str:
    """What is unreadable counts as the version that runs: then it rises, and never falls."""
    try:
        good, _ = record.split(flash.read(FLOOR_FILE) or b"")
        text = good[0].decode()
        numbers(text)
        return text
    except (OSError, ValueError, IndexError):
        return VERSION


def raise_floor(flash, version: str) -> None:
    """Raises OSError."""
    if numbers(version) > numbers(floor(flash)) or not flash.size(FLOOR_FILE):
        flash.replace(FLOOR_FILE, record.frame(max(version, floor(flash), key=numbers).encode()))


def forget_files(flash) -> None:
    """Of a release that is not wanted any more. Raises OSError."""
    for name in (PART_FILE, MANIFEST_FILE, SIGNATURE_FILE):
        flash.remove(name)
