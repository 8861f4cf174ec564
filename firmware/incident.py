"""An incident: one call for help, from the first press to the centre's `closed`."""

from firmware import const
from firmware.timing import Deadline, Stopwatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# The acknowledgement's states, in the only direction in which they go. A broker's PUBACK is SENT, no more.
RAISED = const(0)
SENT = const(1)
RECEIVED = const(2)
ACCEPTED = const(3)
DISPATCHED = const(4)
CLOSED = const(5)

ACK_STATES = {"received": RECEIVED, "accepted": ACCEPTED, "dispatched": DISPATCHED, "closed": CLOSED}

# Whether the centre was asked if its `closed` holds after a further press too.
_NOT_ASKED = const(0)
_ASKING = const(1)
_ASKED = const(2)  # and the broker has the question: the next `closed` is the answer
_DOUBLINGS_MAX = const(12)  # of the pause between repeats: from the shortest that can be configured to the longest
_CALLING_MS = const(1000)  # a further press of an answered incident shows `calling` for at least this long


class Incident:
    """`status`: "actual", or "test" for a drill. `late`: restored from the journal after a restart."""

    def __init__(self, board, ident: str, config, age_ms: int = 0, status: str = "actual", late: bool = False):
        self.id = ident
        self.status = status
        self.late = late
        self.press = 1
        self.state = RAISED
        self.raised_at: Any = None  # Unix ms, or None
        self.clock = "none"
        self.sent_press = 0  # the highest press that the broker has acknowledged
        self.in_flight = False
        self.unanswered = False  # the centre says that no person has accepted yet
        self.sealed = False  # the journal was damaged: it may have had more presses, and takes none
        self._answered = False  # since the last press, and since the last connection was lost
        self._asked = _NOT_ASKED
        self.age = Stopwatch(board, age_ms)
        self._last_press = Stopwatch(board, age_ms)
        self._repeat = Deadline(board, 0)  # expired: transmit as soon as the link lets us
        self._repeat_ms = config["repeat_s"] * 1000
        self._repeat_max_ms = config["repeat_max_s"] * 1000
        self._answer_ms = config["answer_s"] * 1000
        self._pulse = False
        self._tries = 0

    def press_again(self, age_ms: int) -> None:
        self.press += 1
        self._answered = False
        self._asked = _NOT_ASKED
        self._last_press.restart(age_ms)
        self._pulse = True
        self.transmit_now()

    def transmit_now(self) -> None:
        """A new press, or a new connection: do not wait for the next repeat."""
        self._tries = 0
        self._repeat.start(0)

    def is_due(self) -> bool:
        """True when it should be transmitted: never sent, a new press, or no answer yet and the repeat is due."""
        if self.in_flight or self.state == CLOSED:
            return False
        return self._repeat.expired()

    def due_in_ms(self, otherwise: int) -> int:
        return otherwise if self.in_flight or self.state == CLOSED else self._repeat.left_ms(otherwise)

    def transmitted(self) -> None:
        self.in_flight = True

    def lost(self) -> None:
        """The connection that carried it is gone: it has to go out again, until the centre has said where it stands."""
        self.in_flight = False
        self._answered = False
        self.transmit_now()

    def at_broker(self, press: int) -> None:
        """The broker acknowledged the transmission of `press`."""
        self.in_flight = False
        self.sent_press = max(self.sent_press, press)
        self.state = max(self.state, SENT)
        if press < self.press:
            self.transmit_now()
            return
        if self._asked == _ASKING:
            self._asked = _ASKED
        if self._answered:
            self._repeat.stop()
        else:
            self._repeat.start(min(self._repeat_ms << min(self._tries, _DOUBLINGS_MAX), self._repeat_max_ms))
            self._tries += 1

    def answered(self, state: int, heard: int | None = None) -> bool:
        """The centre's own message for this id. True when it told something new.

        `heard`: the highest press that the centre knew of when it said so; None: it did not tell."""
        if state == CLOSED and (self._is_in_doubt() if heard is None else heard < self.press):
            return False  # the repeats go on until the centre has heard of the last press
        is_new = state > self.state
        if heard is None:
            # Any ack is a reply to a first press. After a further press, a new state may come from an operator who has
            # not seen that press yet. An ack that repeats the state is a reply to our transmission.
            covers = self.sent_press == self.press and (self.press == 1 or not is_new)
        else:
            covers = heard >= self.press
        if covers:
            self._answered = True
            self._repeat.stop()
        if not is_new:
            return False
        self.state = state
        self._pulse = False
        return True

    def _is_in_doubt(self):
        """`closed` without a press may have been said before somebody pressed again, and a broker's PUBACK does not
        tell that the centre heard of it. So after further presses the centre, which answers every transmission, is
        asked once more."""
        if self.press == 1 or self._asked == _ASKED:
            return False
        if self._asked == _NOT_ASKED:
            self._asked = _ASKING
            self._answered = False
            self.transmit_now()
        return True

    def restored(self, state: int) -> None:
        """The journal says that the centre had come so far."""
        self.state = max(self.state, state)

    def date(self, now_ms: int, clock: str) -> None:
        """The clock can be trusted from now on: give the incident its time, or a late one its true age."""
        if self.raised_at is None:
            if not self.late:
                self.raised_at = now_ms - self.age.ms()
                self.clock = clock
        elif self.late and now_ms > self.raised_at:
            self.age.restart(now_ms - self.raised_at)

    def takes_presses(self, open_ms: int) -> bool:
        return self.state != CLOSED and self._last_press.ms() < open_ms

    def lamp(self) -> str:
        """What a person may be told; only the centre's message leads to `answered` and `help-coming`."""
        since_press = self._last_press.ms()
        if self._pulse and since_press < _CALLING_MS and self.state >= RECEIVED:
            return "calling"
        if self.state >= ACCEPTED:
            return "help-coming"
        if self.state == RECEIVED:
            return "unanswered" if self.unanswered else "answered"
        if since_press >= self._answer_ms:
            return "not-delivered"
        return "sent" if self.state == SENT and self.sent_press == self.press else "calling"

    def lamp_changes_in_ms(self, otherwise: int) -> int:
        """Ms until `lamp` may say something else by time alone."""
        since_press = self._last_press.ms()
        for limit in (_CALLING_MS, self._answer_ms):
            if since_press < limit:
                return limit - since_press
        return otherwise
