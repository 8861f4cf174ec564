"""The control centre's MQTT side: subscribes to every column, feeds the ledger, answers alarms.

It keeps no session on the broker: a column re-sends an unanswered alarm, so one that arrived while the centre
was away comes again.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from common.identity import Identity
from common.mqtt import end
from common.running import Running
from desk.ledger import STATES, Incident, Ledger, LedgerError, Violation
from desk.mqtt_client import EVERYTHING, RECONNECT_MAX_S, RECONNECT_MIN_S, no_delay, utc

KEEPALIVE_S = 15
CONNECT_TIMEOUT_S = 10.0
COMMAND_VALID_S = 30.0

T = TypeVar("T")


class Centre(Running):
    """A control centre at `host`:`port`; a context manager. All methods may be called from any thread.

    `auto`: how far software takes an incident by itself: "received" (as a real centre), "accepted",
    "dispatched", or None for a centre that is silent (only `accept`, `dispatch` and `close` answer then). It
    may be changed at any time.
    `tls`: the centre's own certificate, for mutual TLS; `server_name`: what the broker's has to be for, if not `host`.
    `check_qos`: also hold the QoS against the contract;
    only with brokers that deliver with the publisher's QoS (mosquitto does, amqtt does not).
    `on_change` is called without arguments in the network's thread after each message.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        auto: str | None = "received",
        name: str = "centre",
        tls: Identity | None = None,
        server_name: str | None = None,
        user: str | None = None,
        password: str | None = None,
        check_qos: bool = False,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.auto = auto
        self.name = name
        self._address = (host, port)
        self._check_qos = check_qos
        self._on_change = on_change
        self._ledger = Ledger()
        self._changed = threading.Condition()
        self._subscribed = False
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=True)
        if user is not None:
            self._client.username_pw_set(user, password)
        if tls is not None:
            self._client.tls_set_context(_context(tls, server_name or host))
        # paho counts in whole seconds by its types only; waiting less shortens every outage.
        self._client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)  # type: ignore[arg-type]
        self._client.on_socket_open = no_delay
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    # Life

    def start(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Connect; returns when the subscription stands. Raises TimeoutError."""
        self._client.connect_async(*self._address, keepalive=KEEPALIVE_S)
        self._client.loop_start()
        try:
            self.wait_connected(timeout_s)
        except TimeoutError:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect and end the network thread. The ledger stays."""
        end(self._client)
        self._set_subscribed(False)

    @property
    def connected(self) -> bool:
        """Whether the broker has confirmed the subscription on the present connection."""
        return self._subscribed

    # What the centre knows

    def ledger(self) -> Ledger:
        """A copy of the ledger as it is now."""
        with self._changed:
            return self._ledger.copy()

    def look(self, at: Callable[[Ledger], T]) -> T:
        """`at(ledger)`, evaluated under the lock, without a copy: keep nothing of the ledger."""
        with self._changed:
            return at(self._ledger)

    @property
    def violations(self) -> list[Violation]:
        """Messages that broke the contract, oldest first."""
        with self._changed:
            return list(self._ledger.violations)

    def wait_for(self, predicate: Callable[[Ledger], T | None], timeout_s: float, what: str = "") -> T:
        """Wait until `predicate(ledger)` is true and return its value. It runs under the lock: look, do not
        keep the ledger. Raises TimeoutError, which says `what` was waited for."""
        with self._changed:
            result = self._changed.wait_for(lambda: predicate(self._ledger), timeout_s)
            if not result:
                known = ", ".join(f"{i.id}={i.state}" for i in self._ledger.incidents.values()) or "none"
                raise TimeoutError(f"centre: {what or 'no result'} within {timeout_s} s; incidents: {known}")
            return result

    def wait_connected(self, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        """Wait until the subscription stands. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._subscribed, timeout_s):
                host, port = self._address
                raise TimeoutError(
                    f"centre: no subscription at {host}:{port} within {timeout_s} s: does the broker run?"
                )

    # What the operator does

    def accept(self, incident_id: str, by: str = "operator") -> None:
        """A person has taken the incident. Raises LedgerError, as the next two do."""
        self._advance(incident_id, "accepted", by)

    def dispatch(self, incident_id: str, by: str = "operator") -> None:
        """Help is on its way."""
        self._advance(incident_id, "dispatched", by)

    def close(self, incident_id: str, outcome: str = "help-given", by: str = "operator") -> None:
        """The incident is over. `outcome`: one of OUTCOMES."""
        self._advance(incident_id, "closed", by, outcome)

    def command(self, device_id: str, cmd: str, valid_s: float = COMMAND_VALID_S) -> str:
        """Send a command; its id is the key of the answer in `Column.results`. Raises LedgerError on an
        unknown column."""
        with self._changed:
            column = self._ledger.columns.get(device_id)
            if column is None:
                raise LedgerError(f"column {device_id!r} has not been heard of yet")
            command_id = uuid.uuid4().hex[:12]
            document = {"v": 1, "id": command_id, "cmd": cmd, "expires": _utc(valid_s)}
            self._publish(f"sos/v1/{column.region}/{device_id}/cmd", document)
            return command_id

    # How it works

    def _advance(self, incident_id: str, state: str, by: str, outcome: str = "") -> None:
        with self._changed:
            self._answer(self._ledger.advance(incident_id, state, by, outcome))
            self._changed.notify_all()

    def _answer(self, incident: Incident) -> None:
        """Tell the column the incident's latest state. Called under the lock, so that answers leave in
        order."""
        ack: dict[str, Any] = {
            "v": 1,
            "id": incident.id,
            "state": incident.state,
            "by": incident.by,
            "at": _utc(),
            "heard": incident.press,
        }
        if incident.outcome:
            ack["outcome"] = incident.outcome
        self._publish(f"sos/v1/{incident.region}/{incident.device_id}/ack", ack)

    def _answer_by_itself(self, incident: Incident) -> None:
        state = self.auto  # once: another thread may take it away
        if state is None:
            return
        if STATES.index(incident.state) < STATES.index(state):
            self._ledger.advance(incident.id, state, self.name)
        self._answer(incident)

    def _publish(self, topic: str, document: dict[str, Any]) -> None:
        self._client.publish(topic, json.dumps(document, ensure_ascii=False).encode(), qos=1)

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        qos = message.qos if self._check_qos else None
        with self._changed:
            incident = self._ledger.take(
                message.topic, bytes(message.payload), time.monotonic(), qos=qos, retain=message.retain
            )
            if incident is not None:
                self._answer_by_itself(incident)
            self._changed.notify_all()
        if self._on_change is not None:
            self._on_change()

    def _connected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if not reason.is_failure:
            client.subscribe(EVERYTHING, qos=1)

    def _on_subscribe(
        self,
        client: mqtt.Client,
        userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        self._set_subscribed(not any(reason.is_failure for reason in reasons))

    def _disconnected(
        self,
        client: mqtt.Client,
        userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._set_subscribed(False)

    def _set_subscribed(self, subscribed: bool) -> None:
        with self._changed:
            self._subscribed = subscribed
            self._changed.notify_all()
        if self._on_change is not None:
            self._on_change()


def _context(tls: Identity, server_name: str) -> ssl.SSLContext:
    """paho checks the broker's certificate against the address that it connects to; this one against a name."""

    class Context(ssl.SSLContext):
        def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
            return super().wrap_socket(*arguments, **{**options, "server_hostname": server_name})

    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.ca)
    context.load_cert_chain(tls.cert, tls.key)
    return context


def _utc(ahead_s: float = 0) -> str:
    return utc(int((time.time() + ahead_s) * 1000))
