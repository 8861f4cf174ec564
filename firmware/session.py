"""One MQTT session over one stream: packets out (one write each) and in, keepalive, acknowledgements, deadlines.

It lives from CONNECT to the first thing that goes wrong, which is a `LinkLost` out of `step`; the uplink then makes
a new one. Nothing here waits.
"""

from firmware import const, packets
from firmware.packets import BadPacket
from firmware.timing import Deadline

_RESENDS = const(1)  # with DUP, before the link is given up
_SENT_MAX = const(4)  # unacknowledged QoS 1 publishes: bounds RAM, the rest waits in the journal
_TELEMETRY_MAX = const(2)  # of which at most so many may be telemetry's
_EARLY_MS = const(20)  # a ping goes with a turn that comes anyway, rather than wake the loop again
_READS_A_STEP = const(8)  # bounds one step under a flood
_UNSUBACK = const(0xB0)
CLOSED = "the broker closed the connection"
_OUT_MAX = const(16)  # packets that wait to be written: a broker that sends and does not read gets no more attention


class LinkLost(Exception):
    """Why, in words."""


class _Sent:
    """A QoS 1 publish that waits for its PUBACK."""

    def __init__(self, board, pid, packet, token, puback_ms):
        self.pid = pid
        self.packet = packet
        self.token = token
        self.resends = 0
        self.deadline = Deadline(board, puback_ms)


class PacketIds:
    """1..65535 in turn, kept across sessions; none that is still in use (MQTT 3.1.1 section 2.3.1)."""

    def __init__(self):
        self._last = 0

    def next(self, used) -> int:
        while True:
            self._last = self._last % 65535 + 1
            if self._last not in used:
                return self._last


class Session:
    """`on_puback(token)` for each acknowledged publish; `on_message(topic, payload, retained)` for each inbound one."""

    def __init__(self, board, stream, coder, ids, config, on_puback, on_message):
        self._board = board
        self._stream = stream
        self.coder = coder
        self._ids = ids
        self._keepalive_ms = config["keepalive_s"] * 1000
        self._puback_ms = config["puback_timeout_s"] * 1000
        self.subscriptions = []  # to come; the first one may be under way
        self.careful = False  # does one thing at a time, so that it shows what the broker ends it at
        self.once = b""  # the topic of a QoS 0 publish that no PINGRESP has followed yet, if careful
        self._on_puback = on_puback
        self.on_message = on_message
        self._inbound = coder.inbound
        self._inbound.clear()
        self._out = [coder.connect()]
        self._written = 0  # bytes of the first packet in `_out` that the stream has taken
        self._begun = False  # it was offered: TLS may hold it as a record, and say that it took none of it
        self.sent = []
        self._suback = 0  # the packet id of the subscription under way
        self._suback_due = Deadline(board)
        self._ping_due = Deadline(board)
        self._ping_lost = Deadline(board)
        self.is_up = False  # the broker accepted us
        self.unheard = b""  # the first topic that the broker does not let us listen to
        self.foreign_acks = 0

    def step(self) -> None:
        """Move bytes both ways. Raises LinkLost, or OSError from the stream."""
        try:
            self._read()
        except BadPacket as error:
            raise LinkLost("hostile or broken packet: %s" % error)
        if self.is_up:
            self._subscribe_next()
            self._keep_alive()
            self._resend()
        self._write()

    def subscribe(self, topics, careful: bool) -> None:
        """Once it is up, and what alarms there are have been published: a broker may end the session at a SUBSCRIBE."""
        self.subscriptions = topics
        self.careful = careful
        self._subscribe_next()
        self._write()

    def takes_alarm(self) -> bool:
        return self.is_up and len(self.sent) < _SENT_MAX

    def takes_telemetry(self) -> bool:
        if not self.is_up or self._out:
            return False
        if self.careful:
            return not (self.sent or self.subscriptions or self.once)
        return len(self.sent) < _TELEMETRY_MAX

    def publish(self, topic: bytes, payload: bytes, retain: bool, token, first: bool = False) -> None:
        """QoS 1. `first`: before everything that is queued and was not yet offered to the stream (an alarm)."""
        pid = self.next_id()
        packet = self.coder.publish(topic, payload, retain, pid)
        self.sent.append(_Sent(self._board, pid, packet, token, self._puback_ms))
        self.queue(packet, first)
        self._write()

    def has(self, token) -> bool:
        """It was published, and not answered yet."""
        for one in self.sent:
            if one.token is token:
                return True
        return False

    def publish_once(self, topic: bytes, payload: bytes) -> None:
        """QoS 0: nobody will know whether it arrived."""
        self.queue(self.coder.publish(topic, payload, False))
        if self.careful:
            self.once = topic
            self._ping()
        self._write()

    def next_id(self) -> int:
        """A packet id that nothing under way has."""
        return self._ids.next(tuple(one.pid for one in self.sent) + (self._suback,))

    def next_ms(self, otherwise: int) -> int:
        """Ms until something is due without input."""
        if self._out:
            return 5
        for one in self.sent:
            otherwise = min(otherwise, one.deadline.left_ms(otherwise))
        return min(otherwise, self._ping_due.left_ms(otherwise), self._ping_lost.left_ms(otherwise))

    def close(self) -> None:
        self._stream.close()

    # -- out

    def queue(self, packet, first=False):
        if first:
            self._out.insert(1 if self._begun else 0, packet)
        else:
            self._out.append(packet)

    def _write(self):
        while self._out:
            packet = self._out[0]
            rest = memoryview(packet)[self._written :] if self._written else packet
            self._begun = True
            taken = self._stream.write(rest)
            self._written += taken
            if self._written < len(packet):
                return
            self._out.pop(0)
            self._written = 0
            self._begun = False

    def _resend(self):
        if self._suback_due.expired():
            raise LinkLost("no answer to a subscription")
        for one in self.sent:
            if one.deadline.expired():
                if one.resends >= _RESENDS:
                    raise LinkLost("no PUBACK for %d ms, twice" % self._puback_ms)
                one.resends += 1
                one.deadline.start(self._puback_ms)
                if one.packet not in self._out:  # else it has not even left
                    one.packet[0] |= packets.DUP
                    self.queue(one.packet)

    def _keep_alive(self):
        """Ping every half keepalive, whatever else is sent: writing to a dead link succeeds for a long time. Give up
        three quarters of a keepalive later: a dead link is found within 1.25 of them."""
        if self._ping_lost.expired():
            raise LinkLost("no answer to a ping")
        if self._ping_due.left_ms(_EARLY_MS + 1) <= _EARLY_MS:
            self._ping()

    def _ping(self):
        self.queue(packets.PINGREQ_PACKET)
        self._ping_due.start(self._keepalive_ms // 2)
        if not self._ping_lost.running():
            self._ping_lost.start(self._keepalive_ms * 3 // 4)

    # -- in

    def _read(self):
        for _ in range(_READS_A_STEP):
            self._take_all()
            if len(self._out) >= _OUT_MAX:
                return
            count = self._stream.read_into(self._inbound.space())
            if count is None:
                return
            if count == 0:
                raise LinkLost(CLOSED)
            self._inbound.arrived(count)
        self._take_all()

    def _take_all(self):
        while len(self._out) < _OUT_MAX:
            packet = self._inbound.next()
            owed = self._inbound.owed()
            if owed:
                self.queue(owed)
            if packet is None:
                return
            self._take(packet[0], packet)
            self._inbound.done(packet)

    def _take(self, kind, packet):
        if kind == packets.DISCONNECT:  # MQTT 3.1.1 knows none from a broker, and some send it all the same
            raise LinkLost(CLOSED)
        if not self.is_up:
            self._take_connack(kind, packet)
        elif kind & 0xF0 == packets.PUBLISH:
            topic, payload, puback = self.coder.received(packet)
            if puback:
                self.queue(puback)
            self.on_message(topic, payload, kind & 1)
        elif kind == packets.PUBACK:
            self._take_puback(self._short(packet, 2))
        elif kind == packets.SUBACK:
            self._take_suback(self._short(packet, 3))
        elif kind == _UNSUBACK:
            self._short(packet, 2)  # console_access.py asked, and waits for nothing
        elif kind == packets.PINGRESP:
            self._short(packet, 0)
            self._ping_lost.stop()
            self.once = b""
        else:
            raise BadPacket("a packet of type 0x%02x" % kind)

    def _short(self, packet, size):
        body = self._inbound.body(packet)
        if len(body) != size:
            raise BadPacket("%d bytes in a packet of type 0x%02x" % (len(body), packet[0]))
        return body

    def _take_connack(self, kind, packet):
        if kind != packets.CONNACK:
            raise BadPacket("0x%02x before CONNACK" % kind)
        body = self._short(packet, 2)
        if body[1]:
            raise LinkLost("the broker refused us: %s" % _REFUSALS.get(body[1], "code %d" % body[1]))
        self.is_up = True  # session-present (bit 0) may be set by a broker that is wrong: it changes nothing here
        self._ping_due.start(self._keepalive_ms // 2)

    def _subscribe_next(self):
        # A PUBACK that is late may be lost, and answers are worth more than to know what the broker takes.
        waits = self.careful and self.sent and not self.sent[0].resends
        if self.subscriptions and not self._suback and not waits:
            self._suback = self.next_id()
            self._suback_due.start(self._puback_ms * (1 + _RESENDS))
            self.queue(self.coder.subscribe(self.subscriptions[0], self._suback))

    def _take_suback(self, body):
        if not self._suback or body[0] << 8 | body[1] != self._suback:
            self.foreign_acks += 1
            return
        topic, self.subscriptions = self.subscriptions[0], self.subscriptions[1:]
        self._suback = 0
        self._suback_due.stop()
        if body[2] == 0x80:
            self._board.log("session: the broker refused the subscription to %s" % topic.decode())
            self.unheard = self.unheard or topic

    def _take_puback(self, body):
        pid = body[0] << 8 | body[1]
        for one in self.sent:
            if one.pid == pid:
                self.sent.remove(one)
                self._on_puback(one.token)
                return
        self.foreign_acks += 1  # late, doubled or somebody else's: it acknowledges nothing


_REFUSALS = {
    1: "protocol version",
    2: "client id",
    3: "server unavailable",
    4: "user or password",
    5: "not authorised",
}
