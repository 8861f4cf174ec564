# mypy: allow-untyped-calls
"""The uplink and brokers as they are: they end the session at what they do not like, and lock out who comes too often.

With each the alarm arrives, connections are bounded whether an alarm waits or not, and the uplink says what is refused.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from fake_net import CONNECT, PUBLISH, SUBSCRIBE, TOPICS, FakeStream, Heard
from uplink_rig import RETRY_MAX_S, Rig

from firmware import uplink, verdict

ROOT = b"sos/v1/nko/p-1/"
ACK, CMD = TOPICS["subscribe"]
LARGE_BYTES = 300
MINUTE_MS = 60_000
PER_MINUTE = 13  # EMQX locks out at the fifteenth disconnection
BAN_AT, BAN_MS = 15, 300_000
REFUSED = b"\x20\x02\x00\x05"
AT_ONCE_MS = 100
OF_USE_MS = 8_000


class Quirk(NamedTuple):
    """`named`: what the uplink has to say about a broker that ends the session at such a packet."""

    ends_at: Callable[[Heard], bool]
    named: str
    late: int = 20  # connections from the third minute to the eleventh: the refused is tried again now and then


def publishes(one: Heard, kind: bytes) -> bool:
    return one.kind == PUBLISH and one.topic.startswith(ROOT + kind)


QUIRKS = {
    "every subscription": Quirk(lambda one: one.kind == SUBSCRIBE, "ack"),
    "the subscription to commands": Quirk(lambda one: one.kind == SUBSCRIBE and one.topic == CMD, "cmd"),
    "a denied publish": Quirk(lambda one: publishes(one, b"event"), "event"),
    "a denied publish of many topics": Quirk(lambda one: publishes(one, b"fault/"), "fault"),
    "a denied publish of QoS 0": Quirk(lambda one: publishes(one, b"heartbeat"), "heartbeat"),
    "a retained publish": Quirk(lambda one: one.kind == PUBLISH and one.retain, "retained messages"),
    "a large publish": Quirk(lambda one: len(one.payload) > LARGE_BYTES, "info"),
    "any telemetry": Quirk(lambda one: one.kind == PUBLISH and one.topic != TOPICS["alarm"], "state", 40),
}


class QuirkyRig(Rig):
    """A column's worth of telemetry after each session's begin; a broker that may lock it out for flapping."""

    def __init__(self, ends_at: Callable[[Heard], bool], goodbye: bool = False, seed: int = 1) -> None:
        super().__init__("10.0.0.2", seed=seed)
        self.ends_at, self.goodbye, self.bans = ends_at, goodbye, 0
        self.granted, self.session_present = 1, False
        self._banned_until = -1
        self.board.on_dial = self._dial

    def session_began(self) -> None:
        self.ups.append(self.board.now_ms)
        self.outbox.retain(ROOT + b"state", b"online")
        for fault in (b"config", b"supply"):
            self.outbox.retain(ROOT + b"fault/" + fault, b"it is so")
        self.outbox.retain(ROOT + b"info", b"x" * (LARGE_BYTES + 1))
        self.outbox.add(ROOT + b"event", b"boot")

    def _dial(self, address: str, port: int, server_name: str | None) -> FakeStream:
        stream = self.dial(address, port, server_name)
        stream.ends_at, stream.says_goodbye, stream.granted = self.ends_at, self.goodbye, self.granted
        now_ms = self.board.now_ms
        if self.most_in_a_minute(since_ms=now_ms - MINUTE_MS) >= BAN_AT:
            self._banned_until = now_ms + BAN_MS
        if now_ms < self._banned_until:
            stream.connack, self.bans = REFUSED, self.bans + 1
        elif self.session_present:
            stream.connack = b"\x20\x02\x01\x00"
        return stream

    def most_in_a_minute(self, since_ms: int = 0) -> int:
        """Connections in any 60 s."""
        times = [at_ms for at_ms, *_ in self.dialled if at_ms >= since_ms]
        return max((sum(at <= one < at + MINUTE_MS for one in times) for at in times), default=0)

    def live(self, ms: int) -> "QuirkyRig":
        """With a heartbeat every 3 s."""
        for _ in range(ms // 3000):
            self.uplink.publish_once(ROOT + b"heartbeat", b"beat")
            self.run(3000)
        return self


@pytest.fixture(params=QUIRKS)
def quirk(request: pytest.FixtureRequest) -> Quirk:
    return QUIRKS[str(request.param)]


@pytest.mark.parametrize("goodbye", [False, True], ids=["closes", "says DISCONNECT"])
def test_the_alarm_arrives_connections_are_bounded_and_the_quirk_is_named(quirk: Quirk, goodbye: bool) -> None:
    rig = QuirkyRig(quirk.ends_at, goodbye)
    first = rig.incidents.add("a-1")
    assert rig.run_until(lambda: rig.delivered() == ["a-1"], 1000) <= AT_ONCE_MS
    rig.live(60_000)
    assert first.sent == 1, "with the broker's word for it"
    assert quirk.named in words(rig)
    rig.incidents.add("a-2")
    rig.uplink.kick()
    assert rig.run_until(lambda: "a-2" in rig.delivered(), OF_USE_MS + 1) <= OF_USE_MS
    rig.live(600_000)
    assert rig.most_in_a_minute() <= PER_MINUTE and rig.bans == 0
    late = [at_ms for at_ms, *_ in rig.dialled if at_ms > 120_000]
    assert len(late) <= quirk.late, "what is refused is left out: sessions last"


def test_sessions_last_with_everything_else(quirk: Quirk) -> None:
    """What the broker takes still comes, and comes again when what it refuses was left out."""
    rig = QuirkyRig(quirk.ends_at).live(180_000)
    assert rig.uplink.is_up()
    kinds = {one.topic.removeprefix(ROOT).split(b"/")[0] for one in rig.streams[-1].heard if one.kind == PUBLISH}
    missing = {b"state", b"info", b"fault", b"event", b"heartbeat"} - kinds
    assert missing <= {word.encode() for word in words(rig)} and words(rig)


def words(rig: Rig) -> list[str]:
    """What the broker refuses."""
    named = (rig.uplink.refusal or "").removeprefix("it ends the session at: ")
    return [word.split(" (")[0] for word in named.split(", ") if word]


def test_retained_messages_come_without_being_kept_where_none_are_taken() -> None:
    rig = QuirkyRig(QUIRKS["a retained publish"].ends_at).live(60_000)
    assert words(rig) == ["retained messages"]
    assert [one.retain for one in rig.streams[-1].published(ROOT + b"state")] == [False]


def test_only_what_is_too_large_is_left_out_and_its_size_is_told() -> None:
    rig = QuirkyRig(QUIRKS["a large publish"].ends_at).live(60_000)
    size = LARGE_BYTES + 1 + len(ROOT + b"info") + 4
    assert size <= int(str(rig.uplink.refusal).split("info (")[1].removesuffix(" bytes)")) <= size + 4
    assert [one.retain for one in rig.streams[-1].published(ROOT + b"state")] == [True]


def test_a_subscription_that_is_left_out_is_named_as_unheard() -> None:
    rig = QuirkyRig(QUIRKS["the subscription to commands"].ends_at).live(60_000)
    assert rig.uplink.unheard() == CMD
    assert [one.topic for one in rig.streams[-1].heard if one.kind == SUBSCRIBE] == [ACK]


def test_what_was_refused_is_tried_again_and_taken_up_when_the_broker_was_mended() -> None:
    rig = QuirkyRig(QUIRKS["every subscription"].ends_at).live(60_000)
    assert rig.uplink.unheard() == ACK
    rig.ends_at = lambda _: False
    rig.live(4 * RETRY_MAX_S * 1000)
    assert rig.uplink.unheard() == b"" and words(rig) == []
    assert [one.topic for one in rig.streams[-1].heard if one.kind == SUBSCRIBE] == [ACK, CMD]
    sessions = len(rig.ups)
    rig.live(600_000)
    assert len(rig.ups) == sessions, "and then there is peace"


def test_nothing_is_tried_again_while_an_alarm_waits() -> None:
    rig = QuirkyRig(QUIRKS["every subscription"].ends_at).live(60_000)
    sessions = len(rig.ups)
    rig.streams[-1].answers.remove("puback")
    rig.incidents.add("a-1").in_flight = True
    rig.live(4 * RETRY_MAX_S * 1000)
    assert len(rig.ups) == sessions


def test_alarms_go_before_the_first_subscription() -> None:
    rig = QuirkyRig(lambda _: False)
    rig.incidents.add("a-1")
    rig.run(100)
    assert [one.kind for one in rig.streams[0].heard[:3]] == [CONNECT, PUBLISH, SUBSCRIBE]


# -- a session that dies young is a failure


def test_a_broker_that_ends_every_session_is_not_stormed() -> None:
    rig = QuirkyRig(lambda one: one.kind == SUBSCRIBE or publishes(one, b"")).live(600_000)
    assert rig.most_in_a_minute() <= PER_MINUTE and rig.bans == 0


def test_nor_while_an_alarm_waits_that_it_does_not_take() -> None:
    """The worst of all: it goes on, as fast as brokers that count flaps allow."""
    rig = QuirkyRig(lambda one: publishes(one, b"alarm"))
    rig.incidents.add("a-1")
    rig.live(600_000)
    assert rig.most_in_a_minute() <= PER_MINUTE and rig.bans == 0
    pauses = [b[0] - a[0] for a, b in zip(rig.dialled, rig.dialled[1:], strict=False)]
    assert max(pauses) <= OF_USE_MS and words(rig) == ["alarm"]


def test_nor_by_presses_every_second() -> None:
    rig = QuirkyRig(lambda one: publishes(one, b"alarm"))
    for number in range(120):
        rig.incidents.add(f"a-{number}")
        rig.uplink.kick()
        rig.run(1000)
    assert rig.most_in_a_minute() <= PER_MINUTE and rig.bans == 0


def test_without_the_allowance_it_is_banned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control of the three above."""
    monkeypatch.setattr(uplink, "_CONNECTION_MS", 0)
    rig = QuirkyRig(lambda one: publishes(one, b"alarm"))
    rig.incidents.add("a-1")
    assert rig.live(120_000).bans > 0


def test_without_knowing_what_is_refused_there_is_no_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: sessions go on dying."""
    monkeypatch.setattr(verdict, "_convict", lambda *_: None)
    rig = QuirkyRig(QUIRKS["a retained publish"].ends_at).live(600_000)
    assert len(rig.dialled) > 12 and not rig.uplink.is_up()


def test_pauses_grow_over_sessions_that_die_young_and_begin_anew_after_an_old_one() -> None:
    rig = QuirkyRig(lambda _: False)
    pauses = []
    for sessions in range(1, 11):
        rig.run_until(rig.uplink.is_up, 2 * RETRY_MAX_S * 1000)
        rig.streams[-1].peer_closed = True
        pauses.append(rig.run_until(lambda: len(rig.ups) > sessions, 2 * RETRY_MAX_S * 1000))  # noqa: B023
    assert pauses[0] < 700 and sum(pauses[-2:]) > RETRY_MAX_S * 1000
    rig.run_until(rig.uplink.is_up, 2 * RETRY_MAX_S * 1000)
    rig.live(RETRY_MAX_S * 1000 + 3000)
    sessions = len(rig.ups)
    rig.streams[-1].peer_closed = True
    assert rig.run_until(lambda: len(rig.ups) > sessions, 2000) < 700


def test_a_link_that_flaps_is_not_the_brokers_doing() -> None:
    rig = QuirkyRig(lambda _: False)
    for _ in range(6):
        rig.run_until(rig.uplink.is_up, 5_000)
        rig.live(9_000)
        rig.board.link.up = False
        rig.run(1000)
        rig.board.link.up = True
    assert rig.run_until(rig.uplink.is_up, 5_000) < 1500 and words(rig) == []


# -- brokers that differ without ending anything


def test_a_session_that_the_broker_says_it_knows_and_a_subscription_of_qos_0_change_nothing() -> None:
    rig = QuirkyRig(lambda _: False)
    rig.session_present, rig.granted = True, 0
    rig.incidents.add("a-1")
    rig.live(120_000)
    assert len(rig.ups) == 1 and rig.delivered() == ["a-1"] and rig.uplink.unheard() == b""


def test_a_broker_without_a_suback_gets_the_alarm_and_is_named() -> None:
    rig = QuirkyRig(lambda _: False)
    rig.answers = "connack puback pingresp"
    rig.incidents.add("a-1")
    assert rig.run_until(rig.delivered, 1000) <= AT_ONCE_MS
    rig.live(120_000)
    assert rig.uplink.unheard() == ACK and rig.uplink.is_up() and rig.most_in_a_minute() <= PER_MINUTE


def test_a_broker_without_pubacks_still_brings_the_answers() -> None:
    """One thing at a time must not mean: deaf until a PUBACK that never comes."""
    rig = QuirkyRig(lambda _: False)
    rig.answers = "connack suback pingresp"
    rig.incidents.add("a-1")
    rig.live(30_000)
    assert len(rig.streams) > 1
    for stream in rig.streams[:-1]:
        assert ACK in [one.topic for one in stream.heard if one.kind == SUBSCRIBE]


# -- two columns with one id


class Duel:
    """A broker at which each session of one column ends the other's, as MQTT 3.1.1 has it [3.1.4-2]."""

    def __init__(self) -> None:
        self.rigs = [QuirkyRig(lambda _: False, seed=seed) for seed in (1, 2)]
        self.took: list[int] = []
        for own, other in ((0, 1), (1, 0)):
            announces = self._taker(self.rigs[own], self.rigs[other])
            vars(self.rigs[own])["session_began"] = announces

    def _taker(self, own: QuirkyRig, other: QuirkyRig) -> Callable[[], None]:
        announce = own.session_began

        def take() -> None:
            announce()
            if other.uplink.is_up():
                self.took.append(own.board.now_ms)
                other.streams[-1].peer_closed = True

        return take

    def run(self, ms: int) -> "Duel":
        for _ in range(ms // 100):
            for rig in self.rigs:
                rig.run(100)
        return self


def test_two_columns_with_one_id_find_out_and_do_not_storm_the_broker() -> None:
    duel = Duel().run(60_000)
    assert all(rig.uplink.rival for rig in duel.rigs)
    duel.run(600_000)
    assert all(rig.uplink.rival and words(rig) == [] for rig in duel.rigs)
    assert all(rig.most_in_a_minute() <= PER_MINUTE for rig in duel.rigs)
    late = [at_ms for at_ms in duel.took if at_ms > 120_000]
    assert len(late) <= 36, "both back off: some three a minute, where there were two a second"


def test_each_of_the_two_still_gets_its_alarm_out_at_once() -> None:
    duel = Duel().run(300_000)
    for rig in duel.rigs:
        rig.incidents.add("a-1")
        rig.uplink.kick()
        duel.run(OF_USE_MS)
        assert rig.delivered() == ["a-1"]


def test_a_rival_that_is_gone_is_forgotten() -> None:
    duel = Duel().run(120_000)
    survivor = duel.rigs[0].live(3 * RETRY_MAX_S * 1000)
    assert survivor.uplink.is_up() and not survivor.uplink.rival


def test_a_broker_that_restarts_once_is_no_rival() -> None:
    rig = QuirkyRig(lambda _: False).live(9_000)
    for _ in range(2):
        rig.streams[-1].peer_closed = True
        rig.live(9_000)
    assert rig.uplink.is_up() and not rig.uplink.rival


def test_a_broker_that_acknowledges_nothing_is_not_blamed_for_what_is_retained() -> None:
    rig = QuirkyRig(lambda _: False)
    rig.answers = "connack suback pingresp"
    rig.live(120_000)
    assert "retained messages" not in words(rig) and "state" in words(rig)
