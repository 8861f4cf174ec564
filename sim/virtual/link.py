"""The board's network interface."""

from collections.abc import Callable
from typing import Any

from sim.virtual.conditions import Net
from sim.virtual.costs import Costs
from sim.virtual.network import Network
from sim.virtual.timeline import US_PER_S

JOIN_US = (1 * US_PER_S, 3 * US_PER_S)
RSSI_DBM = (-75, -55)
STATUS_UP, STATUS_JOINING = 1010, 1001  # as on the ESP32: GOT_IP, CONNECTING


class VirtualLink:
    """`hal.interface.Link`: joins, loses the network and joins again by itself, as the driver does."""

    def __init__(self, network: Network, kind: str, spend: Callable[[int], None], costs: Costs) -> None:
        self._network = network
        self._kind = kind
        self._spend = spend
        self._costs = costs
        self._up_us: int | None = None  # when it has joined; None = not trying, or nothing there to join
        self._started = False
        network.on_link = self._condition_changed

    def start(self) -> None:
        self._spend(self._costs.turn_us)
        if not self._started:
            self._started = True
            self._join()

    def restart(self) -> None:
        self._spend(self._costs.dial_us)
        self._started = True
        self._up_us = None
        self._network.stop(Net.LINK_WEDGED)
        self._join()

    def is_up(self) -> bool:
        self._spend(0)
        return self._is_up()

    def describe(self) -> dict[str, Any]:
        self._spend(self._costs.turn_us)
        up = self._is_up()
        rssi_dbm = self._network.dice.randint(*RSSI_DBM) if up and self._kind == "wifi" else None
        return {
            "kind": self._kind,
            "rssi_dbm": rssi_dbm,
            "network": ("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1") if up else None,
            "status": STATUS_UP if up else STATUS_JOINING,
        }

    def _is_up(self) -> bool:
        return self._up_us is not None and self._network.timeline.now_us >= self._up_us

    def _join(self) -> None:
        if self._blocked():
            return
        if self._up_us is None:
            self._up_us = self._network.timeline.now_us + self._network.dice.randint(*JOIN_US)

    def _blocked(self) -> bool:
        return any([self._network.bites(Net.LINK_DOWN), self._network.bites(Net.LINK_WEDGED)])

    def _condition_changed(self) -> None:
        if self._blocked():
            self._up_us = None
        elif self._started:
            self._join()
