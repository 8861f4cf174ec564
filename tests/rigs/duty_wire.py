"""A desk's connection without a broker: a test feeds it by hand, and sees what would leave."""

from __future__ import annotations

from typing import Any

from contract_examples import example, packed
from duty_rig import topic_of
from paho.mqtt import client as mqtt

from desk import trouble
from desk.duty import Duty
from desk.register import Register

DEVICE = "petropavl-01"


def said(kind: str, mid: int, document: dict[str, Any] | None = None) -> mqtt.MQTTMessage:
    """What that column says: the contract's example, if it is nothing else."""
    message = mqtt.MQTTMessage(mid, topic_of(DEVICE, kind).encode())
    message.qos, message.payload = 1, packed(document or example(kind)[1])
    return message


class Wire:
    """Stands in for paho's client: what would leave, in order. `only`: the incident that all answers are about."""

    def __init__(self, register: Register, only: str = "") -> None:
        self.sent: list[tuple[str, Any]] = []
        self._register, self._only = register, only
        self._mid = 100

    def ack(self, mid: int, qos: int) -> None:
        self.sent.append(("receipt", mid))

    def join(self, duty: Duty) -> None:
        """Be both lines of that desk, which is connected from now on."""
        duty._calls._client = duty._telemetry._client = self  # type: ignore[assignment]
        self.stand(duty, True)

    def stand(self, duty: Duty, stands: bool) -> None:
        """Both lines, as after a connection or without one."""
        for line in (duty._calls, duty._telemetry):
            line._stand() if stands else line._fall(trouble.GONE)

    def publish(self, topic: str, payload: bytes, qos: int) -> mqtt.MQTTMessageInfo:
        assert not self._register._db.in_transaction and self._only in payload.decode()
        assert not self._only or self._register.incident(self._only), "an answer to what is not in the register"
        self.sent.append(("answer", topic))
        self._mid += 1
        return mqtt.MQTTMessageInfo(self._mid)

    def socket(self) -> None:
        return None
