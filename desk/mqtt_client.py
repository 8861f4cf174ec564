"""The desk's MQTT client: a session that outlives the process, and the answers that go over it. What it listens to,
and how it connects again, is every centre's."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket

from common.identity import Identity
from desk.ledger import Incident

EVERYTHING = "sos/v1/+/+/#"
CALLS = ("sos/v1/+/+/alarm", "sos/v1/+/+/ack")
TELEMETRY = tuple(f"sos/v1/+/+/{kind}" for kind in ("state", "info", "heartbeat", "fault/+", "event", "result"))
RECONNECT_MIN_S, RECONNECT_MAX_S = 0.1, 1.0
READ_BYTES = 65_536
READS_AT_ONCE = 50  # over TLS each is one record, and mosquitto makes one of each message
TYPE, PUBLISH = 0xF0, 0x30
PUBACK = b"\x40\x02"  # before the packet id
LENGTH_DIGITS_MAX = 4
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Client(mqtt.Client):
    """Stands floods: it takes all that is there before it does anything else, and what is not admitted is dropped on
    the bytes of its packet. paho reads a packet in three parts, with a look at the connection before each packet, and
    decodes it, and only then asks: ten times the work, and what another column says waits behind it."""

    admits: Callable[[str, bytes, int], bool]
    """Whether to deliver a message with this topic, payload and QoS. Asked once for each; what is not delivered, the
    broker may forget."""
    on_lull: Callable[[], None]
    """Called when all that had come has been delivered."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.admits = lambda topic, payload, qos: True
        self.on_lull = lambda: None
        self._unread = bytearray()

    def reconnect(self) -> MQTTErrorCode:
        self._unread.clear()
        return super().reconnect()

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """As paho's, and whatever goes wrong in it, it goes on over a new connection: a thread that has ended is a line
        that never stands again."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception as error:
                self._easy_log(LogLevel.MQTT_LOG_ERR, "Caught exception in the network's thread: %r", error)
                hang_up(self)
                time.sleep(RECONNECT_MAX_S)

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        connection = self.socket()
        if connection is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        for _ in range(READS_AT_ONCE):
            try:
                data = self._sock_recv(READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                self._easy_log(LogLevel.MQTT_LOG_ERR, "failed to receive on socket: %s", error)
                data = b""
            if not data:
                code = MQTTErrorCode.MQTT_ERR_CONN_LOST
                break
            self._unread += data
        taken = self._take(connection)  # what came before the end counts, too
        if taken or self.socket() is not connection:
            return taken
        return self._loop_rc_handle(code) if code else self.loop_write()

    def _take(self, connection: object) -> MQTTErrorCode:
        """All packets that are whole; the rest stays. The broker's receipts leave in one piece."""
        unread, self._unread = self._unread, bytearray()
        receipts = bytearray()
        code, at = MQTTErrorCode.MQTT_ERR_SUCCESS, 0
        try:
            while (found := packet_at(unread, at)) is not None:
                start, end = found
                body, first, at = unread[start:end], unread[at], end
                if first & TYPE == PUBLISH and (mid := self._dropped(first, body)) is not None:
                    receipts += PUBACK + mid if mid else b""
                    continue
                code = self._hand_over(first, body)
                if code > 0 or self.socket() is not connection:
                    at = len(unread)  # what else came over it comes again over the next one
                    break
        except MalformedPacket as error:
            self._easy_log(LogLevel.MQTT_LOG_ERR, "malformed packet: %s", error)
            code, at = MQTTErrorCode.MQTT_ERR_PROTOCOL, len(unread)
        self._unread[:0] = unread[at:]
        try:
            self.on_lull()
        except Exception as error:  # as paho does with those of a message: the network's thread must outlive them
            self._easy_log(LogLevel.MQTT_LOG_ERR, "Caught exception in on_lull: %r", error)
        if receipts:
            self._packet_queue(PUBACK[0], receipts, 0, 1)
        with self._msgtime_mutex:
            self._last_bytes_received = time.monotonic()
        return self._loop_rc_handle(code) if code > 0 else MQTTErrorCode.MQTT_ERR_SUCCESS

    def _dropped(self, first: int, body: bytearray) -> bytes | None:
        """The packet id of a message that is not admitted, b"" if it has none; None for a message to deliver."""
        qos, topic_end = first >> 1 & 3, 2 + int.from_bytes(body[:2], "big")
        payload_at = topic_end + 2 * (qos > 0)
        if qos > 1 or len(body) < payload_at:
            return None  # none of the desk's subscriptions
        try:
            topic = body[2:topic_end].decode()
        except UnicodeDecodeError:
            return None
        return None if self._admitted(topic, bytes(body[payload_at:]), qos) else bytes(body[topic_end:payload_at])

    def _admitted(self, topic: str, payload: bytes, qos: int) -> bool:
        try:
            return self.admits(topic, payload, qos)
        except Exception as error:  # what cannot be judged is not too much
            self._easy_log(LogLevel.MQTT_LOG_ERR, "Caught exception in admits: %r", error)
            return True

    def _hand_over(self, first: int, body: bytearray) -> MQTTErrorCode:
        """A packet to paho, as if it had read it."""
        self._in_packet = {
            "command": first,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": body,
            "to_process": 0,
            "pos": 0,
        }
        return self._packet_handle()


def packet_at(data: bytearray, at: int) -> tuple[int, int] | None:
    """Where the rest of the packet that begins there begins and ends; None if not all of it is there yet. Raises
    MalformedPacket."""
    length, digits = 0, 0
    while at + 1 + digits < len(data):
        digit = data[at + 1 + digits]
        length |= (digit & 127) << 7 * digits
        digits += 1
        if digit < 128:
            start = at + 1 + digits
            return (start, start + length) if start + length <= len(data) else None
        if digits == LENGTH_DIGITS_MAX:
            raise MalformedPacket(f"its length has more than {LENGTH_DIGITS_MAX} digits")
    return None


def make_client(
    client_id: str,
    tls: Identity | Path | None = None,
    user: str | None = None,
    password: str | None = None,
    keeps: bool = True,
) -> Client:
    """A client whose session the broker keeps (unless told not to), and whose messages it keeps until they are
    acknowledged by hand. `tls`: a certificate of its own, or only the authority that the broker's must be from."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=not keeps, manual_ack=True)
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


def hang_up(client: mqtt.Client) -> None:
    """End the connection, if there is one; a new one follows, with all that has not been acknowledged. Any thread."""
    connection: Any = client.socket()
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def no_delay(client: mqtt.Client, userdata: object, sock: Any) -> None:
    """For `on_socket_open`: an answer must not wait for Nagle's algorithm: it would add up to 40 ms."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
