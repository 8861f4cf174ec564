"""What a column says about itself: birth, state, heartbeat, faults and events. It never gets in an alarm's way."""

from firmware import const
from firmware.timing import Deadline, Stopwatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IDLE_MS = 2000
_MISSES = const(5)  # heartbeats in a row that find no memory: then only a restart gives it back
_EARLY_MS = 250  # a heartbeat goes with a turn that comes anyway, rather than wake the loop again


class Telemetry:
    """A task. `figures()` gives the heartbeat's figures; `birth()` the info payload."""

    name = "telemetry"

    def __init__(self, board, messages, outbox, heartbeat_s: int, birth, figures):
        self._messages = messages
        self._outbox = outbox
        self._heartbeat_ms = heartbeat_s * 1000
        self._birth = birth
        self.owes_birth = False  # there was no memory for it: with the next heartbeat
        self._figures = figures
        self._next = Deadline(board, 0)
        self.uptime = Stopwatch(board)
        self._seq = self._missed = 0
        self.uplink: Any = None  # set once both exist

    def announce(self) -> None:
        """A session begins."""
        self._outbox.retain(self._messages.topic("state"), self._messages.state(True))

    def report(self) -> None:
        """The command `report`: birth certificate and heartbeat now."""
        self._outbox.retain(self._messages.topic("info"), self._birth)
        self._next.start(0)

    def event(self, name: str, detail) -> None:
        self._outbox.add(self._messages.topic("event"), self._messages.event(name, detail))

    def fault(self, ident: str, fault) -> None:
        """`fault`: (since, detail), or None to clear the retained message (an empty payload)."""
        payload = self._messages.fault(ident, fault[0], fault[1]) if fault else b""
        self._outbox.retain(self._messages.topic("fault/" + ident), payload)
        if not fault and self._messages.authentic:
            self._next.start(0)  # what is empty has no proof: the heartbeat says which faults are left

    def step(self) -> int:
        self.uptime.ms()
        left_ms = self._next.left_ms(0)
        if left_ms > _EARLY_MS:
            return min(_IDLE_MS, left_ms)
        if not self.uplink.is_up():
            return _IDLE_MS
        try:
            figures = self._figures()
            figures["seq"] = self._seq
            figures["uptime_s"] = self.uptime.ms() // 1000
            figures["dropped"] = self._outbox.dropped
            if not self.uplink.publish_once(self._messages.topic("heartbeat"), self._messages.heartbeat(figures)):
                return _IDLE_MS // 10
        except MemoryError:  # something else needs it for a moment
            self._missed += 1
            if self._missed >= _MISSES:
                raise
            return _IDLE_MS
        self._missed = 0
        self._seq += 1
        self._next.start(self._heartbeat_ms)
        if self.owes_birth:
            self.owes_birth = False
            self._outbox.retain(self._messages.topic("info"), self._birth)
        return min(_IDLE_MS, self._heartbeat_ms)
