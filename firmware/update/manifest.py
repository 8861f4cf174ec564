"""The manifest of a release as it lies on flash. It is read line by line: whole, it would take 7 KB of heap.

    sos-column release 1
    {"version": "1.1.0", "floor": "1.1.0", ...}
    <SHA-256, hex> <bytes> <path in the folder>
    ...

`lib/umqtt/simple.mpy` goes into the folder as `umqtt/simple.mpy`, and only where the firmware in force has it there:
most boards have it in their image.
"""

import json
from binascii import hexlify
from hashlib import sha256

from firmware import VERSION, const
from firmware.startup.seal import path
from firmware.update import state

MAGIC = b"sos-column release 1\n"
_LINE_MAX = const(1024)  # of the header
_ENTRY_MAX = const(176)
_PATH_MAX = const(80)
_FOLDERS = ("firmware/", "hal/", "umqtt/")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./"
ROOTS = ("boot.py", "main.py")  # in no folder: the way back leads through them, so no update changes them
_LIBRARY = "lib/"
_ROOT_DIGITS = 16
_MPY_VERSION_AT = const(1)


def header(flash) -> dict:
    """Raises ValueError: it is none."""
    text = flash.read_at(state.MANIFEST_FILE, 0, _LINE_MAX)
    end = text.find(b"\n", len(MAGIC))
    if text[: len(MAGIC)] != MAGIC or end < 0:
        raise ValueError("the manifest is none")
    found = json.loads(text[len(MAGIC) : end].decode())
    found["end"] = end + 1
    return found


def entries(flash, start: int, in_force: str):
    """(digest, bytes, path in the folder) of each file that this column needs. Raises ValueError."""
    while True:
        text = flash.read_at(state.MANIFEST_FILE, start, _ENTRY_MAX)
        if not text:
            return
        end = text.find(b"\n")
        if end < 0:
            raise ValueError("the manifest has a line that is too long")
        start += end + 1
        found, size, name = text[:end].decode().split(" ")
        if name.startswith(_LIBRARY):
            name = name[len(_LIBRARY) :]
            if not flash.size(path(in_force, name)):
                continue
        _check(name)
        yield found, int(size), name


def _check(name):
    is_known = name == state.KEYS_FILE or name.startswith(_FOLDERS)
    if not is_known or len(name) > _PATH_MAX or ".." in name or any(letter not in _LETTERS for letter in name):
        raise ValueError("the manifest has a file %s" % name[:_PATH_MAX])


def objection(board, found: dict, in_force: str):
    """Why a release with this header is not for this column, in words; None: it is. Raises ValueError, KeyError."""
    flash, version = board.flash, found["version"]
    if state.numbers(version) < state.numbers(state.floor(flash)):
        return "version %s is older than the floor, %s" % (version, state.floor(flash))
    if version == VERSION:
        return "version %s is in force already" % version
    if board.chip not in found["chips"]:
        return "not for this chip, %s" % board.chip
    if state.numbers(board.micropython) < state.numbers(found["micropython"]):
        return "needs MicroPython %s, this is %s" % (found["micropython"], board.micropython)
    ours = flash.read_at(path(in_force, "firmware/__init__.mpy"), _MPY_VERSION_AT, 1)
    if (ours[0] if ours else 0) != found["mpy"]:
        return "another .mpy format than the firmware in force"
    for name in ROOTS:
        known = sha256(flash.read(name) or b"").digest()
        if hexlify(known).decode()[:_ROOT_DIGITS] not in found["roots"][name]:
            return "needs another %s, which comes by cable only" % name
    return None
