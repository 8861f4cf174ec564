"""Commands from the centre. None of them can raise, answer, delay or stop an alarm.

What is here stays in memory; orders.py, which understands a command and obeys or refuses it, is loaded for each.
"""

from firmware import const
from firmware.timing import Deadline

_RATE_MAX = const(10)  # commands a minute; a flood is refused without an answer to each
_MINUTE_MS = const(60000)
_IDLE_MS = const(2000)


class Commands:
    """A task. `actions`: see below."""

    name = "commands"

    def __init__(self, board, messages, outbox, clock, actions, on_refused):
        self.board = board
        self._messages = messages
        self._outbox = outbox
        self.clock = clock
        self.actions = actions
        self._on_refused = on_refused
        self.seen = []  # ids of the last commands: a repeat is refused
        self._minute = Deadline(board, _MINUTE_MS)
        self._this_minute = 0
        self.refused = 0
        self.authentic = None  # with it, a command has to be proven

    def step(self) -> int:
        if self._minute.expired():
            self._minute.start(_MINUTE_MS)
            self._this_minute = 0
        return _IDLE_MS

    def receive(self, payload: bytes) -> None:
        """One message on `cmd`, as hostile as it may be."""
        self._this_minute += 1
        if self._this_minute > _RATE_MAX:
            self.refused += 1
            return
        try:
            from firmware.orders import receive

            receive(self, payload)
        except MemoryError:
            self.refuse("", "no memory for a command")
        self.board.discard("firmware.orders")
        self.board.forget("firmware.rfc3339_parse")

    def topic(self) -> bytes:
        return self._messages.topic("cmd")

    def answer(self, ident: str, error, detail) -> None:
        self._outbox.add(self._messages.topic("result"), self._messages.result(ident, error, detail))

    def refuse(self, ident, why) -> None:
        self.refused += 1
        self._on_refused(ident, why)
        if ident:
            self.answer(ident, why, None)


class Actions:
    """What of the commands lasts."""

    def __init__(self, board, column):
        self.column = column
        self.identify = Deadline(board)
        self.restart = Deadline(board)
        self.maintenance = None  # until when: a Deadline
        self.drill_command = None

    def identifying(self) -> bool:
        if self.identify.expired():
            self.identify.stop()
        return self.identify.running()

    def restart_due(self) -> bool:
        """A press that has just begun would be over before the board looks again."""
        column = self.column
        return self.restart.expired() and not column.incidents.count() and not column.button.is_touched()

    def drill_ended(self):
        """The id of the command that asked for the drill, once; None for one on schedule."""
        ident, self.drill_command = self.drill_command, None
        return ident
