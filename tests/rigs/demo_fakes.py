"""A column made of a few lines, for tests of the demonstration: it does right, or one chosen thing wrong.

It speaks the contract over a real broker, and keeps its alarms in a dict that survives a power cut. `FAULTS`
names what it can do wrong; each is something that the demonstration must find.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from contract_examples import example, packed
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from contract import validator
from sim.demo.town import Event

FAULTS = ("loses", "forgets", "doubles", "lies", "jumpy", "counts-badly", "blames-another", "retains", "stays-open")
DEBOUNCE_MS = 40
BOOT_S = 0.05
LAMP_OF = {"received": "answered", "accepted": "help-coming", "dispatched": "help-coming"}


class FakeColumn:
    """What `sim.real.column.RealColumn` offers. One thread does everything, from a queue."""

    def __init__(self, config: dict[str, Any], on_event: Callable[[Event], None], fault: str = "") -> None:
        assert fault == "" or fault in FAULTS
        self._config, self._emit, self._fault = config, on_event, fault
        self._root = f"sos/v1/{config['region']}/{config['device_id']}"
        self._answer_s, self._repeat_s = config["incident"]["answer_s"], config["incident"]["repeat_s"]
        self._start_s = time.monotonic()
        self._todo: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._timers: list[threading.Timer] = []
        self._client: mqtt.Client | None = None
        self._power = self._link = False
        self._link = True
        self._boot = 0
        self._culprit: str | None = None
        self._lamp = "dark"
        # The flash: alarms that the centre has not closed.
        self._journal: dict[str, dict[str, Any]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # What the world does to it

    def now_ms(self) -> int:
        return int((time.monotonic() - self._start_s) * 1000)

    def power_on(self) -> None:
        self._now(self._power_on)

    def power_off(self) -> None:
        self._now(self._power_off)

    def press(self, duration_ms: float) -> None:
        self.wave([(0, 1), (round(duration_ms * 1000), 0)])

    def hold(self) -> None:
        self.press(DEBOUNCE_MS)

    def release(self) -> None:
        pass

    def wave(self, edges: Sequence[tuple[int, int]]) -> None:
        shortest_ms = 1 if self._fault == "jumpy" else DEBOUNCE_MS
        for (t_us, level), (end_us, _) in zip(edges, edges[1:], strict=False):
            if level and end_us - t_us >= shortest_ms * 1000:
                self._later(t_us / 1e6 + DEBOUNCE_MS / 1000, self._pressed)

    def link(self, up: bool) -> None:
        def change() -> None:
            self._link = up
            self._connect() if up else self._disconnect()

        self._now(change)

    def hang(self, task: str) -> None:
        def bite() -> None:
            self._culprit = "lamp" if self._fault == "blames-another" else task
            self._show("dark")
            self._tell("reset", cause="watchdog", culprit=self._culprit)
            self._disconnect()
            self._start("watchdog")

        self._later(self._config["watchdog"]["timeout_s"], bite)

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._todo.put(None)
        self._thread.join()
        self._disconnect()

    # Its one thread

    def _run(self) -> None:
        while (action := self._todo.get()) is not None:
            action()

    def _now(self, action: Callable[[], None]) -> None:
        done = threading.Event()
        self._todo.put(lambda: (action(), done.set())[0])  # type: ignore[func-returns-value]
        assert done.wait(5)

    def _later(self, delay_s: float, action: Callable[[], None]) -> None:
        timer = threading.Timer(delay_s, self._todo.put, [action])
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _tell(self, event: str, **details: Any) -> None:
        self._emit({"t_ms": self.now_ms(), "event": event, **details})

    def _show(self, state: str) -> None:
        if state != self._lamp:
            self._lamp = state
            self._tell("lamp", state=state)

    # Its life

    def _power_on(self) -> None:
        if not self._power:
            self._power, self._culprit = True, None
            self._start("power-on")

    def _power_off(self) -> None:
        self._power = False
        if self._fault == "forgets":
            self._journal.clear()
        for alarm in self._journal.values():
            alarm["late"] = True
        self._show("dark")
        self._tell("relay", closed=False)
        self._disconnect()

    def _start(self, cause: str) -> None:
        self._boot += 1
        self._tell("boot", boot=self._boot, cause=cause)
        self._later(BOOT_S, self._connect)

    def _pressed(self) -> None:
        if not self._power:
            return
        open_id = next(iter(self._journal), None)
        if open_id is None:
            open_id = f"{self._config['device_id']}-{self._boot}-{self.now_ms()}"
            location = {**self._config["location"]}
            stream = {**self._config["stream"], "ok_at": None}
            alarm = {**example("alarm")[1], "id": open_id, "device_id": self._config["device_id"]}
            self._journal[open_id] = {**alarm, "location": location, "stream": stream, "press": 0, "late": False}
            self._show("calling")
            self._tell("relay", closed=True)
            self._later(self._answer_s, lambda: self._give_up(open_id))
        if self._fault != "counts-badly" or not self._journal[open_id]["press"]:
            self._journal[open_id]["press"] += 1
        self._send(open_id)
        if self._fault == "loses" and not self._connected():
            self._journal.clear()

    def _give_up(self, alarm_id: str) -> None:
        if alarm_id in self._journal and self._lamp in ("calling", "sent"):
            self._show("not-delivered")

    # The contract

    def _connected(self) -> bool:
        return self._client is not None and self._client.is_connected()

    def _connect(self) -> None:
        if not (self._power and self._link):
            return
        self._disconnect()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self._config["device_id"])
        self._client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]
        self._client.on_connect = lambda *_: self._todo.put(self._arrived)
        self._client.on_message = lambda _, __, message: self._todo.put(lambda: self._answered(bytes(message.payload)))
        self._client.connect_async(self._config["broker"]["host"], self._config["broker"]["port"])
        self._client.loop_start()

    def _disconnect(self) -> None:
        if self._client is not None:
            end(self._client)
            self._client = None

    def _arrived(self) -> None:
        if not self._connected() or self._client is None:
            return
        self._client.subscribe(f"{self._root}/ack", 1)
        mine = {"device_id": self._config["device_id"], "boot": self._boot}
        reset = {"cause": "watchdog" if self._culprit else "power-on", "culprit": self._culprit, "traceback": None}
        self._publish("state", state="online", boot=self._boot)
        self._publish("info", **mine, reset=reset)
        for alarm_id in self._journal:
            self._send(alarm_id)
        if not self._journal:
            self._show("ready")

    def _publish(self, kind: str, **changes: Any) -> None:
        if self._client is not None:
            qos, retain = validator.delivery(kind)
            retain = retain or (kind == "alarm" and self._fault == "retains")
            document = {**example(kind)[1], **changes}
            self._client.publish(f"{self._root}/{kind}", packed(document), qos, retain)

    def _send(self, alarm_id: str) -> None:
        """Send, and again until it is answered."""
        if alarm_id not in self._journal or not self._connected():
            return
        self._publish("alarm", **self._journal[alarm_id])
        if self._fault == "doubles":
            self._publish("alarm", **{**self._journal[alarm_id], "id": alarm_id + "9"})
        if self._lamp == "calling":
            self._show("sent")
        if self._fault == "lies":
            self._show("answered")
        self._later(self._repeat_s, lambda: self._send_again(alarm_id))

    def _send_again(self, alarm_id: str) -> None:
        if self._lamp in ("sent", "not-delivered"):
            self._send(alarm_id)

    def _answered(self, payload: bytes) -> None:
        ack = json.loads(payload)
        if ack["id"] not in self._journal:
            return
        if ack["state"] != "closed":
            self._show(LAMP_OF[ack["state"]])
            return
        del self._journal[ack["id"]]
        self._show("ready")
        if self._fault != "stays-open":
            self._tell("relay", closed=False)
