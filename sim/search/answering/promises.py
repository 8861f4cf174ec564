"""What is promised to whoever pressed, held against what the city lived and what the desks have written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from desk.escalation import BEGUN, ENDED
from desk.ladder import DESKS, Step
from sim.search.answering.city import PLAN, Call, City
from sim.virtual.timeline import US_PER_S

WHOLE = "no call ends unaccepted without the whole ladder"
IN_TIME = "each step in its time"
ONCE = "told once, or said to be uncertain"
TRUE = "what is said to be sent was sent"
CALM = "nobody is told of a call that somebody has accepted"
LAMP = "the column says that nobody has answered, exactly when nobody has"
PROMISES = (WHOLE, IN_TIME, ONCE, TRUE, CALM, LAMP)

SLACK_US = 12 * US_PER_S  # a claim's echo, a tick, a desk that has just begun and settles
TRIES_US = 30 * US_PER_S  # a step that fails is tried three times
LEASE_US = 75 * US_PER_S  # ... of a desk that died with it in hand


class Judge:
    """Of one city, once it has settled."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.checks: Counter[str] = Counter()
        self.violations: list[str] = []
        self.walked = 0
        """Calls that nobody had accepted when the last step was due."""
        self._rungs, self._uncertain = city.rungs(), city.uncertain()

    def judge(self) -> list[str]:
        """Everything that was broken."""
        for call in self.city.calls.values():
            steps = PLAN.steps("nko", call.site)
            for step in steps:
                self._judge_step(call, step)
            self._judge_lamp(call, steps[0])
            last_us = call.at_us + steps[-1].after_s * US_PER_S
            if call.accepted_us is None or call.accepted_us > last_us:
                self.walked += 1
        return self.violations

    def _judge_step(self, call: Call, step: Step) -> None:
        rows = self._rungs.get((call.id, call.opening, step.name), [])
        due_us = call.at_us + step.after_s * US_PER_S
        end_us = self.city.timeline.now_us if call.accepted_us is None else call.accepted_us
        if self._excused_us(call, due_us) + SLACK_US < end_us:
            self._hold(WHOLE, any(row["state"] in (*ENDED, BEGUN) for row in rows), call, step, f"is {rows}")
        if step.tell == DESKS:
            return
        told = call.told[step.name]
        unsure = (call.id, step.name) in self._uncertain
        self._hold(ONCE, len(told) <= 1 or unsure, call, step, f"was told {len(told)} times, and nobody says so")
        said = [row for row in rows if row["state"] == "sent"]
        self._hold(TRUE, not said or bool(told), call, step, "is said to be sent, and nobody was told")
        for at_us, _ in told:
            self._hold(
                IN_TIME, at_us >= due_us - US_PER_S, call, step, f"came {(due_us - at_us) / 1e6:.1f} s too early"
            )
            late = call.accepted_us is not None and at_us > self._excused_us(call, call.accepted_us) + LEASE_US
            self._hold(CALM, not late, call, step, "was told long after somebody had accepted")
        if told:
            limit_us = (
                self._excused_us(call, due_us) + SLACK_US + TRIES_US + (LEASE_US if unsure or len(rows) > 1 else 0)
            )
            in_time = told[0][0] <= limit_us
            self._hold(IN_TIME, in_time, call, step, f"came {(told[0][0] - due_us) / 1e6:.1f} s after it was due")

    def _excused_us(self, call: Call, due_us: int, also: Sequence[tuple[int, int]] = ()) -> int:
        """When it was due at the latest: a desk that does not run, or does not hear, lets its steps wait. Each may have
        had a step in hand, so spans of both count; `also`: further ones."""
        down_us = [*also, *(span for room in self.city.rooms for span in room.down_us)]
        for _ in range(20):
            spans = [span for span in down_us if span[0] <= due_us + LEASE_US]
            later = max(
                (to + SLACK_US for at, to in spans if to >= call.at_us and to + SLACK_US > due_us), default=due_us
            )
            if later <= due_us:
                break
            due_us = later
        return due_us

    def _judge_lamp(self, call: Call, first: Step) -> None:
        due_us = call.at_us + first.after_s * US_PER_S
        if call.unanswered_us is not None:
            early = call.unanswered_us < due_us - US_PER_S
            self._hold(LAMP, not early, call, first, "was shown on the lamp too early")
            return
        end_us = self.city.timeline.now_us if call.accepted_us is None else call.accepted_us
        waits = end_us > self._excused_us(call, due_us, self._nobody_writes_us()) + SLACK_US
        self._hold(LAMP, not waits, call, first, "was never shown on the lamp")

    def _nobody_writes_us(self) -> list[tuple[int, int]]:
        """Spans in which no desk can answer a column, for none has its call on a disk: its lamp says so by itself."""
        one, other = (room.full_us for room in self.city.rooms)
        both = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
        return [span for span in both if span[0] < span[1]]

    def _hold(self, promise: str, kept: bool, call: Call, step: Step, what: str) -> None:
        self.checks[promise] += 1
        if not kept:
            day = call.at_us / US_PER_S / 86_400
            where = f"seed {self.city.seed}, day {day:.3f}"
            self.violations.append(f"{promise} ({where}): {call.id} opening {call.opening}: {step.name} {what}")
