"""A board without a configuration that it could run on: no column, so nothing is lost to what it has loaded here."""

from firmware import VERSION, const, resets
from firmware.console.talk import Talk
from firmware.lamp import Lamp
from firmware.startup.again import reset
from firmware.startup.seal import WIPE_FILE
from firmware.timing import Deadline

_SAY_AGAIN_MS = 10000
_WAIT_MS = 500
_WATCHDOG_MS = 8000
_AGAIN_MS = const(60000)  # until a board that refused a valid configuration is reset; doubles with each time in vain
_DOUBLINGS_MAX = const(6)
_MOUNT_AGAIN_MS = 600000  # a file system that could not be mounted: with the next reset it may be
_WIPE_AGAIN_MS = const(60000)  # after trouble of the flash
_BROKEN_FILE = "filesystem.bad"  # left by image/_boot.py, on a disk in RAM
_READ_BYTES = const(32)
_BETWEEN_WRITES_MS = const(2)
_TEXT_MAX = const(160)


class _NoColumn:
    """What a command of the console gets: there is no button whose press could be under way, and nothing to lock."""

    lock = None

    def __init__(self, boot, errors):
        self.boot = boot
        self.errors = errors
        self.button = self

    def wants_calm(self) -> bool:
        return False


def wait_for_technician(board, boot: dict, errors: list, refused: bool) -> None:
    """No usable configuration and none that ever worked: say so, on the lamp and on the console. Never returns.

    `refused`: it is the board that does not take it, and may do so after a reset.
    """
    last = resets.last(board)
    again = Deadline(board)
    if refused:
        again.start(_AGAIN_MS << min(last["resets"], _DOUBLINGS_MAX))
    board.log("boot: number=%d cause=%s mode=unconfigured culprit=None" % (boot["number"], board.reset_cause()))
    lamp = Lamp(board)
    lamp.show("out-of-service")
    watchdog = board.watchdog(_WATCHDOG_MS)
    say_again, mount_again = Deadline(board, 0), Deadline(board)
    broken = board.flash.read(_BROKEN_FILE)
    if broken:
        errors = ["the file system cannot be mounted: %s; see docs/flashing.md" % broken.decode()] + errors
        mount_again.start(_MOUNT_AGAIN_MS)
    talk = Talk(board, _NoColumn(boot, errors), _load)
    work, wipe_again = _overwriting(board), Deadline(board)
    while True:
        if say_again.expired():
            say_again.start(_SAY_AGAIN_MS)
            for error in errors:
                board.log("configuration: %s" % error)
        if again.expired():
            again.stop()
            reset(board, boot["number"], last["resets"] + 1, errors[-1], last["clock_trusted"])
        if mount_again.expired():
            board.reset()
        if wipe_again.expired():
            wipe_again.stop()
            work = _overwriting(board)
        lamp.step()
        watchdog.feed()
        board.contact.is_closed()  # seen: else a contact that stays closed ends every wait at once
        wait_ms = min(_WAIT_MS, talk.step(board.typed(_READ_BYTES) or b"") or _WAIT_MS)
        board.wait(_BETWEEN_WRITES_MS if _goes_on(work, board, wipe_again) else wait_ms)


def _overwriting(board):
    """The rest of a wipe, a write a turn."""
    if not board.flash.size(WIPE_FILE):
        return iter(())
    from firmware.startup.wiped import fill

    return fill(board.flash, board.log)


def _goes_on(work, board, again):
    try:
        for _ in work:
            return True
    except OSError as error:
        board.log("tamper: the keys cannot be wiped: %s" % error)
        again.start(_WIPE_AGAIN_MS)
    return False


def _load(word):
    if word != "status":
        raise ValueError("there is no usable configuration; see status; at a laptop: make diag")
    return _status


def _status(board, column):
    folder = column.boot.get("folder", "")
    yield {"configured": False, "wiped": bool(board.flash.size(WIPE_FILE))}
    yield {"firmware": {"version": VERSION, "folder": folder, "boot": column.boot["number"], "mode": "unconfigured"}}
    yield {"chip": {"chip": board.chip, "uid": board.uid, "micropython": board.micropython}}
    for error in column.errors:
        yield {"errors": [error[:_TEXT_MAX]]}
