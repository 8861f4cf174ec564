"""The proof that a connection carries QoS 1 both ways: marked messages of the desk to itself, through the broker.

A broker may lose one direction of one session and keep all else alive: mosquitto drops what does not fit into a
client's output queue, and a dropped QoS 1 message holds its place in flight until the client connects again. When all
places are held, nothing of QoS 1 comes any more, heartbeats (QoS 0) do, and everything looks well. Pure; times in ms
of a clock that does not go back.
"""

from __future__ import annotations

import secrets

EVERY_MS = 1_000
LATE_MS = 4_000
"""A message that takes longer is a desk that hears too late; it says so."""
STUCK_MS = 2_000
"""It is late, and so long nothing of QoS 1 has come: the connection is at fault, not what comes over it."""
HOPELESS_MS = 10_000
"""None has come back for so long, whatever else comes."""
UNPROVEN_MS = 30_000
"""The longest that a connection may last on which nothing has come back, with a broker that has never given anything
back: it may not be allowed to. The first such connections last LATE_MS, twice that, ..."""
STALL_MS = 2_000
"""Between two looks: this process was stopped, or waited for its disk; it proves nothing about the broker."""


class Proof:
    """Of one connection at a time; `ever`: whether this broker has given a message back since the process began."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self._number = 0
        self._out: dict[int, int] = {}
        """Number -> when it was sent; those that have not come back."""
        self._began_ms = self._good_ms = self._heard_ms = self._looked_ms = self._sent_ms = 0
        self._patience_ms = 0
        self.ever = False
        self.took_ms: int | None = None
        """Of the last one that came back."""

    def begin(self, now_ms: int) -> None:
        """On a new connection."""
        self._out.clear()
        self._patience_ms = LATE_MS if self.ever else min(max(LATE_MS, 2 * self._patience_ms), UNPROVEN_MS)
        self._began_ms = self._good_ms = self._heard_ms = self._looked_ms = now_ms
        self._sent_ms = now_ms - EVERY_MS
        self.took_ms = None

    def next(self, now_ms: int) -> bytes | None:
        """The message to send, if it is time for one."""
        if now_ms - self._sent_ms < EVERY_MS:
            return None
        self._number += 1
        self._out[self._number] = self._sent_ms = now_ms
        return f"{self._mark} {self._number}".encode()

    def heard(self, now_ms: int) -> None:
        """Something of QoS 1 has come."""
        self._heard_ms = now_ms

    def returned(self, payload: bytes, now_ms: int) -> bool:
        """A message on the desk's own topic; whether it is one that was waited for."""
        mark, _, number = payload.partition(b" ")
        if mark != self._mark.encode() or not number.isdigit() or int(number) not in self._out:
            return False
        self.took_ms = now_ms - self._out[int(number)]
        self._out = {each: sent_ms for each, sent_ms in self._out.items() if each > int(number)}
        self._good_ms = self._heard_ms = now_ms
        self.ever = True
        return True

    def look(self, now_ms: int) -> None:
        """Before `is_late` and `is_stuck`; often."""
        if now_ms - self._looked_ms > STALL_MS:
            self._out = dict.fromkeys(self._out, now_ms)
            self._good_ms = self._heard_ms = now_ms
        self._looked_ms = now_ms

    @property
    def is_late(self) -> bool:
        """Whether the oldest message has been away for too long."""
        return any(self._looked_ms - sent_ms > LATE_MS for sent_ms in self._out.values())

    @property
    def may_be_forbidden(self) -> bool:
        """Whether several connections in a row have given nothing back, and none ever has."""
        return not self.ever and self._patience_ms > LATE_MS

    @property
    def is_stuck(self) -> bool:
        """Whether only a new connection helps."""
        if not self.is_late:
            return False
        if not self.ever:
            return self._looked_ms - self._began_ms > self._patience_ms
        return self._looked_ms - self._heard_ms > STUCK_MS or self._looked_ms - self._good_ms > HOPELESS_MS
