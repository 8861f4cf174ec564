"""Desks under test: pure ones without broker and disk, a street that speaks for any column, and desks as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from contract_examples import example, packed
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.identity import Identity
from common.mqtt import end
from contract import validator
from desk.batch import Batch
from desk.column_keys import ColumnKeys
from desk.intake import Intake
from desk.ledger import Ledger
from desk.mqtt_client import ack, no_delay
from desk.origin import Origins
from desk.register import Register
from desk.silence import Silence
from sim.servers.broker import Broker

PATIENCE_S = 60.0  # of a loaded machine
ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def topic_of(device_id: str, kind: str, region: str = "nko") -> str:
    return f"sos/v1/{region}/{device_id}/{kind}"


def alarm_of(device_id: str = "petropavl-01", boot: int = 17, seq: int = 3, **changes: Any) -> dict[str, Any]:
    """The contract's example alarm as another column's, with changes."""
    return {**example("alarm")[1], "device_id": device_id, "id": f"{device_id}-{boot}-{seq}", **changes}


def until(look: Callable[[], T | None], what: str, timeout_s: float = PATIENCE_S) -> T:
    """Look until there is something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.01)
    return found


class PureDesk:
    """A desk's rules without broker and disk: messages in, answers out."""

    def __init__(self, name: str, keys: ColumnKeys | None = None, proven: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.ledger, self.silence, self.origins = Ledger(), Silence(), Origins(keys, proven)
        self.intake = Intake(self.ledger, self.silence, name, origins=self.origins)
        self.refused: list[str] = []
        self.timeline: list[tuple[str, str]] = []

    def take(self, topic: str, document: Any, now_ms: int, *, retain: bool = False) -> list[dict[str, Any]]:
        """The answers to one message."""
        batch = Batch()
        payload = document if isinstance(document, bytes) else packed(document)
        self.intake.take(batch, topic, payload, retain=retain, now_ms=now_ms)
        self.refused += [why for _, _, why in batch.violations]
        self.timeline += [(entry[0], entry[2]) for entry in batch.entries]
        return [ack(self.ledger.incidents[each]) for each, owed in batch.incidents.items() if owed]

    def decide(
        self, incident_id: str, state: str, by: str, outcome: str, at_ms: int, misuse: str = ""
    ) -> dict[str, Any]:
        return ack(self.ledger.advance(incident_id, state, by, outcome, at_ms, misuse))


class Street:
    """Speaks for any column, each thing once, and hears the answers (to one column, or to all). A context manager."""

    def __init__(self, broker: Broker, hears: str = "+", tls: Identity | None = None) -> None:
        self._hears = hears
        self.acks: list[dict[str, Any]] = []
        self._arrived = threading.Condition()
        self._ready = threading.Event()
        self._broker = broker
        self._mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"street-{os.urandom(4).hex()}")
        self._mqtt.reconnect_delay_set(1, 1)
        if tls is not None:
            self._mqtt.tls_set(str(tls.ca), str(tls.cert), str(tls.key))
        self._mqtt.on_socket_open = no_delay
        self._mqtt.on_connect = self._subscribe
        self._mqtt.on_subscribe = lambda *_: self._ready.set()
        self._mqtt.on_disconnect = lambda *_: self._ready.clear()
        self._mqtt.on_message = self._hear

    def __enter__(self) -> Self:
        self._mqtt.connect(self._broker.host, self._broker.port)
        self._mqtt.loop_start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        end(self._mqtt)

    def _subscribe(self, *_: object) -> None:
        self._mqtt.subscribe(f"sos/v1/+/{self._hears}/ack", 1)

    def _hear(self, client: mqtt.Client, data: object, message: mqtt.MQTTMessage) -> None:
        validator.validate(message.topic, bytes(message.payload), qos=message.qos, retain=message.retain)
        with self._arrived:
            self.acks.append(json.loads(message.payload))
            self._arrived.notify_all()

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        assert self._ready.wait(PATIENCE_S)
        self._mqtt.publish(topic, payload, qos, retain).wait_for_publish(PATIENCE_S)

    def say(self, device_id: str, kind: str, document: dict[str, Any]) -> None:
        qos, retain = validator.delivery(kind)
        topic = topic_of(device_id, kind) + (f"/{document['id']}" if kind == "fault" else "")
        self.publish(topic, packed(document), qos, retain)

    def press(self, device_id: str = "petropavl-01", **changes: Any) -> str:
        """Raise an alarm; its id."""
        alarm = alarm_of(device_id, **changes)
        self.say(device_id, "alarm", alarm)
        return str(alarm["id"])

    def wait_for(self, incident_id: str, state: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The answer with that state."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.acks if (one["id"], one["state"]) == (incident_id, state)), None)

        with self._arrived:
            answer = self._arrived.wait_for(found, timeout_s)
        assert answer is not None, f"{incident_id} was not answered with {state} in {timeout_s} s: {self.acks[-5:]}"
        return answer

    def states(self, incident_id: str) -> list[str]:
        """What has been answered to one incident so far."""
        with self._arrived:
            return [one["state"] for one in self.acks if one["id"] == incident_id]

    def has(self, incident_id: str, state: str, times: int) -> bool:
        return self.states(incident_id).count(state) == times

    def flush(self) -> None:
        """What was said before has left for the desks, and what they had answered by then is here."""
        heard = threading.Event()
        self._mqtt.message_callback_add(f"street/{id(heard)}", lambda *_: heard.set())
        self._mqtt.subscribe(f"street/{id(heard)}", 1)
        self.publish(f"street/{id(heard)}", b"x")
        assert heard.wait(PATIENCE_S)


class DeskProcess:
    """tests/rigs/duty_process.py as a process of its own, which may be killed. A context manager that
    ends with SIGKILL."""

    def __init__(
        self, folder: Path, broker: Broker, *, name: str = "desk", fault: str = "", ladder: Path | None = None
    ) -> None:
        options = {"path": str(folder / "register.db"), "port": broker.port, "name": name, "fault": fault}
        options["ladder"] = str(ladder or "")
        command = [sys.executable, str(ROOT / "tests" / "rigs" / "duty_process.py"), json.dumps(options)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def wait_connected(self) -> Self:
        assert self.line() == "connected"
        return self

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def do(self, *words: str) -> str:
        """An operator's action, which is not refused; what it gave, "" when that was its end."""
        answer = self.try_to(*words)
        assert "refused" not in answer, answer
        return answer

    def try_to(self, *words: str) -> str:
        """An operator's action; what it gave, or that it was refused."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        return self.line()

    def wait_killed(self) -> None:
        """It kills itself."""
        assert self._process.wait(PATIENCE_S) == -signal.SIGKILL

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self.wait_connected()

    def __exit__(self, *_: object) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


def row_of(register: Register, incident_id: str) -> dict[str, Any]:
    row = register.incident(incident_id)
    assert row is not None
    return row
