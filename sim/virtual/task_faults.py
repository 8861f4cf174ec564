"""Faults of the firmware's own tasks, by name. The world puts a `WatchedTask` in the place of each task, so that it
can spoil a step, and sees every exception that leaves one."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from sim.virtual.heaps import HeapExhausted
from sim.virtual.timeline import US_PER_MS, Timeline
from sim.virtual.trace import Trace

IDLE_MS = 2_000  # what an idle step asks for: the longest that the loop waits


class TaskFault(StrEnum):
    """What is wrong with a task, besides hanging (see `VirtualScratch`)."""

    RAISES = "raises"  # one step of it raises, at its nth use of the board
    NO_HEAP = "no-heap"  # an allocation fails in whatever step it is, at the nth use of the board from now on
    IDLE = "idle"  # its steps come back, and do nothing: it awaits what never comes
    SLEEPS = "sleeps"  # its step does its work, and asks to be called again in days


class Injected(RuntimeError):
    """No error of the firmware's own."""


class Sabotage:
    """What is done to the tasks of the life that is."""

    def __init__(self, timeline: Timeline, trace: Trace) -> None:
        self._timeline = timeline
        self._trace = trace
        self._countdown = 0  # uses of the board until the exception; 0 = none planned
        self._victim: str | None = None  # the task that raises; None = whichever runs
        self._inside: str | None = None  # the task whose step runs now
        self._idle_until_us: dict[str, int] = {}
        self._sleeper: str | None = None

    def raises(self, task: str, after_uses: int) -> None:
        self._victim, self._countdown = task, after_uses

    def no_heap(self, after_uses: int) -> None:
        self._victim, self._countdown = None, after_uses

    def idle(self, task: str, for_ms: int) -> None:
        self._trace.add("condition", "task", TaskFault.IDLE.value, task, for_ms)
        self._idle_until_us[task] = self._timeline.now_us + for_ms * US_PER_MS

    def sleeps(self, task: str) -> None:
        self._sleeper = task
        self._trace.add("condition", "task", TaskFault.SLEEPS.value, task)

    def stop_all(self) -> None:
        self._countdown = 0
        self._sleeper = None
        self._idle_until_us.clear()

    def board_used(self) -> None:
        """Any operation of the board; raises what was planned."""
        if not self._countdown or self._inside is None or self._victim not in (None, self._inside):
            return
        self._countdown -= 1
        if self._countdown:
            return
        fault = TaskFault.NO_HEAP if self._victim is None else TaskFault.RAISES
        self._trace.took_effect(f"task {fault.value}")
        self._trace.add("condition", "task", fault.value, self._inside)
        if fault == TaskFault.NO_HEAP:
            raise MemoryError("memory allocation failed, allocating 512 bytes")
        raise Injected("planned by the world")

    def idles(self, task: str) -> bool:
        return self._idle_until_us.get(task, 0) > self._timeline.now_us

    def is_idle(self, task: str) -> bool:
        """Asked when its step is due."""
        if not self.idles(task):
            return False
        self._trace.took_effect(f"task {TaskFault.IDLE.value}")
        return True

    def falls_asleep(self, task: str) -> bool:
        if self._sleeper != task:
            return False
        self._sleeper = None
        self._trace.took_effect(f"task {TaskFault.SLEEPS.value}")
        return True

    def call(self, task: str, method: Callable[..., Any], *arguments: Any) -> Any:
        """Run a method of a task; an exception that leaves it is noted: the task is dead."""
        self._inside = task
        try:
            return method(*arguments)
        except Exception as error:
            planned = isinstance(error, (Injected, MemoryError)) and not isinstance(error, HeapExhausted)
            self._trace.add("died", task, "planned" if planned else repr(error))
            raise
        finally:
            self._inside = None


SLEEP_MS = 86_400_000 * 5


class WatchedTask:
    """Stands between the supervisor and a task."""

    def __init__(self, task: Any, sabotage: Sabotage) -> None:
        self.name: str = task.name
        self._task = task
        self._sabotage = sabotage

    def step(self) -> Any:
        if self._sabotage.is_idle(self.name):
            return IDLE_MS
        wants_ms = self._sabotage.call(self.name, self._task.step)
        return SLEEP_MS if self._sabotage.falls_asleep(self.name) else wants_ms

    def look(self, waited_ms: int) -> None:
        self._sabotage.call(self.name, self._task.look, waited_ms)

    def is_busy(self) -> bool:
        return bool(self._task.is_busy())
