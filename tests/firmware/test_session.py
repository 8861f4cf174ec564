# mypy: allow-untyped-calls
"""One MQTT session: how it begins, keepalive, acknowledgements, re-sends, refusals; with a broker that misbehaves."""

from typing import Any

import pytest
from fake_net import CONNECT, PINGREQ, SUBSCRIBE, TOPICS, puback, suback
from session_rig import ALARM, KEEPALIVE_MS, PUBACK_MS, STEP_MS, Rig

from firmware.session import LinkLost, PacketIds, Session

# -- beginning


def test_it_connects_and_subscribes_one_topic_after_the_other() -> None:
    rig = Rig()
    rig.run(100)
    assert rig.stream.kinds() == [CONNECT, SUBSCRIBE, SUBSCRIBE]
    assert [one.topic for one in rig.stream.heard[1:]] == list(TOPICS["subscribe"])
    assert len({one.pid for one in rig.stream.heard[1:]}) == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "protocol version"),
        (2, "client id"),
        (3, "server unavailable"),
        (4, "user or password"),
        (5, "not authorised"),
        (77, "code 77"),
        (135, "code 135"),
    ],
)
def test_a_refusal_is_told_in_words(code: int, words: str) -> None:
    rig = Rig()
    rig.stream.connack = bytes((0x20, 2, 0, code))
    assert rig.lost(100)[1] == "the broker refused us: " + words
    assert not rig.session.is_up


def test_session_present_changes_nothing() -> None:
    rig = Rig()
    rig.stream.connack = b"\x20\x02\x01\x00"
    rig.up()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"\xd0\x00", "0xd0 before CONNACK"),
        (b"\x40\x02\x00\x01", "0x40 before CONNACK"),
        (b"\x20\x03\x00\x00\x00", "3 bytes in a packet of type 0x20"),
        (b"\x20\x00", "0 bytes in a packet of type 0x20"),
    ],
)
def test_anything_but_a_connack_first_is_refused(first: bytes, why: str) -> None:
    rig = Rig("")
    rig.stream.send(first)
    assert rig.lost(100)[1] == "hostile or broken packet: " + why


def test_a_subscription_without_an_answer_loses_the_link() -> None:
    rig = Rig("connack puback pingresp")
    took_ms, why = rig.lost(60_000)
    assert why == "no answer to a subscription" and took_ms == pytest.approx(2 * PUBACK_MS, abs=100)


def test_a_refused_subscription_is_said_and_the_next_one_made() -> None:
    rig = Rig("connack puback pingresp")
    rig.run(20)
    rig.stream.send(suback(rig.stream.heard[-1].pid, 0x80))
    rig.run(20)
    assert "refused the subscription to sos/v1/nko/p-1/ack" in rig.board.logged[-1]
    assert rig.stream.heard[-1].topic == TOPICS["subscribe"][1]


def test_it_names_the_first_topic_that_it_may_not_hear() -> None:
    rig = Rig("connack puback pingresp")
    rig.run(20)
    assert rig.session.unheard == b""
    for _ in TOPICS["subscribe"]:
        rig.stream.send(suback(rig.stream.heard[-1].pid, 0x80))
        rig.run(20)
        assert rig.session.unheard == TOPICS["subscribe"][0]


def test_a_later_topic_that_it_may_not_hear_is_named_as_well() -> None:
    rig = Rig("connack puback pingresp")
    for code in (1, 0x80):
        rig.run(20)
        rig.stream.send(suback(rig.stream.heard[-1].pid, code))
    rig.run(20)
    assert rig.session.unheard == TOPICS["subscribe"][1]


@pytest.mark.parametrize("pid", [0, 2, 65535])
def test_a_stray_suback_changes_nothing(pid: int) -> None:
    rig = Rig().up()
    rig.stream.send(suback(pid) * 2)
    rig.run(20)
    assert rig.session.foreign_acks == 2


def test_the_stray_suback_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by comparing ids only: id 0 then passes for the subscription that is not under way."""

    real = Session._take_suback

    def naive(self: Session, body: Any) -> None:
        if body[0] << 8 | body[1] == self._suback:
            assert self.subscriptions[0]
        real(self, body)

    monkeypatch.setattr(Session, "_take_suback", naive)
    with pytest.raises(IndexError):
        test_a_stray_suback_changes_nothing(0)


# -- keepalive


def test_a_silent_session_pings_and_stays() -> None:
    rig = Rig().up()
    rig.run(10 * KEEPALIVE_MS)
    pings = [one.at_ms for one in rig.stream.heard if one.kind == PINGREQ]
    gaps = [b - a for a, b in zip(pings, pings[1:], strict=False)]
    assert pings and max(gaps) <= KEEPALIVE_MS, "a broker gives up after 1.5 keepalives without a packet"


@pytest.mark.parametrize("dies_after_ms", range(0, KEEPALIVE_MS, 1700))
@pytest.mark.parametrize("talks", [False, True])
def test_a_dead_link_is_found_within_one_and_a_half_keepalives(dies_after_ms: int, talks: bool) -> None:
    """Also while the column itself sends: writing to a dead link succeeds."""
    rig = Rig().up()
    rig.run(dies_after_ms)
    rig.stream.answers = []
    died = rig.board.now_ms
    with pytest.raises(LinkLost, match="ping"):
        while rig.board.now_ms < died + 10 * KEEPALIVE_MS:
            if talks and rig.session.takes_telemetry():
                rig.session.publish_once(b"heartbeat", b"x")
            rig.run(1000)
    assert rig.board.now_ms - died <= 1.5 * KEEPALIVE_MS


def test_the_dead_link_test_notices_a_ping_that_waits_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by putting the ping off with every packet that is sent, as MQTT's own keepalive would allow."""
    real = Session._write

    def puts_off(self: Session) -> None:
        had = bool(self._out)
        real(self)
        if had and self.is_up:
            self._ping_due.start(self._keepalive_ms // 2)

    monkeypatch.setattr(Session, "_write", puts_off)
    with pytest.raises(pytest.fail.Exception):
        test_a_dead_link_is_found_within_one_and_a_half_keepalives(0, True)


def test_a_dead_link_is_given_three_quarters_of_a_keepalive_to_answer() -> None:
    """A slow network is no dead one: half a keepalive until the ping, and then this long."""
    rig = Rig("connack suback puback")
    rig.run(10)  # the CONNACK is read
    assert rig.session.next_ms(60_000) == KEEPALIVE_MS // 2
    took_ms, why = rig.lost(60_000)
    assert why == "no answer to a ping"
    assert took_ms == pytest.approx(KEEPALIVE_MS // 2 + KEEPALIVE_MS * 3 // 4, abs=100)


@pytest.mark.parametrize("keepalive_s", [2, 12, 600])
def test_the_bound_holds_for_every_keepalive(keepalive_s: int) -> None:
    rig = Rig(keepalive_s=keepalive_s).up()
    rig.stream.answers = []
    assert rig.lost(3 * keepalive_s * 1000)[0] <= 1.5 * keepalive_s * 1000


def test_a_close_is_a_lost_link() -> None:
    rig = Rig().up()
    rig.stream.peer_closed = True
    assert rig.lost(100)[1] == "the broker closed the connection"


# -- acknowledgements


def test_a_publish_is_acknowledged_by_its_own_id_only_once() -> None:
    rig = Rig("connack suback pingresp").up()
    rig.session.publish(ALARM, b"1", False, "one")
    rig.session.publish(ALARM, b"2", False, "two")
    first, second = rig.stream.published()
    rig.stream.send(puback(second.pid) * 2 + puback(4321) + puback(0))
    rig.run(50)
    assert rig.acknowledged == ["two"] and rig.session.foreign_acks == 3
    rig.stream.send(puback(first.pid))
    rig.run(50)
    assert rig.acknowledged == ["two", "one"]


def test_a_foreign_acknowledgement_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by taking every PUBACK for the oldest publish."""

    def oldest(self: Session, body: Any) -> None:
        if self.sent:
            self._on_puback(self.sent.pop(0).token)

    monkeypatch.setattr(Session, "_take_puback", oldest)
    with pytest.raises(AssertionError):
        test_a_publish_is_acknowledged_by_its_own_id_only_once()


def test_a_lost_puback_means_one_more_time_with_dup_and_then_the_link() -> None:
    rig = Rig("connack suback pingresp").up()
    rig.session.publish(ALARM, b"1", False, "one")
    took_ms, why = rig.lost(60_000)
    first, again = rig.stream.published()
    assert (first.dup, again.dup) == (False, True) and first.pid == again.pid and first.payload == again.payload
    assert again.at_ms - first.at_ms == pytest.approx(PUBACK_MS, abs=2 * STEP_MS)
    assert took_ms == pytest.approx(2 * PUBACK_MS, abs=2 * STEP_MS) and "no PUBACK" in why
    assert rig.acknowledged == []


def test_a_puback_after_the_second_sending_is_as_good() -> None:
    rig = Rig("connack suback pingresp").up()
    rig.session.publish(ALARM, b"1", False, "one")
    rig.run(PUBACK_MS + 100)
    rig.stream.answers.append("puback")
    rig.stream.send(puback(rig.stream.published()[0].pid) * 2)
    rig.run(PUBACK_MS * 3)
    assert rig.acknowledged == ["one"]


@pytest.mark.parametrize("last", [0, 254, 255, 256, 65_534])
def test_ids_of_one_and_two_bytes_are_recognised(last: int) -> None:
    rig = Rig()
    rig.session._ids._last = last
    rig.up()
    rig.session.publish(ALARM, b"1", False, "one")
    rig.run(50)
    assert rig.acknowledged == ["one"] and rig.session.foreign_acks == 0


# -- packet ids


def test_packet_ids_wrap_past_0_and_past_those_in_use() -> None:
    ids = PacketIds()
    assert [ids.next(()) for _ in range(65536)] == [*range(1, 65536), 1]
    ids = PacketIds()
    ids._last = 65533
    assert [ids.next((65535, 1, 3)) for _ in range(4)] == [65534, 2, 4, 5]


def test_no_id_is_given_twice_while_a_subscription_or_a_publish_uses_it() -> None:
    rig = Rig("connack pingresp")
    rig.run(20)
    busy = rig.stream.heard[-1].pid
    rig.session._ids._last = busy - 1
    rig.session.publish(ALARM, b"1", False, "one")
    rig.session._ids._last = busy - 1
    rig.session.publish(ALARM, b"2", False, "two")
    used = {one.pid for one in rig.stream.published()}
    assert len(used) == 2 and busy not in used and 0 not in used


def test_it_knows_what_is_on_its_way() -> None:
    """Whoever ran out of memory between the two asks: an item that is on its way must not be put back."""
    rig = Rig("connack suback pingresp").up()
    token = ("a topic", b"")
    rig.session.publish(ALARM, b"1", False, token)
    assert rig.session.has(token) and not rig.session.has("another")
    rig.stream.send(puback(rig.session.sent[0].pid))
    rig.run(50)
    assert rig.acknowledged == [token] and not rig.session.has(token)


def test_a_careful_one_waits_for_a_ping_behind_what_nobody_acknowledges() -> None:
    """Else the next message would be taken for what a broker ended the session at."""
    rig = Rig("connack suback puback")
    rig.careful = True
    rig.up()
    rig.session.publish_once(ALARM, b"1")
    rig.run(50)
    assert not rig.session.takes_telemetry()
    rig.stream.send(b"\xd0\x00")
    rig.run(50)
    assert rig.session.takes_telemetry()


def test_packets_keep_their_order_unless_one_is_to_be_first() -> None:
    rig = Rig("connack suback").up()
    rig.stream.capacity = 0
    for payload in (b"1", b"2", b"3"):
        rig.session.publish(ALARM, payload, False, payload)
    rig.stream.capacity = None
    rig.run(50)
    assert [one.payload for one in rig.stream.heard] == [b"1", b"2", b"3"]


def test_a_careful_one_does_one_thing_at_a_time() -> None:
    """So that what it ended at is known. Red when any of the three is not waited for."""
    rig = Rig("connack pingresp")
    rig.careful = True
    rig.up()
    assert not rig.session.takes_telemetry(), "a subscription is under way"
    for _ in TOPICS["subscribe"]:
        rig.stream.send(suback(rig.session.next_id() - 1))
        rig.run(50)
    assert rig.session.takes_telemetry()
    rig.session.publish(ALARM, b"1", False, "one")
    assert not rig.session.takes_telemetry(), "a message is"
    rig.stream.send(puback(rig.session.sent[0].pid))
    rig.run(50)
    assert rig.session.takes_telemetry()


def test_a_careful_one_subscribes_behind_the_alarm_that_went_first() -> None:
    """Once it is acknowledged, or sent again: a PUBACK that is late may be lost, and answers are worth more."""
    rig = Rig("connack suback pingresp")
    while not rig.session.is_up:
        rig.session.step()
        rig.board.advance(STEP_MS)
    rig.session.publish(ALARM, b"1", False, "one", True)
    rig.session.subscribe(TOPICS["subscribe"], True)
    rig.run(PUBACK_MS - 2 * STEP_MS)
    assert SUBSCRIBE not in rig.stream.kinds()
    rig.run(4 * STEP_MS)
    assert rig.stream.kinds().count(SUBSCRIBE) >= 1


def test_nothing_more_is_taken_before_what_waits_has_left() -> None:
    rig = Rig("connack suback").up()
    rig.stream.capacity = 0
    rig.session.publish(ALARM, b"1", False, "one")
    assert not rig.session.takes_telemetry() and rig.session.takes_alarm()


def test_what_was_not_offered_yet_gives_way() -> None:
    """Red when the place behind the first packet is taken, whether that has begun or not."""
    rig = Rig("connack suback").up()
    rig.session.queue(bytearray(b"\xc0\x00"))
    rig.session.publish(ALARM, b"1", False, "one", True)
    assert [kind for kind in rig.stream.kinds() if kind == PINGREQ] and rig.stream.kinds()[0] != PINGREQ


@pytest.mark.parametrize(("head", "retained"), [(0x30, False), (0x31, True), (0x38, False)])
def test_what_the_broker_kept_is_told_as_such(head: int, retained: bool) -> None:
    """An old command, or an old answer, must not pass for a new one."""
    rig = Rig().up()
    heard: list[Any] = []
    rig.session.on_message = lambda topic, payload, kept: heard.append((topic, bytes(payload), bool(kept)))
    topic = TOPICS["subscribe"][0]
    rig.stream.send(bytes((head, 2 + len(topic) + 1)) + len(topic).to_bytes(2, "big") + topic + b"x")
    rig.run(50)
    assert heard == [(topic, b"x", retained)]
