"""A broker in virtual time, and the client that the desk's own lines drive: QoS 1, sessions that outlive a desk.

All messages reach every session in one order, as a broker's single thread delivers them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from paho.mqtt.client import topic_matches_sub

from desk.mqtt_client import Client
from sim.virtual.timeline import US_PER_MS, Timeline

DELAY_US = 20 * US_PER_MS
RECONNECT_US = 100 * US_PER_MS
GOOD: Any = SimpleNamespace(is_failure=False)


class Message:
    """As a line reads it."""

    def __init__(self, mid: int, topic: str, payload: bytes) -> None:
        self.mid, self.topic, self.payload, self.qos, self.retain = mid, topic, payload, 1, False


class Session:
    """What the broker keeps for a client id: its subscriptions, and what it has not acknowledged."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.waiting: deque[Message] = deque()
        self.client: VirtualClient | None = None
        self.last_mid = 0


class Broker:
    """`guard(action)` runs what happens inside a desk, which may be killed by it."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.sessions: dict[str, Session] = {}
        self.heard: list[Callable[[str, bytes], None]] = []
        """Who else hears everything: the columns."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Bring it to every session that wants it, and keep it there until it is acknowledged."""
        for session in self.sessions.values():
            if any(topic_matches_sub(wanted, topic) for wanted in session.topics):
                session.last_mid += 1
                message = Message(session.last_mid, topic, payload)
                session.waiting.append(message)
                if session.client is not None:
                    self._deliver(session.client, message)
        for listener in self.heard:
            listener(topic, payload)

    def attach(self, client: VirtualClient) -> None:
        """A connection: first its subscription, then what has waited."""
        session = self.sessions.setdefault(client.ident, Session())
        session.client = client
        client.session = session
        client.connected = True
        client.on_connect(client, None, None, GOOD, None)
        for message in list(session.waiting):
            self._deliver(client, message)

    def _deliver(self, client: VirtualClient, message: Message) -> None:
        def hear() -> None:
            if client.admits(message.topic, message.payload, message.qos):
                client.on_message(client, None, message)
                client.on_lull()
            else:
                client.ack(message.mid, message.qos)

        def arrive() -> None:
            if client.connected:
                client.guard(hear)

        self.timeline.after(DELAY_US, arrive)


class VirtualClient:
    """In the place of paho's client."""

    on_connect: Callable[..., None]
    on_connect_fail: Callable[..., None]
    on_disconnect: Callable[..., None]
    on_subscribe: Callable[..., None]
    on_message: Callable[..., None]
    on_lull: Callable[[], None]
    admits: Callable[[str, bytes, int], bool]
    on_publish: Callable[..., None]
    on_log: Callable[..., None]

    def __init__(self, broker: Broker, ident: str, guard: Callable[[Callable[[], None]], None]) -> None:
        self.broker, self.ident, self.guard = broker, ident, guard
        self.connected = False
        self.session = Session()
        self._mid = 0

    def connect_async(self, *_: object, **__: object) -> None:
        """There is one broker."""

    def loop_start(self) -> None:
        self.loop_start_in(DELAY_US)

    def loop_start_in(self, delay_us: int) -> None:
        """Connect then."""
        self.broker.timeline.after(delay_us, lambda: self.guard(lambda: self.broker.attach(self)))

    def loop_stop(self) -> None:
        self.drop()

    def disconnect(self) -> None:
        self.drop()

    def drop(self) -> None:
        """The connection ends; the session stays."""
        self.connected = False
        if self.session.client is self:
            self.session.client = None

    def subscribe(self, wanted: list[tuple[str, int]]) -> None:
        self.session.topics = {topic for topic, _ in wanted}
        self.on_subscribe(self, None, 0, [GOOD] * len(wanted), None)

    def unsubscribe(self, topics: list[str]) -> None:
        """Nobody was there before."""

    def publish(self, topic: str, payload: bytes, qos: int) -> Any:
        self._mid += 1
        mid = self._mid
        if not self.connected:
            return SimpleNamespace(mid=mid)

        def taken() -> None:
            self.broker.publish(topic, payload)
            if self.connected:
                self.on_publish(self, None, mid)

        self.broker.timeline.after(DELAY_US, taken)
        return SimpleNamespace(mid=mid)

    def ack(self, mid: int, qos: int) -> None:
        if self.connected:
            self.session.waiting = deque(one for one in self.session.waiting if one.mid != mid)

    def socket(self) -> VirtualClient | None:
        return self if self.connected else None

    def shutdown(self, how: int) -> None:
        """The desk ends the connection: what it has not acknowledged comes again over a new one."""
        self.drop()
        self.broker.timeline.after(DELAY_US, lambda: self.guard(lambda: self.on_disconnect(self)))
        self.loop_start_in(RECONNECT_US)


def maker(broker: Broker, guard: Callable[[Callable[[], None]], None]) -> Callable[..., Client]:
    """For `Duty(make_client=...)`."""

    def make(ident: str, *_: object) -> Any:
        return VirtualClient(broker, ident, guard)

    return make
