"""The configuration's files: the current one, its secrets, and the last one that worked."""

import json
from binascii import hexlify
from hashlib import sha256

from firmware import record
from firmware.resets import GOOD_FILE, TRIAL_FILE

CONFIG_FILE = "config.json"
SECRETS_FILE = "secrets.json"


def path(folder: str, name: str) -> str:
    """`folder`: of the firmware in force, "" = root. The configuration lies beside it, so that both change at once."""
    return folder + "/" + name if folder else name


def read(flash, folder: str):
    """(the document with its secrets or None, errors)."""
    document, errors = _parse(flash, path(folder, CONFIG_FILE))
    secrets_file = path(folder, SECRETS_FILE)
    secrets, more = _parse(flash, secrets_file) if flash.size(secrets_file) else ({}, [])
    if document is not None:
        if "secrets" in document:
            more.append("secrets: belong into %s, not into %s" % (SECRETS_FILE, CONFIG_FILE))
        document["secrets"] = secrets
    errors = errors + more
    return (None, errors) if errors else (document, errors)


def _parse(flash, name):
    try:
        raw = flash.read(name)
        if raw is None:
            return None, ["%s: there is no such file on the device; copy one (see docs/flashing.md)" % name]
        document = json.loads(raw.decode())
    except (ValueError, UnicodeError, OSError, RuntimeError, MemoryError) as error:
        return None, ["%s: not readable as JSON (%s); copy it again" % (name, error)]
    if not isinstance(document, dict):
        return None, ["%s: found %s, must be a JSON object" % (name, type(document).__name__)]
    return document, []


def read_good(flash):
    """The last configuration that worked, or None."""
    try:
        records, _ = record.split(flash.read(GOOD_FILE) or b"")
        return json.loads(records[0].decode()) if records else None
    except (ValueError, UnicodeError, OSError, IndexError):
        return None


def put_on_trial(flash, folder: str, source: str) -> None:
    """The configuration is about to be run on: if it is not the last one that worked, lay it ready to become it, which
    takes no memory when the time has come (firmware/resets.py, `certify`). Raises OSError."""
    flash.remove(TRIAL_FILE)  # of a boot that did not become healthy
    if source != "current":
        return
    document, _ = read(flash, folder)
    entry = record.frame(json.dumps(document).encode())
    if entry != flash.read(GOOD_FILE):
        flash.replace(TRIAL_FILE, entry)


def digest(flash, folder: str) -> str:
    """The first 16 hex digits of the SHA-256 of the configuration file: tells two columns' settings apart. All zeros
    when the file cannot be read (the column then runs on the last one that worked)."""
    try:
        return hexlify(sha256(flash.read(path(folder, CONFIG_FILE)) or b"").digest()).decode()[:16]
    except OSError:
        return "0" * 16
