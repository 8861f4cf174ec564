"""The pulse counter's hardware: a value that pulses move up and down, and that returns to 0 at either limit.

Pure Python for CPython and MicroPython. Times are microseconds of one steady clock.
"""

NO_LIMIT = 32768
AT_MAX, AT_MIN = 1, 2


class Train:
    """Pulses as PWM makes them from `since_us` on: a rising edge first."""

    def __init__(self, since_us: int, period_us: int, high_us: int) -> None:
        self._since_us, self._period_us, self._high_us = since_us, period_us, high_us

    def shortest_us(self) -> int:
        """Of high and low."""
        return min(self._high_us, self._period_us - self._high_us)

    def next_edge_after(self, t_us: int) -> int:
        if t_us < self._since_us:
            return self._since_us
        rest_us = (t_us - self._since_us) % self._period_us
        return t_us - rest_us + (self._high_us if rest_us < self._high_us else self._period_us)

    def edges_until(self, t_us: int) -> int:
        """How many edges by then, of which every other one falls."""
        if t_us < self._since_us:
            return 0
        periods, rest_us = divmod(t_us - self._since_us, self._period_us)
        return 2 * periods + 1 + (rest_us >= self._high_us)


class Count:
    """One unit's value. `events`: AT_MAX and AT_MIN of what it came to, until somebody takes them."""

    def __init__(self, low: int = -NO_LIMIT, high: int = NO_LIMIT) -> None:
        self.low, self.high = low, high
        self.value = 0
        self.events = 0

    def take_events(self) -> int:
        events, self.events = self.events, 0
        return events

    def step(self, by: int) -> None:
        self.value += by
        if self.value >= self.high:
            self.value = 0
            self.events |= AT_MAX
        elif self.value <= self.low:
            self.value = 0
            self.events |= AT_MIN

    def run(self, first: int, last: int, rise: int, fall: int) -> None:
        """The edges number `first` to `last` - 1 of a train; what a rising and a falling one adds. At most 1 each."""
        if not rise and not fall:
            return
        while first < last:
            if first % 2:
                self.step(fall)
                first += 1
                continue
            periods = (last - first) // 2
            skipped = min(periods, self._free_periods(rise + fall))
            if skipped:
                self.value += skipped * (rise + fall)
                first += 2 * skipped
                continue
            before = self.value
            self.step(rise)
            first += 1
            if first < last:
                self.step(fall)
                first += 1
                if self.value == before:  # at the limit: so it goes on
                    first += 2 * (periods - 1)

    def _free_periods(self, change: int) -> int:
        """So many periods come near no limit."""
        if change > 0:
            return max(0, (self.high - 2 - self.value) // change)
        if change < 0:
            return max(0, (self.value - self.low - 2) // -change)
        return 0
