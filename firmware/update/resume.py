"""At the start: what became of the update that this boot finds on flash? Loaded when there is a record of one."""

from firmware import const, resets
from firmware.update import state

_RENEWAL_FILE = const("tls.new")  # see firmware/startup/renewed.py


def resume(board, column):
    """The task that goes on with it, or None: there is nothing to be done."""
    flash, entry = board.flash, state.read(board.flash)
    if flash.size(_RENEWAL_FILE) or state.is_renewal(entry) and entry["state"] == state.TRIAL:
        from firmware.update.proving import resume as proving

        return proving(board, column, entry)
    if entry is None:
        return None
    if entry["state"] == state.FETCHING:
        from firmware.update.task import Update

        return Update(board, column, entry)
    if entry["state"] != state.TRIAL:
        return None
    from firmware.update import trial

    if column.folder != entry["to"]:
        _returned(board, column, entry)
    elif flash.size(resets.ACTIVE_FILE) > 1:
        return trial.Trial(board, column, entry)
    else:  # it was kept, and the power went before that was noted
        trial.keep(board, column, entry)
    return None


def _returned(board, column, entry):
    from firmware.update.trial import tell

    entry["state"] = state.RETURNED
    entry["why"] = entry["why"] or "the new firmware did not become healthy"
    try:
        state.write(board.flash, entry)
        state.forget_files(board.flash)
    except OSError as error:
        board.log("update: %s" % error)
    board.log("update: went back: %s" % entry["why"])
    tell(board, column)
