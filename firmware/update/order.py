"""The command `update`: which release is wanted, or none any more. Notes it on flash; task.py does the rest."""

from firmware import resets
from firmware.startup.seal import path
from firmware.update import signature, state
from firmware.update.task import Update

MAX_BYTES = 16384  # of a manifest
_HEX = "0123456789abcdef"


def obey(board, column, release) -> str | None:
    """`release`: {"digest", "bytes"}, or None to give up the one under way. Why not, in words; None: it was noted."""
    flash, running = board.flash, state.read(board.flash)
    if flash.size(resets.ACTIVE_FILE) > 1 or running and running["state"] == state.TRIAL:
        return "refused: a firmware is on trial"
    try:
        return _give_up(column, running) if release is None else _begin(board, column, release, running)
    except OSError as error:
        return "refused: the flash: %s" % error


def _give_up(column, running):
    if running is None or running["state"] != state.FETCHING:
        return "refused: no update is under way"
    column.update.end(state.ABORTED, None)
    return None


def _begin(board, column, release, running):
    in_force = column.folder
    wanted, size = _parsed(release)
    why = _obstacle(board, in_force, wanted, size)
    if why is not None:
        return "refused: " + why
    if running is None or running["digest"] != wanted:
        state.forget_files(board.flash)  # first: what is there must never pass for a part of this one
    entry = {"state": state.FETCHING, "digest": wanted, "bytes": size, "version": "", "to": "", "why": None}
    state.write(board.flash, entry)
    if column.update is not None:
        column.supervisor.drop(column.update)
    column.update = Update(board, column, entry)
    column.supervisor.add(column.update)
    column.telemetry.report()
    return None


def _parsed(release):
    try:
        return str(release["digest"]), release["bytes"]
    except (KeyError, TypeError):
        return "", 0


def _obstacle(board, in_force, wanted, size):
    if len(wanted) != 64 or any(digit not in _HEX for digit in wanted):
        return "release.digest must be 64 hex digits"
    if type(size) is not int or not 0 < size <= MAX_BYTES:
        return "release.bytes must be 1 to %d" % MAX_BYTES
    if not signature.has_keys(board.flash, in_force):
        return "this column trusts no release key; it gets one by cable"
    # hal/ is part of every bundle, and of none that is frozen into an image
    if not any(board.flash.size(path(in_force, "hal/esp32." + kind)) for kind in ("mpy", "py")):
        return "the firmware lies in the board's image, which is changed by cable only"
    return None
