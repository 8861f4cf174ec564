"""The uplink: finds the broker, keeps a session with it, sends what waits: alarms first.

States: down -> lookup -> dial -> session. Each has a deadline; whatever goes wrong leads back to `down`, which waits
a jittered, growing time, or next to none while an alarm waits. A session that died young is a failure too.

Brokers differ in what they end a session at: a subscription or a topic that they deny, a retained message, a large one.
After a death the next session does one thing at a time; what two of those ended at is left out of the following ones.
"""

from firmware import const, record
from firmware.resets import ADDRESS_FILE
from firmware.session import LinkLost, PacketIds, Session
from firmware.timing import Deadline, Stopwatch

_POLL_MS = const(10)  # while connecting
_IDLE_MS = const(2000)
_LINK_MS = const(100)  # between looks at a link that is not up
_LOOKUP_MS = const(1000)  # then the cached address is tried; doubles with each failure, should that one be stale
_RETRY_MS = const(500)
_URGENT_RETRY_MS = const(800)  # longest pause between attempts while an alarm waits
_URGENT_ATTEMPT_MS = const(3000)  # first attempt's limit while an alarm waits; it doubles up to connect_timeout_s
_DOUBLINGS_MAX = const(10)
# Brokers lock out who connects 15 times a minute (EMQX's flapping detection): 13 are the most in any, alarm or not.
_CONNECTION_MS = const(7000)  # one each so long
_AT_ONCE_MS = const(21000)  # but this many of them may be owed

# States, in the order in which they follow each other.
_DOWN = const(0)
_LOOKING_UP = const(1)
_DIALLING = const(2)
_IN_SESSION = const(3)


class Uplink:
    """A task. `column` writes the alarms (`alarm(incident) -> bytes`), hears of a session that begins
    (`session_began()`) and of what the broker sends (`heard(topic, payload, retained)`); nothing that stalls begins
    while its button wants calm."""

    name = "uplink"
    every_turn = True  # input from the broker does not wait for a deadline

    def __init__(self, board, config, coder, incidents, outbox, topics, column):
        """`topics`: {"alarm": bytes, "subscribe": (bytes, ...), "prove": of an `Authentic`, or None}."""
        self._board = board
        self.config = config["broker"]
        self._coder = coder
        self._incidents = incidents
        self._outbox = outbox
        self._topics = topics
        self._column = column
        self._ids = PacketIds()
        self.stream = None
        self.session = None
        self._lookup = None
        self.address = None
        self.in_flight = []  # telemetry given to the session
        self._retry = Deadline(board, 0)
        self._attempt = Deadline(board)
        self._lookup_due = Deadline(board)
        self._spent = Deadline(board, 0)  # on connections
        self._failures = 0
        self.young = 0  # sessions that died young, in a row
        self.young_ms = self.config["retry_max_s"] * 1000  # a rival with our id comes back sooner than that
        self.careful = False  # the next session does one thing at a time, so that it tells what it dies of
        self.evidence = None  # see verdict.py: of what the broker ends sessions at
        self.refused = {}  # kinds of topics, and `retained`
        self.refusal = self.rival = None  # in words, for the faults
        self.deaf = b""  # a topic to which we do not subscribe any more
        self.state_for = Stopwatch(board)  # with a session, or without one
        self._state = _DOWN
        self.last_error = ""
        self.failed_in = _DOWN  # the state that it came from

    def is_up(self) -> bool:
        return self.session is not None and self.session.is_up

    def down_ms(self) -> int:
        state_ms = self.state_for.ms()
        return 0 if self.is_up() else state_ms

    def unheard(self):
        """The first topic that the broker refused to let us hear, or none (empty)."""
        return self.deaf or (b"" if self.session is None else self.session.unheard)

    def kick(self) -> None:
        """An alarm waits: connect at once, and give an attempt that is under way little time."""
        self.young = 0
        if self.is_up():
            return
        if self._state == _DOWN:
            self._failures = 0
            self._retry.start(0)
        elif self._attempt.left_ms(0) > _URGENT_ATTEMPT_MS:
            self._attempt.start(_URGENT_ATTEMPT_MS)

    def step(self) -> int:
        self._spent.left_ms(0)
        try:
            if self._state != _DOWN and not self._board.link.is_up():
                raise LinkLost("the link is down")
            if self._attempt.expired():
                raise LinkLost("no session within %d s" % self.config["connect_timeout_s"])
            return self._in_state()
        except (LinkLost, OSError, ValueError) as error:
            self.lost(error)
            return 0

    # -- one method per state

    def _in_state(self):
        if self._state != _DOWN and not self.is_up() and self._column.button.wants_calm():
            return 1
        if self._state == _DOWN:
            return self._down()
        if self._state == _LOOKING_UP:
            return self._looking_up()
        if self._state == _DIALLING:
            return self._dialling()
        return self._in_session()

    def _down(self):
        if not self._board.link.is_up():
            return _LINK_MS
        wait_ms = max(self._retry.left_ms(0), self._spent.left_ms(0) - _AT_ONCE_MS)
        if wait_ms:
            return min(_IDLE_MS, wait_ms)
        attempt_ms = self._attempt_ms()
        self._attempt.start(attempt_ms)
        self._lookup = None
        if not is_address(self.config["host"]):
            self._lookup = self._board.lookup(self.config["host"])
            self._lookup_due.start(min(_LOOKUP_MS << min(self._failures, _DOUBLINGS_MAX), attempt_ms // 2))
        self._state = _LOOKING_UP
        return 0

    def _looking_up(self):
        if self._lookup is None:
            self._dial(self.config["host"])
            return 0
        try:
            address = self._lookup.result()
        except OSError as error:
            address = self._cached(error)
        if address is None and self._lookup_due.expired():
            address = self._cached("it takes too long")
            self._lookup_due.stop()
        if address is None:
            return _POLL_MS
        self._dial(address)
        return 0

    def _dialling(self):
        if not self.stream.is_open():
            return _POLL_MS
        self._spent.start(self._spent.left_ms(0) + _CONNECTION_MS)
        self.session = Session(
            self._board, self.stream, self._coder, self._ids, self.config, self._acknowledged, self._column.heard
        )
        self._state = _IN_SESSION
        return 0

    def _in_session(self):
        session = self.session
        was_up = session.is_up
        session.step()
        if not session.is_up:
            return _POLL_MS
        if not was_up:
            self._begin()
        self._send()
        if self.evidence and self.state_for.ms() >= self.young_ms:
            self.rival = None
            if self.refused and self.state_for.ms() >= self.evidence["again_ms"] and not self._incidents.is_waiting():
                raise LinkLost("what the broker refused is tried again")
        return min(session.next_ms(_IDLE_MS), self._incidents.due_in_ms(_IDLE_MS))

    # -- within a session

    def _begin(self):
        self._attempt.stop()
        self.state_for.restart()
        self._failures = self.young
        self.last_error = ""
        self._remember(self.address)
        self._board.log("uplink: session with %s:%d" % (self.address, self.config["port"]))
        self._send_alarms()  # what waits goes before anything that a new session has to say, or to ask
        topics = [topic for topic in self._topics["subscribe"] if kind(topic) not in self.refused]
        self.session.subscribe(topics, self.careful)
        self._column.session_began()

    def _send_alarms(self):
        session = self.session
        while session.takes_alarm():
            incident = self._incidents.due()
            if incident is None:
                break
            token = (incident, incident.press)
            session.publish(self._topics["alarm"], self._column.alarm(incident), False, token, True)
            incident.transmitted()  # and no sooner: until then nothing else may be sent

    def _send(self):
        self._send_alarms()
        session, prove = self.session, self._topics.get("prove")
        while session.takes_telemetry():
            item = self._outbox.next()
            if item is None:
                break
            self._outbox.taken(item)
            topic, payload, retain = item
            what = kind(topic)
            if what in self.refused:
                continue
            self.in_flight.append(item)
            try:
                if callable(payload):
                    payload = payload()
                elif prove:
                    payload = prove(what, topic, payload)
                session.publish(topic, payload, retain and b"retained" not in self.refused, item)
            except MemoryError:  # what is said of the column can wait: the session is the alarms'
                if session.has(item):  # it is on its way
                    break
                self.in_flight.pop()
                if callable(item[1]):
                    self._column.telemetry.owes_birth = True
                else:
                    self._outbox.put_back([item])
                break

    def publish_once(self, topic: bytes, payload: bytes) -> bool:
        """QoS 0, now or never: a heartbeat. False when there is no room for it, or when an alarm has to go first: one
        that was raised since this task's step, or this task is dead."""
        if self.session is None or not self.session.takes_telemetry() or self._incidents.due() is not None:
            return False
        if kind(topic) in self.refused:
            return True
        try:
            self.session.publish_once(topic, payload)
        except OSError as error:  # the caller is another task, and not to blame
            self.lost(error)
            return False
        return True

    def _acknowledged(self, token):
        if token in self.in_flight:
            self.in_flight.remove(token)
        else:
            incident, press = token
            self._incidents.at_broker(incident, press)

    # -- connecting

    def _dial(self, address):
        tls = self.config["tls"]
        name = tls and (tls["server_name"] or self.config["host"])
        self.address = address
        self._state = _DIALLING
        self.stream = self._board.dial(address, self.config["port"], name)

    def _attempt_ms(self):
        limit_ms = self.config["connect_timeout_s"] * 1000
        if not self._incidents.is_waiting():
            return limit_ms
        return min(limit_ms, _URGENT_ATTEMPT_MS << min(self._failures, _DOUBLINGS_MAX))

    def lost(self, error):
        was_up = self.is_up()
        is_news = was_up and self._judge(error)
        if self.stream is not None:
            self.stream.close()
        self.stream = self.session = self._lookup = None
        self._attempt.stop()
        if was_up:
            self.state_for.restart()
        self._incidents.connection_lost()
        self._outbox.put_back(self.in_flight)
        self.in_flight = []
        self._retry.start(self._pause_ms(is_news))
        self._failures += 1
        self.failed_in = self._state
        self._state = _DOWN
        if str(error) != self.last_error:  # an outage of a week is one line, not a hundred thousand
            self.last_error = str(error)
            self._board.log("uplink: %s:%d: %s" % (self.config["host"], self.config["port"], error))

    def _judge(self, error):
        """The end of a session: what does it tell about the broker? True when it is the first one after calm."""
        is_old = self.state_for.ms() >= self.young_ms
        if is_old:
            self._failures = self.young = 0
        if self.evidence or not is_old and self._board.link.is_up():
            try:
                from firmware import verdict  # loaded when it is needed, and forgotten: 1 KB

                verdict.judge(self, self.session, error, is_old)
            except MemoryError:
                pass
            self._board.discard("firmware.verdict")
        return self.young <= 1

    def _pause_ms(self, is_news):
        """Half fixed, half random: columns that lost one broker together do not come back together."""
        if self._incidents.is_waiting():
            longest = 0 if is_news else _URGENT_RETRY_MS
        else:
            longest = min(_RETRY_MS << min(self._failures, _DOUBLINGS_MAX), self.config["retry_max_s"] * 1000)
        return longest // 2 + self._board.random(longest // 2 + 1)

    def _cached(self, why):
        """The address that worked last, or None."""
        self._board.log("uplink: no address for %s: %s" % (self.config["host"], why))
        try:
            good, _ = record.split(self._board.flash.read(ADDRESS_FILE) or b"")
            host, address = good[0].decode().split(" ")
            if host == self.config["host"]:
                return address
        except (OSError, ValueError, IndexError):
            pass
        if isinstance(why, OSError):
            raise why
        return None

    def _remember(self, address):
        """For the day when the name server is down; and that there was a session at all (firmware/resets.py)."""
        entry = record.frame(("%s %s" % (self.config["host"], address)).encode())
        try:
            if self._board.flash.read(ADDRESS_FILE) != entry:
                self._board.flash.replace(ADDRESS_FILE, entry)
        except OSError as error:
            self._board.log("uplink: address not kept: %s" % error)


def kind(topic):
    """`fault` of sos/v1/nko/petropavl-01/fault/stream-down."""
    return (topic.split(b"/")[4:] or (topic,))[0]


def is_address(host: str) -> bool:
    """True for a numeric IPv4 address."""
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() for part in parts)
