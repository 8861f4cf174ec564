"""The debouncer of a chip whose pulse counter is the integrator (hal/interface.py): what that latched is a press.

Nothing that the loop does can miss one or invent one. What is left to do is to hold the counter against the looks:
where the two cannot both be right, `failed` says why, the looks have the word, and the caller takes another debouncer.
"""

from firmware import const
from firmware.outcomes import NOTHING, PRESS, PRESS_IN_STALL, RELEASE

_CHECK_MS = const(1000)  # an open contact has to have been counted for as long ...
_CHECK_OFF_MS = const(100)  # ... as the clock says, but for this, each time
_OPEN_WRAPS = const(32767)
_SURE = const(2)  # times what a decision takes: then the looks alone are sure of it


class Counted:
    by_counter = True

    def __init__(self, integrator, press_ms: int, release_ms: int):
        self._integrator = integrator
        self._press_ms = press_ms
        self._release_ms = release_ms
        self._closed = False
        self._same_ms = 0  # for how long nothing spoke of another level
        self._checked_ms = 0  # how much of that was held against the counter
        self._open_ms = 0  # what it said then
        self._off_ms = 0  # by how much the two differed
        self.pressed = False
        self.failed = ""
        integrator.arm()

    def is_settled(self) -> bool:
        return self._closed == self.pressed

    def sample(self, dt_ms: int, closed: bool, closures) -> int:
        """One look, as in firmware/debounce.py."""
        if closed == self._closed and not closures:
            self._same_ms += dt_ms
        else:
            self._same_ms = 0
        was_closed, self._closed = self._closed, closed
        if self.pressed:
            return self._released(closed)
        if self._integrator.is_latched():
            if not closed and self._same_ms >= _SURE * self._press_ms:
                self.failed = "a press was counted, but the contact was open"
            return self._take(PRESS if closed or was_closed else PRESS_IN_STALL)
        if closed and self._same_ms >= _SURE * self._press_ms:
            self.failed = "the contact is closed, and nothing was counted"
            return self._take(PRESS)
        self._check(closed)
        return NOTHING

    def _released(self, closed):
        sure = self._same_ms >= _SURE * self._release_ms
        if self._integrator.open_ms() >= self._release_ms:
            if not closed or not sure:
                return self._take(RELEASE)
            self.failed = "a release was counted, but the contact was closed"
        elif sure and not closed:
            self.failed = "the contact is open, and nothing was counted"
            return self._take(RELEASE)
        return NOTHING

    def _take(self, outcome):
        self.pressed = outcome != RELEASE
        self._checked_ms = self._same_ms
        if self.pressed:
            self._integrator.disarm()
        else:
            self._integrator.arm()
            self._open_ms = self._integrator.open_ms()
        return outcome

    def _check(self, closed):
        """While the contact is open, the pulses have to come in."""
        waited_ms = self._same_ms - self._checked_ms
        if not closed and 0 < waited_ms < _CHECK_MS:
            return
        open_ms = self._integrator.open_ms()
        if waited_ms >= _CHECK_MS and not closed:
            off_ms = (open_ms - self._open_ms) % _OPEN_WRAPS - waited_ms
            if abs(off_ms) <= _CHECK_OFF_MS:
                off_ms = 0
            if off_ms * self._off_ms > 0:  # a loop that was held up between clock and counter makes up for it
                self.failed = "%d pulses too many in %d ms" % (off_ms, waited_ms)
            self._off_ms = off_ms
        self._checked_ms, self._open_ms = self._same_ms, open_ms
