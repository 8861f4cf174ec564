"""What may happen to a column: each kind with the bounds of its values and what it does to the world.

A happening is counted as fired only when the world saw it take effect (`Trace.took_effect`), under its kind's name.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sim.search.storms import traffic, troubles
from sim.search.storms.stage import Stage
from sim.search.storms.waves import CLASSES
from sim.virtual.broker import BrokerFault
from sim.virtual.flash import FlashFault
from sim.virtual.malformed import SCRIPTS
from sim.virtual.network_faults import Net

Value = int | str
Bounds = tuple[int, int] | tuple[str, ...]

FAULT_MS = (200, 90_000)
LINK_MS = (200, 400_000)  # the interface is restarted after 120 s
OFF_MS = (100, 60_000)
SEEDS = (0, 999_999)
POSITION = (0, 9_999)  # wraps around the file
TASKS = ("button", "column", "uplink", "incidents", "lamp", "relay", "link", "telemetry", "clock", "commands")
USES = (1, 60)  # of the board, by a task, until the fault bites
YEAR_S = 31_536_000


class Kind(NamedTuple):
    """`act(stage, *values)` runs at the happening's time. `bounds`: of a number, or the words to choose from.

    `lasts`: its first value, `for_ms`, may as well be for ever."""

    bounds: dict[str, Bounds]
    act: Callable[..., None]
    lasts: bool = False


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


def _link_flap(stage: Stage, count: int, down_ms: int, up_ms: int) -> None:
    if count:
        stage.after(down_ms + up_ms, lambda: _link_flap(stage, count - 1, down_ms, up_ms))
        if stage.world.board is not None and stage.world.board.ended is None:
            stage.fired("link-flap")
        _network(Net.LINK_DOWN, stage, down_ms)


_VALUES: dict[Net | BrokerFault, tuple[str, int, int]] = {
    Net.LINK_REFUSED: ("reason", 2, 205),
    Net.LATENCY: ("one_way_ms", 50, 3_000),
    Net.DRIP: ("gap_ms", 1, 40),
    Net.SHORT_WRITE: ("bytes", 0, 40),
    Net.LOOKUP_STALL: ("takes_ms", 1_000, 19_000),
    Net.NTP_AHEAD: ("error_s", 1, YEAR_S),
    Net.NTP_BEHIND: ("error_s", 1, YEAR_S),
    BrokerFault.LATE_PUBACK: ("late_ms", 500, 20_000),
    BrokerFault.CONNACK_REFUSED: ("code", 1, 5),
    BrokerFault.RIVAL: ("after_ms", 1, 10_000),
    BrokerFault.ENDS_AT_LARGE: ("bytes", 300, 900),
    BrokerFault.BANS_FLAPPING: ("connections", 3, 15),
}


def _fault_bounds(fault: Net | BrokerFault) -> dict[str, Bounds]:
    bounds: dict[str, Bounds] = {"for_ms": LINK_MS if fault in (Net.LINK_REFUSED, Net.LINK_STUCK) else FAULT_MS}
    if fault in _VALUES:
        name, low, high = _VALUES[fault]
        bounds[name] = (low, high)
    return bounds


CONTACT = {
    **{name: Kind({"for_ms": ms, "seed": SEEDS}, partial(troubles.wave, name)) for name, (_, ms) in CLASSES.items()},
    "stuck": Kind({"for_ms": (61_000, 300_000)}, troubles.stuck, lasts=True),
    "held-at-boot": Kind({"off_ms": OFF_MS, "held_ms": (1, 10_000)}, troubles.held_at_boot),
    "wrap-in-press": Kind({"lead_ms": troubles.LEAD_MS}, troubles.wrap_in_press),
}
NETWORK = {
    **{f"network {fault.value}": Kind(_fault_bounds(fault), partial(_network, fault), True) for fault in Net},
    "link-flap": Kind({"count": (2, 20), "down_ms": (50, 5_000), "up_ms": (50, 5_000)}, _link_flap),
}
BROKER = {
    **{f"broker {fault.value}": Kind(_fault_bounds(fault), partial(_broker, fault), True) for fault in BrokerFault},
    **{f"hostile {script}": Kind({}, partial(_hostile, script)) for script in SCRIPTS},
    "takeover": Kind({}, _takeover),
    "commands": Kind({"count": (1, 60), "gap_ms": (1, 2_000), "command": traffic.COMMANDS}, traffic.commands),
    "bad-commands": Kind({"count": (1, 60), "gap_ms": (1, 2_000), "seed": SEEDS}, traffic.bad_commands),
    "bad-answers": Kind({"count": (1, 60), "gap_ms": (1, 2_000), "seed": SEEDS}, traffic.bad_answers),
    "retained-command": Kind({"for_ms": FAULT_MS, "command": traffic.COMMANDS}, traffic.retained_command, True),
}
FLASH = {
    **{f"flash {fault.value}": Kind({"for_ms": FAULT_MS}, partial(_flash, fault), True) for fault in FlashFault},
    "flip-bit": Kind({"file": troubles.FRAMED_FILES, "position": POSITION, "off_ms": OFF_MS}, troubles.flip_bit),
    "truncate": Kind({"file": troubles.FILES, "position": POSITION, "off_ms": OFF_MS}, troubles.truncate),
    "erase": Kind(
        {"file": troubles.FILES, "position": POSITION, "length": (1, 4_096), "off_ms": OFF_MS}, troubles.erase
    ),
}
BOARD = {
    "power-cut": Kind({"off_ms": OFF_MS}, troubles.power_cut),
    "cut-in-write": Kind({"share_percent": (0, 99), "off_ms": OFF_MS}, troubles.cut_in_write),
    "reset": Kind({}, troubles.reset),
    "reset-loop": Kind({"count": (5, 9), "gap_ms": (600, 6_000), "how": ("power", "pin")}, troubles.reset_loop),
    "network-fails": Kind({"count": (1, 3)}, troubles.network_fails),
    "interface-fails": Kind({"count": (1, 9)}, troubles.interface_fails),
    "hang": Kind({"task": TASKS}, troubles.hang),
    "task raises": Kind({"task": TASKS, "after_uses": USES}, troubles.raises),
    "task no-heap": Kind({"after_uses": USES}, troubles.no_heap),
    "task idle": Kind({"for_ms": FAULT_MS, "task": TASKS}, troubles.idle, lasts=True),
    "task sleeps": Kind({"task": TASKS}, troubles.sleeps),
}
KINDS: dict[str, Kind] = {**CONTACT, **NETWORK, **BROKER, **FLASH, **BOARD}
CONSEQUENCES = frozenset({"ticks-wrap"})  # not drawn: every storm comes to it that is long enough
