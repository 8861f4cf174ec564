"""What may happen to a column: each kind with the bounds of its values and what it does to the world.

A happening is counted as fired only when the world saw it take effect (`Trace.took_effect`), under its kind's name.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from sim.campaign.waves import CLASSES
from sim.world.broker import BrokerFault
from sim.world.conditions import Net
from sim.world.flash import FlashFault
from sim.world.hostile import SCRIPTS
from sim.world.world import World

Value = int | str
Bounds = tuple[int, int] | tuple[str, ...]

FAULT_MS = (200, 90_000)
OFF_MS = (100, 60_000)
SEEDS = (0, 999_999)
TASKS = ("button", "column", "uplink", "incidents", "lamp", "relay", "link", "telemetry", "clock", "commands")


class Stage:
    """The world while a storm is performed; nothing that a happening plans comes after the storm's end."""

    def __init__(self, world: World, end_ms: int) -> None:
        self.world = world
        self.end_ms = end_ms

    def after(self, delay_ms: float, action: Callable[[], Any]) -> None:
        if self.world.now_ms + delay_ms <= self.end_ms:
            self.world.at(self.world.now_ms + delay_ms, action)


class Kind(NamedTuple):
    """`act(stage, *values)` runs at the happening's time. `bounds`: of a number, or the words to choose from."""

    bounds: dict[str, Bounds]
    act: Callable[..., None]


def _network(condition: Net, stage: Stage, for_ms: int, value: int | None = None) -> None:
    stage.after(for_ms, lambda: stage.world.network.stop(condition))
    stage.world.network.start(condition, value)


def _broker(fault: BrokerFault, stage: Stage, for_ms: int, value: int | None = None) -> None:
    stage.after(for_ms, lambda: stage.world.broker.stop(fault))
    stage.world.broker.start(fault, value)


def _flash(fault: FlashFault, stage: Stage, for_ms: int) -> None:
    stage.after(for_ms, lambda: stage.world.flash.stop(fault))
    stage.world.flash.start(fault)


def _hostile(script: str, stage: Stage) -> None:
    stage.world.broker.hostile(script)


def _takeover(stage: Stage) -> None:
    stage.world.broker.takeover()


def _wave(name: str, stage: Stage, for_ms: int, seed: int) -> None:
    """It took effect when the column was there to see it from its beginning to its end, undisturbed."""
    world, hardware = stage.world, stage.world.hardware
    edges = CLASSES[name][0](Random(seed), for_ms)
    world.wave(edges)
    version, board = hardware.contact_version, world.board

    def seen() -> None:
        if hardware.contact_version == version and board is not None and world.board is board:
            world.trace.took_effect(name)

    stage.after(edges[-1][0] / 1_000, seen)


def _stuck(stage: Stage, for_ms: int) -> None:
    world, hardware = stage.world, stage.world.hardware
    world.hold()
    version = hardware.contact_version

    def let_go() -> None:
        if hardware.contact_version == version:
            world.trace.took_effect("stuck")
            world.release()

    stage.after(for_ms, let_go)


def _power_cut(stage: Stage, off_ms: int) -> None:
    world = stage.world
    if world.powered:
        stage.after(off_ms, world.power_on)
        world.trace.took_effect("power-cut")
        world.power_off()


def _hang(stage: Stage, task: str) -> None:
    stage.world.hang(task)


_VALUES: dict[Net | BrokerFault, tuple[str, int, int]] = {
    Net.LATENCY: ("one_way_ms", 50, 3_000),
    Net.DRIP: ("gap_ms", 1, 40),
    Net.SHORT_WRITE: ("bytes", 0, 40),
    Net.LOOKUP_STALL: ("takes_ms", 1_000, 19_000),
    BrokerFault.LATE_PUBACK: ("late_ms", 500, 20_000),
    BrokerFault.CONNACK_REFUSED: ("code", 1, 5),
}


def _fault_bounds(fault: Net | BrokerFault) -> dict[str, Bounds]:
    bounds: dict[str, Bounds] = {"for_ms": FAULT_MS}
    if fault in _VALUES:
        name, low, high = _VALUES[fault]
        bounds[name] = (low, high)
    return bounds


KINDS: dict[str, Kind] = {
    **{name: Kind({"for_ms": length, "seed": SEEDS}, partial(_wave, name)) for name, (_, length) in CLASSES.items()},
    "stuck": Kind({"for_ms": (30_000, 300_000)}, _stuck),
    **{f"network {fault.value}": Kind(_fault_bounds(fault), partial(_network, fault)) for fault in Net},
    **{f"broker {fault.value}": Kind(_fault_bounds(fault), partial(_broker, fault)) for fault in BrokerFault},
    **{f"hostile {script}": Kind({}, partial(_hostile, script)) for script in SCRIPTS},
    "takeover": Kind({}, _takeover),
    **{f"flash {fault.value}": Kind({"for_ms": FAULT_MS}, partial(_flash, fault)) for fault in FlashFault},
    "power-cut": Kind({"off_ms": OFF_MS}, _power_cut),
    "hang": Kind({"task": TASKS}, _hang),
}
