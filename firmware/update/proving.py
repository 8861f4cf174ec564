"""New certificates on trial: they are kept once there was a session with them that held. Else the column goes back to
those before, by itself, and at once if a call waits for a session.
"""

from firmware import const, resets
from firmware.startup import renewed
from firmware.timing import Stopwatch
from firmware.update import state

_IDLE_MS = const(2000)
_HOLDS_MS = const(10000)  # a session that the broker ends at once proves nothing
_PROOF_MS = const(180000)  # since the start: as many attempts as an outage of the broker for a minute costs
_CALL_MS = const(30000)  # ... with a call that waits: enough for a session, if there can be one
_NO_SESSION = "no session with the new certificates"


class Proving:
    """A task until the certificates are kept, or the column is back on those before."""

    name = "update"

    def __init__(self, board, column, entry: dict):
        self._board = board
        self._column = column
        self._entry = entry
        self._since = Stopwatch(board)

    def take(self, payload: bytes) -> None:
        pass

    def make_room(self) -> None:
        pass

    def drilled(self, answered: bool) -> None:
        pass

    def may_certify(self) -> bool:
        return True

    def step(self) -> int:
        column, since_ms = self._column, self._since.ms()
        if column.uplink.is_up():
            if column.uplink.state_for.ms() >= _HOLDS_MS:
                self._keep()
        elif since_ms >= _PROOF_MS or column.incidents.count() and since_ms >= _CALL_MS:
            self._go_back()
        return _IDLE_MS

    def _keep(self):
        """Each step may be the last before a cut; the first of them decides."""
        board = self._board
        try:
            board.flash.rename(renewed.RENEWAL_FILE, renewed.RENEWED_FILE)
        except OSError as error:  # then the next boot tries them again
            board.log("certificates: %s" % error)
            return
        self._column.update = None
        self._column.supervisor.drop(self)
        _note(board, self._column, self._entry, state.KEPT, None)

    def _go_back(self):
        """Not while somebody's hand is at the button, nor with a press in RAM alone."""
        column, board = self._column, self._board
        if column.button.is_touched() or column.journal.unsaved:
            return
        renewed.give_up(board)
        self._entry["state"], self._entry["why"] = state.RETURNED, _NO_SESSION
        try:
            state.write(board.flash, self._entry)
        except OSError as error:
            board.log("certificates: %s" % error)
        board.log("certificates: going back: %s" % (column.uplink.last_error or _NO_SESSION))
        board.scratch.write(resets.crumb("", column.supervisor.clock_trusted))  # nobody is to blame
        board.reset()


def resume(board, column, entry):
    """At the start: what became of the trial? The task that goes on with it, or None."""
    board.forget("firmware.update.proving", "firmware.startup.renewed")
    flash, tls = board.flash, column.uplink.config["tls"]
    tried = renewed.read(flash, renewed.RENEWAL_FILE)
    if tried is not None and tls and tls.get("source") == renewed.RENEWAL_FILE:
        if not state.is_renewal(entry) or entry["digest"] != tried["digest"]:
            entry = {"digest": tried["digest"], "bytes": 1, "version": "", "to": "", "kind": state.RENEWAL}
        entry["state"], entry["why"] = state.TRIAL, None
        return Proving(board, column, entry)
    renewed.give_up(board)
    if not state.is_renewal(entry):
        return None
    kept = renewed.read(flash, renewed.RENEWED_FILE)
    if kept is not None and kept["digest"] == entry["digest"]:  # the power went before that was noted
        _note(board, column, entry, state.KEPT, None)
    else:
        _note(board, column, entry, state.RETURNED, "the new certificates could not be used")
    return None


def _note(board, column, entry, how, why):
    entry["state"], entry["why"] = how, why
    try:
        state.write(board.flash, entry)
        state.forget_files(board.flash)
    except OSError as error:
        board.log("certificates: %s" % error)
    board.log("certificates: the new ones are %s" % how)
    column.telemetry.event("update", state.told(board.flash) or {})
    column.telemetry.report()
