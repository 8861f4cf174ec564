"""The keys are wiped, after somebody has opened the housing (firmware/wiping.py): the column is dead until it is
provisioned anew. Each step is noted before the next one begins, so a power cut only makes it begin again.

A removed file stays in the flash's blocks until something else is written there, and LittleFS takes free blocks one
after the other. So more than all that is free is written once, a block at a time, and removed at once.
"""

from firmware import const, record
from firmware.resets import GOOD_FILE, TRIAL_FILE
from firmware.startup.seal import SECRETS_FILE, WIPE_FILE, path

WHY = "the housing was opened and the keys are wiped; provision this column anew, and flash it"
_FOLDERS = ("", "a", "b")
_FILL_FILE = "wipe.tmp"
_PART_FILE = "update.part"  # secrets.json on its way into the other folder, when an update was cut short there
_BLOCK_BYTES = const(4096)
_SPARE_BLOCKS = const(32)
_ENTRIES = const(250)  # a small file may lie within its folder's own blocks: so many changes write those anew


def why(board, folder: str) -> str:
    """Why this is no column any more; empty: it is one."""
    try:
        return WHY if is_wiped(board.flash, folder, board.log) else ""
    except OSError as error:
        return "the housing was opened, and the keys cannot be wiped: %s" % error


def is_wiped(flash, folder: str, log) -> bool:
    """False: somebody has provisioned it anew. Removes what has not been removed. Raises OSError."""
    _remove(flash, log)
    flash.remove(_FILL_FILE)
    if not flash.size(path(folder, SECRETS_FILE)):
        return True
    flash.remove(WIPE_FILE)
    return False


def fill(flash, log):
    """A generator: overwrites what was removed, one write a turn; nothing to do when that is done. After an error
    somebody begins it anew, with what the start could not remove."""
    _remove(flash, log)
    if _noted(flash) != b"fill":
        return
    for folder in _FOLDERS:
        if folder and not _exists(flash, folder):
            continue
        for _ in range(_ENTRIES):
            flash.append(path(folder, _FILL_FILE), b"\0")
            flash.remove(path(folder, _FILL_FILE))
            yield
    for _ in range(flash.free_bytes() // _BLOCK_BYTES * 5 // 4 + _SPARE_BLOCKS):
        flash.append(_FILL_FILE, bytes(_BLOCK_BYTES))
        flash.remove(_FILL_FILE)
        yield
    flash.replace(WIPE_FILE, record.frame(b"done"))
    log("tamper: the keys are overwritten")


def _remove(flash, log):
    if _noted(flash) != b"remove":
        return
    for name in _secret_files():
        flash.remove(name)
    flash.replace(WIPE_FILE, record.frame(b"fill"))
    log("tamper: the keys are removed")


def _noted(flash):
    """Whatever cannot be read is a wipe that has just begun: nobody else writes that file."""
    good, _ = record.split(flash.read(WIPE_FILE) or b"")
    return good[0] if good else b"remove"


def _secret_files():
    for folder in _FOLDERS:
        yield path(folder, SECRETS_FILE)
        yield path(folder, SECRETS_FILE) + ".new"
    for name in (GOOD_FILE, TRIAL_FILE, _PART_FILE):
        yield name
        yield name + ".new"


def _exists(flash, folder):
    try:
        for _ in flash.entries(folder):
            break
        return True
    except OSError:
        return False
