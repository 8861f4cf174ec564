"""The console's lock, where the fleet asks for one (`access.code`): what makes a column act, and Ctrl-C, which takes it
off duty, want a technician's one-time code first. No call asks it anything, so no lost code keeps one from going out.

In memory only where it is asked for; what a code is, firmware/console/code.py knows.
"""

from firmware import const
from firmware.timing import Deadline

_OPEN_MS = const(1800000)  # as long as service mode, see main.py
_PAUSE_MS = const(1000)  # doubles with each wrong code
_DOUBLINGS_MAX = const(8)  # 256 s: half of all codes take some 400 years


class Lock:
    """`boot`: this boot's number. It and `count` are what a code is for, so that each counts once."""

    def __init__(self, board, boot: int):
        self._board = board
        self._open = Deadline(board)
        self._pause = Deadline(board)
        self._wrong = 0
        self.boot = boot
        self.count = 1
        board.heed_interrupt(False)

    def look(self) -> None:
        """In each turn of the console: it closes by itself."""
        if self._open.expired():
            self.close()
        if self._pause.expired():
            self._pause.stop()

    def open(self) -> None:
        self.count += 1
        self._wrong = 0
        self._open.start(_OPEN_MS)
        self._board.heed_interrupt(True)

    def close(self) -> None:
        self._open.stop()
        self._board.heed_interrupt(False)

    def refuse(self) -> None:
        """A wrong code: the next one has to wait."""
        self._wrong = min(self._wrong + 1, _DOUBLINGS_MAX)
        self._pause.start(_PAUSE_MS << self._wrong)

    def is_open(self) -> bool:
        return self._open.running()

    def open_ms(self) -> int:
        """For how long still."""
        return self._open.left_ms(0)

    def pause_ms(self) -> int:
        """Until a code may be tried again."""
        return self._pause.left_ms(0)
