"""An update under way: a task that asks for one piece after the other, and keeps them on flash. All that it knows is
there, so that it goes on after any outage; fetch.py, which does the work, is in memory only while it can.

An alarm always wins: while an incident is open or the contact moves nothing is asked for, and a press takes the memory,
unless there is plenty.
"""

from firmware import const, resets
from firmware.timing import Deadline
from firmware.update import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEEDS_BYTES = 12288  # of free heap: 6 KB for the work, and as much as an alarm may want meanwhile
_PLENTY_BYTES = const(65536)  # free when the work begins: what it takes is nothing that an alarm could miss
_LOADED = ["firmware.update." + module for module in ("fetch", "manifest", "signature", "pieces", "renewal")]
_IDLE_MS = const(2000)
_CALM_MS = const(10)
_AGAIN_MS = const(60000)  # after trouble of the flash or of memory
_TROUBLE_MAX = const(8)  # times that the flash or the session fails it, until the release is refused


class Update:
    """A task, as long as there is something to fetch."""

    name = "update"
    every_turn = True  # the next piece is asked for in the turn in which one came

    def __init__(self, board, column, entry: dict):
        self._board = board
        self.column = column
        self.entry = entry
        self.piece: Any = None  # the payload that came last, until it is read
        self.session: Any = None  # that hears pieces
        self._work: Any = None
        self._has_plenty = False
        self.is_stuck = False  # nobody has answered for minutes
        self._pause = Deadline(board)
        self._trouble = 0

    # -- what the column tells

    def take(self, payload: bytes) -> None:
        """A message on `piece`."""
        self.piece = payload
        self.is_stuck = False
        self._pause.stop()

    def make_room(self) -> None:
        """The memory is wanted for something better."""
        if not self._has_plenty:
            self.give_up()

    def give_up(self) -> None:
        """It begins again, with what is on flash."""
        if self._work is not None:
            self._work.close()
            self._work = self.piece = None
            self._board.forget(*_LOADED)

    def drilled(self, answered: bool) -> None:
        pass

    def may_certify(self) -> bool:
        return True

    # -- its own turns

    def step(self) -> int:
        column = self.column
        if column.button.wants_calm():
            return _CALM_MS
        wait_ms = self._pause.left_ms(0)
        if wait_ms:
            return min(wait_ms, _IDLE_MS)
        if not self._may_work():
            if not (self._has_plenty and self.session is column.uplink.session):
                self.give_up()
            return _IDLE_MS
        try:
            if self._work is None:
                self._begin()
            self._pause.start(next(self._work))
        except StopIteration:
            pass  # the other folder is in force, and a restart is on its way
        except (OSError, MemoryError) as error:
            self._failed(error)
        except Exception as error:  # whatever a release does to it: the column goes on with its duty
            self.end(state.REFUSED, str(error) if isinstance(error, ValueError) else repr(error))
        return self._pause.left_ms(0)

    def _may_work(self):
        """Not beside an alarm; not before this boot is certified, for that would certify what is switched to."""
        column = self.column
        if column.incidents.count() or not column.uplink.is_up() or not column.is_certified():
            return False
        if self.entry["state"] != state.FETCHING:
            return False
        return self._board.flash.size(resets.ACTIVE_FILE) <= 1

    def _begin(self):
        self._board.collect()
        free_bytes = self._board.heap()
        self._has_plenty = free_bytes >= _PLENTY_BYTES
        if free_bytes < NEEDS_BYTES:
            raise MemoryError("too little memory is free")
        if state.is_renewal(self.entry):
            from firmware.update.renewal import work
        else:
            from firmware.update.fetch import work

        self._work = work(self._board, self)

    def _failed(self, error):
        self.give_up()
        self._board.forget(*_LOADED)  # for want of memory there may be a part of them, and no work
        self._board.log("update: %s" % error)
        self._trouble += 1
        if self._trouble >= _TROUBLE_MAX and isinstance(error, OSError):
            self.end(state.REFUSED, str(error))
        else:
            self._pause.start(_AGAIN_MS)

    def end(self, how: str, why) -> None:
        """It is over, but for what the centre is told."""
        self.give_up()
        column, self.entry["state"], self.entry["why"] = self.column, how, why
        self._board.log("update: %s %s" % (how, why))
        try:
            state.write(self._board.flash, self.entry)
            state.forget_files(self._board.flash)
        except OSError as error:
            self._board.log("update: %s" % error)
        column.update = None
        column.supervisor.drop(self)
        column.telemetry.event("update", state.told(self._board.flash) or {"state": how})
        column.telemetry.report()
