"""The desk's MQTT client: a session that outlives the process, and the answers that go over it. What it listens to,
and how it connects again, is every centre's."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from common.identity import Identity
from desk.ledger import Incident

EVERYTHING = "sos/v1/+/+/#"
CALLS = ("sos/v1/+/+/alarm", "sos/v1/+/+/ack")
TELEMETRY = tuple(f"sos/v1/+/+/{kind}" for kind in ("state", "info", "heartbeat", "fault/+", "event", "result"))
RECONNECT_MIN_S, RECONNECT_MAX_S = 0.1, 1.0
PACKETS_AT_ONCE = 20  # as many as mosquitto sends without a receipt
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Client(mqtt.Client):
    """Takes several packets each time that the connection is looked at: paho takes one, and most of the time that a
    flood costs goes into the looking."""

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        for _ in range(PACKETS_AT_ONCE):
            code = super().loop_read(max_packets)
            if code or self.socket() is None:
                break
        return code


def make_client(
    client_id: str, tls: Identity | Path | None = None, user: str | None = None, password: str | None = None
) -> Client:
    """A client whose session the broker keeps, and whose messages it keeps until they are acknowledged by hand. `tls`:
    a certificate of its own, or only the authority that the broker's must be from."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True)
    introduce(client, tls, user, password)
    # paho counts in whole seconds by its types only; waiting less shortens every outage.
    client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)  # type: ignore[arg-type]
    client.suppress_exceptions = True  # they are logged (see desk/line.py); the network's thread must outlive them
    return client


def introduce(client: mqtt.Client, tls: Identity | Path | None, user: str | None, password: str | None) -> None:
    """Who it is at the broker, and that it waits for nothing on the way there."""
    if user is not None:
        client.username_pw_set(user, password)
    if isinstance(tls, Identity):
        client.tls_set(str(tls.ca), str(tls.cert), str(tls.key))
    elif tls is not None:
        client.tls_set(str(tls))
    client.on_socket_open = no_delay


def ack(incident: Incident) -> dict[str, Any]:
    """The decision that the incident's state comes from: every desk that repeats it says the same, but for `heard`."""
    decisive = incident.decisive(incident.state)
    assert decisive is not None, incident
    decision, press = decisive
    document = {"v": 1, "id": incident.id, "state": incident.state, "at": utc(decision.at_ms), "press": press}
    document["heard"] = incident.press
    if incident.unanswered_s:
        document["unanswered_s"] = incident.unanswered_s
    if decision.by:
        document["by"] = decision.by
    if decision.outcome:
        document["outcome"] = decision.outcome
    if decision.misuse:
        document["misuse"] = decision.misuse
    return document


def utc(at_ms: int) -> str:
    """Milliseconds since the epoch as the contract writes a time."""
    return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def no_delay(client: mqtt.Client, userdata: object, sock: Any) -> None:
    """For `on_socket_open`: an answer must not wait for Nagle's algorithm: it would add up to 40 ms."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
