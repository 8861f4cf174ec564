# mypy: allow-untyped-calls
"""The clock: network time by the packet, answers that are refused, retries, the floor, and what it says of itself."""

import struct
from collections.abc import Callable
from typing import Any

import pytest
from fake_board import EPOCH_MS, FakeBoard, FlashMode
from fake_net import FakeDatagram
from ntp_answers import NTP_TO_UNIX_S, TRUE_MS, reply

from firmware import ntp, rfc3339
from firmware.clock import EARLIEST_MS, FLOOR_FILE, Clock
from firmware.record import frame

EVERY_S = 3600
LATEST_S = 1 << 33


class Rig:
    def __init__(self, answer: Callable[[bytes], list[bytes]] = lambda request: [reply(request)], trusted: bool = False,
                 server: str | None = "time.example", floor: bytes | None = None,
                 latest_s: int = LATEST_S) -> None:  # fmt: skip
        self.board = FakeBoard()
        self.board.names["time.example"] = "10.0.0.3"
        if floor is not None:
            self.board.flash.files[FLOOR_FILE] = floor
        self.peers: list[tuple[int, FakeDatagram]] = []
        self.answer = answer
        self.board.on_datagram = self.datagram
        self.set_times = 0
        config = {"server": server, "port": 123, "every_s": EVERY_S, "latest_s": latest_s}
        self.clock = Clock(self.board, config, trusted, self.on_set)

    def datagram(self, address: str, port: int) -> FakeDatagram:
        assert (address, port) == ("10.0.0.3", 123)
        peer = FakeDatagram(self.answer)
        self.peers.append((self.board.now_ms, peer))
        return peer

    def on_set(self) -> None:
        self.set_times += 1

    def run(self, ms: int) -> "Rig":
        end = self.board.now_ms + ms
        while self.board.now_ms < end:
            self.board.advance(max(1, min(self.clock.step(), end - self.board.now_ms)))
        return self


def test_it_sets_the_clock_from_an_answer() -> None:
    rig = Rig().run(100)
    assert rig.clock.source == "ntp" and rig.set_times == 1
    assert abs(rig.clock.now_ms() - TRUE_MS) <= 100
    assert rig.clock.now_text().startswith("2027-01-15T08:00:00.")
    request = rig.peers[0][1].sent[0]
    assert len(request) == 48 and request[0] == 0x23 and rig.peers[0][1].closed  # version 4, client


@pytest.mark.parametrize(
    ("seconds", "fraction", "text"),
    [
        (0xEE7A9600, 0x00000000, "2026-10-15T00:00:00.000Z"),
        (0xEE7A9600, 0x80000000, "2026-10-15T00:00:00.500Z"),
        (0xEE7A9600, 0xFFFFFFFF, "2026-10-15T00:00:00.999Z"),
        (0xFFFFFFFF, 0x00000000, "2036-02-07T06:28:15.000Z"),
        (0x00000000, 0x00000001, "2036-02-07T06:28:16.000Z"),
        (0x00000001, 0x00000000, "2036-02-07T06:28:17.000Z"),
        (0x7AAF3B80, 0x00000000, None),
    ],
)
def test_vectors(seconds: int, fraction: int, text: str | None) -> None:
    """Computed by hand from 1900, and from 2036-02-07T06:28:16Z on for era 1."""
    if text is None:
        text = rfc3339.text((seconds + (1 << 32) - NTP_TO_UNIX_S) * 1000)
        assert text.startswith("2101-")
    rig = Rig(lambda request: [reply(request)[:40] + struct.pack("!II", seconds, fraction)])
    for _ in range(4):  # a question and its answer, and both again: that is a large step
        rig.clock.step()
    assert rig.clock.source == "ntp" and rig.clock.now_text() == text


def test_the_era_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by counting from 1900 only: in 2036 the seconds begin at 0 again, which is before the floor."""
    monkeypatch.setattr(ntp, "_EPOCH_S", NTP_TO_UNIX_S + (1 << 32))
    with pytest.raises(AssertionError):
        test_vectors(1, 0, "2036-02-07T06:28:17.000Z")


REFUSED: dict[str, Callable[[bytes], list[bytes]]] = {
    "silence": lambda request: [],
    "another's answer": lambda request: [reply(request, nonce=bytes(8))],
    "not synchronised": lambda request: [reply(request, head=b"\xe4\x02\x06\xec")],
    "kiss of death": lambda request: [reply(request, head=b"\x24\x00\x06\xec")],
    "stratum 16": lambda request: [reply(request, head=b"\x24\x10\x06\xec")],
    "a client's packet": lambda request: [reply(request, head=b"\x23\x02\x06\xec")],
    "too short": lambda request: [reply(request)[:47]],
    "empty": lambda request: [b""],
    "before the floor": lambda request: [reply(request, EARLIEST_MS - 1)],
    "no time in it": lambda request: [reply(request)[:40] + bytes(8)],
}


@pytest.mark.parametrize("why", REFUSED)
def test_refused_answers_change_nothing(why: str) -> None:
    rig = Rig(REFUSED[why]).run(5000)
    assert rig.clock.source == "none" and rig.set_times == 0 and rig.clock.now_text() is None
    assert "no answer from time.example:123" in rig.board.logged[-1] and rig.peers[0][1].closed


@pytest.mark.parametrize("why", REFUSED)
def test_each_refusal_is_noticed(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by taking every datagram for an answer."""

    def trusting(self: Clock, answer: bytes) -> bool:
        self._close()
        self.source = "ntp"
        return True

    monkeypatch.setattr(Clock, "_take", trusting)
    if why == "silence":
        monkeypatch.setattr(FakeDatagram, "receive", lambda self: b"")
    with pytest.raises(AssertionError):
        test_refused_answers_change_nothing(why)


def test_a_stray_before_the_answer_does_not_spoil_it() -> None:
    rig = Rig(lambda request: [b"stray", reply(request, nonce=bytes(8)), reply(request)]).run(500)
    assert rig.clock.source == "ntp"


def test_retries_back_off_and_come_back_to_normal_after_an_answer() -> None:
    rig = Rig(REFUSED["silence"]).run(4_000_000)
    gaps = [b[0] - a[0] for a, b in zip(rig.peers, rig.peers[1:], strict=False)]
    assert gaps[0] == pytest.approx(12_000, abs=3000) and gaps[-1] == pytest.approx(642_000, abs=5000)
    assert all(later >= sooner - 3000 for sooner, later in zip(gaps, gaps[1:], strict=False))
    rig.answer = told(TRUE_MS, rig)
    rig.run(700_000)
    assert rig.clock.source == "ntp"
    before = len(rig.peers)
    rig.run(EVERY_S * 1000 + 3000)
    assert len(rig.peers) == before + 1
    rig.answer = REFUSED["silence"]
    before = len(rig.peers)
    rig.run(EVERY_S * 1000 + 30_000)
    assert rig.clock.source == "ntp" and rig.peers[before + 1][0] - rig.peers[before][0] < 20_000, (
        "it begins at 10 s again"
    )


@pytest.mark.parametrize("found", [None, OSError(-2, "no such name")])
def test_a_name_server_that_is_silent_or_refuses(found: OSError | None) -> None:
    rig = Rig()
    rig.board.names["time.example"] = found
    rig.run(25_000)
    assert any("no network time" in line for line in rig.board.logged), "the look-up is waited for without an end"
    rig.board.names["time.example"] = "10.0.0.3"
    rig.run(60_000)
    assert rig.clock.source == "ntp"


def test_without_a_link_or_a_server_it_asks_nobody() -> None:
    rig = Rig()
    rig.board.link.up = False
    assert rig.run(60_000).peers == []
    assert Rig(server=None).run(60_000).peers == []


# -- what it says of itself across resets


def floor(epoch_ms: int) -> bytes:
    return frame(b"%d" % epoch_ms)


def test_after_a_power_cut_the_time_is_unknown_and_stands_at_the_floor() -> None:
    rig = Rig(REFUSED["silence"], floor=floor(EPOCH_MS + 5))
    assert (rig.clock.source, rig.clock.now_text()) == ("none", None)
    assert rig.board.epoch_ms() == EPOCH_MS + 5


def test_after_a_reset_the_time_is_kept() -> None:
    rig = Rig(REFUSED["silence"], trusted=True, floor=floor(EPOCH_MS - 1000))
    assert rig.clock.source == "kept" and rig.clock.now_text() is not None
    rig.answer = lambda request: [reply(request)]
    assert rig.run(60_000).clock.source == "ntp"


def test_a_kept_time_before_the_floor_is_none() -> None:
    rig = Rig(REFUSED["silence"], trusted=True, floor=floor(EPOCH_MS + 60_000))
    assert rig.clock.source == "none" and rig.board.epoch_ms() == EPOCH_MS + 60_000


@pytest.mark.parametrize("content", [None, b"", b"garbage", frame(b"twelve"), frame(b"12")])
def test_a_floor_that_is_no_use(content: bytes | None) -> None:
    assert Rig(floor=content).board.epoch_ms() == EARLIEST_MS


def floor_of(rig: Rig) -> int:
    return int(rig.board.flash.files[FLOOR_FILE].split()[1]) if FLOOR_FILE in rig.board.flash.files else 0


def test_the_floor_is_written_every_six_hours() -> None:
    rig = Rig().run(1000)
    assert floor_of(rig) == 0, "what has just been heard is no floor yet"
    rig.answer = REFUSED["silence"]
    rig.run(24 * HOUR_MS + 60_000)
    assert rig.board.flash.writes == 4
    assert floor_of(rig) > TRUE_MS + 23 * HOUR_MS


# -- answers that nobody signed

HOUR_MS = 3_600_000
YEAR_MS = 365 * 24 * HOUR_MS
FORGED_MS = TRUE_MS + 10 * YEAR_MS


def told(epoch_ms: int, rig: Rig) -> Callable[[bytes], list[bytes]]:
    """A server whose clock stood at `epoch_ms` when it began."""
    began = rig.board.now_ms
    return lambda request: [reply(request, epoch_ms + rig.board.now_ms - began)]


def in_service() -> Rig:
    """It has the time, and has had it for a day."""
    rig = Rig(lambda request: [])
    rig.answer = told(TRUE_MS, rig)
    return rig.run(24 * HOUR_MS)


def is_true(rig: Rig) -> bool:
    return abs(rig.clock.now_ms() - TRUE_MS - rig.board.now_ms + START_MS) < 5000


START_MS = FakeBoard().now_ms


def test_one_forged_answer_changes_nothing() -> None:
    """Red without the second question, which takes the column off the air until the next true answer an hour later:
    so it is looked at all the time."""
    rig = in_service()
    true, lies = rig.answer, [1]

    def mixed(request: bytes) -> list[bytes]:
        return [reply(request, FORGED_MS)] if lies and lies.pop() else true(request)

    rig.answer = mixed
    for _ in range(2 * 60):
        assert is_true(rig.run(HOUR_MS // 60))
    assert lies == []


def test_two_that_agree_are_believed_and_undone_by_the_next_true_ones() -> None:
    rig = in_service()
    true = rig.answer
    rig.answer = told(FORGED_MS, rig)
    rig.run(2 * HOUR_MS)
    assert not is_true(rig) and floor_of(rig) < TRUE_MS + 2 * 24 * HOUR_MS, "it is no floor within six hours"
    rig.answer = true
    rig.run(2 * HOUR_MS)
    assert is_true(rig)


@pytest.mark.slow
def test_two_that_disagree_are_not_believed() -> None:
    rig = in_service()
    count = [0]

    def wild(request: bytes) -> list[bytes]:
        count[0] += 1
        return [reply(request, FORGED_MS + count[0] * HOUR_MS)]

    rig.answer = wild
    rig.run(HOUR_MS + 60_000)
    assert count[0] > 2 and is_true(rig)


def test_nothing_behind_the_certificates_end_is_believed() -> None:
    rig = Rig(lambda request: [reply(request)], latest_s=TRUE_MS // 1000 - 1).run(60_000)
    assert rig.clock.source == "none" and rig.board.epoch_ms() < TRUE_MS
    assert Rig(latest_s=TRUE_MS // 1000 + 1).run(1000).clock.source == "ntp"


def test_the_floor_never_falls_and_nothing_before_it_is_believed() -> None:
    """What expired stays expired. Red when an answer of the past becomes the floor."""
    rig = in_service()
    before = floor_of(rig)
    rig.answer = told(TRUE_MS - YEAR_MS, rig)
    rig.run(24 * HOUR_MS)
    assert is_true(rig) and floor_of(rig) >= before
    again = Rig(lambda request: [reply(request, TRUE_MS - 1)], floor=floor(TRUE_MS)).run(60_000)
    assert again.clock.source == "none" and again.board.epoch_ms() >= TRUE_MS


@pytest.mark.parametrize("mode", [FlashMode.FULL, FlashMode.READ_ERROR])
def test_a_broken_flash_does_not_stop_the_clock(mode: FlashMode) -> None:
    rig = Rig()
    rig.board.flash.mode = mode
    assert rig.run(1000).clock.source == "ntp"


def test_the_time_as_text() -> None:
    clock: Any = Rig().clock
    assert clock.text(None) is None and clock.text(0) == "1970-01-01T00:00:00.000Z"
