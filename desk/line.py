"""One connection of the desk to its broker, and the proof that it carries what it should.

A line's session outlives the process; the broker keeps its messages until they are acknowledged by hand. A line that
does not carry its own messages any more says so and connects again.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from paho.mqtt import client as mqtt
from paho.mqtt.enums import LogLevel
from paho.mqtt.reasoncodes import ReasonCode

from common.identity import Identity
from common.mqtt import end
from desk import limits, trouble
from desk.line_proof import Proof
from desk.mqtt_client import Client, hang_up, make_client
from desk.rival import Rival
from desk.trouble import Trouble

KEEPALIVE_S = 15
TOPICS_AT_ONCE = 100  # the broker's files that provisioning writes allow packets of 20 KB
RENEW_AFTER_MS = 2_000  # without anything too much
RENEW_EVERY_MS = 10_000  # during a flood

log = logging.getLogger(__name__)


MakeClient = Callable[[str, Identity | Path | None, str | None, str | None, bool], Client]
"""See make_client."""


class Login(NamedTuple):
    """Where the broker is, and who the desk is there. `tls`: the desk's own certificate, for mutual TLS, or only the
    authority that the broker's must be from."""

    host: str
    port: int
    tls: Identity | Path | None = None
    user: str | None = None
    password: str | None = None

    def why_unreached(self) -> Trouble:
        """For paho's `on_connect_fail`, which is called where it has caught the error, and does not say which."""
        return trouble.of_connecting(sys.exc_info()[1], self.host, self.port, encrypted=self.tls is not None)


class Receipt(NamedTuple):
    """A message that the broker may forget once it is in the register."""

    line: Line
    mid: int
    qos: int

    def send(self) -> None:
        self.line.acknowledge(self.mid, self.qos)


class Line:
    """The session `client_id`, which hears `topics` and, no more, what it heard in `past`.

    `admits(topic, payload)`: whether a message is not too much; asked once for each, before anything else.
    `on_message(line, message)`, for what is admitted, `on_lull()`, when all that had come was given, and
    `on_change(line)` (it stands, it fell, another trouble) are called in the line's own thread, the latter in that of
    `look`, too. `on_taken(mid)` comes under a lock of paho's: it must not wait."""

    KEEPS = True
    """Whether the broker keeps its session."""

    def __init__(
        self,
        client_id: str,
        login: Login,
        topics: Sequence[str],
        admits: Callable[[str, bytes], bool],
        on_message: Callable[[Line, mqtt.MQTTMessage], None],
        on_lull: Callable[[], None],
        on_change: Callable[[Line], None],
        *,
        on_taken: Callable[[int], None] = lambda mid: None,
        past: Sequence[str] = (),
        make: MakeClient = make_client,
    ) -> None:
        self._login, self._topics, self._past = login, tuple(topics), tuple(past)
        self._admits_of, self._on_message_of, self._on_change = admits, on_message, on_change
        self._on_lull = on_lull
        self._proof_topic = f"sos/desk/{client_id}/proof"
        self._proof, self._proving = Proof(), threading.Lock()
        self.stands = False
        """Whether the broker has confirmed the subscription on the present connection."""
        self.connection = 0
        """How many have stood: `stands` alone does not say whether it is still the same one."""
        self._trouble = trouble.NOT_STARTED
        self._late = self._answered = self._hung_up = self._stopping = False
        self._flooded_ms: tuple[int, int] | None = None
        """Between when and when, on this connection, far too much came over it."""
        self._renewals = limits.Flood(*limits.OWN_CONNECTIONS)
        self.renews = False
        """Whether it connects again of its own accord: it stands again in a moment, and nothing is wrong."""
        self._unconfirmed = 0
        """Subscriptions."""
        self._rival, self._is_contested = Rival(), False
        self._said = ""
        """The last error of the present connection, as paho logs it."""
        self._client = make(client_id, login.tls, login.user, login.password, self.KEEPS)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.admits = self._admits
        self._client.on_message = self._on_message
        self._client.on_lull = on_lull
        self._client.on_publish = lambda client, data, mid, *_: on_taken(mid)
        self._client.on_log = self._on_log

    @property
    def trouble(self) -> Trouble:
        """What is wrong with it; NONE when nothing is."""
        if self._is_contested and self._trouble in (trouble.NONE, trouble.GONE):
            return trouble.CONTESTED
        if self.stands and self._late:
            return self._deafness
        return self._trouble

    @property
    def _deafness(self) -> Trouble:
        return trouble.UNPROVEN if self._proof.may_be_forbidden else trouble.DEAF

    def start(self) -> None:
        """Begin; returns at once."""
        self._trouble = trouble.CONNECTING
        self._client.connect_async(self._login.host, self._login.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect. The broker keeps the session."""
        self._stopping = True
        end(self._client)
        self._fall(trouble.STOPPED)

    def publish(self, topic: str, payload: bytes) -> int:
        """Send with QoS 1; the packet id that `on_taken` names."""
        return self._client.publish(topic, payload, qos=1).mid

    def acknowledge(self, mid: int, qos: int) -> None:
        """The broker may forget this message."""
        self._client.ack(mid, qos)

    def hear(self, message: mqtt.MQTTMessage) -> None:
        """One message, as from the broker: for whoever carries it here in another way."""
        if self._admits(message.topic, bytes(message.payload), message.qos):
            self._on_message(self._client, None, message)
            self._on_lull()
        elif message.qos:
            self.acknowledge(message.mid, message.qos)

    def hang_up(self) -> None:
        """End the connection; a new one follows, with all that has not been acknowledged. Any thread."""
        self._hung_up = self._hung_up or self._client.socket() is not None
        hang_up(self._client)

    def flooded(self) -> None:
        """Far too much comes over this line. The broker may have dropped what did not fit, and holds back what it
        counts as sent until there is a new connection: there is to be one when the flood is over, or lasts."""
        now_ms = monotonic_ms()
        first_ms, _ = self._flooded_ms or (now_ms, now_ms)
        self._flooded_ms = first_ms, now_ms

    def look(self) -> None:
        """Send the next proof, and judge the last ones; call it often."""
        now_ms = monotonic_ms()
        if self._is_contested and not self._rival.is_there(now_ms):
            self._is_contested = False
            self._on_change(self)
        if not self.stands:
            return
        with self._proving:
            self._proof.look(now_ms)
            payload, late, stuck = self._proof.next(now_ms), self._proof.is_late, self._proof.is_stuck
        if self._is_to_renew(now_ms):
            self._flooded_ms, self.renews = None, True
            self._renewals.admits("", now_ms)  # it is counted
            self.hang_up()
            return
        if late != self._late:
            self._late = late
            self._on_change(self)
        if stuck:
            self._fall(self._deafness)
            self.hang_up()
        elif payload is not None:
            self.publish(self._proof_topic, payload)

    def _is_to_renew(self, now_ms: int) -> bool:
        if self._flooded_ms is None or self.renews:
            return False
        first_ms, last_ms = self._flooded_ms
        is_due = now_ms - last_ms > RENEW_AFTER_MS or now_ms - first_ms > RENEW_EVERY_MS
        return is_due and self._renewals.has("", now_ms)

    # What paho calls, in the line's thread

    def _admits(self, topic: str, payload: bytes, qos: int) -> bool:
        if topic == self._proof_topic or self._admits_of(topic, payload):
            return True
        self._hears(qos)
        self.flooded()
        return False

    def _hears(self, qos: int) -> None:
        if qos:
            with self._proving:
                self._proof.heard(monotonic_ms())

    def _on_message(self, client: mqtt.Client, userdata: object, message: mqtt.MQTTMessage) -> None:
        if message.topic == self._proof_topic:
            with self._proving:
                self._proof.returned(bytes(message.payload), monotonic_ms())
            self.acknowledge(message.mid, message.qos)
            return
        self._hears(message.qos)
        self._on_message_of(self, message)

    def _on_connect(
        self, client: mqtt.Client, userdata: object, flags: mqtt.ConnectFlags, reason: ReasonCode, properties: object
    ) -> None:
        self._answered = True
        if reason.is_failure:
            self._fall(trouble.of_refusal(reason))
            return
        if self._past:
            client.unsubscribe(list(self._past))
        topics = [(topic, 1) for topic in (*self._topics, self._proof_topic)]
        parts = [topics[at : at + TOPICS_AT_ONCE] for at in range(0, len(topics), TOPICS_AT_ONCE)]
        self._unconfirmed = len(parts)
        for part in parts:
            client.subscribe(part)

    def _on_subscribe(
        self, client: mqtt.Client, userdata: object, mid: int, reasons: list[ReasonCode], properties: object
    ) -> None:
        self._unconfirmed -= 1
        needed = reasons if self._unconfirmed else reasons[:-1]  # the last one is the proof's
        if any(reason.is_failure for reason in needed):
            self._fall(trouble.NO_SUBSCRIPTION)
        elif not self._unconfirmed:
            self._stand()

    def _stand(self) -> None:
        with self._proving:
            self._proof.begin(monotonic_ms())
        self._late = self.renews = False
        self.connection += 1
        self._flooded_ms, self._trouble, self.stands = None, trouble.NONE, True
        self._on_change(self)

    def _on_connect_fail(self, *_: object) -> None:
        self._fall(self._login.why_unreached())

    def _on_disconnect(self, *_: object) -> None:
        if self._stopping:
            self._fall(trouble.STOPPED)
        elif self.renews and self.stands:
            self.stands = False
            self._on_change(self)
        elif self.stands:
            now_ms = monotonic_ms()
            if not self._hung_up:
                self._rival.ended(now_ms)
            self._is_contested = self._rival.is_there(now_ms)
            self._fall(self._deafness if self._late else trouble.GONE)
        elif not self._answered:
            self._fall(trouble.of_closing(self._said))
        else:  # between login and subscription: messages may have come all the same
            self._trouble = trouble.GONE if self._trouble in (trouble.NONE, trouble.CONNECTING) else self._trouble
            self.renews = False
            self._on_change(self)
        self._answered, self._hung_up, self._said = False, False, ""

    def _on_log(self, client: mqtt.Client, userdata: object, level: int, text: str) -> None:
        if level in (LogLevel.MQTT_LOG_ERR, LogLevel.MQTT_LOG_WARNING):
            self._said = text
            if text.startswith("Caught exception"):
                log.error("%s: the MQTT library has caught an error: %s", self._proof_topic, text)

    def _fall(self, why: Trouble) -> None:
        changed = self.stands or self.renews or why != self._trouble
        self.stands, self.renews, self._trouble = False, False, why
        if changed:
            self._on_change(self)


def monotonic_ms() -> int:
    """Milliseconds of a clock that does not go back."""
    return time.monotonic_ns() // 1_000_000
