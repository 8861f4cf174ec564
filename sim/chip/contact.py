"""The button's electrical contact: a list of time-stamped edges, asked for its level and its closures.

Pure Python for CPython and MicroPython. Times are microseconds of one steady clock; level 1 = contact closed.
"""

HISTORY_US = 5_000_000  # how far back questions may reach; older edges are folded into the counts
_FOLD_AT = 8  # edges that have to be old before folding is worth the work; they lie in the heap under test


class Contact:
    """A contact that starts open, unless told otherwise. Edges that change nothing are dropped: levels alternate."""

    def __init__(self, level: int = 0) -> None:
        self._times: list[int] = []
        self._levels: list[int] = []
        self._base_level = level  # before the first kept edge
        self._passed = 0  # edges at or before the last instant asked about
        self._closures = 0  # closures among the passed edges and the folded ones
        self._horizon_us: int | None = None

    @property
    def settled(self) -> bool:
        """True while no edge lies after the last instant asked about: `level` then holds until new edges come."""
        return self._passed == len(self._times)

    @property
    def level(self) -> int:
        """The level at the last instant asked about."""
        return self._levels[self._passed - 1] if self._passed else self._base_level

    def replace_from(self, t_us: int, edges: list[tuple[int, int]]) -> None:
        """Drop every edge at or after `t_us` and append `edges` (time, level), none before `t_us`, in order.

        Edges may lie in the past: they count from now on. Raises ValueError when the order is wrong.
        """
        last_us = t_us
        for at_us, level in edges:
            if at_us < last_us or level not in (0, 1):
                raise ValueError("edge %d:%s: levels are 0 or 1 and times must not go back" % (at_us, level))
            last_us = at_us
        keep = len(self._times)
        while keep and self._times[keep - 1] >= t_us:
            keep -= 1
        while self._passed > keep:
            self._step_back()
        del self._times[keep:]
        del self._levels[keep:]
        level = self._levels[-1] if keep else self._base_level
        for at_us, new_level in edges:
            if new_level != level:
                self._times.append(at_us)
                self._levels.append(new_level)
                level = new_level

    def since(self, t_us: int) -> int:
        """`t_us`, or where history starts if that is later: for whoever stood still for longer than HISTORY_US."""
        return t_us if self._horizon_us is None else max(t_us, self._horizon_us)

    def level_at(self, t_us: int) -> int:
        """0 or 1 at `t_us`. Raises ValueError for an instant more than HISTORY_US before the latest one asked about."""
        if not self._times and self._horizon_us is None:
            return self._base_level  # never touched
        self._seek(t_us)
        level = self.level
        self._fold(t_us - HISTORY_US)
        return level

    def closures_until(self, t_us: int) -> int:
        """How often the contact has closed, from the beginning up to and including `t_us`."""
        self._seek(t_us)
        closures = self._closures
        self._fold(t_us - HISTORY_US)
        return closures

    def closures_between(self, t0_us: int, t1_us: int) -> int:
        """Closures after `t0_us`, up to and including `t1_us`."""
        self._seek(t0_us)
        before = self._closures
        return self.closures_until(t1_us) - before

    def next_edge_after(self, t_us: int) -> int | None:
        """Time of the first edge after `t_us`, None when there is none."""
        self._seek(t_us)
        return None if self.settled else self._times[self._passed]

    def _seek(self, t_us: int) -> None:
        if self._horizon_us is not None and t_us < self._horizon_us:
            raise ValueError("contact at %d us: forgotten, history starts at %d us" % (t_us, self._horizon_us))
        while self._passed < len(self._times) and self._times[self._passed] <= t_us:
            self._closures += self._levels[self._passed]
            self._passed += 1
        while self._passed and self._times[self._passed - 1] > t_us:
            self._step_back()

    def _step_back(self) -> None:
        self._passed -= 1
        self._closures -= self._levels[self._passed]

    def _fold(self, before_us: int) -> None:
        if self._passed < _FOLD_AT or self._times[_FOLD_AT - 1] >= before_us:
            return
        old = _FOLD_AT
        while old < self._passed and self._times[old] < before_us:
            old += 1
        self._base_level = self._levels[old - 1]
        self._horizon_us = self._times[old - 1]
        del self._times[:old]
        del self._levels[:old]
        self._passed -= old


def parse_wave(text: str) -> list[tuple[int, int]]:
    """Edges from "T_US:LEVEL T_US:LEVEL ..." (whole microseconds >= 0 in order; 1 = closed, 0 = open).

    Raises ValueError naming the word that is wrong and what would be right.
    """
    edges: list[tuple[int, int]] = []
    for word in text.split():
        time_text, colon, level_text = word.partition(":")
        if not colon or not time_text.isdigit() or level_text not in ("0", "1"):
            raise ValueError("wave: '%s' is not T_US:LEVEL (whole microseconds, then 0 = open or 1 = closed)" % word)
        t_us = int(time_text)
        if edges and t_us < edges[-1][0]:
            raise ValueError("wave: '%s' comes before %d us; give the edges in order of time" % (word, edges[-1][0]))
        edges.append((t_us, int(level_text)))
    if not edges:
        raise ValueError("wave: no edges; give at least one T_US:LEVEL, as in 0:1 120000:0")
    return edges
