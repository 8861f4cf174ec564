"""Whether a rollout is connected to its broker, and if not, why: each reason is said once, and so is its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import LogLevel
from paho.mqtt.reasoncodes import ReasonCode

from desk import trouble
from desk.line import Login


class Connection:
    """Listens to the client's connection, and subscribes. paho's thread notes the trouble, `news` is asked for it by
    the thread that speaks."""

    def __init__(self, client: mqtt.Client, login: Login, topics: Sequence[tuple[str, int]]) -> None:
        self._login, self._topics = login, list(topics)
        self._trouble, self._said_text, self._last_error = trouble.NONE, "", ""
        self._answered = False
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_log = self._on_log

    def news(self) -> str:
        """What has changed since it was last asked; empty: nothing."""
        text = self._trouble.text
        if text == self._said_text:
            return ""
        self._said_text = text
        return text or f"the broker {self._login.host}:{self._login.port} is heard again"

    def _on_connect(self, client: mqtt.Client, userdata: object, flags: object, reason: ReasonCode, *_: object) -> None:
        self._answered = True
        if reason.is_failure:
            self._trouble = trouble.of_refusal(reason)
        else:
            client.subscribe(self._topics)

    def _on_subscribe(
        self, client: mqtt.Client, userdata: object, mid: int, reasons: list[ReasonCode], *_: object
    ) -> None:
        refused = any(reason.is_failure for reason in reasons)
        self._trouble = trouble.NO_SUBSCRIPTION if refused else trouble.NONE

    def _on_connect_fail(self, *_: object) -> None:
        self._trouble = self._login.why_unreached()

    def _on_disconnect(self, *_: Any) -> None:
        if not self._answered:
            self._trouble = trouble.of_closing(self._last_error)
        elif not self._trouble.text:
            self._trouble = trouble.GONE
        self._answered, self._last_error = False, ""

    def _on_log(self, client: mqtt.Client, userdata: object, level: int, text: str) -> None:
        if level in (LogLevel.MQTT_LOG_ERR, LogLevel.MQTT_LOG_WARNING):
            self._last_error = text
