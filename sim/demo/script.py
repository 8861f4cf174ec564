"""The demonstration without a terminal: one thing after the other goes wrong in the town, and each alarm must
arrive.

Every step waits for what it expects, never for time to pass; the last three hold the whole run against the
books.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.demo.columns import ANSWER_S, WATCHDOG_S
from sim.demo.desk_client import Incident
from sim.demo.town import Post, Town
from sim.demo.watch import STEP_TIMEOUT_S, StepFailed, Watch, require

PRESS_MS = 120
PRESS_AGAIN_S = 0.4  # between two presses of one button; sooner than a finger can, it would be a bounce
BURST_PRESSES = 5
BURST_GAP_MS = 400
VIBRATION_CLOSURES = 40
VIBRATION_MAX_MS = 25  # the widest closure that is no press
VIBRATION_GAP_MS = (20, 120)
VIBRATION_SEED = 7
HUNG_TASK = "uplink"
OUTCOME = "help-given"

START_TIMEOUT_S = 20.0
# After an outage: the columns' own longest pause between two attempts, and some air for a slow machine.
RECOVERY_TIMEOUT_S = 15.0
RESET_SLACK_S = 2.0


@dataclass(frozen=True)
class Step:
    """`play` is called with `post`, if there is one; it raises StepFailed, TimeoutError or OSError."""

    title: str
    play: Callable[..., None]
    post: Post | None = None


class Scenario:
    """Plays the steps in a running town; `say` gets one line of text at a time."""

    def __init__(self, town: Town, say: Callable[[str], None]) -> None:
        self._town = town
        self._say = say
        # The books: one (device id, number of presses) for each incident that the script has caused.
        self.made: list[tuple[str, int]] = []
        self._pressed_s: dict[str, float] = {}
        self._waved_until_s = 0.0  # a contact that was told to move moves to its end, whatever the step has found
        self.passed = self.failed = 0

    def run(self, steps: Sequence[Step] | None = None) -> bool:
        """Play the steps, by default all. Whether every one of them passed."""
        for step in self.steps() if steps is None else steps:
            self._play(step)
        self._say(f"{self.passed} passed, {self.failed} failed")
        return self.failed == 0

    def steps(self) -> list[Step]:
        """All of them, in order. A step leaves the town as it found it, so any of them may be left out."""
        first, second, school = self._town.posts
        kept = "the press is kept, arrives once when it is back"
        return [
            Step("three columns come up: online, lamp ready", self._come_up),
            *(
                Step(f"{post.place.name}: press, alarm, answer, help, closed", self._press_to_close, post)
                for post in self._town.posts
            ),
            Step("the desk hangs: the lamp says not-delivered, never answered", self._desk_hangs, first),
            Step(f"broker away: {kept}", self._broker_away, second),
            Step("power cut between press and delivery: it arrives, marked late", self._power_cut, school),
            Step(f"network gone: {kept}", self._link_down, first),
            Step("vibration raises nothing, the press after it does", self._vibration, second),
            Step(f"panic: {BURST_PRESSES} presses are one incident", self._panic, school),
            Step(f"task {HUNG_TASK} hangs: a reset in time, which names it", self._hang, first),
            Step("the books: each press is one alarm, none lost, none doubled", self._books),
            Step("the truth: no lamp claimed more than the desk had said", self._truth),
            Step("the contract: every message kept to it", self._contract),
        ]

    def _play(self, step: Step) -> None:
        start_s = time.monotonic()
        try:
            step.play(*([step.post] if step.post else []))
        except (StepFailed, TimeoutError, OSError) as error:
            self.failed += 1
            self._say(f"FAIL {step.title} ({error})")
            self._mend()
        else:
            self.passed += 1
            self._say(f"PASS {step.title} ({time.monotonic() - start_s:.1f} s)")

    # The steps

    def _come_up(self) -> None:
        for post in self._town.posts:
            self._wait_ready(post, START_TIMEOUT_S)
            self._wait_online(post, boot=1)

    def _press_to_close(self, post: Post) -> None:
        watch = Watch(self._town, post)
        self._press(post)
        incident = watch.incident()
        self._check_alarm(post, incident, late=False)
        watch.lamp("answered")
        # The answer may overtake the broker's PUBACK; then there is no time for "sent".
        right = ["calling", "sent", "answered"]
        require(watch.states() in (right, right[::2]), f"the lamp showed {watch.states()}, not {right}")
        self._help_and_close(post, incident, watch)

    def _desk_hangs(self, post: Post) -> None:
        watch = Watch(self._town, post)
        self._town.desk.freeze()
        self._press(post)
        watch.lamp("not-delivered")
        right = ["calling", "sent", "not-delivered"]
        require(watch.states() == right, f"the lamp showed {watch.states()}, not {right}")
        waited_s = (watch.at_ms("not-delivered") - watch.at_ms("calling")) / 1000
        in_time = ANSWER_S - 0.5 <= waited_s <= ANSWER_S + 1
        require(in_time, f"not-delivered after {waited_s:.2f} s, not {ANSWER_S} s")
        self._town.desk.thaw()
        watch.lamp("answered", RECOVERY_TIMEOUT_S)
        incident = watch.incident()
        self._help_and_close(post, incident, watch)

    def _broker_away(self, post: Post) -> None:
        self._town.broker_away()
        self._kept_then_delivered(post, self._broker_back)

    def _link_down(self, post: Post) -> None:
        post.real.link(False)
        self._kept_then_delivered(post, lambda: post.real.link(True))

    def _kept_then_delivered(self, post: Post, mend: Callable[[], None]) -> None:
        watch = Watch(self._town, post)
        self._press(post)
        watch.lamp("not-delivered")
        watch.claims_nothing()
        require("sent" not in watch.states(), "the lamp said sent, with nobody to send to")
        require(not watch.new_incidents(), "an alarm arrived, with nobody to bring it")
        mend()
        incident = watch.incident(RECOVERY_TIMEOUT_S)
        self._check_alarm(post, incident, late=False)
        watch.lamp("answered")
        self._help_and_close(post, incident, watch)

    def _power_cut(self, post: Post) -> None:
        self._town.broker_away()
        watch = Watch(self._town, post)
        self._press(post)
        # Relay closed = the press is on the flash; before that a cut may undo it.
        self._wait(lambda: post.relay_closed, STEP_TIMEOUT_S, f"{post.device_id}: relay closed")
        post.real.power_off()
        require(post.lamp == "dark", f"without power the lamp shows {post.lamp}")
        self._broker_back()
        require(not watch.new_incidents(), "an alarm arrived from a column without power")
        post.real.power_on()
        incident = watch.incident(RECOVERY_TIMEOUT_S)
        self._check_alarm(post, incident, late=True)
        watch.lamp("answered")
        self._help_and_close(post, incident, watch)

    def _vibration(self, post: Post) -> None:
        chance = random.Random(VIBRATION_SEED)
        edges: list[tuple[int, int]] = []
        t_ms = 0.0
        for _ in range(VIBRATION_CLOSURES):
            closed_ms = chance.uniform(1, VIBRATION_MAX_MS)
            edges += _closure(t_ms, closed_ms)
            t_ms += closed_ms + chance.uniform(*VIBRATION_GAP_MS)
        t_ms += BURST_GAP_MS
        # A real press ends the waveform: it proves that the column was listening all the while.
        edges += _closure(t_ms, PRESS_MS)
        watch = Watch(self._town, post)
        start_ms = post.real.now_ms()
        self._wave(post, edges, 1)
        incident = watch.incident()
        watch.lamp("answered")
        early_ms = start_ms + t_ms - watch.at_ms("calling")
        require(early_ms <= 0, f"the lamp called {early_ms:.0f} ms before the press")
        self._help_and_close(post, incident, watch)

    def _panic(self, post: Post) -> None:
        edges: list[tuple[int, int]] = []
        for number in range(BURST_PRESSES):
            edges += _closure(number * (PRESS_MS + BURST_GAP_MS), PRESS_MS)
        watch = Watch(self._town, post)
        self._wave(post, edges, BURST_PRESSES)
        incident = watch.incident()
        counted = f"{post.device_id}: {BURST_PRESSES} presses counted at the desk"
        self._wait(lambda: self._presses(incident) >= BURST_PRESSES, STEP_TIMEOUT_S, counted)
        watch.lamp("answered")
        self._help_and_close(post, incident, watch)

    def _hang(self, post: Post) -> None:
        resets, boot = len(post.resets), post.boots + 1
        start_ms = post.real.now_ms()
        post.real.hang(HUNG_TASK)
        self._wait(lambda: len(post.resets) > resets, WATCHDOG_S + RESET_SLACK_S, f"{post.device_id}: a reset")
        reset = post.resets[-1]
        found = (reset["cause"], reset.get("culprit"))
        require(found == ("watchdog", HUNG_TASK), f"reset by {found}, not by a watchdog that names {HUNG_TASK}")
        took_s = (reset["t_ms"] - start_ms) / 1000
        require(took_s <= WATCHDOG_S + 1, f"the watchdog of {WATCHDOG_S} s took {took_s:.1f} s")
        self._wait_online(post, boot)
        told = self._town.register.column(post.device_id)["info"]["reset"]["culprit"]
        require(told == HUNG_TASK, f"the next birth message names {told!r}, not {HUNG_TASK!r}")
        self._wait_ready(post)
        self._press_to_close(post)

    def _books(self) -> None:
        incidents = self._town.register.incidents()
        found = [(incident.device_id, incident.press) for incident in incidents]
        lost, extra = Counter(self.made) - Counter(found), Counter(found) - Counter(self.made)
        require(not lost, f"(device, presses) that never arrived: {dict(lost)}; not made: {dict(extra)}")
        require(not extra, f"(device, presses) that nobody made: {dict(extra)}")
        still = [incident.id for incident in incidents if incident.is_open]
        require(not still, f"still open: {still}")

    def _truth(self) -> None:
        require(not self._town.false_answers, "; ".join(self._town.false_answers))

    def _contract(self) -> None:
        require(not self._town.breaches, "; ".join(self._town.breaches))

    # What the steps are made of

    def _press(self, post: Post) -> None:
        time.sleep(max(0.0, self._pressed_s.get(post.device_id, 0.0) + PRESS_AGAIN_S - time.monotonic()))
        self._pressed_s[post.device_id] = time.monotonic()
        self.made.append((post.device_id, 1))
        post.real.press(PRESS_MS)

    def _wave(self, post: Post, edges: list[tuple[int, int]], presses: int) -> None:
        self._waved_until_s = time.monotonic() + edges[-1][0] / 1e6
        self.made.append((post.device_id, presses))
        post.real.wave(edges)

    def _check_alarm(self, post: Post, incident: Incident, *, late: bool) -> None:
        """The schema was checked on arrival; here, that the alarm speaks of this column and this press."""
        place = post.place
        right: dict[str, Any] = {"geo": place.geo, "address": place.address, "site": place.site}
        found = {key: incident.location.get(key) for key in right}
        require(found == right, f"location {found}, not {right}")
        require(incident.stream.get("rtsp") == place.rtsp, f"stream {incident.stream}, not {place.rtsp}")
        found = {"press": incident.press, "late": incident.late}
        require(found == {"press": 1, "late": late}, f"the alarm has {found}, not press 1, late {late}")

    def _help_and_close(self, post: Post, incident: Incident, watch: Watch) -> None:
        self._town.register.accept(incident.id)
        watch.lamp("help-coming")
        # The press closes the relay, to start a call; a restart does not start another one.
        require(post.relay_closed or incident.late, "the relay is open though the incident is")
        self._town.register.close(incident.id, OUTCOME)
        watch.lamp("ready")
        self._wait(lambda: not post.relay_closed, STEP_TIMEOUT_S, f"{post.device_id}: relay open")
        others = [each.id for each in watch.new_incidents() if each.id != incident.id]
        require(not others, f"one press, and beside {incident.id} came {others}")

    def _presses(self, incident: Incident) -> int:
        found = self._town.register.incidents(incident.device_id)
        return next(each.press for each in found if each.id == incident.id)

    def _wait_online(self, post: Post, boot: int) -> None:
        """Wait for state and birth message of that boot or a later one."""

        def look() -> bool:
            column = self._town.register.column(post.device_id)
            return bool(column.get("online")) and (column.get("info") or {}).get("boot", 0) >= boot

        self._wait(look, START_TIMEOUT_S, f"{post.device_id}: online and its birth message, boot {boot}")

    def _wait_ready(self, post: Post, timeout_s: float = RECOVERY_TIMEOUT_S) -> None:
        self._wait(lambda: post.lamp == "ready", timeout_s, f"{post.device_id}: lamp ready, not {post.lamp}")

    def _wait(self, predicate: Callable[[], bool], timeout_s: float, what: str) -> None:
        self._town.wait_for(predicate, timeout_s, what)

    def _broker_back(self) -> None:
        self._town.broker_back()
        self._wait(self._town.register.hears, RECOVERY_TIMEOUT_S, "the desk has its broker again")

    def _mend(self) -> None:
        """After a failed step: put the town in order, so that the next one starts from where it should."""
        time.sleep(max(0.0, self._waved_until_s - time.monotonic()))
        self._town.broker_back()
        self._town.desk.thaw()
        for post in self._town.posts:
            post.real.link(True)
            post.real.power_on()
        try:
            self._wait(self._all_closed_and_ready, RECOVERY_TIMEOUT_S, "all lamps ready, all incidents closed")
        except (TimeoutError, OSError) as error:
            self._say(f"     (not in order again: {error})")

    def _all_closed_and_ready(self) -> bool:
        """Closes whatever is open."""
        still = [incident.id for incident in self._town.register.incidents() if incident.is_open]
        for incident_id in still:
            self._town.register.close(incident_id, "other")
        return not still and all(post.lamp == "ready" for post in self._town.posts)


def _closure(t_ms: float, closed_ms: float) -> list[tuple[int, int]]:
    """The contact's edges, in microseconds."""
    return [(round(t_ms * 1000), 1), (round((t_ms + closed_ms) * 1000), 0)]
