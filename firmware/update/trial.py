"""A new firmware on trial: it is kept once it ran as long as a healthy one does, had a session, and the centre has
answered a drill. Else the column goes back to the folder before, by itself.
"""

from firmware import const, resets
from firmware.timing import Deadline, Stopwatch
from firmware.update import state

_IDLE_MS = const(2000)
_AGAIN_MS = const(20000)  # after a drill that was not answered, or trouble of the flash
_PROOF_MS = const(900000)  # since the start: a quarter of an hour
_NO_DRILL = "no drill was answered within 15 minutes"


class Trial:
    """A task until the firmware is kept."""

    name = "update"

    def __init__(self, board, column, entry: dict):
        self._board = board
        self._column = column
        self._entry = entry
        self._since = Stopwatch(board)
        self._again = Deadline(board, 0)
        self._is_proved = False

    def take(self, payload: bytes) -> None:
        pass

    def make_room(self) -> None:
        pass

    def drilled(self, answered: bool) -> None:
        """A drill has ended, whoever began it."""
        self._is_proved = self._is_proved or answered
        self._again.start(_AGAIN_MS)

    def may_certify(self) -> bool:
        return self._is_proved

    def step(self) -> int:
        column, flash = self._column, self._board.flash
        since_ms = self._since.ms()
        if flash.size(resets.ACTIVE_FILE) <= 1:
            if not keep(self._board, column, self._entry):
                return _AGAIN_MS
            column.update = None
            column.supervisor.drop(self)
        elif self._is_proved:
            pass  # the column certifies it as soon as it ran for long enough
        elif since_ms >= _PROOF_MS:
            self._go_back()
        elif column.uplink.is_up() and not column.incidents.count() and self._again.expired():
            self._again.start(_AGAIN_MS)
            column.incidents.start_drill()
            column.supervisor.hurry()
        return _IDLE_MS

    def _go_back(self):
        """Not while somebody is at the button. An open incident is on flash, and no reason to wait: what was never
        answered may be for want of this firmware's ears, and the one before sends it again."""
        from firmware.startup.again import may_reset

        column, board, flash = self._column, self._board, self._board.flash
        is_time = may_reset(column)
        board.forget("firmware.startup.again")
        if not is_time:
            return
        try:
            self._entry["why"] = _NO_DRILL
            state.write(flash, self._entry)
            flash.replace(resets.ACTIVE_FILE, flash.read(resets.ACTIVE_FILE)[1:])
        except OSError as error:
            board.log("update: %s" % error)  # it stays on trial, and the next boots lead back
        board.log("update: going back: %s" % _NO_DRILL)
        board.scratch.write(resets.crumb("", column.supervisor.clock_trusted))  # nobody is to blame
        board.reset()


def keep(board, column, entry: dict) -> bool:
    """The firmware that runs is the one in force now. Each step may be the last before a cut: all are done again.
    False: the flash failed; to be tried again, or else at the next start."""
    from firmware.update import manifest

    flash = board.flash
    try:
        if flash.size(state.MANIFEST_FILE):
            state.raise_floor(flash, manifest.header(flash)["floor"])
    except (OSError, ValueError, KeyError) as error:
        board.log("update: the floor stays: %s" % error)
    try:
        state.forget_files(flash)
        state.write(flash, dict(entry, state=state.KEPT, why=None))
    except OSError as error:
        board.log("update: %s" % error)
        return False
    board.forget("firmware.update.manifest")
    board.log("update: %s is kept" % entry["version"])
    tell(board, column)
    return True


def tell(board, column) -> None:
    column.telemetry.event("update", state.told(board.flash) or {})
    column.telemetry.report()
