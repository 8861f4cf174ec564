"""A city with a desk: a broker, a clock, columns to press in the browser, and the desk as a process of its own.

For people and browsers; the script acts on a town without pages (sim/demo/town.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from common.ports import HOST
from sim.demo.columns import COLUMNS, DemoColumn, configuration
from sim.demo.desk_process import DeskProcess
from sim.demo.devices import Devices
from sim.pillar import Pillar, PillarServer
from sim.servers.broker import Broker
from sim.servers.stand_ins import TimeServer

TAMPER_PIN = 27
STUCK_S = 20  # a minute in the street: whoever tries it wants to see it

Event = dict[str, Any]


class City:
    """A context manager: inside, everything runs. All methods may be called from any thread.

    `folder` is the desk's. `desk_port` and `pillar_port`: of the pages, 0 for any. `adjust` may change a column's
    configuration before it is built. `street`: cameras and intercoms as the places' equipment says, from other
    people's programs; else every column has the pillar's own. Raises OSError if a port is taken, BrokerError,
    DeskError, NotStarted, toolbox.ToolMissing.
    """

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        places: Sequence[DemoColumn] = COLUMNS,
        *,
        runtime: str = "cpython",
        desk_port: int = 0,
        pillar_port: int = 0,
        adjust: Callable[[dict[str, Any]], None] = lambda config: None,
        desk_arguments: Sequence[str] = (),
        street: bool = False,
    ) -> None:
        self.broker = broker
        self.desk = DeskProcess(folder, broker.host, broker.port, listen=desk_port, arguments=desk_arguments)
        self.pillars: dict[str, Pillar] = {}
        self.devices: dict[str, Devices] = {}
        self._street = street
        self._places, self._runtime, self._adjust = tuple(places), runtime, adjust
        self._server, self._clock = PillarServer(port=pillar_port), TimeServer()
        self._lamps: dict[str, list[str]] = {}
        self._changed = threading.Condition()
        self._life = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as life:
            life.enter_context(self._clock)
            life.enter_context(self.broker)
            life.enter_context(self._server)
            life.enter_context(self.desk)
            for place in self._places:
                if street := self._devices(place):
                    self.devices[place.device_id] = life.enter_context(street)
                life.enter_context(self._build(place))
            for pillar in self.pillars.values():
                pillar.power_on()
            self._life = life.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.close()

    def page(self, device_id: str) -> str:
        """The URL of a pillar's page."""
        return self._server.page(device_id)

    def equipment(self, place: DemoColumn) -> tuple[str, ...]:
        """How its picture and sound are had."""
        return place.equipment if place.device_id in self.devices else ("webrtc",)

    def lamps(self, device_id: str) -> list[str]:
        """Every state that a column's lamp has shown, one after the other."""
        with self._changed:
            return list(self._lamps[device_id])

    def wait_for_lamp(self, device_id: str, state: str, timeout_s: float) -> None:
        """Raises TimeoutError."""
        with self._changed:
            shown = self._lamps[device_id]
            if not self._changed.wait_for(lambda: shown[-1:] == [state], timeout_s):
                raise TimeoutError(f"{device_id}: the lamp is not {state} within {timeout_s:.0f} s: {shown[-5:]}")

    def _devices(self, place: DemoColumn) -> Devices | None:
        """None where the pillar has its own."""
        own = not self._street or "rtsp" not in place.equipment
        return None if own else Devices(place.device_id, intercom="sip" in place.equipment)

    def _build(self, place: DemoColumn) -> Pillar:
        config = configuration(place, self.broker.host, self.broker.port)
        devices = self.devices.get(place.device_id)
        config["stream"] = devices.stream() if devices else self._server.stream(place.device_id)
        config["clock"] = {"server": HOST, "port": self._clock.port}
        config["pins"]["tamper"] = TAMPER_PIN
        config["button"] = {"stuck_s": STUCK_S}
        self._adjust(config)
        self._lamps[place.device_id] = []
        pillar = Pillar(config, runtime=self._runtime, on_event=lambda event: self._event(place.device_id, event))
        self.pillars[place.device_id] = pillar
        if devices:
            devices.serve(pillar)
        return self._server.add(pillar)

    def _event(self, device_id: str, event: Event) -> None:
        """In the column's thread."""
        if event["event"] == "lamp":
            with self._changed:
                self._lamps[device_id].append(event["state"])
                self._changed.notify_all()
