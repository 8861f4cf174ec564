"""A year of nineteen columns and two desks: operators who sleep, leave and err, officers who come or do not, desks that
are killed and cut off. The desks' code is the real one; people, machines and networks are drawn from the seed."""

from __future__ import annotations

import contextlib
import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.validator import validate
from desk.batch import Change
from desk.duty import Duty
from desk.escalation import FAILED, SENT, UNCERTAIN
from desk.ladder import parse
from desk.ledger import Incident, LedgerError
from desk.register import Reading
from desk.rungs import Telling
from desk.telling import OnTold
from sim.search.answering.broker import Broker
from sim.search.answering.room import Room
from sim.virtual.timeline import US_PER_S, Timeline

COLUMNS = 19
EPOCH_MS = 4_000_000_000_000  # later than any real clock: the ladder begins with the calls of now
HOUR_S = 3600
DAY_S = 24 * HOUR_S
CALLS_A_DAY = 1.5
SETTLED_S = 3 * HOUR_S  # after the last call somebody has come in any case
MORNING_S = 2 * HOUR_S  # whoever has not been accepted by then is accepted by the next shift
PLAN = parse(
    {
        "officer": {"duty": {}, "chief": {}},
        "ladder": [
            {
                "site": "school",
                "steps": [
                    {"after_s": 10, "tell": "desks"},
                    {"after_s": 20, "tell": "duty"},
                    {"after_s": 45, "tell": "chief"},
                ],
            },
            {
                "steps": [
                    {"after_s": 15, "tell": "desks"},
                    {"after_s": 30, "tell": "duty"},
                    {"after_s": 60, "tell": "chief"},
                    {"after_s": 180, "tell": "duty"},
                ]
            },
        ],
    }
)
MOODS = {  # share of calls by day, and by night
    "awake": (0.72, 0.38),
    "asleep": (0.05, 0.38),
    "away": (0.18, 0.20),
    "errs": (0.05, 0.04),
}
FATES = {"sent": 0.86, "failed": 0.06, "unsure": 0.04, "lost": 0.04}
COMES = {"duty": (0.65, 60, 400), "chief": (0.75, 120, 900)}
"""Officer -> how likely he comes to a desk, and after how many seconds."""
DIES_AT_A_COMMIT, DIES_AT_A_TELLING = 1 / 500, 1 / 15
DEATHS_A_DAY, CUTS_A_DAY, FULL_A_DAY = 0.2, 0.2, 0.1
"""... of each desk, wherever they fall; as often again they fall into a call."""
BOTH_FULL_A_DAY = 0.05
"""... of both desks together, which hang on one store, or whose logs have grown alike."""
TROUBLE_IN_A_CALL, BOTH_FULL_IN_A_CALL = 0.15, 0.08


@dataclass
class Call:
    """One opening of a call, as the street and the people lived it. Times are µs of the city."""

    id: str
    device_id: str
    site: str
    opening: int
    at_us: int
    accepted_us: int | None = None
    by: str = ""
    told: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Step -> when it reached the officer, and from which desk."""
    unanswered_us: int | None = None
    """When the column was told that nobody has answered."""


class City:
    """`folder` has the desks' registers."""

    def __init__(self, seed: int, days: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.seed, self.days = seed, days
        self.timeline = Timeline()
        self.broker = Broker(self.timeline)
        self.broker.heard.append(self._hear)
        self.calls: dict[tuple[str, int], Call] = {}
        self.fired: dict[str, int] = defaultdict(int)
        self._seq = 0
        self._presses: dict[str, dict[str, Any]] = {}
        self._closed: set[str] = set()
        self._last: dict[str, Call] = {}
        """Id -> its latest opening."""
        self._calm = False
        self._seen: set[str] = set()
        """What an operator has reacted to."""
        self.rooms = [
            Room(
                name, folder, self.timeline, self.broker, PLAN, EPOCH_MS,
                self._tell, self._is_mortal, self._changed, self._down_us,
            )
            for name in ("desk-1", "desk-2")
        ]  # fmt: skip
        for room in self.rooms:
            room.start()
        self._plan_the_year()

    def run(self, to_s: float) -> None:
        """Live until then."""
        self.timeline.advance_to(round(to_s * US_PER_S))

    def settle(self) -> None:
        """After the last day nothing new happens, and everybody comes."""
        self._calm = True
        self.run(self.days * DAY_S + SETTLED_S)

    def close(self) -> None:
        for room in self.rooms:
            if room.register is not None:
                room.register.close()

    @property
    def now_s(self) -> float:
        return self.timeline.now_us / US_PER_S

    def after(self, seconds: float, action: Any) -> None:
        self.timeline.after(round(seconds * US_PER_S), action)

    # What is drawn beforehand

    def _plan_the_year(self) -> None:
        draw, length_s = self.random, self.days * DAY_S
        for _ in range(round(self.days * CALLS_A_DAY)):
            at_s = draw.uniform(60, length_s)
            self.timeline.at(round(at_s * US_PER_S), self._press_somewhere)
        for room in self.rooms:
            for rate, trouble in ((DEATHS_A_DAY, self._kill), (CUTS_A_DAY, self._cut), (FULL_A_DAY, self._fill)):
                for _ in range(round(self.days * rate)):
                    at_us = round(draw.uniform(60, length_s) * US_PER_S)
                    self.timeline.at(at_us, lambda room=room, trouble=trouble: trouble(room))  # type: ignore[misc]

        for _ in range(round(self.days * BOTH_FULL_A_DAY)):
            self.timeline.at(round(draw.uniform(60, length_s) * US_PER_S), self._fill_both)

    def _kill(self, room: Room) -> None:
        if room.duty is not None:
            self.fired["killed from outside"] += 1
            room.kill()

    def _cut(self, room: Room) -> None:
        self.fired["cut off"] += 1
        room.cut(round(self.random.choice((2, 8, 40, 200)) * US_PER_S))

    def _fill(self, room: Room) -> None:
        self.fired["disk full"] += 1
        room.fill(round(self.random.choice((5, 60, 300, 1800)) * US_PER_S))

    def _fill_both(self) -> None:
        self.fired["both disks full"] += 1
        for_us = round(self.random.choice((20, 90, 240)) * US_PER_S)
        for room in self.rooms:
            room.fill(for_us)

    def _is_mortal(self, room: Room, point: str) -> bool:
        likely = DIES_AT_A_COMMIT if point.endswith("commit") else DIES_AT_A_TELLING
        if self._calm or self.now_s < 30 or not room.is_busy() or self.random.random() >= likely:
            return False
        self.fired[f"killed {point}"] += 1
        return True

    def _down_us(self) -> int:
        return round(self.random.choice((2, 5, 15, 60, 600)) * US_PER_S)

    # The street

    def _press_somewhere(self) -> None:
        draw = self.random
        number = draw.randrange(COLUMNS)
        self._seq += 1
        device_id = f"column-{number:02}"
        site = "school" if number % 4 == 0 else "public"
        incident_id = f"{device_id}-1-{self._seq}"
        self._presses[incident_id] = {
            "v": 1, "event_type": "sos", "id": incident_id, "device_id": device_id, "status": "actual", "press": 0,
            "raised_at": None, "clock": "none", "age_ms": 60, "late": False,
            "location": {"geo": "geo:54.87,69.16", "address": f"Street {number}", "site": site, "height_m": 1.0},
            "stream": {"ok_at": None}, "faults": [], "fw": "0.1.0",
        }  # fmt: skip
        self._press(incident_id, 0)
        self._repeat(incident_id)
        while draw.random() < 0.25:
            self.after(draw.uniform(4, 90), lambda: self._press_again(incident_id))
        if draw.random() < TROUBLE_IN_A_CALL:
            room, trouble = draw.choice(self.rooms), draw.choice((self._kill, self._cut, self._fill))
            self.after(draw.uniform(0, 90), lambda: trouble(room))
        elif draw.random() < BOTH_FULL_IN_A_CALL:
            self.after(draw.uniform(-30, 90), self._fill_both)

    def _press(self, incident_id: str, opening: int) -> None:
        alarm = self._presses[incident_id]
        alarm["press"] += 1
        call = Call(incident_id, alarm["device_id"], alarm["location"]["site"], opening, self.timeline.now_us)
        self._last[incident_id] = self.calls.setdefault((incident_id, opening), call)
        self._publish(alarm)

    def _press_again(self, incident_id: str) -> None:
        if incident_id not in self._closed:
            alarm = self._presses[incident_id]
            alarm["press"] += 1
            self._publish(alarm)

    def _repeat(self, incident_id: str) -> None:
        """As a column does, until the call is closed; a desk that was dead hears of it that way, too."""
        if incident_id in self._closed:
            return
        alarm = self._presses[incident_id]
        if not alarm.get("answered"):
            self._publish(alarm)
        self.after(15, lambda: self._repeat(incident_id))

    def _publish(self, alarm: dict[str, Any]) -> None:
        payload = {key: value for key, value in alarm.items() if key != "answered"}
        payload["age_ms"] = 60
        self.broker.publish(f"sos/v1/nko/{alarm['device_id']}/alarm", json.dumps(payload).encode())

    def _hear(self, topic: str, payload: bytes) -> None:
        """What reaches the columns."""
        validate(topic, payload, qos=1, retain=False)
        ack = json.loads(payload)
        if not topic.endswith("/ack"):
            return
        self._presses[ack["id"]]["answered"] = True
        call = self._last[ack["id"]]
        if "unanswered_s" in ack and call.unanswered_us is None:
            call.unanswered_us = self.timeline.now_us
        if ack["state"] == "closed" and ack.get("heard", 0) >= self._presses[ack["id"]]["press"]:
            self._closed.add(ack["id"])

    # The people

    def _changed(self, room: Room, change: Change) -> None:
        """An operator sees and hears what his desk says."""
        if change.kind != "incident" or room.duty is None:
            return
        incident = room.duty._ledger.find(change.id)
        if incident is None:
            return
        key, now_us = (incident.id, incident.opening), self.timeline.now_us
        if incident.state == "received" and key in self.calls:
            seen = f"{room.name} {key} {'louder' if incident.unanswered_s else 'rings'}"
            if seen not in self._seen:
                self._seen.add(seen)
                self._react(room, incident, louder=bool(incident.unanswered_s))
        elif incident.state in ("accepted", "dispatched") and key in self.calls:
            call = self.calls[key]
            if call.accepted_us is None:
                call.accepted_us, call.by = now_us, incident.by

    def _react(self, room: Room, incident: Incident, *, louder: bool) -> None:
        draw = self.random
        night = (self.now_s % DAY_S) < 6 * HOUR_S
        mood = draw.choices(list(MOODS), [shares[night] for shares in MOODS.values()])[0]
        who = f"operator {room.name[-1]}"
        if louder:
            if mood == "asleep" or draw.random() < 0.4:
                self.after(draw.uniform(2, 120), lambda: self._accept(room, incident, who, errs=False))
            return
        self.fired[f"operator {mood}"] += 1
        if room.name != "desk-1" and draw.random() < 0.6:
            return  # the second desk is often empty
        if mood in ("awake", "errs"):
            self.after(draw.lognormvariate(1.7, 0.6), lambda: self._accept(room, incident, who, errs=mood == "errs"))
        elif mood == "away":
            self.after(draw.uniform(10, 900), lambda: self._accept(room, incident, who, errs=False))
        self.after(MORNING_S, lambda: self._accept(self.rooms[0], incident, "next shift", errs=False))

    def _accept(self, room: Room, incident: Incident, who: str, *, errs: bool) -> None:
        opening = incident.opening

        def accept(duty: Duty) -> None:
            known = duty._ledger.find(incident.id)
            if known is None or known.opening != opening or known.state != "received":
                return
            duty.accept(incident.id, who)
            wait_s = self.random.uniform(2, 6) if errs else self.random.uniform(120, 1500)
            self.after(wait_s, lambda: self._close(room, incident.id, who, errs=errs))

        has_room = True
        try:
            has_room = room.do(accept)
        except LedgerError as refused:
            has_room = refused.code != "register-write"
        if (room.duty is None or not has_room) and not errs:
            self.after(60, lambda: self._accept(room, incident, who, errs=False))

    def _close(self, room: Room, incident_id: str, who: str, *, errs: bool) -> None:
        if room.duty is None or room.is_full:
            self.after(30, lambda: self._close(room, incident_id, who, errs=errs))
            return
        known = room.duty._ledger.find(incident_id)
        if known is None or known.state not in ("accepted", "dispatched"):
            return
        with contextlib.suppress(LedgerError):
            room.do(lambda duty: duty.close(incident_id, "false" if errs else "help-given", who))
        known = room.duty._ledger.find(incident_id) if room.duty else None  # a desk that died over it has none
        if errs and known and known.state == "closed":
            # Whoever needs help presses again, before the closing has reached the column.
            self.fired["closed by mistake, and pressed again"] += 1
            self._press(incident_id, known.press)

    def _tell(self, room: Room, telling: Telling, incident: Incident, on_told: OnTold) -> None:
        draw = self.random
        fate = draw.choices(list(FATES), list(FATES.values()))[0]
        self.fired[f"telling {fate}"] += 1
        if fate in ("sent", "unsure"):
            self._call_of(incident, telling.opening).told[telling.step].append((self.timeline.now_us, room.name))
            comes, soonest_s, latest_s = COMES[telling.tell]
            if draw.random() < comes:
                to = draw.choice(self.rooms)
                self.after(
                    draw.uniform(soonest_s, latest_s), lambda: self._accept(to, incident, telling.tell, errs=False)
                )
        state = {"sent": SENT, "failed": FAILED}.get(fate, UNCERTAIN)
        takes_s = 10 if state == UNCERTAIN else draw.uniform(0.1, 4)
        self.after(takes_s, lambda: on_told(telling, state, "" if state == SENT else fate))

    def _call_of(self, incident: Incident, opening: int) -> Call:
        """Also of an opening that nobody has planned: a desk closed the call without having heard the last press, and
        since it has heard that the call is open again."""
        if (incident.id, opening) not in self.calls:
            assert incident.waiting is not None and opening < self._presses[incident.id]["press"]
            since_us = (incident.waiting.since_ms - EPOCH_MS) * US_PER_S // 1000
            site = incident.alarm["location"]["site"]
            call = Call(incident.id, incident.device_id, site, opening, since_us)
            self.calls[incident.id, opening] = call
            self._last[incident.id] = max(self._last[incident.id], call, key=lambda one: one.opening)
        return self.calls[incident.id, opening]

    # What the desks have written

    def rungs(self) -> dict[tuple[str, int, str], list[dict[str, Any]]]:
        """(call, opening, step) -> what each desk's register says of it."""
        found: dict[tuple[str, int, str], list[dict[str, Any]]] = defaultdict(list)
        for room in self.rooms:
            with contextlib.closing(Reading(room.path)) as reading:
                for row in reading.ask("SELECT * FROM rung"):
                    found[row["incident_id"], row["opening"], row["step"]].append({**row, "room": room.name})
        return found

    def uncertain(self) -> set[tuple[str, str]]:
        """(call, step) of which the timeline of some desk says that nobody knows."""
        found = set()
        for room in self.rooms:
            with contextlib.closing(Reading(room.path)) as reading:
                for row in reading.ask("SELECT * FROM entry WHERE kind = 'step-uncertain'"):
                    found.add((row["incident_id"], row["by"]))
        return found
