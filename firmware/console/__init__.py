"""The console: a technician's plain words on the serial port are answered while the column stays on duty.

Nobody types for years, so all but this lies on flash until somebody does: firmware/console/talk.py.
"""

from firmware import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_BYTES = const(32)  # a turn
_IDLE_MS = const(2000)
NEEDS_BYTES = 8704  # of free heap: 6 KB for an answer, which an alarm gets back, and until then it has the rest
SCARCE_BYTES = 7168  # while it answers: less than that is the alarm's


class Console:
    """A task."""

    name = "console"
    every_turn = True  # what is typed ends the loop's wait, and would end the next one at once as well

    def __init__(self, board, column):
        self._board = board
        self._column = column
        self._talk: Any = None

    def step(self) -> int:
        wait_ms = None
        if self._column.lock:
            self._column.lock.look()
        try:
            if self._talk is None:
                if self._column.button.wants_calm():
                    return 1  # reading files can wait
                typed = self._board.typed(_READ_BYTES)
                if not typed.strip():
                    return _IDLE_MS
                self._board.collect()
                if self._board.heap() < NEEDS_BYTES:
                    if b"\n" in typed:
                        self._board.log('console: {"re":"","ok":false,"error":"too little memory is free"}')
                    return _IDLE_MS
                from firmware.console.talk import Talk

                self._talk = Talk(self._board, self._column)
            else:
                typed = self._board.typed(_READ_BYTES)
            wait_ms = self._talk.step(typed)
        except (MemoryError, ImportError, OSError):
            pass  # whoever asks hears nothing, and asks again
        except Exception as error:  # whatever was typed: the column's duty does not end with it
            self._board.log("the console ended: %r" % error)
        if wait_ms is None:
            self._end()
            return _IDLE_MS
        return wait_ms

    def make_room(self) -> None:
        """For an alarm: where memory is scarce the answer ends here, but that of `button`, which is about a press."""
        if self._talk is not None:
            self._board.collect()
            if self._board.heap() < SCARCE_BYTES and self._talk.give_up():
                self._end()

    def _end(self):
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        self._board.discard("firmware.console.talk")
