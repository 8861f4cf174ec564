"""A rollout at the broker: hears columns, tells them of the release, and answers with its pieces.

One thread decides; paho's only puts what it hears into a queue. What was decided is on the disk before it is sent.
"""

from __future__ import annotations

import contextlib
import json
import queue
import time
import uuid
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from contract import authentic, validator
from contract.authentic import Number
from desk.column_keys import ColumnKeys
from desk.line import Login
from desk.mqtt_client import introduce, utc
from desk.rollout import plan as rules
from desk.rollout.book import Book
from desk.rollout.connection import Connection
from desk.rollout.offer import Offer
from desk.rollout.plan import Plan, Send
from desk.rollout.proof import Proof

KINDS = ("info", "state", "heartbeat", "fault/drill-unanswered", "result", "want")
TOPICS = tuple((f"sos/v1/+/+/{kind}", 1) for kind in KINDS)
VALID_MS = 600_000
LOOK_S = 0.5
QUEUE_MAX = 10_000
KEEPALIVE_S = 15


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Service:
    """`say`: a line for whoever looks on. `keys`: of the columns, which believe no broker. `now_ms`: the wall clock."""

    def __init__(
        self,
        plan: Plan,
        offer: Offer,
        book: Book,
        login: Login,
        say: Callable[[str], None],
        keys: ColumnKeys | None = None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        self._keys = keys or ColumnKeys()
        self._proof = Proof(self._keys)
        self.plan, self._offer, self._book, self._say, self._now_ms = plan, offer, book, say, now_ms
        self._heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue(QUEUE_MAX)
        self._shown: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._overall = ""
        self._numbers = self._serial = 0
        self._was_connected = False
        self.bytes_sent = 0
        """Of pieces, without what MQTT and base64 add."""
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"rollout-{uuid.uuid4().hex[:8]}")
        introduce(self._client, login.tls, login.user, login.password)
        self._client.reconnect_delay_set(1, 10)
        self._connection = Connection(self._client, login, TOPICS)
        self._giving_up: dict[int, str] = {}
        """Columns whose command the broker has not acknowledged yet, by its number."""
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._client.on_message = self._on_message
        self._client.on_publish = lambda client, userdata, number, *_: self._acknowledged.put(number)
        self._client.connect_async(login.host, login.port, keepalive=KEEPALIVE_S)

    def run(self, is_over: Callable[[], bool] = lambda: False) -> str:
        """Until the rollout has ended, or `is_over`; returns its state."""
        self._client.loop_start()
        try:
            while not is_over():
                self.turn(LOOK_S)
                if self.plan.is_over and not self._client.want_write():
                    break
        finally:
            self._book.keep(self.plan, self._now_ms(), [f"pieces: {self.bytes_sent} bytes"])
            end(self._client)
        return self.plan.state

    def turn(self, wait_s: float) -> None:
        """What was heard, and what follows from it."""
        self._keys.look()  # a column may be stolen meanwhile
        self._obey(self._book.take_wish())
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                message = self._heard.get(timeout=left_s)
            except queue.Empty:
                break
            self._take(message)
        self._take_acknowledgements()
        if news := self._connection.news():
            self._say(news)
        sends: list[Send] = []
        is_connected = self._client.is_connected()
        if is_connected and not self._was_connected:
            self.plan.connected(self._now_ms())
        elif is_connected:
            sends = self.plan.look(self._now_ms())
        self._was_connected = is_connected
        self._keep()
        for send in sends:  # on the disk by now: after a kill they are sent again
            self._command(send)

    # -- out

    def _command(self, send: Send) -> None:
        self._numbers += 1
        now_ms = self._now_ms()
        body = {
            "v": 1,
            "id": f"{self.plan.command_prefix}{now_ms}-{self._numbers}",
            **self._offer.command(send.device_id, is_wanted=send.is_wanted),
            "expires": utc(now_ms + VALID_MS),
        }
        topic, key = f"sos/v1/{send.region}/{send.device_id}/cmd", self._keys.of(send.device_id)
        payload = json.dumps(body).encode()
        if key is not None:  # meant for the boot in which the column is; else it is told again
            self._serial = max(self._serial + 1, now_ms)
            payload = authentic.seal(key, topic, body, Number(self._proof.boot(send.device_id), self._serial))
        number = self._client.publish(topic, payload, qos=1).mid
        if not send.is_wanted:
            self._giving_up[number] = send.device_id

    def _answer(self, region: str, device_id: str, want: dict[str, Any]) -> None:
        if not self.plan.is_served(device_id):
            return
        self.plan.asked(device_id, self._now_ms())
        if want["release"] != self._offer.digest_of(device_id)[: rules.RELEASE_DIGITS]:
            return
        data = self._offer.piece(device_id, want["file"], want["at"], want["bytes"])
        if data is None:
            return
        body = {key: want[key] for key in ("v", "release", "file", "at")}
        body["data"] = b64encode(data).decode()
        self.bytes_sent += len(data)
        self._client.publish(f"sos/v1/{region}/{device_id}/piece", json.dumps(body).encode(), qos=0)

    # -- in

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        with contextlib.suppress(queue.Full):  # columns ask again, and what they are is retained or comes again
            self._heard.put_nowait(message)

    def _take(self, message: mqtt.MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        try:
            parts = validator.topic_kind(topic)
            if payload or parts.kind != "fault":
                validator.validate(topic, payload)
            body = json.loads(payload) if payload else {}
        except validator.ContractError:
            return  # the desk tells of it
        if not self._proof.counts(parts, topic, payload, body):
            return
        if parts.kind == "want":
            if not message.retain:
                self._answer(parts.region, parts.device_id, body)
            return
        kind = "fault/" + parts.rest if parts.rest else parts.kind
        self.plan.heard(parts.region, parts.device_id, kind, body, self._now_ms(), kept=message.retain)

    def _take_acknowledgements(self) -> None:
        while not self._acknowledged.empty():
            device_id = self._giving_up.pop(self._acknowledged.get(), None)
            if device_id is not None:
                self.plan.gave_up(device_id)

    def _obey(self, wish: str) -> None:
        if wish == "pause":
            self.plan.pause()
        elif wish == "resume":
            self.plan.resume(self._now_ms())
        elif wish == "abort":
            self.plan.abort()

    # -- the book

    def _keep(self) -> None:
        said = []
        for column in self.plan.changed:
            text = column.state + (f": {column.why}" if column.why else "")
            if (column.state != rules.WAITING or column.why) and self._shown.get(column.device_id) != text:
                self._shown[column.device_id] = text
                said.append(f"{column.device_id} {text}")
        overall = f"{self.plan.state}, stage {self.plan.stage + 1}" + (f": {self.plan.why}" if self.plan.why else "")
        if overall != self._overall:
            said.append(overall)
        fresh = sorted(self._proof.unproven - self._left_out)
        said += [f"{name} is left out: its birth is not proven" for name in fresh]
        self._left_out.update(fresh)
        if said or self.plan.changed:
            self._book.keep(self.plan, self._now_ms(), said)
            self._overall = overall
        for text in said:
            self._say(text)
