# mypy: allow-untyped-calls
"""The uplink: every state has an end, an alarm that waits hurries it, and what was in flight comes back after a loss."""

import itertools
from typing import Any

import pytest
from fake_board import EIO, FakeBoard, FakeLookup, FlashMode
from fake_net import CONNECT, TOPICS, FakeStream, coder

from firmware import uplink as uplink_module
from firmware.outbox import Outbox
from firmware.record import frame
from firmware.uplink import ADDRESS_FILE, Uplink, is_address

HOST, ADDRESS, TIMEOUT_S, RETRY_MAX_S = "broker.example", "10.0.0.2", 20, 60
STEP_MS = 10
GRACE_MS = 200


class FakeIncident:
    def __init__(self, name: str) -> None:
        self.id, self.press, self.in_flight, self.sent, self.lost_times = name, 1, False, 0, 0

    def transmitted(self) -> None:
        assert not self.in_flight, "twice in flight"
        self.in_flight = True

    def at_broker(self, press: int) -> None:
        self.in_flight, self.sent = False, press


class FakeIncidents:
    """What the uplink asks of firmware/incidents.py."""

    def __init__(self) -> None:
        self.list: list[FakeIncident] = []

    def add(self, name: str) -> FakeIncident:
        self.list.append(FakeIncident(name))
        return self.list[-1]

    def due(self) -> FakeIncident | None:
        return next((one for one in self.list if one.sent < one.press and not one.in_flight), None)

    def due_in_ms(self, otherwise: int) -> int:
        return 0 if self.due() else otherwise

    def is_waiting(self) -> bool:
        return any(one.sent < one.press for one in self.list)

    def at_broker(self, incident: FakeIncident, press: int) -> None:
        incident.at_broker(press)

    def connection_lost(self) -> None:
        for one in self.list:
            one.in_flight = False


class Rig:
    def __init__(self, host: str = HOST, answers: str = "connack suback puback pingresp", seed: int = 1,
                 tls: dict[str, Any] | None = None) -> None:  # fmt: skip
        self.board = FakeBoard(seed)
        self.board.names[HOST] = ADDRESS
        self.answers = answers
        self.opened: bool | OSError = True
        self.dialled: list[tuple[int, str, int, Any]] = []
        self.streams: list[FakeStream] = []
        self.board.on_dial = self.dial
        self.incidents = FakeIncidents()
        self.outbox = Outbox()
        self.ups: list[int] = []
        broker = {"host": host, "port": 8883, "keepalive_s": 12, "puback_timeout_s": 4, "tls": tls,
                  "connect_timeout_s": TIMEOUT_S, "retry_max_s": RETRY_MAX_S}  # fmt: skip
        self.uplink = Uplink(
            self.board,
            {"broker": broker, "secrets": {"tls_key": "KEY"}},
            coder(),
            self.incidents,
            self.outbox,
            lambda incident: incident.id.encode(),
            TOPICS,
            lambda: self.ups.append(self.board.now_ms),
            lambda topic, payload: None,
        )

    def dial(self, address: str, port: int, tls: Any) -> FakeStream:
        self.dialled.append((self.board.now_ms, address, port, tls))
        stream = FakeStream(self.board, self.answers)
        stream.opened = self.opened
        self.streams.append(stream)
        return stream

    def run(self, ms: int) -> "Rig":
        end = self.board.now_ms + ms
        while self.board.now_ms < end:
            assert self.uplink.step() >= 0
            self.board.advance(STEP_MS)
        return self

    def run_until(self, condition: Any, limit_ms: int) -> int:
        start = self.board.now_ms
        while not condition():
            assert self.board.now_ms - start < limit_ms, f"not within {limit_ms} ms"
            self.uplink.step()
            self.board.advance(STEP_MS)
        return self.board.now_ms - start

    def delivered(self) -> list[str]:
        return [one.payload.decode() for stream in self.streams for one in stream.published()]


def gaps(rig: Rig) -> list[int]:
    return [b[0] - a[0] for a, b in itertools.pairwise(rig.dialled)]


# -- the way up


def test_it_looks_the_name_up_dials_and_says_that_it_is_up() -> None:
    rig = Rig().run(200)
    assert [(a, p, t) for _, a, p, t in rig.dialled] == [(ADDRESS, 8883, None)]
    assert rig.uplink.is_up() and rig.uplink.down_ms() == 0 and len(rig.ups) == 1
    assert "uplink: session with 10.0.0.2:8883" in rig.board.logged


def test_a_numeric_address_is_not_looked_up() -> None:
    rig = Rig("10.0.0.9")
    rig.board.names.clear()
    rig.run(200)
    assert rig.dialled[0][1] == "10.0.0.9" and rig.board.flash.writes == 0
    assert [is_address(text) for text in ("1.2.3.4", "broker.example", "1.2.3", "1.2.3.x")] == [True] + [False] * 3


def test_tls_gets_its_certificates_and_the_name_to_check() -> None:
    tls = {"ca": "CA", "cert": "CERT", "server_name": None}
    rig = Rig(tls=tls).run(100)
    assert rig.dialled[0][3] == {"ca": "CA", "cert": "CERT", "key": "KEY", "server_name": HOST}


def test_alarms_go_before_everything_else() -> None:
    rig = Rig()
    rig.outbox.add(b"event", b"boot")
    rig.incidents.add("a-1")
    rig.run(300)
    topics = [one.topic for one in rig.streams[0].heard if one.topic in (b"event", TOPICS["alarm"])]
    assert topics == [TOPICS["alarm"], b"event"] and not rig.incidents.is_waiting()


# -- no state waits for ever


class SilentLookup(FakeLookup):
    def __init__(self) -> None:
        super().__init__(None)


def silent_lookup(rig: Rig) -> None:
    rig.board.names[HOST] = None


def silent_dial(rig: Rig) -> None:
    rig.opened = False


def silent_broker(rig: Rig) -> None:
    rig.answers = ""


def no_subscription(rig: Rig) -> None:
    rig.answers = "connack puback pingresp"


@pytest.mark.parametrize("silence", [silent_lookup, silent_dial, silent_broker, no_subscription])
def test_each_state_ends_with_a_silent_peer_and_the_next_attempt_succeeds(silence: Any) -> None:
    rig = Rig()
    silence(rig)
    rig.run_until(lambda: rig.uplink.last_error, TIMEOUT_S * 1000 + GRACE_MS)
    assert not rig.uplink.is_up() and all(stream.closed for stream in rig.streams)
    rig.board.names[HOST], rig.opened, rig.answers = ADDRESS, True, "connack suback puback pingresp"
    rig.run_until(rig.uplink.is_up, 5_000)


def test_a_silent_broker_in_a_session_is_found() -> None:
    rig = Rig().run(200)
    rig.streams[0].answers = []
    rig.run_until(lambda: not rig.uplink.is_up(), 18_000)
    assert "ping" in rig.uplink.last_error


def test_a_state_without_an_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by not starting the deadline of an attempt."""
    monkeypatch.setattr(Uplink, "_attempt_ms", lambda self: 1 << 40)
    with pytest.raises(AssertionError, match="not within"):
        test_each_state_ends_with_a_silent_peer_and_the_next_attempt_succeeds(silent_dial)


@pytest.mark.parametrize("error", [OSError(111, "refused"), OSError(-2, "TLS")])
def test_errors_while_connecting_lead_to_the_next_attempt(error: OSError) -> None:
    rig = Rig()
    rig.opened = error
    rig.run(3000)
    assert len(rig.dialled) > 2
    rig.opened = True
    rig.run_until(rig.uplink.is_up, 5_000)


def test_a_certificate_that_is_none_does_not_kill_the_task() -> None:
    rig = Rig()
    rig.board.on_dial = lambda *_: (_ for _ in ()).throw(ValueError("invalid cert"))
    rig.run(3000)
    assert "invalid cert" in rig.uplink.last_error


# -- how often


def test_pauses_grow_to_their_limit_and_are_jittered() -> None:
    firsts = set()
    for seed in range(8):
        rig = Rig("10.0.0.2", seed=seed)
        rig.opened = OSError(111, "refused")
        rig.run(600_000)
        pauses = gaps(rig)
        firsts.add(tuple(pauses[:4]))
        assert max(pauses) <= RETRY_MAX_S * 1000 + GRACE_MS and min(pauses) >= 250
        assert sum(pauses[-3:]) > 3 * RETRY_MAX_S * 500, "no growth: a broker's return would be a stampede"
    assert len(firsts) == 8, "columns that lost one broker together come back together"


def test_the_jitter_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a board whose dice always show the same."""
    monkeypatch.setattr(FakeBoard, "random", lambda self, below: 0)
    with pytest.raises(AssertionError):
        test_pauses_grow_to_their_limit_and_are_jittered()


def test_while_an_alarm_waits_the_pauses_stay_short() -> None:
    rig = Rig("10.0.0.2")
    rig.opened = OSError(111, "refused")
    rig.incidents.add("a-1")
    rig.run(120_000)
    assert max(gaps(rig)) <= 800 + GRACE_MS


def test_a_kick_connects_at_once() -> None:
    rig = Rig("10.0.0.2")
    rig.opened = OSError(111, "refused")
    rig.run(300_000)  # far into the back-off
    rig.opened = True
    rig.incidents.add("a-1")
    rig.uplink.kick()
    assert rig.run_until(rig.delivered, 1_000) <= 100


def test_a_kick_shortens_the_attempt_that_is_under_way() -> None:
    rig = Rig("10.0.0.2")
    rig.opened = False
    rig.run(1000)
    rig.incidents.add("a-1")
    rig.uplink.kick()
    rig.opened = True  # for the next one: this one is never going to open
    assert rig.run_until(rig.delivered, 5_000) <= 3000 + 800 + GRACE_MS


def test_attempts_get_longer_again_for_a_slow_path() -> None:
    """A handshake of 8 s gets through, though the first attempt of an alarm has 3 s."""
    rig = Rig("10.0.0.2")
    rig.incidents.add("a-1")

    def slow(*args: Any) -> FakeStream:
        rig.opened = False
        stream = rig.dial(*args)
        start = rig.board.now_ms
        stream.is_open = lambda: rig.board.now_ms - start > 8000  # type: ignore[method-assign]
        return stream

    rig.board.on_dial = slow
    rig.run_until(rig.delivered, 25_000)


def test_after_a_session_an_alarm_reconnects_without_a_pause() -> None:
    rig = Rig("10.0.0.2").run(500)
    rig.incidents.add("a-1")
    rig.streams[0].peer_closed = True
    assert rig.run_until(rig.delivered, 2_000) <= 100


# -- names


def cached(rig: Rig, host: str = HOST, address: str = "10.0.0.7") -> None:
    rig.board.flash.files[ADDRESS_FILE] = frame(f"{host} {address}".encode())


def test_the_address_that_worked_is_kept_once() -> None:
    rig = Rig().run(500)
    assert rig.board.flash.files[ADDRESS_FILE] == frame(b"broker.example 10.0.0.2")
    rig.streams[0].peer_closed = True
    rig.run(2000)
    assert len(rig.ups) == 2 and rig.board.flash.writes == 1


@pytest.mark.parametrize("answer", [None, OSError(-2, "no such name")])
def test_without_a_name_server_the_last_good_address_is_used(answer: OSError | None) -> None:
    rig = Rig()
    cached(rig)
    rig.board.names[HOST] = answer
    rig.incidents.add("a-1")
    assert rig.run_until(rig.delivered, 5_000) < 3000, "not before an urgent attempt is over"
    assert rig.dialled[0][1] == "10.0.0.7"


def test_the_cache_is_noticed_when_it_comes_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by giving the look-up as long as a whole urgent attempt."""
    monkeypatch.setattr(Uplink, "_cached", lambda self, why: None)
    with pytest.raises(AssertionError, match="not within"):
        test_without_a_name_server_the_last_good_address_is_used(None)


def test_a_stale_address_does_not_lock_out_a_slow_name_server() -> None:
    """The look-up takes 4 s, and nobody lives at the cached address any more."""
    rig = Rig()
    cached(rig)

    def lookup(_: str) -> FakeLookup:
        start, one = rig.board.now_ms, FakeLookup(None)
        one.result = lambda: ADDRESS if rig.board.now_ms - start > 4000 else None  # type: ignore[method-assign]
        return one

    def dial(address: str, port: int, tls: Any) -> FakeStream:
        rig.opened = True if address == ADDRESS else OSError(113, "no route")
        return rig.dial(address, port, tls)

    rig.board.lookup, rig.board.on_dial = lookup, dial  # type: ignore[method-assign]
    rig.run_until(rig.uplink.is_up, 60_000)


@pytest.mark.parametrize("content", [b"", b"garbage", frame(b"other.example 1.2.3.4"), frame(b"one-word")])
def test_a_cache_that_is_no_use_is_left_alone(content: bytes) -> None:
    rig = Rig()
    rig.board.flash.files[ADDRESS_FILE] = content
    rig.board.names[HOST] = OSError(-2, "no such name")
    rig.run(3000)
    assert rig.dialled == [] and "no such name" in rig.uplink.last_error


@pytest.mark.parametrize("mode", [FlashMode.FULL, FlashMode.READ_ERROR])
def test_a_broken_flash_does_not_stop_the_uplink(mode: FlashMode) -> None:
    rig = Rig()
    rig.board.flash.mode = mode
    rig.run(300)
    assert rig.uplink.is_up()


# -- losses


def test_without_a_link_nothing_is_dialled_and_a_session_ends_with_it() -> None:
    rig = Rig()
    rig.board.link.up = False
    rig.run(2000)
    assert rig.dialled == []
    rig.board.link.up = True
    rig.run_until(rig.uplink.is_up, 1000)
    rig.board.link.up = False
    rig.run(20)
    assert not rig.uplink.is_up() and rig.streams[0].closed and rig.uplink.last_error == "the link is down"
    assert rig.run(1000).uplink.down_ms() >= 1000


def test_everything_in_flight_comes_back_after_a_loss() -> None:
    rig = Rig(answers="connack suback pingresp")
    for name in ("a-1", "a-2"):
        rig.incidents.add(name)
    for i in range(3):
        rig.outbox.add(b"event", b"%d" % i)
    rig.outbox.retain(b"state", b"on")
    rig.run(500)
    assert sorted(rig.delivered()) == ["a-1", "a-2"] and rig.incidents.is_waiting()
    rig.answers = "connack suback puback pingresp"
    rig.streams[0].peer_closed = True
    rig.run(3000)
    assert sorted(one.payload for one in rig.streams[1].published()) == [b"a-1", b"a-2"]
    events = [one.payload for one in rig.streams[1].published(b"event")]
    assert events == [b"0", b"1", b"2"] and [one.retain for one in rig.streams[1].published(b"state")] == [True]
    assert not rig.incidents.is_waiting() and rig.outbox.next() is None


def test_what_was_in_flight_is_noticed_when_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by not putting telemetry back."""
    monkeypatch.setattr(Outbox, "put_back", lambda self, items: None)
    with pytest.raises(AssertionError):
        test_everything_in_flight_comes_back_after_a_loss()


def test_no_alarm_is_lost_by_a_link_that_breaks_again_and_again() -> None:
    rig = Rig("10.0.0.2", answers="connack suback pingresp")
    waiting = [rig.incidents.add(f"a-{i}") for i in range(20)]
    for round_ in range(10):
        rig.run(400)
        rig.streams[-1].peer_closed = True
        rig.run(30)
        assert not any(one.in_flight for one in waiting), round_
    rig.answers = "connack suback puback pingresp"
    rig.run(12_000)
    assert set(rig.delivered()) == {one.id for one in waiting} and not rig.incidents.is_waiting()


def test_a_heartbeat_goes_now_or_never_and_a_failed_write_is_a_lost_link() -> None:
    rig = Rig()
    assert rig.uplink.publish_once(b"heartbeat", b"x") is False
    rig.run(300)
    assert rig.uplink.publish_once(b"heartbeat", b"x") is True
    assert [one.qos for one in rig.streams[0].published(b"heartbeat")] == [0]
    rig.streams[0].write_error = OSError(EIO, "reset by peer")
    assert rig.uplink.publish_once(b"heartbeat", b"x") is False
    assert not rig.uplink.is_up() and "reset by peer" in rig.uplink.last_error
    rig.run_until(rig.uplink.is_up, 2000)


def test_a_long_outage_is_one_line_in_the_log() -> None:
    rig = Rig("10.0.0.2")
    rig.opened = OSError(111, "refused")
    rig.run(300_000)
    assert len([line for line in rig.board.logged if "refused" in line]) == 1


def test_it_begins_each_session_with_a_connect() -> None:
    rig = Rig().run(300)
    rig.streams[0].peer_closed = True
    rig.run(3000)
    assert [stream.heard[0].kind for stream in rig.streams] == [CONNECT] * 2
    assert uplink_module.Uplink.name == "uplink"
