"""What a broker cannot bring about, held against everything that the column does and the desk believes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from desk.origin import PROVEN
from desk.silence import UP
from firmware.incident import ACK_STATES
from firmware.lamp import COLOURS
from sim.virtual.desk import VirtualDesk
from sim.virtual.timeline import US_PER_S
from sim.virtual.trace import Entry
from sim.virtual.world import World

LAMP = "the lamp says `answered` and `help-coming` by the desk's word alone"
ANSWERS = "the column takes no answer but the desk's own, for what it has heard of"
RELAY = "the relay opens when the desk has closed the call, and not before"
COMMANDS = "no command is obeyed but the desk's own, and each once"
RESTARTS = "nothing restarts the column but the desk's own command"
FORGED = "what counts as proven the column has said"
REPLAYED = "no call of another time counts as proven"
SCREEN = "a call's state changes by an operator alone"
DEAD = "a dead column does not count as living and proven"
TOLD = "no birth, fault or event is entered that the column did not say"
FAULTS = "with an honest broker the desk knows the column's faults"
THROUGH = "with an honest broker a press is answered and proven again"
PROMISES = (LAMP, ANSWERS, RELAY, COMMANDS, RESTARTS, FORGED, REPLAYED, SCREEN, DEAD, TOLD, FAULTS, THROUGH)

NEEDS = {"answered": "received", "unanswered": "received", "help-coming": "accepted"}
STATES = {colour: state for state, colour in COLOURS.items()}
DEAD_AFTER_S = 140  # longer than LIMITS wait for a heartbeat
ANSWER, RESTART = "answer: ", "restart: by command"


class Judge:
    """`violations`: what was broken, each thing once."""

    def __init__(self, world: World, desk: VirtualDesk) -> None:
        self._world, self._desk = world, desk
        self.violations: list[str] = []
        self.checks: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._said: dict[str, list[tuple[str, int]]] = {}
        """By the desk, of each call: (state, the press that it had heard of)."""
        self._ordered: dict[str, str] = {}
        self._obeyed: dict[str, list[int]] = {}
        """Command -> the number of the result that says so."""
        self._its_own: set[tuple[str, bytes]] = set()
        """What the column has said: (topic, payload)."""
        self._restarts, self._announced = 0, False
        self._calls: set[str] = set()
        """Of which people, and no drill, are the reason."""
        self._presses: dict[str, int] = {}
        """Of calls and drills, as the column itself has said them."""
        self._done: set[tuple[str, str]] = set()
        """By an operator: (call, state)."""
        self._open_us: dict[str, int] = {}
        """When the column last had the call open."""
        self._register_us = 0
        self._old: set[str] = set()
        """Calls that the column had said before the present register began."""
        self._alive_us, self._is_alive = 0, False
        """When the column last ran, or the desk heard something new of it: what a broker holds back is new when it
        comes, however late."""
        self._heard: set[tuple[str, bytes]] = set()
        world.trace.watch(self._see)

    # What is true

    def column_said(self, topic: str, payload: bytes) -> None:
        """The column has just said it."""
        kind = topic.split("/")[4]
        self._its_own.add((topic, payload))
        if kind == "alarm":
            alarm = json.loads(payload)
            if alarm["status"] == "actual":
                self._calls.add(alarm["id"])
            self._presses[alarm["id"]] = max(alarm["press"], self._presses.get(alarm["id"], 0))
        elif kind == "result":
            self._obeys(json.loads(payload))

    def desk_said(self, topic: str, document: dict[str, Any]) -> None:
        """The true desk has just said it."""
        if topic.endswith("/ack"):
            self._said.setdefault(document["id"], []).append((document["state"], document["heard"]))
        elif topic.endswith("/cmd"):
            self._ordered[document["id"]] = document["cmd"]

    def operator_does(self, incident_id: str, state: str) -> None:
        self._done.add((incident_id, state))

    def register_begins(self) -> None:
        """The desk's register is lost."""
        self._register_us, self._old = self._world.timeline.now_us, set(self._presses)

    # What the column does

    def _see(self, entry: Entry) -> None:
        if entry.kind == "log":
            self._logged(str(entry.data[0]))
        elif entry.kind == "boot":
            self._is_alive, self._announced = True, False
        elif entry.kind == "reset":
            self._is_alive = False
            if entry.data[0] != "soft" or not self._announced:
                self._wrong(RESTARTS, f"it was reset: {entry.data[0]}")
        elif entry.kind == "power":
            self._is_alive = False
        elif entry.kind == "lamp" and self._is_alive:
            self._shows(STATES.get(entry.data, ""))
        elif entry.kind == "relay" and self._is_alive and entry.data == (False,):
            self._opens()

    def _logged(self, line: str) -> None:
        if line.startswith(ANSWER):
            self.checks[ANSWERS] += 1
            ident, state = line.removeprefix(ANSWER).split()
            state = "received" if state == "unanswered" else state
            if all(said != state for said, _ in self._said.get(ident, [])):
                self._wrong(ANSWERS, f"{ident} {state}, which the desk has not said")
        elif line == RESTART:
            self.checks[RESTARTS] += 1
            self._restarts, self._announced = self._restarts + 1, True
            if self._restarts > sum(cmd == "restart" for cmd in self._ordered.values()):
                self._wrong(RESTARTS, "a restart by command that the desk did not send, or once more than it did")

    def _shows(self, lamp: str) -> None:
        column = self._world.column
        if lamp not in NEEDS or column is None:
            return
        self.checks[LAMP] += 1
        incident = column.incidents.current()
        said = self._said.get(incident.id, []) if incident is not None else []
        if not any(ACK_STATES[state] >= ACK_STATES[NEEDS[lamp]] for state, _ in said):
            self._wrong(LAMP, f"the lamp says {lamp}, and the desk did not")

    def _opens(self) -> None:
        column = self._world.column
        if column is None:  # it begins with an open relay
            return
        self.checks[RELAY] += 1
        is_open = {one.id for one in column.incidents._list}
        for ident in self._calls - is_open:
            press, said = self._presses[ident], self._said.get(ident, [])
            if not any(state == "closed" and heard >= press for state, heard in said):
                self._wrong(RELAY, f"{ident} is over for the column, and the desk has not closed press {press}")

    def _obeys(self, result: dict[str, Any]) -> None:
        if not result["ok"]:
            return
        self.checks[COMMANDS] += 1
        ident = result["id"]
        if ident not in self._ordered:
            self._wrong(COMMANDS, f"{ident} was obeyed, and the desk has not sent it")
        numbers = self._obeyed.setdefault(ident, [])
        if result["n"] not in numbers:
            numbers.append(result["n"])
        if len(numbers) > 1:
            self._wrong(COMMANDS, f"{ident} was obeyed {len(numbers)} times")

    # What the desk believes

    def look(self) -> None:
        """Often."""
        now_us, column = self._world.timeline.now_us, self._world.column
        if column is not None:
            self._alive_us = now_us
            for ident in column.incidents.open_ids():
                self._open_us[ident] = now_us
        duty = self._desk.duty
        for incident in duty._ledger.incidents.values():
            self.checks[SCREEN] += 1
            if incident.state not in ("new", "received") and (incident.id, incident.state) not in self._done:
                self._wrong(SCREEN, f"{incident.id} is {incident.state}, and no operator did that")
            if incident.origin == PROVEN:
                self._weigh(incident.id, incident.press)
        presence = duty._silence.presence(self._name)
        if presence is not None and now_us - self._alive_us > DEAD_AFTER_S * US_PER_S:
            self.checks[DEAD] += 1
            if presence.kind == UP and duty.origin(self._name) == PROVEN:
                self._wrong(DEAD, f"it is up and proven after {DEAD_AFTER_S} s without power")

    def hears(self, topic: str, payload: bytes, hear: Callable[[], None]) -> None:
        """The desk does, by `hear`; what it knows of a column that is proven must come from that column."""
        if (topic, payload) in self._its_own and (topic, payload) not in self._heard:
            self._heard.add((topic, payload))
            self._alive_us = self._world.timeline.now_us
        if self._desk.duty.origin(self._name) != PROVEN or (topic, payload) in self._its_own:
            hear()
            return
        before = self._known()
        hear()
        self.checks[TOLD] += 1
        if self._known() != before:
            self._wrong(TOLD, f"{topic}: {payload.decode(errors='replace')[:120]}")

    def _known(self) -> tuple[Any, ...]:
        column = self._desk.duty._ledger.columns[self._name]
        return column.info, dict(column.faults), list(column.events)[-1:], len(column.events)

    def _weigh(self, ident: str, press: int) -> None:
        self.checks[FORGED] += 1
        if press > self._presses.get(ident, 0):
            self._wrong(FORGED, f"{ident} press {press} counts as proven, and the column did not say it")
        if ident in self._old:
            self.checks[REPLAYED] += 1
            if self._open_us.get(ident, 0) < self._register_us:
                self._wrong(REPLAYED, f"{ident} was over before this register began, and counts as proven")

    def at_the_end(self) -> None:
        """After the last press, which an honest broker carried."""
        self.checks[THROUGH] += 1
        if self._world.column is None:
            self._wrong(THROUGH, "the column does not run")
            return
        is_safe = self._world.boot is not None and self._world.boot["mode"] == "safe"
        if not is_safe:  # it takes no commands there, so nobody can ask it whether it lives
            self._compare_faults()
        incident = self._world.column.incidents.current()
        if incident is None:
            self._wrong(THROUGH, "the column knows of no call")
            return
        known = self._desk.duty._ledger.find(incident.id)
        if incident.state < ACK_STATES["received"] or known is None or known.press < incident.press:
            self._wrong(THROUGH, f"{incident.id} press {incident.press} is not answered")
        elif known.origin != PROVEN and not is_safe:
            self._wrong(THROUGH, f"{incident.id} is {known.origin or 'of nobody known'}")

    def _compare_faults(self) -> None:
        self.checks[FAULTS] += 1
        raised, known_of = self._world.column.faults.ids(), sorted(self._desk.duty._ledger.columns[self._name].faults)
        if raised != known_of:
            self._wrong(FAULTS, f"it has {raised}, the desk knows of {known_of}")

    @property
    def _name(self) -> str:
        return next(iter(self._desk.roster.entries))

    def _wrong(self, promise: str, what: str) -> None:
        if (promise, what) not in self._seen:
            self._seen.add((promise, what))
            self.violations.append(f"{promise}: {self._world.timeline.now_us / US_PER_S:.3f} s: {what}")
