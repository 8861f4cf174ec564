"""A desk on duty in virtual time: its real duty, register and rules. What columns say is handed to it, and what it
sends is kept; there is no broker, no thread, and no clock but `now_ms`."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as mqtt

from common.ports import HOST
from contract import validator
from desk import trouble
from desk.column_keys import ColumnKeys
from desk.duty import Duty
from desk.register import Register
from desk.silence import Limits
from desk.upkeep.life import Span
from desk.upkeep.roster import Roster

KEPT = 5000  # messages that the desk sent
SECOND_MS = 1000


class Air:
    """Stands in for both of the desk's clients: what it sends, held against the contract."""

    def __init__(self) -> None:
        self.sent: deque[tuple[str, dict[str, Any]]] = deque(maxlen=KEPT)
        self.mid = 0

    def ack(self, mid: int, qos: int) -> None:
        """The desk's receipt: nobody waits for it here."""

    def publish(self, topic: str, payload: bytes, qos: int) -> mqtt.MQTTMessageInfo:
        validator.validate(topic, payload, qos=qos, retain=False)
        self.sent.append((topic, json.loads(payload)))
        self.mid += 1
        return mqtt.MQTTMessageInfo(self.mid)

    def socket(self) -> None:
        """There is none."""


class VirtualDesk:
    """A context manager. `path`: the register's file. `begin` and `end` are the life of the process."""

    def __init__(
        self,
        path: Path,
        now_ms: int,
        roster: Roster,
        answer_key: bytes | None = None,
        limits: Limits | None = None,
        name: str = "desk-1",
        keys: ColumnKeys | None = None,
        air: Air | None = None,
    ) -> None:
        self.now_ms, self.roster, self.name = now_ms, roster, name
        self._key, self._limits, self._keys = answer_key, limits, keys
        self.path = path
        """Of the register, as of the next `begin`."""
        self._mid = 0
        self.air = air or Air()

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self) -> None:
        """The process starts, and finds its broker."""
        self.register = Register(self.path)
        self.register._db.execute("PRAGMA synchronous = OFF")  # no power cut here: it would cost time only
        self.duty = Duty(
            *(self.register, HOST, 1),
            name=self.name,
            now_ms=lambda: self.now_ms,
            roster=self.roster,
            answer_key=self._key,
            limits=self._limits,
            keys=self._keys,
        )
        self.duty._calls._client = self.duty._telemetry._client = self.air  # type: ignore[assignment]
        self.stand(True)

    def end(self) -> None:
        """The process is killed."""
        self.register.close()

    def stand(self, stands: bool) -> None:
        """The broker is there, or is not."""
        for line in (self.duty._calls, self.duty._telemetry):
            line._stand() if stands else line._fall(trouble.GONE)

    def tick(self) -> None:
        """A look at everything."""
        self.duty.tick()

    def run(self, span_ms: int, step_ms: int = SECOND_MS) -> None:
        """Time passes."""
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + step_ms)
            self.tick()

    def say(self, region: str, name: str, kind: str, document: dict[str, Any] | None, retain: bool = False) -> None:
        """One message of a column, as the broker passes it on; None: an empty one."""
        payload = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        self.deliver(f"sos/v1/{region}/{name}/{kind}", payload, retain)

    def deliver(self, topic: str, payload: bytes, retain: bool = False) -> None:
        """One message as it comes, whoever has written it."""
        kind = topic.split("/")[4]
        message = mqtt.MQTTMessage(self._mid, topic.encode())
        self._mid += 1
        message.qos, message.retain, message.payload = validator.delivery(kind)[0], retain, payload
        line = self.duty._calls if kind in ("alarm", "ack") else self.duty._telemetry
        line.hear(message)

    def answer(self, incident_id: str) -> dict[str, Any] | None:
        """The latest answer to an alarm, which the broker takes now; None: there was none."""
        self.duty._answers.on_taken(self.air.mid)
        return next((document for _, document in reversed(self.air.sent) if document["id"] == incident_id), None)

    def span(self, name: str) -> Span | None:
        """How a column lives now."""
        return self.duty.keeper.span(name)
