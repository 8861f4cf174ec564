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


def draw(dice: Random) -> dict[str, int | str]:
    """One setting."""
    return {
        "chip": dice.choice(CHIPS),
        "config": dice.choice(list(CONFIGS)),
        "policy": dice.choice(list(POLICIES)),
    }


def check(setting: Setting) -> None:
    """Raises ValueError for a setting that `open_world` cannot make."""
    choices = {"chip": CHIPS, "config": tuple(CONFIGS), "policy": tuple(POLICIES)}
    if set(setting) != set(choices):
        raise ValueError(f"a setting has chip, config and policy, not {', '.join(setting)}")
    for name, words in choices.items():
        if setting[name] not in words:
            raise ValueError(f"no {name} {setting[name]!r}; right is one of {', '.join(sorted(set(words)))}")


def open_world(seed: int, setting: Setting) -> World:
    """A new world in that setting, which `check` takes; its heaps are drawn."""
    config = config_with(**CONFIGS[str(setting["config"])])
    if setting["chip"] != "esp32" and config["link"].get("phy"):
        config["link"] = {"type": "wifi"}  # no other chip has RMII
    costs = Costs.drawn(Random(f"room/{seed}"))
    return World(seed, config, costs=costs, chip=str(setting["chip"]), policy=POLICIES[str(setting["policy"])])
