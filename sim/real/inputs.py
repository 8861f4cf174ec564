"""What a chip's inputs are wired to: button, tamper switch and link stay as they are while power is off."""

from collections.abc import Sequence

Edge = tuple[int, int]
"""(CLOCK_MONOTONIC us, 1 = closed)"""


class Schedule:
    """Where the contact stands, and its edges still to come: a chip that starts again gets only those."""

    def __init__(self) -> None:
        self._level = 0
        self._coming: list[Edge] = []

    def move(self, edges: Sequence[Edge]) -> None:
        """Add edges in the order of time; they replace those from the first one's time on."""
        self.at(edges[0][0])
        self._coming = [edge for edge in self._coming if edge[0] < edges[0][0]] + list(edges)

    def at(self, now_us: int) -> tuple[int, list[Edge]]:
        """(level, edges still to come) at `now_us`, which never goes back."""
        for t_us, level in self._coming:
            if t_us <= now_us:
                self._level = level
        self._coming = [edge for edge in self._coming if edge[0] > now_us]
        return self._level, self._coming


class Inputs:
    """Everything outside the chip."""

    def __init__(self) -> None:
        self.contact = Schedule()
        self.link_up = True
        self.tamper_open = False
