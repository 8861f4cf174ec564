"""Where a storm is performed: the world, and nothing that a happening plans comes after the storm's end."""

from collections.abc import Callable
from typing import Any

from sim.virtual.world import World


class Stage:
    """`after` is how a happening goes on: its delay counts from now."""

    def __init__(self, world: World, end_ms: int) -> None:
        self.world = world
        self.end_ms = end_ms

    def after(self, delay_ms: float, action: Callable[[], Any]) -> None:
        if self.world.now_ms + delay_ms <= self.end_ms:
            self.world.at(self.world.now_ms + delay_ms, action)

    def fired(self, kind: str) -> None:
        self.world.trace.took_effect(kind)
