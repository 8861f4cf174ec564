"""The oracle: which closures of the contact are presses, judged from the waveform itself and not from any sample of it.

Closed time counts up, open time counts down a little faster (never below zero), while the column has power and runs:

- MUST: a net closure of 45 ms is a press (once; the next one needs a certain release first).
- MUST NOT: a contact that never nets 36 ms is none. Here open time counts down no faster than closed time counts up.
- Between the two is free: a sampled contact cannot be exact.
- The beginning or the end of a closure that falls into a gap of 10 to 40 ms without a look may have been at either
  end of the gap: it may count as if the contact had been closed all over it.
- A contact that closes in a stall of the loop (more than 40 ms without a look), or is closed when one begins, may
  count: nobody knows for how long it was closed. It is never a MUST: see firmware/debounce.py for when interference
  is left out.
"""

from dataclasses import dataclass
from typing import NamedTuple

from sim.chip.contact import Contact

MUST_US = 45_000
MAY_US = 36_000
LEAK = (10, 8)  # MUST: open time counts 10/8; the leak of firmware/debounce.py is 9/8 ...
COUNTER_LEAK = (21, 10)  # ... and that of the pulse counter 2 (hal/esp32_integrator.py)
RELEASE_US = 80_000  # open that long, the contact was released for certain
STALL_US = 40_000
GAP_US = 9_000  # firmware/debounce.py counts from 10 ms, in whole ticks
BOUNCE_US = 190_000  # closures within so little time may be the bounce of a press that is under way
NOISE_US = 1_050_000  # a closure that was rejected counts as noise for 1 s
JOINED_US = 90_000  # later behind what may have been a press, and never released, it may be that press still
KEPT = 20  # presses: more than fit into any stall
MEMORY_US = 10_000_000  # how long a may-press is remembered


@dataclass
class _Integrator:
    """Net closed microseconds."""

    leak: tuple[int, int]
    limit_us: int
    net_us: int = 0

    def add(self, duration_us: int, closed: bool) -> int | None:
        """Pass time; the offset at which the limit was reached within it (again), or None."""
        before = self.net_us
        if not closed:
            up, down = self.leak
            self.net_us = max(0, before - duration_us * up // down)
            return None
        self.net_us = min(before + duration_us, self.limit_us)
        return self.limit_us - before if self.net_us == self.limit_us else None


class Span(NamedTuple):
    start_us: int
    end_us: int


class Oracle:
    """Follows the contact; knows the last moments at which something may have been a press."""

    def __init__(self) -> None:
        self._contact = Contact()
        self._must = _Integrator(LEAK, MUST_US)
        self._may = _Integrator((1, 1), MAY_US)
        self._now_us = 0
        self._running = False
        self._armed = True
        self._open_us = 0
        self._held = False
        self._pressed: list[Span] = []  # from what may have been a press to the certain release
        self._pressed_us: int | None = None  # ... and the one that is not released yet
        self._may_spans: list[Span] = []

    def contact_changed(self, t_us: int, edges: list[tuple[int, int]]) -> None:
        self.advance(t_us)
        self._contact.replace_from(t_us, edges)

    def integrates(self, in_counter: bool) -> None:
        """Whether the column's chip may decide presses in its pulse counter, which forgives less bounce."""
        self._must.leak = COUNTER_LEAK if in_counter else LEAK

    def running(self, t_us: int, running: bool) -> None:
        """The column begins or ceases to look at its contact."""
        self.advance(t_us)
        self._running = running
        self._must.net_us = self._may.net_us = 0
        self._held = self._held and self.level_at(t_us)
        self._armed = not self._held

    def noted(self) -> None:
        """The column noted a press: until it sees the contact open, that is the press, over resets as well."""
        self._held = True

    def stall(self, start_us: int, end_us: int) -> None:
        """Nobody looked at the contact meanwhile, for more than STALL_US."""
        if self._contact.level_at(start_us) or self._contact.closures_between(start_us, end_us):
            if not self.was_released(start_us):
                self._armed = False  # pressed before: its release is one that is seen
                self._open_us = 0
            self._remember(end_us - 1, end_us)

    def gap(self, start_us: int, end_us: int) -> None:
        """Nobody looked at the contact meanwhile, for GAP_US to STALL_US; it was followed up to `end_us` already. What
        was open is given back (and generously: it had counted down to 0 at most), and counted as closed.
        """
        open_us, at_us = 0, start_us
        while at_us < end_us:
            edge_us = self._contact.next_edge_after(at_us)
            until_us = end_us if edge_us is None else min(edge_us, end_us)
            if not self._contact.level_at(at_us):
                open_us += until_us - at_us
            at_us = until_us
        if 0 < open_us < end_us - start_us and self._may.add(2 * open_us, True) is not None:
            self._remember(end_us - 1, end_us)

    def unseen(self, now_us: int) -> None:
        """For how long the contact was closed in the stall that has just ended, nobody can tell: none of it counts."""
        self.advance(now_us)
        self._must.net_us = 0

    def taken_back(self, now_us: int) -> None:
        """A press in a stall need not have been recognised: a contact that is still closed counts from now on. Whoever
        did recognise it does so now, so what comes 45 ms from now is in time for both."""
        self.unseen(now_us)
        if self._contact.level_at(now_us):
            self._armed = True
            self._pressed_us = None  # as if it had closed just now

    def level_at(self, t_us: int) -> bool:
        return bool(self._contact.level_at(t_us))

    def is_one_press(self, start_us: int, end_us: int) -> bool:
        """What may have been a press before `start_us` already is the closure that is one at `end_us`."""
        pressed = [span.start_us for span in self._pressed if span.start_us <= start_us < span.end_us]
        if not pressed and self._pressed_us is not None:
            pressed = [self._pressed_us]
        edge_us = self._contact.next_edge_after(pressed[0]) if pressed else start_us
        return edge_us is None or edge_us >= end_us

    def was_released(self, t_us: int) -> bool:
        """Nothing that may have been a press lies between the last certain release and that moment."""
        return not any(since_us <= t_us < until_us for since_us, until_us in self._pressed) and not (
            self._pressed_us is not None and self._pressed_us <= t_us
        )

    def is_noisy(self, now_us: int, press_us: int) -> bool:
        """Closures lie before that moment that came to no press; the last press was at `press_us`."""
        ends = [span.end_us for span in self._pressed if span.start_us <= press_us <= span.end_us]
        released_us = max(ends, default=0)
        start_us, end_us = max(now_us - NOISE_US, released_us), now_us - BOUNCE_US
        return start_us < end_us and self._contact.closures_between(start_us, end_us) > 0

    def advance(self, t_us: int) -> list[int]:
        """Follow the contact up to `t_us`; the instants of new MUST presses."""
        found: list[int] = []
        while self._now_us < t_us:
            closed = bool(self._contact.level_at(self._now_us))
            edge_us = self._contact.next_edge_after(self._now_us)
            until_us = t_us if edge_us is None else min(edge_us, t_us)
            self._pass(until_us - self._now_us, closed, found)
            self._now_us = until_us
        return found

    def next_must_us(self) -> int | None:
        """When the next MUST press is due, if the contact stays as it is now."""
        if not self._running or not self._armed or not self._contact.level_at(self._now_us):
            return None
        return self._now_us + self._must.limit_us - self._must.net_us

    def next_edge_us(self) -> int | None:
        return self._contact.next_edge_after(self._now_us)

    def may_have_been_pressed(self, start_us: int, end_us: int) -> bool:
        """Something between the two instants may count as a press. `end_us` is not before what was followed."""
        self.advance(end_us)
        return any(span.start_us <= end_us and span.end_us >= start_us for span in self._may_spans)

    def _pass(self, duration_us: int, closed: bool, found: list[int]) -> None:
        self._open_us = 0 if closed else self._open_us + duration_us
        if self._open_us >= RELEASE_US and self._running:
            self._armed = True
            self._held = False
            if self._pressed_us is not None:
                released_us = self._now_us + duration_us - (self._open_us - RELEASE_US)
                self._pressed = [*self._pressed[-KEPT:], Span(self._pressed_us, released_us)]
                self._pressed_us = None
        if not self._running:
            return
        at_us = self._may.add(duration_us, closed)
        if at_us is not None:
            self._remember(self._now_us + at_us, self._now_us + duration_us)
        at_us = self._must.add(duration_us, closed)
        if at_us is not None and self._armed:
            self._armed = False
            must_us = self._now_us + at_us
            if self._pressed_us is None or must_us - self._pressed_us <= JOINED_US:
                found.append(must_us)

    def _remember(self, start_us: int, end_us: int) -> None:
        if self._pressed_us is None:
            self._pressed_us = start_us
        spans = self._may_spans
        if spans and spans[-1].end_us >= start_us:
            spans[-1] = Span(min(spans[-1].start_us, start_us), max(spans[-1].end_us, end_us))
        else:
            spans.append(Span(start_us, end_us))
        while spans[0].end_us < end_us - MEMORY_US:
            spans.pop(0)
