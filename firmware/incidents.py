"""The incidents that are not closed yet: raised journal first, answered by the centre, forgotten when over."""

from firmware import const, incident
from firmware.incident import Incident
from firmware.journal import SEALED

_OPEN_MAX = const(16)  # bounds RAM and journal; a press beyond it joins the newest incident: none is refused
_STEP_MS = const(2000)


class Incidents:
    """A task. `on_change()`: the lamp may have something new to say.

    `on_closed(incident)`: the centre closed one; `on_drill(incident, answered)`: a drill ended."""

    name = "incidents"

    def __init__(self, board, config, journal, clock, on_closed, on_drill, on_change):
        self._board = board
        self.config = config["incident"]
        self._device_id = config["device_id"]
        self._open_ms = self.config["open_s"] * 1000
        self._retention_ms = self.config["retention_s"] * 1000
        self._journal = journal
        self._clock = clock
        self._on_change = on_change
        self._on_closed = on_closed
        self._on_drill = on_drill
        self._list = []
        self.drill = None
        self._seq = 0
        self.boot = 0
        self.held = False  # the last press has not been released yet, as far as the journal knows
        self.unknown_answers = 0

    # -- from the button

    def press(self, age_ms: int) -> Incident:
        """A debounced press: on flash when this returns (or queued for it, with the fault raised)."""
        newest = self._list[-1] if self._list else None
        self.held = True
        # The centre drops a press whose number it has seen: one that may have been given already is not given again.
        joins = newest and newest.takes_presses(self._open_ms) and not newest.sealed
        if joins or len(self._list) >= _OPEN_MAX:
            newest.press_again(age_ms)
            self._journal.add({"k": "press", "id": newest.id, "n": newest.press})
            return newest
        raised = Incident(self._board, self._next_id(), self.config, age_ms)
        self._date(raised)
        self._list.append(raised)
        self._journal.add(_opened(raised))
        return raised

    def released(self) -> None:
        if self.held:
            self.held = False
            self._journal.add({"k": "release"})

    # -- from the uplink

    def due(self):
        """The incident to transmit now, newest first; a drill only when nothing else waits. None: nothing is due."""
        for one in reversed(self._list):
            if one.is_due():
                return one
        return self.drill if self.drill and self.drill.is_due() else None

    def is_waiting(self) -> bool:
        """True while some incident has a press that the broker has not acknowledged."""
        return self.waiting() > 0

    def waiting(self) -> int:
        return sum(1 for one in self._list if one.sent_press < one.press)

    def due_in_ms(self, otherwise: int) -> int:
        for one in self._list:
            otherwise = min(otherwise, one.due_in_ms(otherwise))
        return self.drill.due_in_ms(otherwise) if self.drill else otherwise

    def at_broker(self, one, press: int) -> None:
        """The broker acknowledged the transmission of press number `press` of `one`."""
        one.at_broker(press)
        self._on_change()

    def connection_lost(self) -> None:
        for one in self._list:
            one.lost()
        if self.drill:
            self.drill.lost()

    def answered(self, ident: str, state: str, heard: int | None = None, unanswered: bool = False) -> bool:
        """The centre's answer, see `Incident`; `unanswered`: no person has accepted it yet.

        False for an id that is not open here (counted; it changes nothing)."""
        if self.drill and ident == self.drill.id:
            self._end_drill(True)
            return True
        one = self._find(ident)
        if one is None:
            self.unknown_answers += 1
            return False
        if unanswered and not one.unanswered:  # from here on only a person's answer changes the lamp
            one.unanswered = True
            self._on_change()
        if one.answered(incident.ACK_STATES[state], heard):
            self._journal.add({"k": "state", "id": ident, "s": one.state})
            if one.state == incident.CLOSED:
                self._list.remove(one)
                self._on_closed(one)
            self._on_change()
        return True

    # -- for lamp, relay and telemetry

    def current(self):
        """The incident that the lamp tells about; None when there is none."""
        for one in reversed(self._list):
            if one.state < incident.RECEIVED or one.takes_presses(self._open_ms):
                return one
        return None

    def count(self) -> int:
        return len(self._list)

    def open_ids(self) -> list:
        """Of all that wait for an end, the drill too."""
        return [one.id for one in self._list + ([self.drill] if self.drill else [])]

    # -- a drill: a test alarm to the centre's software and back; no journal, no lamp, no relay

    def start_drill(self, status="test"):
        """The id of the drill under way. `status`: "exercise" for one that people are to answer, too."""
        if self.drill is None:
            self.drill = Incident(self._board, self._next_id(), self.config, status=status)
            self._date(self.drill)
        return self.drill.id

    def _end_drill(self, answered):
        drill, self.drill = self.drill, None
        self._on_drill(drill, answered)

    # -- housekeeping

    def step(self) -> int:
        if self.drill and self.drill.age.ms() >= self.config["answer_s"] * 1000:
            self._end_drill(False)
        for one in list(self._list):
            one.lamp()  # keeps its stopwatches going, see timing.py
            is_known = one.state >= incident.RECEIVED and one.sent_press >= one.press
            if is_known and one.age.ms() >= self._retention_ms:
                self._list.remove(one)
        self._journal.step()
        if self._journal.wants_compaction():
            self.compact()
        return _STEP_MS

    def compact(self) -> None:
        self._journal.compact(self.records())

    def clock_set(self) -> None:
        for one in self._list:
            self._date(one)

    def restore(self, records, boot: int) -> None:
        """Rebuild what was open when the board went down; see firmware/startup/restoring.py."""
        from firmware.startup.restoring import replay

        replay(self, records, boot)

    def records(self):
        """Yield what the journal must say for `restore` to come to the same incidents."""
        for one in self._list:
            yield _opened(one)
            if one.state >= incident.RECEIVED:
                yield {"k": "state", "id": one.id, "s": one.state}
            if one.sealed:
                yield SEALED
        yield {"k": "held"} if self.held else {"k": "release"}

    def _find(self, ident):
        for one in self._list:
            if one.id == ident:
                return one
        return None

    def _next_id(self):
        self._seq += 1
        return "%s-%d-%d" % (self._device_id, self.boot, self._seq)

    def _date(self, one):
        if self._clock.source != "none":
            one.date(self._clock.now_ms(), self._clock.source)


def _opened(one):
    return {"k": "open", "id": one.id, "n": one.press, "at": one.raised_at, "clock": one.clock}
