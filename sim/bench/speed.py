"""What lies on the flash, and how fast virtual time passes."""

import time
from typing import Any

from sim.real import flash_image
from sim.virtual.centre import Policy
from sim.virtual.world import World

SEED = 1
CHUNK_MS = 60_000
CLOSED_MS = 5_000  # so that each press is an incident of its own


def sizes() -> dict[str, int]:
    """Name on the device -> bytes, of every file that the firmware consists of."""
    return {name: len(data) for name, data in sorted(flash_image.firmware_files(mpy=True).items())}


def virtual_time(wall_s: float) -> list[dict[str, Any]]:
    """Simulated seconds per second of this machine: a column at rest, and one pressed every minute."""
    return [_pace("at rest", False, wall_s), _pace("an alarm a minute", True, wall_s)]


def _pace(what: str, pressed: bool, wall_s: float) -> dict[str, Any]:
    world = World(seed=SEED, policy=Policy(closed_ms=CLOSED_MS))
    world.run(CHUNK_MS)  # boot and connect
    from_ms, started_s, elapsed_s = world.now_ms, time.perf_counter(), 0.0
    while elapsed_s < wall_s or world.now_ms == from_ms:  # once at least: a loaded machine may take that long to begin
        if pressed:
            world.at(world.now_ms + CHUNK_MS / 2, world.press)
        world.run(CHUNK_MS)
        elapsed_s = time.perf_counter() - started_s
    simulated_s = (world.now_ms - from_ms) / 1000
    alarms = len(world.centre.ledger)
    return {"what": what, "simulated_s": simulated_s, "per_second": simulated_s / elapsed_s, "alarms": alarms}
