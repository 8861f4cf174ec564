"""The relay follows the incident, from the press until `closed` or a time limit: it starts the intercom's call."""

from firmware.timing import Deadline

_IDLE_MS = 2000


class Relay:
    """A task. `limit_s`: seconds (1..86400) after which the relay opens by itself."""

    name = "relay"

    def __init__(self, board, limit_s: int):
        self._board = board
        self._limit = Deadline(board)
        self._limit_ms = limit_s * 1000

    def close(self) -> None:
        """A press: (re)start the time limit."""
        self._board.relay.set(True)
        self._limit.start(self._limit_ms)

    def open(self) -> None:
        self._board.relay.set(False)
        self._limit.stop()

    def step(self) -> int:
        if self._limit.expired():
            self.open()
        return min(_IDLE_MS, self._limit.left_ms(_IDLE_MS))
