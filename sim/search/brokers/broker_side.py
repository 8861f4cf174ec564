"""Where the broker part of the campaign takes place: real brokers with a control centre each."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from paho.mqtt import client as mqtt

from common.identity import Identity
from sim.document import REGION, document
from sim.servers.authority import Authority
from sim.servers.broker import BrokerError, Mosquitto, Tls
from sim.servers.centre import Centre

START_TRIES = 5
TRY_PAUSE_S = 0.5
# Everybody may do everything, but a column's alarm is thrown away. mosquitto acknowledges it all the same.
_KINDS = ("state", "info", "heartbeat", "fault/+", "event", "ack", "cmd", "result")
DENY_ALARMS = "\n".join(["pattern read sos/v1/#", *(f"pattern write sos/v1/+/+/{kind}" for kind in _KINDS)])


class Receiver(Centre):
    """A control centre that tells of every single transmission of an alarm, before it answers it."""

    def __init__(self, *args: Any, on_alarm: Callable[[str, str, int], None], **more: Any) -> None:
        """`on_alarm(device_id, incident_id, press)` is called in the network's thread."""
        super().__init__(*args, **more)
        self._on_alarm = on_alarm

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        device_id, _, kind = message.topic.removeprefix(f"sos/v1/{REGION}/").partition("/")
        if kind == "alarm":
            with contextlib.suppress(ValueError, KeyError, TypeError):  # the ledger complains of these
                alarm = json.loads(message.payload)
                self._on_alarm(device_id, str(alarm["id"]), int(alarm["press"]))
        super()._on_message(client, userdata, message)


class BrokerSide:
    """One mosquitto with its receiver; a context manager. `tls`: mutual TLS, else plain."""

    def __init__(self, name: str, authority: Authority | None, on_alarm: Callable[[str, str, int], None]) -> None:
        self.name = name
        self.broker = Mosquitto(tls=Tls(authority) if authority is not None else None)
        self._authority = authority
        self._on_alarm = on_alarm

    def __enter__(self) -> Self:
        self.broker.start()
        tls = self.identity("centre")
        self.centre = Receiver(
            self.broker.host, self.broker.port, tls=tls, check_qos=True, name="centre", on_alarm=self._on_alarm
        )
        self.centre.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.centre.stop()
        self.broker.stop()
        self.broker.close()

    def identity(self, name: str) -> Identity | None:
        """A client's certificate; None where the broker is plain."""
        return self._authority.client(name) if self._authority is not None else None

    def start_broker(self) -> None:
        """Again, on its own port; tried more than once, as a passing connection may have taken that one."""
        for left in reversed(range(START_TRIES)):
            try:
                self.broker.start()
                return
            except BrokerError:
                if not left:
                    raise
                time.sleep(TRY_PAUSE_S)

    def document(self, device_id: str, port: int) -> dict[str, Any]:
        """A column's configuration. It gives up sooner than in the street: more happens in the same time."""
        return document(
            device_id,
            "127.0.0.1",
            port,
            self.identity(device_id),
            server_name="localhost",
            broker={"keepalive_s": 4, "puback_timeout_s": 1, "connect_timeout_s": 4, "retry_max_s": 2},
            incident={"repeat_s": 1, "repeat_max_s": 4},
            watchdog={"timeout_s": 30},  # an overloaded machine is no fault of the column
            clock={"server": None},
        )


class Book:
    """What was found so far, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.wrong: list[str] = []
        self.fired: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()  # a fault's kind -> for how long it lasted, in ms

    def complain(self, text: str) -> None:
        with self._lock:
            self.wrong.append(text)

    def fire(self, kind: str, count: int = 1, seconds: float = 0.0) -> None:
        with self._lock:
            self.fired[kind] += count
            self.seconds[kind] += round(seconds * 1000)
