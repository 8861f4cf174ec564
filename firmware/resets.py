"""Why the board restarted: the chip's word, the breadcrumb of the task that was running, and the last traceback.

The chip shows a panic as a hard reset and a brown-out as power-on, so the column keeps its own record.
"""

import json

from firmware import record

RECORD_FILE = "reset.rec"
BOOT_FILE = "boot.rec"  # written by boot.py: {"n": boot number, "u": boots in a row that did not become healthy}
ACTIVE_FILE = "active"  # read by boot.py: the folder in force, and the one to go back to until this one was healthy
GOOD_FILE = "config.good"  # the last configuration that worked, framed with its CRC
TRIAL_FILE = "config.trial"  # the one of this boot, when it is another
UPDATE_FILE = "update.rec"  # what became of the last update, see firmware/update/state.py
ADDRESS_FILE = "broker.addr"  # firmware/uplink.py writes it when a session begins: since then there was one
_TRACEBACK_MAX = 600  # characters: of which a birth message takes as many


def last(board) -> dict:
    """What there is to know of the reset that led to this boot, see last_reset.py; forgets it."""
    from firmware.startup.last_reset import report

    result = report(board)
    board.discard("firmware.startup.last_reset")
    return result


def keep(board, culprit: str, traceback: str) -> None:
    """Before a reset that we can see coming: who was to blame, and where it happened."""
    entry = {"culprit": culprit, "traceback": traceback[-_TRACEBACK_MAX:]}
    try:
        board.flash.replace(RECORD_FILE, record.frame(json.dumps(entry).encode()))
    except OSError as error:
        board.log("resets: record not kept: %s" % error)


def certify(board, boot: int, had_session: bool) -> bool:
    """This boot ran as long as a healthy one does, see startup/healthy.py, which is in memory only meanwhile. False:
    not yet, or the flash or the memory failed; to be tried again."""
    try:
        from firmware.startup.healthy import note

        return note(board, boot, had_session)
    except MemoryError:
        return False
    finally:
        board.discard("firmware.startup.healthy")


def crumb(name: str, clock_trusted: bool) -> bytes:
    """What stands in the scratch memory while `name` runs."""
    return name.encode() + (b"\0T" if clock_trusted else b"\0")
