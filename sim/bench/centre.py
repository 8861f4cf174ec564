"""The control centre's desk of the bench, a process of its own so that nothing else delays its stamps.

`python -m sim.bench.centre PORT ANSWERS DELAY_MS [CA CERT KEY]`: prints `T_US ID` (CLOCK_MONOTONIC) for each alarm that
arrives, and DELAY_MS later answers it with each of ANSWERS (received,closed or received). A line on its input is the
id of an incident to close.
"""

import json
import subprocess
import sys
import threading
import time
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.identity import Identity
from common.ports import HOST
from desk.mqtt_client import no_delay
from sim.real.rtc import now_us

ALARMS = "sos/v1/+/+/alarm"
RECONNECT_S = 0.02
READY = "ready"
PATIENCE_S = 30.0


class BenchCentre:
    """The bench's view of that process; a context manager."""

    def __init__(self, port: int, answers: str, identity: Identity | None, *, delay_ms: int = 0) -> None:
        """`delay_ms`: with it, the work of answering does not take the processor from the column's PUBACK."""
        files = [] if identity is None else [str(identity.ca), str(identity.cert), str(identity.key)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sim.bench.centre", str(port), answers, str(delay_ms), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._seen: dict[str, int] = {}
        self._changed = threading.Condition()
        self._ready = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Self:
        with self._changed:
            if not self._changed.wait_for(lambda: self._ready, PATIENCE_S):
                raise TimeoutError("bench: the desk has no subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def seen_us(self, incident_id: str) -> int:
        """When the first transmission of it arrived here. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: incident_id in self._seen, PATIENCE_S):
                raise TimeoutError(f"bench: alarm {incident_id} never reached the desk")
            return self._seen[incident_id]

    def close(self, incident_id: str) -> None:
        """The incident is over: tell the column."""
        assert self._process.stdin is not None
        self._process.stdin.write(incident_id + "\n")

    def forget(self) -> None:
        with self._changed:
            self._seen.clear()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, incident_id = line.strip().partition(" ")
            with self._changed:
                if word == READY:
                    self._ready = True
                else:
                    self._seen.setdefault(incident_id, int(word))
                self._changed.notify_all()


def main(argv: list[str]) -> int:
    port, answers, delay_s, files = int(argv[0]), argv[1].split(","), int(argv[2]) / 1000, argv[3:]
    # The broker keeps what arrives while the desk is away: an outage is then the column's alone to measure.
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-desk", clean_session=False)
    if files:
        client.tls_set(files[0], files[1], files[2])
    client.reconnect_delay_set(RECONNECT_S, RECONNECT_S)  # type: ignore[arg-type]
    client.on_socket_open = no_delay
    client.on_connect = _subscribe
    client.on_subscribe = _say_ready
    topics: dict[str, str] = {}

    def answer(incident_id: str, *states: str) -> None:
        for state in states:
            body: dict[str, Any] = {"v": 1, "id": incident_id, "state": state, "by": "bench"}
            body["at"] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
            if state == "closed":
                body["outcome"] = "other"
            client.publish(topics[incident_id], json.dumps(body).encode(), qos=1)

    def arrived(_: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        t_us = now_us()
        incident_id = json.loads(message.payload)["id"]
        topics[incident_id] = message.topic.removesuffix("alarm") + "ack"
        if delay_s:
            threading.Timer(delay_s, answer, (incident_id, *answers)).start()
        else:
            answer(incident_id, *answers)
        print(t_us, incident_id, flush=True)

    client.on_message = arrived
    client.connect(HOST, port)
    client.loop_start()
    for line in sys.stdin:
        answer(line.strip(), "closed")
    return 0


def _subscribe(client: mqtt.Client, *_: object) -> None:
    client.subscribe(ALARMS, qos=1)


def _say_ready(*_: object) -> None:
    print(READY, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
