"""The worlds in which storms take place: configurations, policies of the centre, chips."""

from collections.abc import Mapping
from random import Random
from typing import Any

from sim.document import RMII
from sim.virtual.centre import Policy
from sim.virtual.configuration import BROKER, config_with
from sim.virtual.costs import Costs
from sim.virtual.world import World

Setting = Mapping[str, int | str]

CHIPS = ("esp32", "esp32", "esp32c3")  # the last has no edge counter
CONFIGS: dict[str, dict[str, dict[str, Any]]] = {
    "default": {},
    "short-incidents": {"incident": {"open_s": 20, "retention_s": 120}},
    "ethernet-by-address": {"link": RMII, "broker": {"host": BROKER}},
    "hasty": {
        "broker": {"keepalive_s": 4, "connect_timeout_s": 6, "puback_timeout_s": 2, "retry_max_s": 10},
        "watchdog": {"timeout_s": 4, "healthy_s": 10},
        "telemetry": {"heartbeat_s": 2},
        "clock": {"every_s": 60},
        "selftest": {"stream_s": 10, "drill_s": 15},
    },
}
POLICIES = {
    "software": Policy(),
    "slow": Policy(received_ms=2_000, tells_heard=False),
    "operator": Policy(received_ms=300, accepted_ms=5_000, dispatched_ms=20_000, closed_ms=60_000),
    "nobody": Policy(received_ms=None),
}


# How long the chip takes for its flash and for a handshake: as the model has it, or drawn around that for each board.
USUAL, DRAWN = "usual", "drawn"


def draw(dice: Random) -> dict[str, int | str]:
    """One setting."""
    return {
        "chip": dice.choice(CHIPS),
        "config": dice.choice(list(CONFIGS)),
        "policy": dice.choice(list(POLICIES)),
        "pace": DRAWN,
    }


def check(setting: Setting) -> None:
    """Raises ValueError for a setting that `open_world` cannot make. Without a pace it is the usual one: what an older
    storm showed stays where it was."""
    choices = {"chip": CHIPS, "config": tuple(CONFIGS), "policy": tuple(POLICIES), "pace": (USUAL, DRAWN)}
    if {"pace", *setting} != set(choices):
        raise ValueError(f"a setting has chip, config and policy, and pace or not; found {', '.join(setting)}")
    for name, words in choices.items():
        if setting.get(name, USUAL) not in words:
            raise ValueError(f"no {name} {setting[name]!r}; right is one of {', '.join(sorted(set(words)))}")


def open_world(seed: int, setting: Setting) -> World:
    """A new world in that setting, which `check` takes; its heaps are drawn."""
    config = config_with(**CONFIGS[str(setting["config"])])
    if setting["chip"] != "esp32" and config["link"].get("phy"):
        config["link"] = {"type": "wifi"}  # no other chip has RMII
    costs = Costs.drawn(Random(f"room/{seed}"))
    if setting.get("pace") == DRAWN:
        costs = costs.at_another_pace(Random(f"pace/{seed}"))
    return World(seed, config, costs=costs, chip=str(setting["chip"]), policy=POLICIES[str(setting["policy"])])
