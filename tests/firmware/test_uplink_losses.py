# mypy: allow-untyped-calls
"""The uplink: names and their cache, and what comes back after a lost link."""

from typing import Any

import pytest
from fake_board import EIO, FakeLookup, FlashMode
from fake_net import CONNECT, FakeStream
from uplink_rig import ADDRESS, HOST, RETRY_MAX_S, Rig

from firmware import uplink
from firmware.outbox import Outbox
from firmware.record import frame
from firmware.resets import ADDRESS_FILE
from firmware.uplink import Uplink

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
    """Broken by a cache that never has an address: then there is none before the name server answers."""
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

    def dial(address: str, port: int, server_name: str | None) -> FakeStream:
        rig.opened = True if address == ADDRESS else OSError(113, "no route")
        return rig.dial(address, port, server_name)

    rig.board.lookup = lookup  # type: ignore[method-assign, assignment]
    rig.board.on_dial = dial
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
    rig.incidents.add("a-1")
    for i in range(3):
        rig.outbox.add(b"event", b"%d" % i)
    rig.outbox.retain(b"state", b"on")
    rig.run(500)
    assert rig.delivered() == ["a-1"] and rig.incidents.is_waiting()
    assert len(rig.streams[0].published(b"state")) == 1, "telemetry is in flight too"
    rig.answers = "connack suback puback pingresp"
    rig.streams[0].peer_closed = True
    rig.run(3000)
    assert [one.payload for one in rig.streams[1].published()] == [b"a-1"]
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


def test_a_heartbeat_waits_for_an_alarm_that_is_due() -> None:
    """Raised since the uplink's step, or the uplink is dead: the telemetry task still has the session."""
    rig = Rig().run(300)
    alarm = rig.incidents.add("a-1")
    assert rig.uplink.publish_once(b"heartbeat", b"x") is False
    rig.run(30)
    assert alarm.sent == 1 and rig.uplink.publish_once(b"heartbeat", b"x") is True
    assert len(rig.streams[0].published(b"heartbeat")) == 1


def test_an_alarm_that_could_not_be_built_is_not_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(incident: object) -> bytes:
        raise MemoryError("memory allocation failed, allocating 512 bytes")

    rig = Rig().run(300)
    alarm = rig.incidents.add("a-1")
    monkeypatch.setattr(rig, "alarm", no_room)
    with pytest.raises(MemoryError):
        rig.uplink.step()
    assert not alarm.in_flight and rig.uplink.publish_once(b"heartbeat", b"x") is False


def test_it_remembers_in_which_state_it_failed() -> None:
    rig = Rig()
    assert rig.uplink.failed_in == uplink._DOWN and rig.uplink.last_error == ""
    rig.board.names[HOST] = OSError(-2, "no such name")
    assert failed_in(rig) == uplink._LOOKING_UP
    rig.board.names[HOST] = ADDRESS
    rig.opened = OSError("connection refused")
    assert failed_in(rig) == uplink._DIALLING
    rig.opened, rig.answers = True, ""
    assert failed_in(rig) == uplink._IN_SESSION
    rig.board.on_dial = nobody
    assert failed_in(rig) == uplink._DIALLING


def nobody(*_: Any) -> Any:
    raise OSError(113, "no route to host")


def failed_in(rig: Rig) -> int:
    """Of the next attempt."""
    rig.uplink.last_error = ""
    rig.run_until(lambda: rig.uplink.last_error, 2 * RETRY_MAX_S * 1000)
    return rig.uplink.failed_in
