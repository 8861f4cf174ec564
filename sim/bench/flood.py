"""How long another column's call waits while one column floods the desk, and whose processor that takes.

Everything is there as in the street: a certificate for each, mosquitto, the desk as a process. Each flood is shown
twice in the same run, without and with other work that claims both processors: a figure of a loaded machine means
nothing without the one beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.identity import Identity
from common.mqtt import end
from desk.mqtt_client import no_delay
from field import access
from sim.bench.rig import PATIENCE_S, PAYLOAD, Workbench
from sim.bench.stats import spread
from sim.demo.desk_process import DeskProcess
from sim.document import REGION
from sim.servers.broker import Mosquitto
from sim.servers.thief import NUMBER, flood

THIEF, CALLER = "hostile-01", "petropavl-01"
AGAIN_S = 0.7  # a call that nobody has answered is said again
PRESS_EVERY_S = 0.2
AFTERWARDS_S = 5.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ENDLESS = "while True: pass"
TRANSPORT = "mutual TLS"


class Kind(NamedTuple):
    """One flood: what it says, and how."""

    name: str
    topic: str
    is_valid: bool
    qos1_every: int


KINDS = (
    Kind("small, QoS 0", "event", False, 0),
    Kind("valid alarms, QoS 0", "alarm", True, 0),
    Kind("valid alarms, QoS 1", "alarm", True, 1),
)
BUSY = (0, 2)
"""Processes that claim a processor each meanwhile."""


def measure(workbench: Workbench, per_second: int, seconds: float) -> Iterator[dict[str, Any]]:
    """One row for each kind of flood, alone and with other work."""
    for kind in KINDS:
        for others in BUSY:
            yield _row(workbench, kind, others, per_second, seconds)


def _row(workbench: Workbench, kind: Kind, others: int, per_second: int, seconds: float) -> dict[str, Any]:
    folder = workbench.folder / f"flood-{kind.name.replace(' ', '-')}-{others}"
    folder.mkdir()
    (folder / "alarm").write_bytes(_alarm(THIEF, NUMBER.decode()))
    options: dict[str, Any] = {"device": THIEF, "per_second": per_second, "qos1_every": kind.qos1_every}
    if kind.is_valid:
        options["payload"] = str(folder / "alarm")
    thief = workbench.client(THIEF)
    options["tls"] = [str(thief.ca), str(thief.cert), str(thief.key)]
    with (
        workbench.broker(TRANSPORT, extra=access.LIMITS.splitlines()) as broker,
        DeskProcess(folder / "desk", broker.host, broker.port, arguments=_identity(workbench.client("desk"))) as desk,
        Caller(broker, workbench.client("street")) as caller,
        _busy(others),
    ):
        caller.wait_answered_s()
        assert desk.pid is not None and broker.pid is not None
        desk_s, broker_s = used_s(desk.pid), used_s(broker.pid)
        with flood(broker.port, kind.topic, round(per_second * seconds), **options) as sender:
            waits_s = list(_presses(caller, lambda: sender.poll() is None))
            assert sender.stdout is not None
            told = json.loads(sender.stdout.read() or "{}")
        desk_s, broker_s = used_s(desk.pid) - desk_s, used_s(broker.pid) - broker_s
        until_s = time.monotonic() + AFTERWARDS_S
        after_s = list(_presses(caller, lambda: time.monotonic() < until_s))
        is_named = THIEF in desk.log_path.read_text("utf-8")
    return {
        "kind": kind.name,
        "busy": others,
        "per_second": told["sent"] / told["seconds"],
        "desk_ms_per_1000": desk_s * 1e6 / told["sent"],
        "broker_ms_per_1000": broker_s * 1e6 / told["sent"],
        "wait": spread([one * 1e6 for one in waits_s]).as_dict(),
        "worst_ms": max(waits_s) * 1000,
        "afterwards_worst_ms": max(after_s) * 1000,
        "named": is_named,
    }


def _identity(identity: Identity) -> list[str]:
    return ["--ca", str(identity.ca), "--cert", str(identity.cert), "--key", str(identity.key)]


def _alarm(device_id: str, number: str) -> bytes:
    return PAYLOAD.replace("bench", device_id).replace("@", number).encode()


def _presses(caller: Caller, goes_on: Callable[[], bool]) -> Iterator[float]:
    while goes_on():
        yield caller.wait_answered_s()
        time.sleep(PRESS_EVERY_S)


def used_s(pid: int) -> float:
    """Processor seconds of a process and all its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


@contextlib.contextmanager
def _busy(others: int) -> Iterator[None]:
    """As many processes that want a whole processor each."""
    running = [subprocess.Popen([sys.executable, "-c", ENDLESS]) for _ in range(others)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


class Caller:
    """Another column: calls, and hears that it was heard. A context manager."""

    def __init__(self, broker: Mosquitto, identity: Identity) -> None:
        self._broker, self._number = broker, 0
        self._answered = threading.Condition()
        self._answers: set[str] = set()
        self._ready = threading.Event()
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=CALLER)
        self._mqtt.tls_set(str(identity.ca), str(identity.cert), str(identity.key))
        self._mqtt.on_socket_open = no_delay
        self._mqtt.on_connect = lambda client, *_: client.subscribe(f"sos/v1/{REGION}/{CALLER}/ack", 1)
        self._mqtt.on_subscribe = lambda *_: self._ready.set()
        self._mqtt.on_message = self._hear

    def __enter__(self) -> Self:
        self._mqtt.connect(self._broker.host, self._broker.port)
        self._mqtt.loop_start()
        if not self._ready.wait(PATIENCE_S):
            raise TimeoutError("bench: the calling column has no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        end(self._mqtt)

    def _hear(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        with self._answered:
            self._answers.add(json.loads(message.payload)["id"])
            self._answered.notify_all()

    def wait_answered_s(self) -> float:
        """Press, and again while nobody answers; how long that took. Raises TimeoutError."""
        self._number += 1
        number = f"{self._number:06d}"
        incident_id, alarm = f"{CALLER}-1-{number}", _alarm(CALLER, number)
        began_s = time.monotonic()
        while time.monotonic() - began_s < PATIENCE_S:
            self._mqtt.publish(f"sos/v1/{REGION}/{CALLER}/alarm", alarm, 1)
            with self._answered:
                if self._answered.wait_for(lambda: incident_id in self._answers, AGAIN_S):
                    return time.monotonic() - began_s
        raise TimeoutError(f"bench: {incident_id} was never answered")
