"""The configuration's files: the current one, its secrets, and the last one that worked.

LittleFS keeps no checksum over file data, and one flipped bit makes another host or another pin of valid JSON. So a
file may be sealed: its last member is then `crc`, the CRC-32 of every byte before it. One without is taken as it is.
"""

import json
from binascii import crc32, hexlify
from hashlib import sha256

from firmware import record
from firmware.resets import GOOD_FILE, TRIAL_FILE
from firmware.startup.seal import CONFIG_FILE as CONFIG_FILE
from firmware.startup.seal import SEAL as _SEAL
from firmware.startup.seal import SECRETS_FILE as SECRETS_FILE
from firmware.startup.seal import WIPE_FILE as WIPE_FILE
from firmware.startup.seal import path as path


def sealed(text: bytes) -> bytes:
    """`text`, a JSON object without a seal, as it goes to a device."""
    text = text.rstrip()[:-1].rstrip()
    text += b"" if text == b"{" else b","
    return text + _SEAL + b'%08x"}\n' % (crc32(text) & 0xFFFFFFFF)


def _is_sealed(raw):
    """Raises ValueError when the seal does not fit."""
    at = raw.rfind(_SEAL)
    if at < 0:
        return False
    if raw[at:].rstrip() != _SEAL + b'%08x"}' % (crc32(memoryview(raw)[:at]) & 0xFFFFFFFF):
        raise ValueError("the seal `crc` does not fit: damaged, or changed by hand, who then removes the seal")
    return True


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
        is_sealed = _is_sealed(raw)
        document = json.loads(raw.decode())
    except (ValueError, UnicodeError, OSError, RuntimeError, MemoryError) as error:
        return None, ["%s: not readable (%s); copy it again" % (name, error)]
    if not isinstance(document, dict):
        return None, ["%s: found %s, must be a JSON object" % (name, type(document).__name__)]
    if is_sealed:
        del document["crc"]
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
