"""The rig in virtual time: sim.virtual."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from rig import BOOT, Alarm, Rig, state_of

from sim.virtual.broker import BrokerFault
from sim.virtual.centre import Case, Policy
from sim.virtual.configuration import CAMERA_NAME, DEFAULT_CONFIG, config_with
from sim.virtual.mqtt_wire import Publish
from sim.virtual.network_faults import Net
from sim.virtual.trace import Entry
from sim.virtual.world import World

SLICE_MS = 10
T = TypeVar("T")


class VirtualRig(Rig):
    """`world` is there for tests of virtual time alone."""

    def __init__(self, seed: int) -> None:
        super().__init__("virtual", DEFAULT_CONFIG["device_id"], seed)
        # Only `_alarm` below answers: the policy has no switch.
        self.world = World(seed, powered=False, policy=Policy(received_ms=None))
        self.world.centre.on_alarm.append(self._alarm)
        self.world.trace.watch(self._entry)
        self._auto = True
        self._relay = False
        self._lamp = "dark"

    def base_document(self) -> dict[str, Any]:
        return config_with()

    def install(self, document: dict[str, Any]) -> None:
        self.world.power_off()
        self.world.configure(document)

    def power_on(self) -> None:
        self.world.power_on()

    def power_off(self) -> None:
        self.world.power_off()

    def press(self, for_ms: int = 120) -> None:
        self.world.press(for_ms)

    def wave(self, edges: list[tuple[int, int]]) -> None:
        self.world.wave(edges)

    def link(self, up: bool) -> None:
        if up:
            self.world.network.stop(Net.LINK_DOWN)
        else:
            self.world.network.start(Net.LINK_DOWN)

    def hang(self, task: str) -> None:
        self.world.hang(task)

    def break_broker(self, outage: str) -> None:
        broker = self.world.broker
        if outage == "black-hole":
            self.world.network.start(Net.BLACK_HOLE)
        elif outage == "freeze":
            broker.start(BrokerFault.FREEZE)
        else:
            broker.start(BrokerFault.DOWN)
        if outage == "refuse":
            broker.start(BrokerFault.CONNACK_REFUSED)
            broker.stop(BrokerFault.DOWN)

    def mend_broker(self) -> None:
        self.world.network.stop(Net.BLACK_HOLE)
        self.world.broker.stop_all()

    def silence_centre(self) -> None:
        self._auto = False

    def centre_answers(self) -> None:
        self._auto = True

    def camera(self, up: bool = True, status: int | None = 200) -> dict[str, Any]:
        self.world.camera.up, self.world.camera.status = up, status
        return {
            "rtsp": f"rtsp://{CAMERA_NAME}/1",
            "http": f"http://{CAMERA_NAME}/1.jpg",
            "sip": f"sip:intercom@{CAMERA_NAME}",
        }

    def asked(self) -> list[bytes]:
        return list(self.world.camera.asked)

    def answer(self, ident: str, state: str) -> None:
        self.world.centre.answer(ident, state)

    def publish(self, kind: str, payload: bytes) -> None:
        self.world.broker.publish(Publish(self.root + kind, payload, 1, False))

    def epoch_ms(self) -> int:
        return self.world.true_epoch_ms()

    def now_ms(self) -> float:
        return self.world.now_ms

    def until(self, look: Callable[[], T | None], within_ms: float, what: str) -> T:
        end_ms = self.now_ms() + within_ms
        while not (found := look()):
            assert self.now_ms() < end_ms, f"no {what} within {within_ms} ms\n{self.history()}"
            self.world.run(SLICE_MS)
        return found

    def alarms(self) -> dict[str, Alarm]:
        cases = self.world.centre.ledger.values()
        return {case.id: Alarm(case.id, case.press, case.copies, case.late, case.first) for case in cases}

    def heard(self, kind: str) -> dict[str, Any] | None:
        return self.world.centre.latest.get(self.root + kind)

    def happened(self) -> list[dict[str, Any]]:
        return self.world.centre.events

    def result(self, ident: str) -> dict[str, Any] | None:
        return next((one for one in self.world.centre.results if one["id"] == ident), None)

    def retained(self, kind: str) -> dict[str, Any] | None:
        message = self.world.broker.retained.get(self.root + kind)
        return json.loads(message.payload) if message is not None else None

    def violations(self) -> list[str]:
        world = self.world
        return [*world.broker.violations, *world.centre.violations, *world.invariants.violations]

    def close(self) -> None:
        self.world.power_off()

    # -- the trace becomes events

    def _alarm(self, case: Case, body: dict[str, Any]) -> None:
        if self._auto and not case.states:
            self.world.centre.answer(case.id, "received")

    def _entry(self, entry: Entry) -> None:
        t_ms, data = entry.t_us / 1000, entry.data
        if entry.kind == "lamp":
            self._show(state_of(data), t_ms)
        elif entry.kind == "relay" and data[0] != self._relay:
            self._relay = data[0]
            self.saw("relay", t_ms, closed=data[0])
        elif entry.kind == "log":
            if found := BOOT.search(data[0]):
                self.saw("boot", t_ms, boot=int(found[1]), cause=found[2], mode=found[3])
            self.saw("log", t_ms, text=data[0])
        elif entry.kind == "reset":
            self._show("dark", t_ms)
            culprit = self.world.hardware.scratch.partition(b"\0")[0].decode()
            self.saw("reset", t_ms, cause=data[0], culprit=culprit)
        elif entry.kind == "power" and data[0] == "off":
            self._show("dark", t_ms)

    def _show(self, state: str | None, t_ms: float) -> None:
        if state is not None and state != self._lamp:
            self._lamp = state
            self.saw("lamp", t_ms, state=state)
