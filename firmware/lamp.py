"""The lamp: one colour and one rhythm per state. It is told a state and shows it; it decides nothing."""

from firmware.timing import Deadline

# state: (red, green, blue), 0..255. Every state has a colour of its own, so that even a still picture is unambiguous.
COLOURS = {
    "ready": (0, 255, 0),
    "calling": (255, 180, 0),
    "sent": (0, 255, 255),
    "answered": (0, 0, 255),
    "unanswered": (144, 0, 255),
    "help-coming": (255, 255, 255),
    "not-delivered": (255, 0, 255),
    "out-of-service": (255, 0, 0),
    "identify": (255, 64, 0),
}
# state: (ms on, ms off): told apart without seeing colours. What is not listed shines steadily.
RHYTHMS = {
    "calling": (125, 125),
    "not-delivered": (300, 300),
    "unanswered": (900, 300),
    "out-of-service": (250, 2250),
    "identify": (60, 60),
}
LISTENED = (2700, 300)  # what would shine steadily, while the centre hears the place
IDENTIFY_OTHER = (64, 0, 255)  # identify alternates between two colours that no state has
_STEADY_MS = 2000


class Lamp:
    """A task. `show` takes effect at once; `step` keeps the rhythm."""

    name = "lamp"

    def __init__(self, board):
        self._board = board
        self._next = Deadline(board)
        self._on = False
        self.state = ""
        self._listened = False

    def show(self, state: str, listened: bool = False) -> None:
        """`listened`: the centre hears the place."""
        if state == self.state and listened == self._listened:
            return
        self.state = state
        self._listened = listened
        self._on = False
        self._next.start(0)
        self.step()

    def step(self) -> int:
        if not self._next.expired():
            return self._next.left_ms(_STEADY_MS)
        rhythm = RHYTHMS.get(self.state, LISTENED if self._listened else None)
        self._on = not self._on or rhythm is None
        if self._on:
            self._board.lamp.show(*COLOURS.get(self.state, (0, 0, 0)))
        else:
            self._board.lamp.show(*(IDENTIFY_OTHER if self.state == "identify" else (0, 0, 0)))
        if rhythm is None:
            self._next.stop()
            return _STEADY_MS
        self._next.start(rhythm[0] if self._on else rhythm[1])
        return self._next.left_ms(_STEADY_MS)
