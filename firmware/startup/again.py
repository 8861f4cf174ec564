"""A reset of the board's own making, to give its network another chance: loaded when that is due."""

import json

from firmware import record, resets

_LEFT_MS = 60000  # after the last press somebody may still stand there


def give_up(column, in_a_row: int, why: str) -> None:
    """The last step of link.py. Comes back while it may not."""
    if may_reset(column):
        reset(column._board, column.number, in_a_row, why, column.supervisor.clock_trusted)


def may_reset(column) -> bool:
    """Not while somebody is at the button, nor while something that matters is in RAM alone."""
    button = column.button
    is_left = not button.presses or button.held_for.ms() >= _LEFT_MS
    return is_left and not (button.is_touched() or column.journal.unsaved)


def reset(board, boot: int, in_a_row: int, why: str, clock_trusted: bool) -> None:
    """The `in_a_row`th time. Comes back only when the flash does not keep the count: resets without an end, one as soon
    as the other, would wear the column out. What is on trial has not proved itself, and gives way after some boots."""
    board.log("restart: %s (%d in a row)" % (why, in_a_row))
    entry = {"resets": in_a_row, "why": why}
    try:
        board.flash.replace(resets.RECORD_FILE, record.frame(json.dumps(entry).encode()))
    except OSError as error:
        board.log("restart: %s" % error)
        return
    if not board.flash.size(resets.TRIAL_FILE) and board.flash.size(resets.ACTIVE_FILE) <= 1:
        resets.certify(board, boot, False)
    board.scratch.write(resets.crumb("", clock_trusted))  # nobody is to blame
    board.reset()
