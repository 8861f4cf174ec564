"""Virtual time: microseconds since the world began. Time moves only when somebody moves it, event by event."""

import heapq
import random
from collections.abc import Callable

US_PER_MS = 1_000
US_PER_S = 1_000_000
MS_PER_DAY = 86_400_000
PPM = 1_000_000  # parts per million of the whole

Action = Callable[[], None]


class WorldEvent(BaseException):
    """What ends a running firmware from outside. Not an Exception: no `except` of the firmware may stop it."""


class WorldError(WorldEvent):
    """An error of the world or of a test's own action (its cause), never to be taken for one of the firmware."""


class Event:
    """One entry of the timeline; `cancel` makes it pass without effect."""

    __slots__ = ("action", "t_us")

    def __init__(self, t_us: int, action: Action) -> None:
        self.t_us = t_us
        self.action: Action | None = action

    def cancel(self) -> None:
        self.action = None


class Timeline:
    """The events to come, in the order of their time and, at the same instant, of their entry."""

    def __init__(self) -> None:
        self.now_us = 0
        self._heap: list[tuple[int, int, Event]] = []
        self._entries = 0

    def at(self, t_us: int, action: Action) -> Event:
        """Run `action` at `t_us` (a time that has passed means now)."""
        event = Event(max(t_us, self.now_us), action)
        self._entries += 1
        heapq.heappush(self._heap, (event.t_us, self._entries, event))
        return event

    def after(self, delay_us: int, action: Action) -> Event:
        return self.at(self.now_us + delay_us, action)

    def planned(self) -> int:
        """How many events are still to come."""
        return len(self._heap)

    def advance_to(self, t_us: int, stop: Callable[[], bool] | None = None) -> bool:
        """Pass the time until `t_us`, running what is due; True = `stop` became true after an event: time stays there.

        An action may raise a WorldEvent (a power cut); any other error of an action comes out as a WorldError.
        """
        heap = self._heap
        while heap and heap[0][0] <= t_us:
            event = heapq.heappop(heap)[2]
            action = event.action
            if action is None:
                continue
            if event.t_us > self.now_us:
                self.now_us = event.t_us
            try:
                action()
            except Exception as error:
                raise WorldError(f"an event of the world failed: {error!r}") from error
            if stop is not None and stop():
                return True
        if t_us > self.now_us:
            self.now_us = t_us
        return False

    def skip_to(self, t_us: int) -> bool:
        """Pass the time until `t_us`, which is not before now, if nothing is due until then: most of all steps."""
        heap = self._heap
        if heap and heap[0][0] <= t_us:
            return False
        self.now_us = t_us
        return True


def dice(seed: int, name: str) -> random.Random:
    """The random numbers of one part of the world: parts do not disturb each other, whatever PYTHONHASHSEED is."""
    return random.Random(f"{seed}/{name}")
