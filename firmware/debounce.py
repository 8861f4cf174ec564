"""The debouncer of a chip without an integrator (firmware/counted.py): decides from looks what is a press.

It integrates: closed time counts up, open time counts down a little faster, and at `press_ms` of net closure it is a
press. What is shorter (vibration closes a contact for up to 25 ms) or alternates (bounce, EMI, 50 Hz pickup) drains
away. The 9:8 leak keeps a contact that is closed half of the time, as under 50 Hz pickup, from ever walking up.
A release needs `release_ms` of net opening, more than the widest gap seen in a bounce (42 ms), so that a bounce never
counts twice.

A stall is time in which nobody looked at the contact. If the hardware counter saw it close meanwhile, or if it was
closed when the stall began and is open now, that counts as a press: nobody knows for how long it was closed, and a
missed call for help is worse than a false one. Not so when the contact was noisy just before, or closed more often
than any finger can: that is interference.

A gap is shorter than a stall, too short for a press of its own, and long enough to hide the beginning or the end of
one. Half of it is taken for closed time, as a guess; all of it is kept in mind as what may have been. A contact that
is still closed goes on to be looked at. One that is found open, was seen closed for longer than a spike and may have
been a press gets the benefit of the doubt as in a stall, unless it did more than bounce in the second before.
"""

from firmware import const
from firmware.outcomes import NOTHING, PRESS, PRESS_IN_STALL, RELEASE

_UP = const(8)  # eighths of a millisecond: what closed time adds ...
_DOWN = const(9)  # ... and open time takes away
_UNSEEN_MAX_MS = const(8)  # credit for closed time that neither a look nor the counter can vouch for
_QUIET_MS = const(1000)  # noise is over when no closure was rejected for this long
_BOUNCE_MAX_MS = const(200)  # rejected closures within so little time may be a press's own bounce (157 ms), not noise
_GAP_MS = const(10)  # a guess is wrong by half of the time at most: by 5 ms here, which `press_ms` has to spare
_SEEN_MIN_MS = const(5)  # what a gap leaves to be seen of the shortest press (45 ms); a spike is shorter
_BOUNCE_MS = const(10)  # typical bounce (6.2 ms at most, 16 of 18 switches) and some: more, and a gap gives no benefit
_CLOSURE_MIN_MS = const(4)  # closures that come faster than one per this are no finger


class Debouncer:
    """`press_ms` (26..200), `release_ms` (43..1000) and `stall_ms` (26..1000): see docs/configuration.md."""

    by_counter = False

    def __init__(self, press_ms: int, release_ms: int, stall_ms: int):
        self._press = press_ms * _UP
        self._release = release_ms * _UP
        self._stall_ms = stall_ms
        self._net = 0  # towards a press while released, towards a release while pressed
        self._most = 0  # what it may be while released, if the contact was closed all over each gap
        self._seen_ms = 0  # for how long it was seen closed without a break
        self._quiet_ms = _QUIET_MS  # since the last rejected closure
        self._noise_ms = 0  # since the first one of this run of them
        self._closed = False
        self.pressed = False

    def is_settled(self) -> bool:
        """True when nothing is under way: no sample is needed until the level changes."""
        return self._net == 0 and self._most == 0 and self._closed == self.pressed

    def sample(self, dt_ms: int, closed: bool, closures) -> int:
        """One look: `dt_ms` since the last, the level now, closing edges counted since (None: no counter).

        A watched wait is passed as its own sample: no change, no edges.
        """
        was_closed = self._closed
        self._closed = closed
        was_noisy = self._quiet_ms < _QUIET_MS and self._noise_ms > _BOUNCE_MAX_MS
        was_calm = self._quiet_ms >= _QUIET_MS or self._noise_ms - self._quiet_ms <= _BOUNCE_MS
        if not self.pressed:
            self._mind_noise(dt_ms, was_closed and not closed)
        if dt_ms >= self._stall_ms:
            self._seen_ms = 0
            if not self.pressed:
                return self._after_stall(dt_ms, was_closed, closed, closures, was_noisy)
            if closures:  # a held contact that chatters: two looks at its gaps say nothing of the stall between them
                return self._add(0, 0 if closed else min(dt_ms, _UNSEEN_MAX_MS))
        if was_closed == closed and (not closures or dt_ms < _GAP_MS):
            outcome = self._add(dt_ms if was_closed else 0, 0 if was_closed else dt_ms)
            self._seen_ms += dt_ms
        else:
            outcome = self._after_gap(dt_ms, was_closed, closed, closures)
        if not closed:
            if outcome == NOTHING and self._most >= self._press and self._seen_ms >= _SEEN_MIN_MS and was_calm:
                outcome = self._decide(PRESS_IN_STALL, True)
            self._seen_ms = 0
        return outcome

    def _mind_noise(self, dt_ms, rejected):
        if self._quiet_ms < _QUIET_MS:
            self._quiet_ms += dt_ms
            self._noise_ms += dt_ms
        else:
            self._noise_ms = 0
        if rejected:
            self._quiet_ms = 0

    def _after_stall(self, dt_ms, was_closed, closed, closures, was_noisy):
        if was_closed and closed and closures == 0:
            return self._add(dt_ms, 0)  # no edge: closed all the time
        opened = was_closed and not closed
        if (closures or opened) and not was_noisy and (closures or 0) * _CLOSURE_MIN_MS <= dt_ms:
            return self._decide(PRESS_IN_STALL, closed)
        seen = min(dt_ms, _UNSEEN_MAX_MS)
        return self._add(seen if closed else 0, 0 if closed else dt_ms)

    def _after_gap(self, dt_ms, was_closed, closed, closures):
        """The contact changed, and nobody saw when."""
        last_ms = dt_ms // 2
        first_ms = dt_ms - last_ms
        if self.pressed:
            return self._add(last_ms, last_ms)
        most = self._most + dt_ms * _UP
        if was_closed:
            outcome = self._add(first_ms, 0) or self._add(0, last_ms)
        elif closed:
            outcome = self._add(0, first_ms) or self._add(last_ms, 0)
        else:
            outcome = self._add(0, dt_ms)
        if outcome == NOTHING and dt_ms >= _GAP_MS and (closures or 0) * _CLOSURE_MIN_MS <= dt_ms:
            self._most = most
        return outcome

    def _add(self, closed_ms, open_ms):
        if self.pressed:
            self._net = max(0, self._net + open_ms * _UP - closed_ms * _DOWN)
            return self._decide(RELEASE, False) if self._net >= self._release else NOTHING
        change = closed_ms * _UP - open_ms * _DOWN
        self._net = max(0, self._net + change)
        self._most = max(self._net, self._most + change)
        return self._decide(PRESS, True) if self._net >= self._press else NOTHING

    def _decide(self, outcome, pressed):
        self._net = self._most = 0
        self.pressed = pressed
        if outcome != RELEASE:
            self._quiet_ms = _QUIET_MS  # what was rejected just before was this press's own bounce
        return outcome
