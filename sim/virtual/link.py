"""The board's network interface: the HAL's own code (hal/esp32_network.py and what it makes) over a `network` module
whose Wi-Fi driver is the chip's (sim/chip/station.py), in virtual time."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol

from hal import interface
from sim.chip import station
from sim.virtual.costs import Costs
from sim.virtual.figures import span
from sim.virtual.network import Network
from sim.virtual.network_faults import Net
from sim.virtual.timeline import US_PER_MS

JOIN_MS = span("wifi_join_ms")
RSSI_DBM = (-75, -55)
ADDRESSES = ("10.0.0.7", "255.255.255.0", "10.0.0.1", "10.0.0.1")
NO_ADDRESSES = ("0.0.0.0", "0.0.0.0", "0.0.0.0", "0.0.0.0")
ETH_STARTED, ETH_STOPPED, ETH_CONNECTED, ETH_GOT_IP = 1, 2, 3, 5
FAILURES = ("WiFi Out of Memory", "esp_eth_driver_install failed", "[Errno 12] ENOMEM")  # the last is TLS


class Clock(Protocol):
    def ticks_ms(self) -> int: ...
    def ticks_add(self, ticks: int, delta_ms: int) -> int: ...
    def ticks_diff(self, later: int, earlier: int) -> int: ...


class StartFaults:
    """Hardware that fails as it is started, so many times from now on."""

    def __init__(self) -> None:
        self.makes_left = 0  # the network as a whole, as a life begins: neither driver can be made twice in one
        self.starts_left = 0  # the interface, each time that it is switched on
        self.on_failure: Callable[[str], None] = lambda kind: None

    def stop_all(self) -> None:
        self.makes_left = self.starts_left = 0

    def life_begins(self) -> None:
        self._failed: OSError | None = None

    def making(self, dice: Any) -> None:
        if self.makes_left > 0:
            self.makes_left -= 1
            self.on_failure("network-fails")
            self._failed = OSError(dice.choice(FAILURES))
        if self._failed is not None:
            raise self._failed

    def starting(self) -> None:
        if self.starts_left > 0:
            self.starts_left -= 1
            self.on_failure("interface-fails")
            raise OSError("WiFi Out of Memory")


class _Interface:
    """What `network.WLAN` and `network.LAN` share. Each use costs time; an interface that is switched off comes back
    from being wedged."""

    def __init__(self, network: Network, faults: StartFaults, spend: Callable[[int], None], costs: Costs) -> None:
        self._network = network
        self._faults = faults
        self._spend = spend
        self._costs = costs
        network.on_link = self.update

    def update(self) -> None:
        raise NotImplementedError

    def _is_up(self) -> bool:
        raise NotImplementedError

    def isconnected(self) -> bool:
        self._spend(0)
        return self._is_up()

    def ifconfig(self, addresses: Any = None) -> Any:
        return ADDRESSES if self._is_up() else NO_ADDRESSES

    def _switching(self, is_active: bool) -> None:
        self._spend(self._costs.dial_us)
        if is_active:
            self._faults.starting()
        else:
            self._network.stop(Net.LINK_WEDGED)

    def _reason(self) -> int:
        """Why there is no link now; 0 = there is one."""
        network = self._network
        if any([network.bites(Net.LINK_DOWN), network.bites(Net.LINK_WEDGED), network.bites(Net.LINK_STUCK)]):
            return station.NO_AP_FOUND
        return network.conditions[Net.LINK_REFUSED] if network.bites(Net.LINK_REFUSED) else 0


class Wifi(_Interface):
    """`network.WLAN(STA_IF)`."""

    def __init__(self, clock: Clock, *shared: Any) -> None:
        super().__init__(*shared)
        self._station = station.Station(clock, lambda *_: self._reason(), self._reason, self._join_ms)

    def _join_ms(self) -> int:
        return self._network.dice.randint(*JOIN_MS)

    def update(self) -> None:
        self._station.update()

    def _is_up(self) -> bool:
        return self._station.is_connected()

    def active(self, is_active: bool) -> None:
        self._switching(is_active)
        self._station.active(is_active)

    def config(self, **_: Any) -> None:
        self._station.configure()

    def connect(self, ssid: str, password: str | None) -> None:
        self._spend(self._costs.turn_us)
        self._station.connect(ssid, password)

    def disconnect(self) -> None:
        self._spend(self._costs.turn_us)
        self._station.disconnect()

    def status(self, param: str | None = None) -> int:
        self._spend(self._costs.turn_us)
        if param is None:
            return self._station.status()
        if not self._station.is_associated():
            raise OSError("Wifi Not Connected")
        return self._network.dice.randint(*RSSI_DBM)


class Ethernet(_Interface):
    """`network.LAN(...)`: the address comes a while after the carrier."""

    def __init__(self, *shared: Any) -> None:
        super().__init__(*shared)
        self._active: bool | None = None
        self._up_us: int | None = None

    def update(self) -> None:
        if not self._active or self._reason():
            self._up_us = None
        elif self._up_us is None:
            self._up_us = self._network.timeline.now_us + self._network.dice.randint(*JOIN_MS) * US_PER_MS

    def _is_up(self) -> bool:
        self.update()
        return self._up_us is not None and self._network.timeline.now_us >= self._up_us

    def active(self, is_active: bool) -> None:
        if is_active != bool(self._active):
            self._switching(is_active)
            self._active = is_active
            self.update()

    def status(self) -> int:
        self._spend(self._costs.turn_us)
        if self._is_up():
            return ETH_GOT_IP
        if not self._active:
            return ETH_STOPPED
        return ETH_STARTED if self._up_us is None else ETH_CONNECTED


def _hal() -> list[Any]:
    """The HAL's modules, imported where there is neither `network` nor `machine`: each board lends them its own."""
    lent = [name for name in ("network", "machine") if name not in sys.modules]
    for name in lent:
        sys.modules[name] = ModuleType(name)
    try:
        return [importlib.import_module(f"hal.esp32_{name}") for name in ("network", "link", "attempt")]
    finally:
        for name in lent:
            del sys.modules[name]


esp32_network, esp32_link, esp32_attempt = _hal()


def make(
    config: dict[str, Any],
    network: Network,
    faults: StartFaults,
    clock: Clock,
    spend: Callable[[int], None],
    costs: Costs,
    say: Callable[[str], None],
) -> interface.Link:
    """The link of one life of the board, by the HAL's own `make_network`."""

    def make_tls() -> None:
        faults.making(network.dice)

    shared = (network, faults, spend, costs)
    module: Any = SimpleNamespace(STA_IF=0, PHY_LAN8720=1, PHY_W5500=102, LAN=lambda **_: Ethernet(*shared))
    module.WLAN = type("WLAN", (), {"PM_NONE": 0, "__new__": lambda cls, _: Wifi(clock, *shared)})
    module.hostname = module.country = lambda *_: None
    vars(esp32_network).update(network=module, machine=_Machine)
    vars(esp32_link).update(network=module)
    vars(esp32_attempt).update(print=say)
    link: interface.Link = esp32_network.make_network(config, make_tls)[0]
    return link


class _Machine:
    """As much of `machine` as the HAL's Ethernet asks for."""

    class Pin:
        IN, OUT = 1, 3

        def __init__(self, *_: Any, **__: Any) -> None:
            pass

    class SPI:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass
