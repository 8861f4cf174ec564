"""The invariants I1 to I8 and I10, watched while the world runs (I9, same seed = same trace, is the trace's).

Each violation is recorded with the seed and the time, so that `World(seed)` and the same script replay it.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from firmware import journal, record
from firmware.incident import ACK_STATES
from firmware.lamp import COLOURS
from sim.virtual.board import VirtualBoard
from sim.virtual.broker import Broker
from sim.virtual.centre import Case, Centre
from sim.virtual.checks.flash_watch import FlashWatch, presses_in
from sim.virtual.connection import Connection
from sim.virtual.flash import FlashStore
from sim.virtual.mqtt_wire import PUBLISH, ProtocolError, Publish, read_publish, take
from sim.virtual.presses import CALLING_US, PressWatch
from sim.virtual.task_faults import TaskFault
from sim.virtual.timeline import US_PER_MS, US_PER_S, Timeline
from sim.virtual.trace import Entry, Trace

INCIDENT_LAMPS = ("calling", "sent", "answered", "unanswered", "help-coming", "not-delivered")
BEYOND_CALLING = ("sent", "answered", "unanswered", "help-coming")
NEEDED_ANSWER = {"answered": "received", "unanswered": "received", "help-coming": "accepted"}
BITE_GRACE_US = 1 * US_PER_S  # I7: a hang ends within the watchdog's timeout and this
AHEAD_US = 100 * US_PER_MS  # I8: telemetry that was being written as the alarm came
BEFORE_US = 100 * US_PER_MS  # I2: a press is noted at most so long before the oracle's decision ...
AFTER_US = 2 * US_PER_S  # ... and so long after it
RETRIES = "incidents"  # the task that writes again what the flash refused
MINUTE_US, CONNECTIONS_MAX = 60 * US_PER_S, 13  # I10: brokers lock out who comes 15 times a minute
TELEMETRY = ("heartbeat", "info", "event", "fault", "result")


class Note(NamedTuple):
    """One press that the column took on, by its journal."""

    t_us: int
    ident: str
    press: int


class Violation(AssertionError):
    """Raised by `Invariants.check`; lists everything that was recorded."""


class Invariants:
    """Watches the trace, the wire and the flash of one world."""

    def __init__(
        self, seed: int, timeline: Timeline, trace: Trace, flash: FlashStore, broker: Broker, centre: Centre
    ) -> None:
        self.violations: list[str] = []
        self.checks: Counter[str] = Counter()  # how often each invariant was held against what happened
        self.presses = PressWatch(timeline, self.violate, self.checks, self._tells_of_a_press)
        self.lamp = ""
        self.opened_us: dict[str, int] = {}  # incident id -> when it was on flash, or on the wire, first
        self._notes: list[Note] = []
        self.closed_us: dict[str, int] = {}  # incident id -> when the centre closed it
        self._seed = seed
        self._timeline = timeline
        self._trace = trace
        self._store = flash
        self._broker = broker
        self._centre = centre
        self._durable: dict[str, int] = {}  # incident id -> presses on flash
        self._told: Counter[tuple[str, int]] = Counter()  # (incident id, press) -> records of it on flash
        self._given: dict[str, int] = {}  # incident id -> the highest press that the broker had when this life began
        self._forgotten: set[str] = set()  # incidents of which this life knew nothing when it began
        self._answers: dict[str, int] = {}  # incident id -> the highest state that the centre sent
        self._raised_at: dict[str, str] = {}
        self._unsent: dict[str, int] = {}  # incident id -> since when it waits for its first transmission
        self._undurable_us: int | None = None
        self._over_us = -CALLING_US  # the centre closed an incident, and knew of its last press
        self._recalls = False  # the first incident that the lamp shows in this life may be one from before
        self._connection: Connection | None = None
        self._connected_us: list[int] = []  # connections of the last minute of this life
        self._written = bytearray()  # of the packet that the column is writing
        self._is_held = False  # it has begun with one of which no byte is out
        self._began_us = 0  # when it began with it
        self._hang: str | None = None  # the task that hangs now
        self._culprit: str | None = None  # the task that the next birth message has to name
        self._flash = FlashWatch(timeline, flash)
        self._at_broker: dict[str, int] = {}  # incident id -> the highest press that the broker took
        self._repeated = False  # an id stood twice in the journal, and was complained about
        centre.on_alarm.append(self._alarm_at_centre)
        broker.on_publish.append(self._taken_by_broker)
        centre.on_birth.append(self._birth_at_centre)
        trace.watch(self._see)

    # -- results

    def violate(self, invariant: str, text: str) -> None:
        line = f"{invariant} (seed {self._seed}, {self._timeline.now_us / US_PER_S:.6f} s): {text}"
        self.violations.append(line)
        self._trace.add("violation", invariant, text)

    def check(self) -> None:
        """Raise Violation when anything was recorded, the broker's and the centre's complaints included."""
        if self.violations:
            raise Violation("\n".join([*self.violations, "the last of the trace:", self._trace.tail()]))

    def finish(self) -> None:
        """The world has settled: what had to happen has happened by now (I2, I7's report).

        An incident has to reach the centre; its further presses have to reach the broker, since an acknowledgement
        names no press and a broker that acknowledges and throws away cannot be told from an honest one.
        """
        self.checks["I2"] += len(self.presses.presses) + len(self._notes)
        for press in self.presses.presses:
            if press.noted and not self._flash.excuses_silence(press.t_us) and not self._was_noted(press.t_us):
                self.violate("I2", f"the press of {press.t_us / US_PER_S:.6f} s was never noted")
        for note in self._notes:
            case = self._centre.ledger.get(note.ident)
            if note.press <= self._flash.lost.get(note.ident, 0):
                continue
            if case is None or self._at_broker.get(note.ident, 0) < note.press:
                self.violate("I2", f"{note.ident} press {note.press} of {note.t_us / US_PER_S:.6f} s never arrived")
        noted = {note.ident for note in self._notes}
        for ident, case in self._centre.ledger.items():
            if ident not in noted and case.first["status"] == "actual" and not self._flash.excuses_id(ident):
                self.violate("I3", f"the centre has incident {ident}, which was never opened on flash")
        if self._culprit is not None:
            self.violate("I7", f"task {self._culprit} hung, and the next birth message does not name it")

    def _was_noted(self, t_us: int) -> bool:
        until_us = max(t_us, self._flash.well_again_us(t_us)) + AFTER_US
        return any(t_us - BEFORE_US <= note.t_us <= until_us for note in self._notes)

    # -- lives

    def life_begins(self, board: VirtualBoard) -> None:
        self.lamp = ""
        self._hang = None
        self._connected_us = []
        self._undurable_us = None
        self._recalls = bool(self._durable)
        self._given = dict(self._at_broker)
        self._forgotten = self._flash.forgotten(presses_in(self._store.files.get(journal.FILE, b"")).keys())
        self.presses.life_begins(board)
        self._board = board

    def life_ends(self, cause: str) -> None:
        self.presses.life_ends()
        self.checks["I7"] += 1
        self._flash.life_ends()
        self._unsent.clear()
        self._culprit = self._hang if cause == "watchdog" else None  # a life without a birth message reports nothing
        if cause == "watchdog" and self._hang is None:
            self.violate("I7", "the watchdog reset a healthy column")
        elif cause == "crash":
            self.violate("I7", "an exception left the firmware")
        self._hang = None

    # -- what happens

    def _see(self, entry: Entry) -> None:
        seer: Callable[..., None] | None = getattr(self, f"_see_{entry.kind}", None)
        if seer is not None:
            seer(*entry.data)

    def _see_lamp(self, *colour: int) -> None:
        state = _STATES.get(colour)
        if state is None or state == self.lamp:
            return  # a dark phase of a rhythm says nothing new
        self.lamp = state
        now_us = self._timeline.now_us
        recalled, self._recalls = self._recalls, self._recalls and state not in INCIDENT_LAMPS
        if state == "calling" and not recalled and self.presses.oracle.may_have_been_pressed(now_us - AHEAD_US, now_us):
            self._undurable_us = now_us
        if state in BEYOND_CALLING:
            self._check_durable(f"the lamp says {state}")
        if state in NEEDED_ANSWER:
            self._check_answered(state)

    def _see_relay(self, closed: bool) -> None:
        if closed:
            self._check_durable("the relay closed")

    def _see_flash(self, operation: str, *files: tuple[str, int]) -> None:
        if any(name == journal.FILE for name, _ in files):
            self._read_journal(operation == "append")

    def _see_condition(self, where: str, *what: Any) -> None:
        if where == "flash":
            self._flash.changed()
        elif what[:2] == (TaskFault.IDLE.value, RETRIES):
            self._flash.nobody_retries(what[2] * US_PER_MS)

    def _see_died(self, task: str, why: str) -> None:
        if why != "planned":
            self.violate("I7", f"task {task} raised by itself: {why}")
        if self._hang is None:
            self._see_hang(task)

    def _see_hang(self, task: str) -> None:
        self._hang = task
        self.checks["I7"] += 1
        now_us, board = self._timeline.now_us, self._board

        def check() -> None:
            if self._hang == task and self._board is board:
                self.violate("I7", f"task {task} hangs, and the watchdog did not bite within its timeout and 1 s")

        self._timeline.at(now_us + board.watchdog_timeout_us + BITE_GRACE_US, check)

    def _see_centre(self, topic: str, payload: bytes) -> None:
        if not topic.endswith("/ack"):
            return
        body = json.loads(payload)
        ident, state = body["id"], ACK_STATES[body["state"]]
        self._answers[ident] = max(self._answers.get(ident, 0), state)
        if body["state"] == "closed":
            self.closed_us.setdefault(ident, self._timeline.now_us)
            if body.get("heard", 0) >= self._durable.get(ident, 1):
                self._over_us = self._timeline.now_us

    def _tells_of_a_press(self) -> bool:
        """The lamp does; or the centre, which had heard of the press, has closed it within the same moment."""
        return self.lamp in INCIDENT_LAMPS or self._timeline.now_us - self._over_us <= CALLING_US

    # -- I1, I5: the journal

    def _read_journal(self, appended: bool) -> None:
        good, _ = record.split(self._store.files.get(journal.FILE, b""))
        durable: dict[str, int] = {}
        opened: list[str] = []
        told: Counter[tuple[str, int]] = Counter()  # (incident id, press) of each record that tells of a press
        for payload in good:
            entry = json.loads(payload)
            if entry["k"] == "open":
                opened.append(entry["id"])
            if entry["k"] in ("open", "press"):
                durable[entry["id"]] = max(durable.get(entry["id"], 0), entry["n"])
                told[entry["id"], entry["n"]] += 1
        fresh = told - self._told if appended else Counter()
        for ident, count in durable.items():
            for press in range(self._durable.get(ident, 0) + 1, count + 1):
                spoilt, is_new = self._flash.is_recalled(ident, press), fresh[ident, press] > 0
                self._noted(ident, press, spoilt and not is_new)
                if spoilt and is_new and press <= self._given.get(ident, 0):
                    self.violate("I3", f"{ident} press {press} is a repeat to the centre: it has heard of another one")
        self._durable, self._told = durable, told
        if len(opened) > len(set(opened)) and not self._repeated:
            self._repeated = True
            self.violate("I3", f"an incident id was used again: the journal opens {', '.join(opened)}")

    def _noted(self, ident: str, press: int, recalled: bool) -> None:
        """`recalled`: the flash had spoilt the record of a press that the column still knows. A compaction writes it
        again, or the record of a later press implies it: that is no new press (I5), nor a new incident (I3). A record
        of its own, appended just now, is never excused: so a press goes to flash as it is taken on, and so would one
        that is invented, or an id that is used again.
        """
        self.checks["I3"] += 1
        self._undurable_us = None
        self.presses.noted(recalled or self._flash.is_sick())  # it may have waited in RAM for its place on flash
        if press == 1 and not recalled and any(note.ident == ident for note in self._notes):
            self.violate("I3", f"incident id {ident} was used again after it had left the journal")
        if ident not in self.opened_us:
            self.opened_us[ident] = self._timeline.now_us
            self._unsent[ident] = self._timeline.now_us
        self._notes.append(Note(self._timeline.now_us, ident, press))

    def _check_durable(self, what: str) -> None:
        """What the flash spoilt unnoticed is not the column's doing: it has written the record."""
        if self._flash.is_sick():
            return
        self.checks["I1"] += 1
        if self._undurable_us is not None and not self._flash.excuses_silence(self._undurable_us):
            self.violate("I1", f"{what}, and the press is not on flash yet")
        elif not self._durable and not self._flash.lost:
            self.violate("I1", f"{what}, and no incident is on flash")

    # -- I4

    def _check_answered(self, state: str) -> None:
        """The lamp tells of the newest incident, or of an older one when the newest is over, or nobody knows of it."""
        self.checks["I4"] += 1
        needed = ACK_STATES[NEEDED_ANSWER[state]]
        for ident in reversed(self.opened_us):
            if self._answers.get(ident, 0) >= needed:
                return
            if ident not in self.closed_us and ident not in self._forgotten:
                break
        self.violate("I4", f"the lamp says {state}, and the centre did not")

    # -- the wire: I1, I8

    def wire(self, connection: Connection, data: bytes) -> None:
        """What the column's TCP took in one write, whole packets or not; nothing = TLS holds what it was given."""
        if connection.server is not self._broker:
            return
        if connection is not self._connection:
            self._connection, self._written, self._is_held = connection, bytearray(), False
            self._connected()
        if not self._written and not self._is_held:
            self._began_us = self._timeline.now_us
        self._is_held = not data
        self._written += data
        try:
            while (packet := take(self._written)) is not None:
                if packet.kind == PUBLISH:
                    self._published(read_publish(packet), self._began_us)
                self._began_us = self._timeline.now_us
        except ProtocolError:
            self._written.clear()  # the broker will complain

    def _connected(self) -> None:
        """I10. A life counts for itself: a column that was reset connects at once."""
        self.checks["I10"] += 1
        now_us = self._timeline.now_us
        self._connected_us = [at_us for at_us in self._connected_us if now_us - at_us < MINUTE_US] + [now_us]
        if len(self._connected_us) > CONNECTIONS_MAX:
            self.violate("I10", f"{len(self._connected_us)} connections within a minute")
            self._connected_us = []

    def _published(self, message: Publish, began_us: int) -> None:
        kind = message.topic.split("/")[4]
        if kind == "alarm":
            self._alarm_on_wire(message.payload)
        elif kind in TELEMETRY:
            self.checks["I8"] += 1
            for ident, since_us in self._unsent.items():
                if began_us - since_us > AHEAD_US:
                    self.violate("I8", f"telemetry was sent while incident {ident} waited for its first transmission")

    def _alarm_on_wire(self, payload: bytes) -> None:
        alarm = json.loads(payload)
        ident, press = alarm["id"], alarm["press"]
        if alarm["status"] != "actual":
            return
        self._unsent.pop(ident, None)
        self.opened_us.setdefault(ident, self._timeline.now_us)
        self.checks["I1"] += 1
        if press > self._durable.get(ident, 0) and not self._flash.excuses_sending(ident, press):
            self.violate("I1", f"alarm {ident} press {press} was sent before it was on flash")

    # -- I2, I3, I7: broker and centre

    def _taken_by_broker(self, message: Publish) -> None:
        if message.topic.endswith("/alarm"):
            alarm = json.loads(message.payload)
            self._at_broker[alarm["id"]] = max(self._at_broker.get(alarm["id"], 0), alarm["press"])

    def _birth_at_centre(self, body: dict[str, Any]) -> None:
        if body["reset"]["culprit"] == self._culprit:
            self._culprit = None

    def _alarm_at_centre(self, case: Case, body: dict[str, Any]) -> None:
        if body["status"] == "actual" and case.id not in self.opened_us:
            self.violate("I5", f"the centre got alarm {case.id}, which no press opened")
        self.checks.update(("I3", "I5"))
        raised_at = body["raised_at"]
        if raised_at is not None and self._raised_at.setdefault(case.id, raised_at) != raised_at:
            self.violate("I3", f"alarm {case.id} changed its raised_at from {self._raised_at[case.id]} to {raised_at}")


_STATES: dict[tuple[int, ...], str] = {colour: state for state, colour in COLOURS.items()}
