"""What there is to know of the reset that led to this boot: read once, at the start."""

import json

from firmware import record
from firmware.resets import RECORD_FILE


def report(board) -> dict:
    """{"cause", "culprit", "traceback", "clock_trusted", "resets", "why"} of the reset that led to this boot; forgets
    it. `resets`: on purpose, in a row, for want of a network, and `why`."""
    cause = board.reset_cause()
    crumb, flags = _crumb_of(board.scratch.read())
    found = {
        "cause": cause,
        "culprit": crumb if crumb and cause in ("watchdog", "hard") else None,
        "traceback": None,
        "clock_trusted": flags == b"T" and cause != "power-on",
        "resets": 0,
        "why": None,
    }
    try:
        good, _ = record.split(board.flash.read(RECORD_FILE) or b"")
        if good:
            found.update(json.loads(good[-1].decode()))
            board.flash.remove(RECORD_FILE)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        board.log("resets: record unreadable: %s" % error)
    return found


def _crumb_of(data):
    """(name of the task, flags) in the scratch memory; empty when there is nothing of ours."""
    end = data.find(b"\0")
    if end < 0:
        return "", b""
    try:
        return data[:end].decode(), data[end + 1 : end + 2]
    except UnicodeError:
        return "", b""
