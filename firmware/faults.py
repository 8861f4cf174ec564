"""Faults that last: raised once, cleared once, retained at the broker, listed in every alarm."""

# Every id that this firmware can raise: a new boot clears at the broker those that it does not have.
KNOWN = (
    "boot-loop",
    "broker-refuses",
    "button-stuck",
    "certificate",
    "clock-unset",
    "config",
    "duplicate-id",
    "drill-unanswered",
    "flash-full",
    "journal",
    "not-subscribed",
    "stream-down",
    "supply",
    "tamper",
    "wrong-address",
    "wrong-receiver",
)


class Faults:
    """`on_change(id, fault or None)`: fault = (since Unix ms or None, detail)."""

    def __init__(self, clock, log, on_change):
        self._clock = clock
        self._log = log
        self._on_change = on_change
        self.raised = {}

    def set(self, ident: str, detail) -> None:
        """Raise `ident` with `detail` (text), or clear it (None). Repeats change nothing."""
        if (detail is None) == (ident not in self.raised):
            return
        if detail is None:
            del self.raised[ident]
            self._log("fault: %s cleared" % ident)
        else:
            since = None if self._clock.source == "none" else self._clock.now_ms()
            self.raised[ident] = (since, detail)
            self._log("fault: %s: %s" % (ident, detail))
        self._on_change(ident, self.raised.get(ident))

    def ids(self) -> list:
        return sorted(self.raised)

    def has(self, ident: str) -> bool:
        return ident in self.raised

    def publish_all(self, cleared_too: bool) -> None:
        """Tell all again (a new session); `cleared_too` the first time, to clear what an older boot left retained."""
        for ident in KNOWN:
            if ident in self.raised or cleared_too:
                self._on_change(ident, self.raised.get(ident))
