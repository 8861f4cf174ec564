# mypy: allow-untyped-calls
"""The uplink: every state has an end, and an alarm that waits hurries it."""

from typing import Any

import pytest
from fake_board import FakeBoard
from fake_net import TOPICS, FakeStream
from uplink_rig import ADDRESS, GRACE_MS, HOST, RETRY_MAX_S, TIMEOUT_S, Rig, gaps

from firmware.uplink import Uplink, is_address

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
    assert rig.dialled[0][1] == "10.0.0.9" and not any("no address" in line for line in rig.board.logged)
    assert [is_address(text) for text in ("1.2.3.4", "broker.example", "1.2.3", "1.2.3.x")] == [True] + [False] * 3


@pytest.mark.parametrize(
    ("tls", "name"), [(None, None), ({"server_name": None}, HOST), ({"server_name": "other.example"}, "other.example")]
)
def test_tls_gets_the_name_to_check(tls: dict[str, Any] | None, name: str | None) -> None:
    assert Rig(tls=tls).run(100).dialled[0][3] == name


def test_alarms_go_before_everything_else() -> None:
    rig = Rig()
    rig.outbox.add(b"event", b"boot")
    rig.incidents.add("a-1")
    rig.run(300)
    topics = [one.topic for one in rig.streams[0].heard if one.topic in (b"event", TOPICS["alarm"])]
    assert topics == [TOPICS["alarm"], b"event"] and not rig.incidents.is_waiting()


# -- no state waits for ever


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


@pytest.mark.slow
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


@pytest.mark.slow
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
