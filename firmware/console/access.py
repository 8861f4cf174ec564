"""The console's `access`: does the broker's access list hold this column to what is its own?

On the live session it tries what no column may do: write to its own `ack`, hear other columns' `state`, write and hear
below a foreign prefix. A broker may acknowledge all of it and deliver nothing, so what counts is what comes back.
The message is harmless where there is a hole: it answers an alarm that cannot be. The session is left as it was.
"""

from firmware import const, encoding
from firmware.timing import Deadline

_ROOM_MS = const(2000)  # until the session has room for a message
_GRANTED_MS = const(2000)  # until the broker has taken the subscriptions; it may not say so
_ECHO_MS = const(1500)
_POLL_MS = const(10)
_STATES = b"sos/v1/+/+/state"
_UNSUBSCRIBE = const(0xA2)


class _Ear:
    """Takes what the test brought about; anything else goes where it always went."""

    def __init__(self, column, session):
        self.own = column.ack_topic
        self.foreign = (column.messages.root[:-1] + "-x/ack").encode()
        ident = "%s-%d-0" % (column.messages.device_id, column.number)  # no incident has the number 0
        self.mark = bytes(encoding.encode({"v": 1, "id": ident, "state": "received", "by": "access test"}))
        self.heard = {"own_ack": False, "states": 0, "foreign": False}
        self._session = session
        self._pass_on = session.on_message
        session.on_message = self.hear

    def hear(self, topic, payload, retained):
        if payload == self.mark and topic in (self.own, self.foreign):
            self.heard["own_ack" if topic == self.own else "foreign"] = True
        elif topic.endswith(b"/state"):
            self.heard["states"] += 1
        else:
            self._pass_on(topic, payload, retained)

    def end(self):
        self._session.on_message = self._pass_on


def run(board, column):
    uplink = column.uplink
    session = uplink.session
    _check(column, session)
    ear, wait = _Ear(column, session), Deadline(board, _ROOM_MS)
    try:
        yield from _publish(column, session, ear.own, ear.mark, wait)
        granted = session.foreign_acks + 2  # the session did not ask for these itself
        for topic in (_STATES, ear.foreign):
            session.queue(session.coder.subscribe(topic, session.next_id()))
        wait.start(_GRANTED_MS)
        while session.foreign_acks < granted and not wait.expired():
            yield _POLL_MS
            _check(column, session)
        wait.start(_ROOM_MS)
        yield from _publish(column, session, ear.foreign, ear.mark, wait)
        wait.start(_ECHO_MS)
        while not wait.expired():
            yield _POLL_MS
            _check(column, session)
    finally:
        ear.end()
        if uplink.session is session:
            _unsubscribe(uplink, session, (_STATES, ear.foreign))
    yield {"access": ear.heard}


def _check(column, session):
    """Raises ValueError when this is no time for a test."""
    if column.incidents.count():
        raise ValueError("an alarm is open: the session is the alarm's; ask again when it is closed")
    if session is None or not session.is_up:
        raise ValueError("no session with the broker; see status; at a laptop: make watch")
    if column.uplink.session is not session:
        raise ValueError("the session ended during the test; ask again")


def _publish(column, session, topic, payload, wait):
    while not column.uplink.publish_once(topic, payload):
        if wait.expired():
            raise ValueError("the session is busy; ask again")
        yield _POLL_MS
        _check(column, session)


def _unsubscribe(uplink, session, topics):
    """umqtt.simple has no such packet. Names have at most 32 characters, so one byte is enough for its length."""
    try:
        pid = session.next_id()
        body = bytes((pid >> 8, pid & 0xFF))
        for topic in topics:
            body += bytes((0, len(topic))) + topic
        session.queue(bytes((_UNSUBSCRIBE, len(body))) + body)
    except MemoryError:  # a new session has none of it
        uplink.lost(OSError("the access test left no memory to end its subscriptions"))
