"""Commands from the centre. None of them can raise, answer, delay or stop an alarm.

An expired, repeated, unknown or malformed command is refused, in words, and counted.
"""

import json

from firmware import const, rfc3339
from firmware.timing import Deadline

ID_MAX_CHARS = 64
_REMEMBERED = const(16)  # ids of the last commands: a repeat is refused
_RATE_MAX = const(10)  # commands a minute; a flood is refused without an answer to each
_MINUTE_MS = const(60000)
_WITHOUT_CLOCK = ("report", "identify")  # harmless: they may come to a column whose clock was never set
_IDENTIFY_MS = const(10000)
_RESTART_MS = const(1000)  # lets the result reach the broker first
_IDLE_MS = const(2000)


class Commands:
    """A task. `actions`: name -> callable(command id) -> (error text or None, detail, answer now?)."""

    name = "commands"

    def __init__(self, board, messages, outbox, clock, actions, on_refused):
        self._messages = messages
        self._outbox = outbox
        self._clock = clock
        self._actions = actions
        self._on_refused = on_refused
        self._seen = []
        self._minute = Deadline(board, _MINUTE_MS)
        self._this_minute = 0
        self.refused = 0

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
            body = json.loads(payload.decode())
            ident, command = body["id"], body["cmd"]
            if body["v"] != 1 or not isinstance(ident, str) or not 1 <= len(ident) <= ID_MAX_CHARS:
                raise ValueError("v or id")
            ident.encode()  # raises for half a surrogate pair, which could not be answered
            expires_ms = rfc3339.parse(body["expires"])
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RuntimeError, MemoryError) as error:
            self._refuse("", "malformed command (%s)" % error)
            return
        self._obey(ident, command, expires_ms)

    def answer(self, ident: str, error, detail) -> None:
        self._outbox.add(self._messages.topic("result"), self._messages.result(ident, error, detail))

    def _obey(self, ident, command, expires_ms):
        action = self._actions.get(command) if isinstance(command, str) else None
        if ident in self._seen:
            return self._refuse(ident, "repeated command")
        if action is None:
            return self._refuse(ident, "unknown command, must be one of %s" % ", ".join(sorted(self._actions)))
        if self._clock.source == "none":
            if command not in _WITHOUT_CLOCK:
                return self._refuse(ident, "clock unset: cannot tell whether the command has expired")
        elif self._clock.now_ms() > expires_ms:
            return self._refuse(ident, "expired at %s" % rfc3339.text(expires_ms))
        self._seen = self._seen[-_REMEMBERED + 1 :] + [ident]
        error, detail, now = action(ident)
        if error is not None:
            self._refuse(ident, error)
        elif now:
            self.answer(ident, None, detail)

    def _refuse(self, ident, why):
        self.refused += 1
        self._on_refused(ident, why)
        if ident:
            self.answer(ident, why, None)


class Actions:
    """What the commands do. `name in actions.table` is what the column understands."""

    def __init__(self, board, column):
        self._board = board
        self._column = column
        self._identify = Deadline(board)
        self._restart = Deadline(board)
        self._drill_command = None
        self.table = {
            "report": self._do_report,
            "identify": self._do_identify,
            "selftest": self._do_selftest,
            "drill": self._do_drill,
            "restart": self._do_restart,
        }

    def identifying(self) -> bool:
        if self._identify.expired():
            self._identify.stop()
        return self._identify.running()

    def restart_due(self) -> bool:
        return self._restart.expired() and self._column.incidents.count() == 0

    def drill_ended(self):
        """The id of the command that asked for the drill, once; None for one on schedule."""
        ident, self._drill_command = self._drill_command, None
        return ident

    def _do_report(self, _):
        self._column.telemetry.report()
        return None, None, True

    def _do_identify(self, _):
        self._identify.start(_IDENTIFY_MS)
        return None, None, True

    def _do_selftest(self, _):
        return None, self._column.self_test(), True

    def _do_drill(self, ident):
        if self._drill_command is not None:
            return "refused: a drill is under way", None, False
        self._drill_command = ident
        self._column.incidents.start_drill()
        return None, None, False  # answered when the test alarm came back, or did not

    def _do_restart(self, _):
        if self._column.incidents.count():
            return "refused: an incident is open", None, False
        self._restart.start(_RESTART_MS)
        return None, None, True
