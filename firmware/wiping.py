"""The keys of an opened housing: where the configuration asks for it they go, and the column with them.

Loaded when the housing is open, forgotten when it is closed again. What is done here is no more than a note on flash
and a restart: firmware/startup/wiped.py does the rest, and goes on with it after a power cut.
"""

from firmware import const, record, resets
from firmware.startup.seal import WIPE_FILE
from firmware.timing import Stopwatch
from firmware.uplink import kind

_SURE_MS = const(3000)  # a switch that shook
_START_MS = const(3000)  # a start, and its first look at the housing
_CALL_MS = const(600000)  # the longest that a call, or its press, holds it up: a thief can press, too
_open_for: dict = {}  # board -> (since when, opened in this boot?), as long as this module is in memory


def look(board, column, is_open) -> None:
    """With each look around while the housing is open, and once when it is closed again."""
    if not is_open:
        _open_for.clear()
        board.log("tamper: closed, the keys stay")
        board.forget("firmware.wiping", "firmware.startup.seal", "firmware.startup")
        return
    if board not in _open_for:
        board.log("tamper: the keys will be wiped, in %d s at the latest" % column.wipe_after_s)
        # Open since before this start: whoever works here may have restarted it, and the centre says so anew.
        _open_for[board] = Stopwatch(board), column.telemetry.uptime.ms() >= _START_MS
    since, is_news = _open_for[board]
    if _is_maintained(column):
        since.restart()
    open_ms = since.ms()
    if (column.incidents.count() or column.button.is_touched()) and open_ms < _CALL_MS:
        return
    if open_ms >= column.wipe_after_s * 1000 or is_news and open_ms >= _SURE_MS and _is_told(column):
        _wipe(board, column)


def _is_maintained(column):
    """The centre knows that somebody works here."""
    maintenance = column.actions.maintenance
    return maintenance and not maintenance.expired()


def _is_told(column):
    """The broker has the fault."""
    topic, uplink = column.messages.topic("fault/tamper"), column.uplink
    waits = [one for one in column.outbox.retained + uplink.in_flight if one[0] == topic]
    return uplink.is_up() and not waits and kind(topic) not in uplink.refused


def _wipe(board, column):
    """Comes back only when the flash refuses."""
    try:
        board.flash.replace(WIPE_FILE, record.frame(b"remove"))
    except OSError as error:
        board.log("tamper: the keys cannot be wiped: %s" % error)
        return
    board.log("restart: the keys are wiped")
    board.scratch.write(resets.crumb("", column.supervisor.clock_trusted))  # nobody is to blame
    board.reset()
