# mypy: ignore-errors
# ruff: noqa: I001, PTH102, PTH123, PTH208, SIM105, UP031
"""What somebody in the street and somebody at the centre know: from the contact, the lamp, the relay and the alarms
that arrived, never from the firmware's own books. `known()` is what a cut must not turn into a lie."""

from firmware.incident import ACCEPTED, ACK_STATES, CLOSED, RECEIVED
from firmware.lamp import COLOURS

_NAMES = {colour: name for name, colour in COLOURS.items()}
_SHOWN_STATES = {"answered": RECEIVED, "help-coming": ACCEPTED}


class Witness:
    """`history`: what is known from before this life, as `known()` gave it."""

    def __init__(self, history: dict) -> None:
        self.made = history.get("made", 0)  # presses that began
        self._long_enough = self.made  # of which the contact stayed closed long enough to be one
        self.doubtful = history.get("doubtful", 0)  # presses that the flash, not a cut, may have lost
        self.evident = history.get("evident", 0)  # presses that lamp, relay or network have told of
        self.arrived = dict(history.get("arrived", {}))  # incident id -> highest press number that the centre got
        self.answers = dict(history.get("answers", {}))  # incident id -> the highest state that the centre gave
        self.shown = dict(history.get("shown", {}))  # incident id -> the highest state that the lamp showed
        self.numbers = list(history.get("numbers", ()))  # boot numbers in use
        self.configurations = list(history.get("configurations", ()))  # marks of what may be in force
        self.closed_contact = False
        self.lamp = ""
        self._called = 0
        self.last_id = None
        self.published = []  # (id, press, late) in this life

    def known(self) -> dict:
        return {
            "made": self.made,
            "doubtful": self.doubtful,
            "evident": self.evident,
            "arrived": self.arrived,
            "answers": self.answers,
            "shown": self.shown,
            "numbers": self.numbers,
            "configurations": self.configurations,
            "held": self.closed_contact,
        }

    # -- the contact

    def contact(self, closed: bool) -> None:
        if closed and not self.closed_contact:
            self.made += 1
        if not closed:
            self._long_enough = self.made
        self.closed_contact = closed

    def held_long_enough(self) -> None:
        """The contact is closed since before the debouncer's time."""
        self._long_enough = self.made

    # -- the lamp, the relay, the network

    def lamp_shows(self, colour) -> None:
        name = _NAMES.get(colour)
        if name is None:
            return
        self.lamp = name
        if name == "calling":
            self._called = self._long_enough
        else:
            self.evident = max(self.evident, self._called)
        if name in _SHOWN_STATES and self.last_id:
            self.shown[self.last_id] = max(self.shown.get(self.last_id, 0), _SHOWN_STATES[name])

    def relay_closes(self) -> None:
        self.evident = max(self.evident, self._called)

    def alarm(self, body: dict) -> None:
        ident, press = body["id"], body["press"]
        self.last_id = ident
        self.arrived[ident] = max(self.arrived.get(ident, 0), press)
        self.published.append((ident, press, body["late"]))

    # -- the centre

    def centre_answers(self, ident: str, state: str) -> None:
        self.answers[ident] = max(self.answers.get(ident, 0), ACK_STATES[state])


def complaints(known: dict, restored: list, number: int, mark: str) -> list:
    """What is wrong with a column that came up as boot `number` with the incidents `restored` [(id, press, state)] and
    the configuration marked `mark`, after a cut at which `known` was known."""
    wrong = []
    answers, arrived = known["answers"], known["arrived"]
    present = {ident: (press, state) for ident, press, state in restored}
    total = sum(press for press, _ in present.values())
    for ident, press in arrived.items():
        if ident not in present:
            total += press  # closed, or lost: which of them is asked next
            if answers.get(ident, 0) < CLOSED and not known["doubtful"]:
                wrong.append("lost: incident %s, which the centre has and did not close" % ident)
        elif present[ident][0] < press and answers.get(ident, 0) < CLOSED:
            wrong.append("lost: press %d of incident %s (%d are there)" % (press, ident, present[ident][0]))
    missing = known["evident"] - known["doubtful"] - total
    if missing > 0:
        wrong.append("lost: %d of %d presses that the column had shown" % (missing, known["evident"]))
    if total > known["made"]:
        wrong.append("invented: %d presses where %d were made" % (total, known["made"]))
    for ident, (_, state) in present.items():
        if state >= RECEIVED and state > answers.get(ident, 0):
            wrong.append("invented: answer %d to incident %s" % (state, ident))
        if state < known["shown"].get(ident, 0):
            wrong.append("forgotten: the lamp had shown answer %d to %s" % (known["shown"][ident], ident))
    if number in known["numbers"]:
        wrong.append("twice: boot number %d, so incident ids repeat" % number)
    if mark not in known["configurations"]:
        wrong.append("configuration: %s is in force, must be %s" % (mark, " or ".join(known["configurations"])))
    return wrong
