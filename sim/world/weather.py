"""A random, seeded life in the street: presses, interference, faults of everything, power cuts, hangs."""

from collections.abc import Callable
from typing import Any

from sim.world.broker import BrokerFault
from sim.world.conditions import Net
from sim.world.flash import FlashFault
from sim.world.hostile import SCRIPTS
from sim.world.timeline import dice
from sim.world.world import World

TASKS = ("button", "column", "uplink", "incidents", "lamp", "relay", "link", "telemetry", "clock", "commands")
PRESS_MS = (60, 3_000)
FAULT_MS = (200, 90_000)
LATENCY_MS = (50, 3_000)
DRIP_MS = (1, 40)
OFF_MS = (100, 60_000)
EMI_US = (20, 3_000)  # longest closure and gap of a burst: no press by far
VIBRATION_US = (1_000, 25_000)
_VALUES: dict[Net | BrokerFault, tuple[int, int]] = {
    Net.LATENCY: LATENCY_MS,
    Net.DRIP: DRIP_MS,
    Net.SHORT_WRITE: (0, 40),
    Net.LOOKUP_STALL: (1_000, 19_000),
    BrokerFault.LATE_PUBACK: (500, 20_000),
    BrokerFault.CONNACK_REFUSED: (1, 5),
}


class Weather:
    """Plans the given number of happenings between now and `for_ms` from now, by the world's own seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._dice = dice(world.seed, "weather")

    def plan(self, for_ms: int, happenings: int) -> None:
        kinds: list[Callable[[float], None]] = [
            self._press, self._press, self._panic, self._interference, self._vibration, self._network, self._network,
            self._broker, self._broker, self._hostile, self._power, self._hang, self._flash, self._camera,
        ]  # fmt: skip
        for _ in range(happenings):
            at_ms = self._world.now_ms + self._dice.uniform(0, for_ms)
            self._dice.choice(kinds)(at_ms)

    def _between(self, bounds: tuple[int, int]) -> int:
        return self._dice.randint(*bounds)

    def _press(self, at_ms: float) -> None:
        for_ms = self._between(PRESS_MS)
        self._world.at(at_ms, lambda: self._world.press(for_ms))

    def _panic(self, at_ms: float) -> None:
        for _ in range(self._between((2, 12))):
            self._press(at_ms)
            at_ms += self._between((100, 600))

    def _interference(self, at_ms: float) -> None:
        """A burst of closures of which no window nets a press: open for longer than closed."""
        edges, t_us = [], 0
        for _ in range(self._between((3, 60))):
            closed_us = self._between(EMI_US)
            edges += [(t_us, 1), (t_us + closed_us, 0)]
            t_us += closed_us * 2 + self._between(EMI_US)
        self._world.at(at_ms, lambda: self._world.wave(edges))

    def _vibration(self, at_ms: float) -> None:
        length_us = self._between(VIBRATION_US)
        self._world.at(at_ms, lambda: self._world.wave([(0, 1), (length_us, 0)]))

    def _network(self, at_ms: float) -> None:
        self._fault(at_ms, self._dice.choice(list(Net)))

    def _broker(self, at_ms: float) -> None:
        self._fault(at_ms, self._dice.choice(list(BrokerFault)))

    def _fault(self, at_ms: float, fault: Net | BrokerFault) -> None:
        value = self._between(_VALUES[fault]) if fault in _VALUES else None
        self._world.during(at_ms, self._between(FAULT_MS), fault, value)

    def _hostile(self, at_ms: float) -> None:
        script = self._dice.choice(list(SCRIPTS))
        self._world.at(at_ms, lambda: self._world.broker.hostile(script))

    def _power(self, at_ms: float) -> None:
        self._world.at(at_ms + self._between(OFF_MS), self._world.power_on)
        self._world.at(at_ms, self._world.power_off)

    def _hang(self, at_ms: float) -> None:
        task = self._dice.choice(TASKS)
        self._world.at(at_ms, lambda: self._world.hang(task))

    def _flash(self, at_ms: float) -> None:
        fault = self._dice.choice([FlashFault.FULL, FlashFault.WRITE_ERROR])
        for_ms = self._between(FAULT_MS)
        self._world.at(at_ms, lambda: self._world.flash.start(fault))
        self._world.at(at_ms + for_ms, lambda: self._world.flash.stop(fault))

    def _camera(self, at_ms: float) -> None:
        def toggle() -> Any:
            self._world.camera.up = not self._world.camera.up

        self._world.at(at_ms, toggle)
