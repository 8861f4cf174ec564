"""The commands `update` and `renew`: which release, or which certificates, are wanted, or none any more. Notes it on
flash; task.py does the rest."""

from firmware import const, resets
from firmware.startup.seal import path
from firmware.update import signature, state
from firmware.update.task import Update

MAX_BYTES = 16384  # of a manifest
RENEWAL_MAX_BYTES = 4096
_RENEWAL_FILE = const("tls.new")  # see firmware/startup/renewed.py
_HEX = "0123456789abcdef"


def obey(board, column, kind: str, wanted) -> str | None:
    """`kind`: state.RELEASE or RENEWAL; `wanted`: {"digest", "bytes"}, or None to give up the one under way. Why not,
    in words; None: it was noted."""
    flash, running = board.flash, state.read(board.flash)
    is_tried = flash.size(resets.ACTIVE_FILE) > 1 or flash.size(_RENEWAL_FILE)  # the record may be a step behind
    if is_tried or running and running["state"] == state.TRIAL:
        return "refused: a firmware, or a certificate, is on trial"
    try:
        return _give_up(column, kind, running) if wanted is None else _begin(board, column, kind, wanted, running)
    except OSError as error:
        return "refused: the flash: %s" % error


def _give_up(column, kind, running):
    if not _is_fetching(column, kind, running):
        return "refused: no renewal is under way" if kind == state.RENEWAL else "refused: no release is under way"
    if _may_be_old(column):
        return "clock unset: cannot tell whether the command has expired"
    column.update.end(state.ABORTED, None)
    return None


def _begin(board, column, kind, what, running):
    wanted, size = _parsed(what)
    why = _shapeless(kind, wanted, size)
    if why is None and _may_be_old(column) and _is_fetching(column, state.RELEASE, running):
        why = None if column.update.is_stuck else "a release is being fetched"
    if why is None:
        why = _no_renewal(column) if kind == state.RENEWAL else _no_release(board, column.folder)
    if why is not None:
        return "refused: " + why
    if running is None or running["digest"] != wanted:
        state.forget_files(board.flash)  # first: what is there must never pass for a part of this one
    entry = {"state": state.FETCHING, "digest": wanted, "bytes": size, "version": "", "to": "", "why": None}
    entry["kind"] = kind
    state.write(board.flash, entry)
    if column.update is not None:
        column.supervisor.drop(column.update)
    column.update = Update(board, column, entry)
    column.supervisor.add(column.update)
    column.telemetry.report()
    return None


def _is_fetching(column, kind, running):
    if running is None or running["state"] != state.FETCHING or column.update is None:
        return False
    return state.is_renewal(running) == (kind == state.RENEWAL)


def _may_be_old(column):
    """Without a clock nobody can tell; a proven command counts once."""
    return column.clock.source == "none" and not column.authentic


def _parsed(what):
    try:
        return str(what["digest"]), what["bytes"]
    except (KeyError, TypeError):
        return "", 0


def _shapeless(kind, wanted, size):
    if len(wanted) != 64 or any(digit not in _HEX for digit in wanted):
        return "%s.digest must be 64 hex digits" % kind
    most = RENEWAL_MAX_BYTES if kind == state.RENEWAL else MAX_BYTES
    if type(size) is not int or not 0 < size <= most:
        return "%s.bytes must be 1 to %d" % (kind, most)
    return None


def _no_renewal(column):
    tls = column.uplink.config["tls"]
    if not tls or not tls.get("digest"):
        return "this column has no certificate"
    if column.origin["source"] != "current":
        return "this column runs on the last good configuration"
    return None


def _no_release(board, in_force):
    if not signature.has_keys(board.flash, in_force):
        return "this column trusts no release key; it gets one by cable"
    # hal/ is part of every bundle, and of none that is frozen into an image
    if not any(board.flash.size(path(in_force, "hal/esp32." + kind)) for kind in ("mpy", "py")):
        return "the firmware lies in the board's image, which is changed by cable only"
    return None
