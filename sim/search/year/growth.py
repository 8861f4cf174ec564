"""What a column holds in memory and on flash, and whether that grows with the months."""

import gc
import sys
from types import FrameType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from sim.virtual.world import World

GROWTH_MAX_BYTES = 2_048  # between two samples: a list of 16 events more or less; a leak passes it in any month
FLASH_MAX_BYTES = 16_384  # journal (compacted above 4 KiB), quarantine and all small files


class Sample(NamedTuple):
    """At one instant. `objects` and `held_bytes`: all that can be reached from the column without the board."""

    day: float
    objects: int
    held_bytes: int
    flash_bytes: int
    flash_writes: int
    planned: int  # events on the world's timeline: timers that nobody ends would pile up there


def sample(world: World) -> Sample:
    """Take one now; the world stands still between two runs."""
    held = _reachable(world.column, {id(world.board)})
    flash = world.flash
    return Sample(
        day=world.now_ms / 86_400_000,
        objects=len(held),
        held_bytes=sum(map(sys.getsizeof, held)),
        flash_bytes=sum(map(len, flash.files.values())),
        flash_writes=flash.writes,
        planned=world.timeline.planned(),
    )


def complaints(samples: list[Sample]) -> list[str]:
    """What grows. The first sample is the measure: it is taken when the column has lived through all that is daily."""
    if len(samples) < 2:
        return []
    first, last = samples[0], samples[-1]
    found = []
    if last.held_bytes > first.held_bytes + GROWTH_MAX_BYTES:
        found.append(
            f"growth: the column held {first.held_bytes} bytes on day {first.day:.0f} "
            f"and holds {last.held_bytes} on day {last.day:.0f}"
        )
    if last.flash_bytes > FLASH_MAX_BYTES:
        found.append(f"growth: {last.flash_bytes} bytes on flash on day {last.day:.0f}, more than {FLASH_MAX_BYTES}")
    return found


_SHARED = (type, ModuleType, FunctionType, MethodType, FrameType)


def _reachable(root: Any, without: set[int]) -> list[Any]:
    """Every object that `root` leads to; not classes, modules and code, and nothing of the simulator's."""
    seen = set(without)
    found, waiting = [], [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or type(one).__module__.startswith(("sim.", "random")):
            continue
        seen.add(id(one))
        if isinstance(one, FunctionType):
            waiting += one.__closure__ or ()  # a callback may hold something
        elif isinstance(one, MethodType):
            waiting.append(one.__self__)
        elif not isinstance(one, _SHARED):
            found.append(one)
            waiting += gc.get_referents(one)
    return found
