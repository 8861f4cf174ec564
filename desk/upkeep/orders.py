"""Work orders: a fault, who sees to it, since when and until when; and maintenance, in which a column does not ring.
Pure.

A column that has been down for a while gets an order by itself. An order is over when the column is back and a drill
has passed after that: until then nobody knows that it is repaired. Maintenance ends only when somebody asks for it and
the drill that the desk then orders has passed; but what was promised binds the desk, too: after `until_ms` a press
rings again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from desk.upkeep.life import BROKER, CAUSES, DESK, MAINTENANCE

DOWN_MS = 15 * 60_000  # a column that is down for longer gets an order
NOT_ORDERED = (DESK, BROKER, MAINTENANCE)  # nobody has to go to the column for these
MAINTENANCE_MAX_MS = 7 * 24 * 3600 * 1000
UNTIL_MAX_MS = 366 * 24 * 3600 * 1000
WHO_MAX, WHAT_MAX = 80, 1000  # characters


class WorkOrder(NamedTuple):
    """`who`: who sees to it, "" for nobody yet; `opened_by`: "" for the desk itself."""

    n: int
    device_id: str
    cause: str
    what: str
    who: str
    maintenance: bool
    opened_ms: int
    opened_by: str
    down_ms: int | None = None
    until_ms: int | None = None
    repaired_ms: int | None = None
    closed_ms: int | None = None
    closed_by: str = ""

    @property
    def is_open(self) -> bool:
        return self.closed_ms is None

    def mutes(self, now_ms: int) -> bool:
        """Whether presses of its column do not ring."""
        return self.maintenance and self.is_open and self.until_ms is not None and now_ms < self.until_ms


def repair_ms(closed: Iterable[WorkOrder]) -> dict[str, dict[str, int]]:
    """Mean time to repair by cause: {cause: {"mean_ms", "n"}}, of orders whose column was down and is back. From when
    it went down to when the fault was gone, whenever somebody came to write the order."""
    took: dict[str, list[int]] = {}
    for order in closed:
        if order.down_ms is not None and order.repaired_ms is not None:
            took.setdefault(order.cause, []).append(max(0, order.repaired_ms - order.down_ms))
    return {cause: {"mean_ms": round(sum(took[cause]) / len(took[cause])), "n": len(took[cause])}
            for cause in CAUSES if cause in took}  # fmt: skip
