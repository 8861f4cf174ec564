# mypy: allow-untyped-calls
"""One MQTT session: what a broker may send, in which order packets go out, and what bounds both."""

import random

import pytest
from fake_net import PUBACK, PUBLISH, puback, publish
from session_rig import ALARM, KEEPALIVE_MS, PUBACK_MS, STEP_MS, Rig

from firmware import session as session_module
from firmware.session import LinkLost, Session

# -- what arrives


def test_messages_come_through_and_qos_1_is_acknowledged() -> None:
    rig = Rig().up()
    rig.stream.send(publish(b"t", b"a") + publish(b"t", b"b", 513))
    rig.run(20)
    assert rig.messages == [(b"t", b"a"), (b"t", b"b")]
    assert [one.pid for one in rig.stream.heard if one.kind == PUBACK] == [513]


def test_a_message_that_the_broker_kept_comes_through() -> None:
    rig = Rig().up()
    kept = bytearray(publish(b"t", b"a", 513))
    kept[0] |= 1
    rig.stream.send(bytes(kept))
    rig.run(20)
    assert rig.messages == [(b"t", b"a")]


@pytest.mark.parametrize("hostile", [b"\x00\x00", b"\x10\x00", b"\xf0\x00", b"\x41\x02\x00\x01", b"\x40\x00",
                                     b"\x40\x03\x00\x00\x00", b"\xd0\x01\x00", b"\x90\x02\x00\x00", b"\x20\x02\x00\x00",
                                     b"\x34\x05\x00\x01t\x00\x01", b"\x30\xff\xff\xff\xff", b"\xb0\x03\x00\x00\x00",
                                     b"\xb0\x00"])  # fmt: skip
def test_a_hostile_packet_drops_the_link_and_nothing_else(hostile: bytes) -> None:
    rig = Rig().up()
    rig.stream.send(hostile)
    assert "hostile or broken packet: " in rig.lost(100)[1]


def test_an_unsuback_is_taken_note_of_and_no_more() -> None:
    rig = Rig().up()
    rig.stream.send(b"\xb0\x02\x00\x09")
    rig.run(100)
    assert rig.session.is_up and rig.stream.writes == [] and rig.session.foreign_acks == 0


@pytest.mark.parametrize(
    ("hostile", "why"),
    [(b"\xf0\x00", "a packet of type 0xf0"), (b"\x40\x03\x00\x00\x00", "3 bytes in a packet of type 0x40")],
)
def test_what_was_wrong_with_a_packet_is_said(hostile: bytes, why: str) -> None:
    rig = Rig().up()
    rig.stream.send(hostile)
    assert rig.lost(100)[1] == "hostile or broken packet: " + why


def test_random_bytes_end_in_a_lost_link_or_nothing() -> None:
    dice = random.Random(7)
    lost = 0
    for _ in range(500):
        rig = Rig().up()
        rig.stream.send(dice.randbytes(dice.randint(1, 60)))
        try:
            rig.run(30)
        except LinkLost:
            lost += 1
    assert lost > 100


def test_16_kib_are_read_through_a_small_buffer_and_the_session_lives() -> None:
    rig = Rig().up()
    rig.stream.send(publish(b"t", b"x" * 16384, 7) + publish(b"t", b"after"))
    rig.run(100)
    assert rig.messages == [(b"t", b"after")]
    assert [one.pid for one in rig.stream.heard if one.kind == PUBACK] == [7]
    assert rig.stream.biggest_read < 2100


def flood(rig: Rig) -> int:
    """The most packets that waited to be written while a broker sends and does not read."""
    rig.stream.capacity = 0
    waiting = 0
    try:
        for i in range(2000):
            rig.stream.send(publish(b"t", b"", i % 65535 + 1) * 50)
            rig.run(STEP_MS)
            waiting = max(waiting, len(rig.session._out))
    except LinkLost:
        pass
    return waiting


def test_a_broker_that_floods_and_does_not_read_costs_no_memory() -> None:
    rig = Rig().up()
    start = rig.board.now_ms
    assert flood(rig) <= session_module._OUT_MAX + 2
    assert rig.board.now_ms - start <= 1.5 * KEEPALIVE_MS, "and it is found to be dead"


def test_the_flood_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by reading on, however much waits to be written."""
    monkeypatch.setattr(session_module, "_OUT_MAX", 1 << 30)
    assert flood(Rig().up()) > 1000


def test_a_broker_that_floods_and_reads_is_answered() -> None:
    rig = Rig().up()
    for i in range(100):
        rig.stream.send(publish(b"t", b"", i + 1))
    rig.run(500)
    assert [one.pid for one in rig.stream.heard if one.kind == PUBACK] == list(range(1, 101))


def test_a_broker_that_reads_late_has_not_closed_the_connection() -> None:
    """More than the column can hold is waiting, and none of it is lost."""
    rig = Rig().up()
    rig.stream.capacity = 0
    for i in range(600):
        rig.stream.send(publish(b"t", b"", i + 1))
    rig.run(500)
    assert rig.stream.unread() > 0, "or the test is none"
    rig.stream.capacity = None
    rig.run(1000)
    assert [one.pid for one in rig.stream.heard if one.kind == PUBACK] == list(range(1, 601))


# -- order and bounds


def test_one_packet_is_one_write() -> None:
    rig = Rig().up()
    rig.session.publish(ALARM, b"x" * 900, False, "one")
    assert len(rig.stream.writes) == 1 and len(rig.stream.writes[0]) > 900


@pytest.mark.parametrize("capacity", [1, 2, 7, 64])
def test_partial_writes_arrive_whole_and_in_order(capacity: int) -> None:
    rig = Rig()
    rig.stream.capacity = capacity
    rig.run(3000)
    rig.session.publish(ALARM, b"x" * 100, False, "one")
    rig.session.publish(ALARM, b"y" * 100, False, "two")
    rig.run(6000)
    assert [one.payload for one in rig.stream.published()] == [b"x" * 100, b"y" * 100]
    assert rig.acknowledged == ["one", "two"]


def test_an_alarm_goes_before_what_is_queued_but_never_into_a_packet_that_has_begun() -> None:
    rig = Rig().up()
    rig.stream.capacity = 0
    rig.session.publish(b"event", b"begun", False, "a")
    rig.session.publish(b"event", b"queued", False, "b")
    rig.stream.capacity = 3
    rig.session._write()  # three bytes of the first are out
    rig.stream.capacity = 0
    rig.session.publish(ALARM, b"alarm", False, "c", True)
    rig.stream.capacity = None
    rig.run(20)
    assert [one.payload for one in rig.stream.heard if one.kind == PUBLISH] == [b"begun", b"alarm", b"queued"]


def test_what_has_not_left_yet_is_not_sent_twice() -> None:
    """The broker takes nothing for longer than a PUBACK may take."""
    rig = Rig().up()
    rig.stream.capacity = 0
    rig.session.publish(ALARM, b"alarm", False, "a")
    rig.run(PUBACK_MS + 100)
    rig.stream.capacity = None
    rig.run(20)
    assert [(one.payload, one.dup) for one in rig.stream.heard if one.kind == PUBLISH] == [(b"alarm", False)]
    assert rig.acknowledged == ["a"]


def test_a_packet_that_was_offered_has_begun_for_tls_may_hold_it() -> None:
    """C13: mbedTLS took an alarm that came next for the record that it held, and reported it as sent."""
    rig = Rig().up()
    rig.stream.is_tls = True
    rig.stream.capacity = 0
    rig.session.publish(b"event", b"held", False, "a")
    rig.session.publish(b"event", b"queued", False, "b")
    rig.session.publish(ALARM, b"alarm", False, "c", True)
    rig.stream.capacity = None
    rig.run(20)
    assert [one.payload for one in rig.stream.heard if one.kind == PUBLISH] == [b"held", b"alarm", b"queued"]
    assert rig.acknowledged == ["a", "c", "b"]


def test_an_alarm_into_a_held_record_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was: only bytes that were taken counted as a beginning."""
    monkeypatch.setattr(Session, "queue", lambda self, packet, first=False: self._out.insert(
        (1 if self._written else 0) if first else len(self._out), packet))  # fmt: skip
    with pytest.raises(AssertionError):
        test_a_packet_that_was_offered_has_begun_for_tls_may_hold_it()


def test_the_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by always putting an alarm to the very front: into the middle of the packet that has begun."""
    monkeypatch.setattr(Session, "queue", lambda self, packet, first=False: self._out.insert(
        0 if first else len(self._out), packet))  # fmt: skip
    with pytest.raises((AssertionError, IndexError)):
        test_an_alarm_goes_before_what_is_queued_but_never_into_a_packet_that_has_begun()


def test_the_window_is_bounded_and_telemetry_leaves_room_for_alarms() -> None:
    rig = Rig("connack suback pingresp").up()
    events = 0
    while rig.session.takes_telemetry():
        rig.session.publish(b"event", b"x", False, None)
        events += 1
    alarms = 0
    while rig.session.takes_alarm():
        rig.session.publish(ALARM, b"x", False, None, True)
        alarms += 1
    limits = (session_module._TELEMETRY_MAX, session_module._SENT_MAX - session_module._TELEMETRY_MAX)
    assert (events, alarms) == limits and alarms > 0
    rig.stream.send(puback(rig.stream.published()[0].pid))
    rig.run(20)
    assert rig.session.takes_alarm() and not rig.session.takes_telemetry()


def test_what_nobody_acknowledges_is_not_kept_by_the_broker() -> None:
    rig = Rig().up()
    rig.session.publish_once(b"heartbeat", b"x")
    (one,) = rig.stream.published(b"heartbeat")
    assert (one.qos, one.retain) == (0, False)


def test_it_is_due_when_the_first_of_its_deadlines_is() -> None:
    rig = Rig("connack suback").up()
    up_ms = 50 - STEP_MS  # since the CONNACK
    assert rig.session.next_ms(60_000) == KEEPALIVE_MS // 2 - up_ms
    assert rig.session.next_ms(1) == 1
    rig.run(KEEPALIVE_MS)  # two pings without an answer: it gives up before it would send a third
    assert rig.session.next_ms(60_000) == pytest.approx(KEEPALIVE_MS // 4, abs=200)
    assert rig.session.next_ms(1) == 1


def test_it_says_when_it_is_due() -> None:
    rig = Rig("connack suback pingresp").up()
    assert 0 < rig.session.next_ms(60_000) <= KEEPALIVE_MS // 2
    rig.session.publish(ALARM, b"x", False, None)
    assert rig.session.next_ms(60_000) <= PUBACK_MS
    rig.stream.capacity = 0
    rig.session.publish(ALARM, b"x", False, None)
    assert rig.session.next_ms(60_000) < 10
    rig.session.close()
    assert rig.stream.closed
