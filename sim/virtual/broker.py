"""A scripted MQTT 3.1.1 broker: strict with the column, and treacherous on request."""

from collections.abc import Callable
from enum import StrEnum

from sim.virtual import mqtt_wire as wire
from sim.virtual.connection import Connection
from sim.virtual.malformed import SCRIPTS
from sim.virtual.timeline import US_PER_MS, US_PER_S, Timeline
from sim.virtual.trace import Trace

KEEPALIVE_GRACE = 1.5
OWN_IDS = 0xFFFF  # packet ids of the broker's own publishes run 1..OWN_IDS

Subscriber = Callable[[wire.Publish], None]


class BrokerFault(StrEnum):
    """What the broker does wrong between `Broker.start(name)` and `Broker.stop(name)`. (n) = takes a value."""

    DOWN = "down"  # the process is gone: connections reset, ports closed
    FREEZE = "freeze"  # the process stands still (SIGSTOP): the kernel accepts, nobody reads
    CONNACK_REFUSED = "connack-refused"  # (return code)
    NO_CONNACK = "no-connack"
    LOSE_PUBACK = "lose-puback"
    LATE_PUBACK = "late-puback"  # (ms)
    DUPLICATE_PUBACK = "duplicate-puback"
    FOREIGN_PUBACK = "foreign-puback"  # an id that the column never used, before the right one
    SESSION_PRESENT = "session-present"  # says so though it keeps none
    NO_PINGRESP = "no-pingresp"
    NO_SUBACK = "no-suback"
    REFUSE_SUBSCRIBE = "refuse-subscribe"  # SUBACK 0x80
    RIVAL = "rival"  # (ms) a second client with the same id: takes the session over, so long after it began
    DENY_ALARM = "deny-alarm"  # PUBACK for alarms, and nobody gets them
    # Brokers as they are: they end the connection at what they do not take.
    ENDS_AT_SUBSCRIBE = "ends-at-subscribe"
    ENDS_AT_TELEMETRY = "ends-at-telemetry"  # at a publish to one of its topics: event
    ENDS_AT_RETAINED = "ends-at-retained"
    ENDS_AT_LARGE = "ends-at-large"  # (bytes of payload)
    SAYS_GOODBYE = "says-goodbye"  # a DISCONNECT before it closes, which MQTT 3.1.1 does not know
    GRANTS_QOS_0 = "grants-qos-0"
    BANS_FLAPPING = "bans-flapping"  # (connections in a minute that are too many) refused for five minutes then


DEFAULTS = {BrokerFault.CONNACK_REFUSED: 5, BrokerFault.LATE_PUBACK: 30_000, BrokerFault.RIVAL: 500,
            BrokerFault.ENDS_AT_LARGE: 600, BrokerFault.BANS_FLAPPING: 15}  # fmt: skip
MINUTE_US, BAN_US = 60 * US_PER_S, 300 * US_PER_S
NOT_AUTHORISED = 5
GOODBYE = wire.packet(wire.DISCONNECT)


class Session:
    """One network connection of one client."""

    def __init__(self, connection: Connection, now_us: int) -> None:
        self.connection = connection
        self.buffer = bytearray()
        self.connect: wire.Connect | None = None
        self.accepted = False
        self.filters: dict[str, int] = {}
        self.last_heard_us = now_us
        self.last_own_id = 0


class Broker:
    """`sim.virtual.connection.Server`. Keeps no persistent sessions: the column must not count on them."""

    def __init__(self, timeline: Timeline, trace: Trace) -> None:
        self.violations: list[str] = []
        self.faults: dict[BrokerFault, int] = {}
        self.retained: dict[str, wire.Publish] = {}
        self.on_publish: list[Subscriber] = []  # what the column really published, whatever is forwarded
        self._timeline = timeline
        self._trace = trace
        self._sessions: dict[Connection, Session] = {}
        self._subscribers: list[tuple[str, Subscriber]] = []
        self._frozen_input: list[Callable[[], None]] = []
        self._connected_us: list[int] = []  # when somebody connected in the last minute
        self._banned_until_us = 0

    # -- the script

    def start(self, fault: BrokerFault, value: int | None = None) -> None:
        self.faults[fault] = DEFAULTS.get(fault, 1) if value is None else value
        self._trace.add("condition", "broker", fault.value, self.faults[fault])
        if fault == BrokerFault.DOWN:
            for session in list(self._sessions.values()):
                self._bites(BrokerFault.DOWN)
                session.connection.reset()

    def stop(self, fault: BrokerFault) -> None:
        if self.faults.pop(fault, None) is None:
            return
        self._trace.add("condition", "broker", fault.value, "stop")
        if fault == BrokerFault.BANS_FLAPPING:
            self._banned_until_us = 0
        if fault == BrokerFault.FREEZE:
            waiting, self._frozen_input = self._frozen_input, []
            for action in waiting:
                action()

    def stop_all(self) -> None:
        for fault in list(self.faults):
            self.stop(fault)

    def _bites(self, fault: BrokerFault) -> bool:
        """The fault is on, and somebody meets it just now: that counts as its effect."""
        if fault not in self.faults:
            return False
        self._trace.took_effect(f"broker {fault.value}")
        return True

    def hostile(self, script: str) -> None:
        """Send the bytes of one of `sim.virtual.malformed.SCRIPTS` to every connected client."""
        self._trace.add("condition", "broker", "hostile", script)
        for session in list(self._sessions.values()):
            session.connection.send_from_server(SCRIPTS[script])
            self._trace.took_effect(f"hostile {script}")
            session.accepted |= script == "second-connack"  # forged, but the column cannot know

    def takeover(self) -> None:
        """Another client connects under each connected client's id: the broker drops the older one."""
        self._trace.add("condition", "broker", "takeover")
        for session in list(self._sessions.values()):
            self._trace.took_effect("takeover")
            self._drop(session)

    def _taken_over(self, session: Session) -> None:
        if session.connection in self._sessions:
            self._drop(session)

    def subscribe(self, topic_filter: str, subscriber: Subscriber) -> None:
        """A local client (the centre)."""
        self._subscribers.append((topic_filter, subscriber))

    def publish(self, message: wire.Publish) -> int:
        """A local client's message goes to everybody who subscribed. Returns to how many columns."""
        return self._forward(message)

    def connected(self) -> list[str]:
        """Ids of the clients that are connected."""
        return [one.connect.client_id for one in self._sessions.values() if one.connect and one.accepted]

    # -- sim.virtual.connection.Server

    def accepts(self) -> bool:
        return not self._bites(BrokerFault.DOWN)

    def answers_tls(self) -> bool:
        return not self._bites(BrokerFault.FREEZE)

    def opened(self, connection: Connection) -> None:
        session = Session(connection, self._timeline.now_us)
        self._sessions[connection] = session

    def received(self, connection: Connection, data: bytes) -> None:
        if self._bites(BrokerFault.FREEZE):
            self._frozen_input.append(lambda: self.received(connection, data))
            return
        session = self._sessions.get(connection)
        if session is None:
            return
        session.last_heard_us = self._timeline.now_us
        session.buffer += data
        try:
            while connection in self._sessions and (packet := wire.take(session.buffer)) is not None:
                self._handle(session, packet)
        except wire.ProtocolError as error:
            self._violation(session, str(error))

    def closed(self, connection: Connection) -> None:
        """The connection ended without DISCONNECT, or after it (then the session is gone already)."""
        if self._bites(BrokerFault.FREEZE):
            self._frozen_input.append(lambda: self.closed(connection))
            return
        session = self._sessions.pop(connection, None)
        if session is not None and session.connect is not None and session.connect.will is not None:
            self._forward(session.connect.will)

    # -- packets

    def _violation(self, session: Session, text: str) -> None:
        self.violations.append(text)
        self._trace.add("violation", "mqtt", text)
        self._drop(session)

    def _drop(self, session: Session) -> None:
        if session.accepted and self._bites(BrokerFault.SAYS_GOODBYE):
            self._send(session, GOODBYE)
        session.connection.close_at_server()
        self.closed(session.connection)

    def _handle(self, session: Session, packet: wire.Packet) -> None:
        kind = packet.kind
        self._trace.add("out", kind, packet.flags, packet.body)
        if (session.connect is None) != (kind == wire.CONNECT):
            raise wire.ProtocolError(f"packet type {kind} out of order: CONNECT comes first and once [3.1.0]")
        if kind == wire.CONNECT:
            self._on_connect(session, wire.read_connect(packet.body))
        elif not session.accepted:
            # The specification allows it [3.1.4]; our column waits, so that a refusal loses nothing.
            raise wire.ProtocolError(f"packet type {kind} before CONNACK")
        elif kind == wire.PUBLISH:
            self._on_publish(session, wire.read_publish(packet))
        elif kind == wire.SUBSCRIBE:
            self._on_subscribe(session, *wire.read_subscribe(packet.body))
        elif kind == wire.UNSUBSCRIBE:
            raise wire.ProtocolError("the column never unsubscribes")
        elif kind == wire.PUBACK:
            wire.read_packet_id(packet.body)
        elif kind == wire.PINGREQ:
            if not self._bites(BrokerFault.NO_PINGRESP):
                self._send(session, wire.packet(wire.PINGRESP))
        elif kind == wire.DISCONNECT:
            del self._sessions[session.connection]
            session.connection.close_at_server()

    def _send(self, session: Session, data: bytes) -> None:
        self._trace.add("in", data)
        session.connection.send_from_server(data)

    def _on_connect(self, session: Session, connect: wire.Connect) -> None:
        session.connect = connect
        if self._bites(BrokerFault.NO_CONNACK):
            return
        code = self.faults[BrokerFault.CONNACK_REFUSED] if self._bites(BrokerFault.CONNACK_REFUSED) else 0
        if self._is_banned():
            code = NOT_AUTHORISED
        self._send(session, wire.connack(code, not code and self._bites(BrokerFault.SESSION_PRESENT)))
        if code:
            session.connect = connect._replace(will=None)
            self._drop(session)
            return
        for older in list(self._sessions.values()):
            if older is not session and older.connect and older.connect.client_id == connect.client_id:
                self._drop(older)
        session.accepted = True
        if self._bites(BrokerFault.RIVAL):
            self._timeline.after(self.faults[BrokerFault.RIVAL] * US_PER_MS, lambda: self._taken_over(session))
        if connect.keepalive_s:
            self._watch_keepalive(session, connect.keepalive_s)

    def _is_banned(self) -> bool:
        """Counts this connection, if the broker counts. Too many in a minute, and none is accepted for a while."""
        if BrokerFault.BANS_FLAPPING not in self.faults:
            return False
        now_us = self._timeline.now_us
        self._connected_us = [at_us for at_us in self._connected_us if now_us - at_us < MINUTE_US] + [now_us]
        if len(self._connected_us) >= self.faults[BrokerFault.BANS_FLAPPING]:
            self._banned_until_us = now_us + BAN_US
        return now_us < self._banned_until_us and self._bites(BrokerFault.BANS_FLAPPING)

    def _ends_at(self, message: wire.Publish) -> bool:
        if message.topic.endswith("/event") and self._bites(BrokerFault.ENDS_AT_TELEMETRY):
            return True
        if message.retain and self._bites(BrokerFault.ENDS_AT_RETAINED):
            return True
        is_large = len(message.payload) > self.faults.get(BrokerFault.ENDS_AT_LARGE, len(message.payload))
        is_alarm = message.topic.endswith("/alarm")  # a broker that does not take these is no broker for columns
        return is_large and not is_alarm and self._bites(BrokerFault.ENDS_AT_LARGE)

    def _watch_keepalive(self, session: Session, keepalive_s: int) -> None:
        limit_us = session.last_heard_us + int(keepalive_s * KEEPALIVE_GRACE * US_PER_S)

        def check() -> None:
            if session.connection not in self._sessions:
                return
            if self._timeline.now_us - session.last_heard_us >= keepalive_s * KEEPALIVE_GRACE * US_PER_S:
                self._trace.add("condition", "broker", "keepalive-expired")
                self._drop(session)
            else:
                self._watch_keepalive(session, keepalive_s)

        self._timeline.at(limit_us, check)

    def _on_publish(self, session: Session, message: wire.Publish) -> None:
        if message.qos == 2:
            raise wire.ProtocolError("the contract has no QoS 2")
        if self._ends_at(message):
            self._drop(session)  # nothing that comes behind it is read
            return
        for subscriber in self.on_publish:
            subscriber(message)
        if message.qos == 1:
            self._puback(session, message.packet_id)
        if not (message.topic.endswith("/alarm") and self._bites(BrokerFault.DENY_ALARM)):
            self._forward(message)

    def _puback(self, session: Session, packet_id: int) -> None:
        if self._bites(BrokerFault.LOSE_PUBACK):
            return
        answers = [wire.with_id(wire.PUBACK, packet_id)]
        if self._bites(BrokerFault.FOREIGN_PUBACK):
            answers.insert(0, wire.with_id(wire.PUBACK, (packet_id + 0x3000) % OWN_IDS + 1))
        if self._bites(BrokerFault.DUPLICATE_PUBACK):
            answers *= 2
        late_ms = self.faults[BrokerFault.LATE_PUBACK] if self._bites(BrokerFault.LATE_PUBACK) else None
        for answer in answers:
            if late_ms is None:
                self._send(session, answer)
            else:
                self._timeline.after(late_ms * US_PER_MS, lambda data=answer: self._send(session, data))  # type: ignore[misc]

    def _on_subscribe(self, session: Session, packet_id: int, filters: list[tuple[str, int]]) -> None:
        if self._bites(BrokerFault.ENDS_AT_SUBSCRIBE):
            self._drop(session)  # nothing that comes behind it is read
            return
        if self._bites(BrokerFault.NO_SUBACK):
            return
        granted = 0 if self._bites(BrokerFault.GRANTS_QOS_0) else 1
        refused = self._bites(BrokerFault.REFUSE_SUBSCRIBE)
        codes = bytes(0x80 if refused else min(qos, granted) for _, qos in filters)
        self._send(session, wire.with_id(wire.SUBACK, packet_id, codes))
        if refused:
            return
        for topic_filter, qos in filters:
            session.filters[topic_filter] = min(qos, granted)
            for message in self.retained.values():
                if wire.matches(topic_filter, message.topic):
                    self._deliver(session, message._replace(retain=True))

    def _forward(self, message: wire.Publish) -> int:
        if message.retain:
            self.retained.pop(message.topic, None)
            if message.payload:
                self.retained[message.topic] = message
        for topic_filter, subscriber in self._subscribers:
            if wire.matches(topic_filter, message.topic):
                subscriber(message)
        readers = [
            session
            for session in self._sessions.values()
            if any(wire.matches(topic_filter, message.topic) for topic_filter in session.filters)
        ]
        for session in readers:
            self._deliver(session, message._replace(retain=False))
        return len(readers)

    def _deliver(self, session: Session, message: wire.Publish) -> None:
        granted = max(q for f, q in session.filters.items() if wire.matches(f, message.topic))
        qos = min(message.qos, granted)
        if qos:
            session.last_own_id = session.last_own_id % OWN_IDS + 1
        self._send(session, wire.publish(message._replace(qos=qos, dup=False, packet_id=session.last_own_id)))
