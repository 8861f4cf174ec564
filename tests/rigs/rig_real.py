"""The rig in real time: a `RealColumn` on some runtime, a real mosquitto, and the real control centre."""

import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from paho.mqtt import publish as paho
from rig import Alarm, Event, Rig

from common.ports import HOST
from desk.ledger import Ledger
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT
from sim.servers.broker import Broker, Mosquitto
from sim.servers.centre import Centre
from sim.servers.stand_ins import StreamServer
from sim.virtual.configuration import config_with

LOOK_S = 0.02  # how often the centre's ledger is looked at; the column's own events are told at once
RETAINED_S = 1.0
NOBODY = {"somebody": "else"}  # users of a broker that refuses everybody we know
T = TypeVar("T")


class RealRig(Rig):
    """Broker and centre are shared with other rigs: each has a device id of its own."""

    slack_ms = 700  # two cores, several processes

    def __init__(self, runtime: str, device_id: str, seed: int, broker: Broker, centre: Centre, ntp_port: int) -> None:
        super().__init__(runtime, device_id, seed)
        self.broker, self._centre, self._ntp_port = broker, centre, ntp_port
        self._news = threading.Event()
        self._folder = tempfile.TemporaryDirectory(prefix="sos-rig-")
        self._real: RealColumn | None = None
        self.sources = PROJECT
        self._outage = ""
        self._hole: socket.socket | None = None
        self._camera: StreamServer | None = None

    @property
    def real(self) -> RealColumn:
        assert self._real is not None, "install() first"
        return self._real

    def base_document(self) -> dict[str, Any]:
        document = config_with()
        document["device_id"] = self.device_id
        document["broker"] = {"host": self.broker.host, "port": self.broker.port, "tls": None, "insecure": True}
        document["clock"] = {"server": self.broker.host, "port": self._ntp_port}
        document["secrets"] = {"wifi_ssid": "sos-columns"}
        return document

    def install(self, document: dict[str, Any]) -> None:
        if self._real is not None:
            self._real.close()
        image = Path(self._folder.name, "flash.img")
        self._real = RealColumn(
            document,
            runtime=self.runtime,
            flash_path=image,
            seed=self.seed,
            on_event=self._event,
            sources=self.sources,
        )

    def _event(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def power_on(self) -> None:
        self.real.power_on()

    def power_off(self) -> None:
        self.real.power_off()

    def press(self, for_ms: int = 120) -> None:
        self.real.press(for_ms)

    def wave(self, edges: list[tuple[int, int]]) -> None:
        self.real.wave(edges)

    def link(self, up: bool) -> None:
        self.real.link(up)

    def hang(self, task: str) -> None:
        self.real.hang(task)

    def break_broker(self, outage: str) -> None:
        broker = self._mosquitto()
        self._outage = outage
        if outage == "freeze":
            broker.freeze()
            return
        if outage == "stop":
            broker.stop()
        else:
            broker.kill()
        if outage == "black-hole":
            self._hole = socket.create_server((broker.host, broker.port), reuse_port=False)
        elif outage == "refuse":
            broker.users = NOBODY
            broker.start()

    def mend_broker(self) -> None:
        broker, outage, self._outage = self._mosquitto(), self._outage, ""
        if self._hole is not None:
            self._hole.close()
            self._hole = None
        if outage == "freeze":
            broker.thaw()
        elif outage == "refuse":
            broker.stop()
            broker.users = {}
        broker.start()

    def _mosquitto(self) -> Mosquitto:
        assert isinstance(self.broker, Mosquitto), "only mosquitto can be frozen and killed"
        return self.broker

    def silence_centre(self) -> None:
        self._centre.auto = None

    def centre_answers(self) -> None:
        self._centre.auto = "received"

    def camera(self, up: bool = True, status: int | None = 200) -> dict[str, Any]:
        if self._camera is None:
            self._camera = StreamServer()
        self._camera.status = status
        if up:
            self._camera.start()
        else:
            self._camera.stop()
        place = f"{HOST}:{self._camera.port}"
        return {"rtsp": f"rtsp://{place}/1", "http": f"http://{place}/1.jpg", "sip": f"sip:intercom@{place}"}

    def asked(self) -> list[bytes]:
        return list(self._camera.asked) if self._camera is not None else []

    def answer(self, ident: str, state: str) -> None:
        centre = self._centre
        actions: dict[str, Callable[[str], None]]
        actions = {"accepted": centre.accept, "dispatched": centre.dispatch, "closed": centre.close}
        actions[state](ident)

    def publish(self, kind: str, payload: bytes) -> None:
        paho.single(self.root + kind, payload, qos=1, hostname=self.broker.host, port=self.broker.port)

    def epoch_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def now_ms(self) -> float:
        return self._real.now_ms() if self._real is not None else 0

    def until(self, look: Callable[[], T | None], within_ms: float, what: str) -> T:
        end_s = time.monotonic() + (within_ms + self.slack_ms) / 1000
        while True:
            self._news.clear()
            over = time.monotonic() >= end_s
            if found := look():
                return found
            assert not over, f"no {what} within {within_ms} ms\n{self.history()}"
            self._news.wait(LOOK_S)

    def alarms(self) -> dict[str, Alarm]:
        incidents = self._centre.look(lambda ledger: ledger.copy().of(self.device_id))
        return {one.id: Alarm(one.id, one.press, one.transmissions, one.late, one.alarm) for one in incidents}

    def heard(self, kind: str) -> dict[str, Any] | None:
        return self._heard_by(self._centre, kind)

    def _heard_by(self, centre: Centre, kind: str) -> dict[str, Any] | None:
        column = centre.ledger().columns.get(self.device_id)
        if column is None:
            return None
        if kind == "state":
            words = {True: "online", False: "offline"}
            return None if column.online is None else {"state": words[column.online], "boot": column.boot}
        if kind.startswith("fault/"):
            return column.faults.get(kind.removeprefix("fault/"))
        return {"info": column.info, "heartbeat": column.heartbeat}[kind] or None

    def happened(self) -> list[dict[str, Any]]:
        column = self._centre.ledger().columns.get(self.device_id)
        return list(column.events) if column is not None else []

    def result(self, ident: str) -> dict[str, Any] | None:
        column = self._centre.ledger().columns.get(self.device_id)
        return column.results.get(ident) if column is not None else None

    def retained(self, kind: str) -> dict[str, Any] | None:
        """Asks as somebody who has just connected. An echo, sent after that, says that what is retained is all in."""
        with Centre(self.broker.host, self.broker.port, name="newcomer", auto=None) as newcomer:
            self.publish("event", _ECHO)
            newcomer.wait_for(self._has_echo, RETAINED_S, "echo")
            return self._heard_by(newcomer, kind)

    def _has_echo(self, ledger: Ledger) -> bool:
        column = ledger.columns.get(self.device_id)
        return column is not None and any(event["event"] == "echo" for event in column.events)

    def violations(self) -> list[str]:
        ours = [self.root + kind for kind in ("ack", "cmd")]  # what tests send may be broken
        broken = self._centre.violations
        return [v.why for v in broken if v.topic.startswith(self.root) and v.topic not in ours]

    def close(self) -> None:
        if self._real is not None:
            self._real.close()
        if self._outage:
            self.mend_broker()
        if self._camera is not None:
            self._camera.stop()
        self._folder.cleanup()


_ECHO = b'{"v":1,"event":"echo","at":null,"detail":""}'
