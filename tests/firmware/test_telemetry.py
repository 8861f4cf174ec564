# mypy: allow-untyped-calls
"""Telemetry: a birth at each session, heartbeats in time and numbered without a gap, faults retained and cleared."""

import json
from typing import Any

import pytest
from fake_board import FakeBoard

from firmware import telemetry as module
from firmware.outbox import Outbox
from firmware.telemetry import Telemetry

HEARTBEAT_S = 30
STEP_MS = 1000


class FakeMessages:
    authentic: object = None

    def topic(self, kind: str) -> bytes:
        return kind.encode()

    def state(self, online: bool) -> bytes:
        return b"online" if online else b"offline"

    def heartbeat(self, figures: dict[str, Any]) -> bytes:
        return json.dumps(figures).encode()

    def fault(self, ident: str, since_ms: int | None, detail: str) -> bytes:
        return f"{since_ms} {detail}".encode()

    def event(self, name: str, detail: Any) -> bytes:
        return f"{name} {detail}".encode()


class FakeUplink:
    """Takes a heartbeat when it is up and has room."""

    def __init__(self, board: FakeBoard) -> None:
        self._board = board
        self.up = self.room = True
        self.beats: list[tuple[int, dict[str, Any]]] = []  # (now_ms, figures)

    def is_up(self) -> bool:
        return self.up

    def publish_once(self, topic: bytes, payload: bytes) -> bool:
        assert self.up and topic == b"heartbeat"
        if self.room:
            self.beats.append((self._board.now_ms, json.loads(payload)))
        return self.room


class Rig:
    def __init__(self) -> None:
        self.board = FakeBoard()
        self.outbox = Outbox()
        self.uplink = FakeUplink(self.board)
        make: Any = Telemetry
        self.task = make(
            self.board, FakeMessages(), self.outbox, HEARTBEAT_S, lambda: b"birth", lambda: {"heap_free": 1}
        )
        self.task.uplink = self.uplink

    def run(self, seconds: int) -> "Rig":
        for _ in range(seconds * 1000 // STEP_MS):
            assert self.task.step() > 0
            self.board.advance(STEP_MS)
        return self

    def waiting(self) -> list[tuple[bytes, bytes, bool]]:
        out = []
        while (item := self.outbox.next()) is not None:
            self.outbox.taken(item)
            topic, payload, retain = item
            out.append((topic, payload() if callable(payload) else payload, retain))
        return out


def test_heartbeats_come_in_time_and_are_numbered() -> None:
    beats = Rig().run(600).uplink.beats
    assert [figures["seq"] for _, figures in beats] == list(range(20))
    times = [at_ms for at_ms, _ in beats]
    assert all(b - a == HEARTBEAT_S * 1000 for a, b in zip(times, times[1:], strict=False))
    assert [figures["uptime_s"] for _, figures in beats] == [at_ms // 1000 for at_ms in times]


def test_a_heartbeat_that_found_no_room_is_tried_again_soon_and_uses_up_no_number() -> None:
    rig = Rig().run(10)
    rig.uplink.room = False
    rig.run(HEARTBEAT_S)
    assert rig.task.step() <= 200
    rig.uplink.room = True
    rig.run(HEARTBEAT_S)
    assert [figures["seq"] for _, figures in rig.uplink.beats[:2]] == [0, 1]


def test_a_heartbeat_without_memory_is_tried_again_and_the_fifth_in_a_row_is_the_end() -> None:
    """Red when the first one ends the task: the watchdog would bite beside an open call."""
    rig = Rig()
    left = [MemoryError] * 4

    def figures() -> dict[str, int]:
        if left:
            raise left.pop()
        return {"heap_free": 1}

    rig.task._figures = figures
    rig.run(10)
    assert [figures["seq"] for _, figures in rig.uplink.beats] == [0]
    left += [MemoryError] * 4
    rig.run(HEARTBEAT_S + 10)
    assert [figures["seq"] for _, figures in rig.uplink.beats] == [0, 1], "it counts from the last one that went"
    left += [MemoryError] * 5
    with pytest.raises(MemoryError):
        rig.run(HEARTBEAT_S + 10)


def test_a_number_that_is_lost_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by an uplink that says it took what it dropped."""

    def drops(uplink: FakeUplink, topic: bytes, payload: bytes) -> bool:
        if uplink.room:
            uplink.beats.append((uplink._board.now_ms, json.loads(payload)))
        return True

    monkeypatch.setattr(FakeUplink, "publish_once", drops)
    with pytest.raises(AssertionError):
        test_a_heartbeat_that_found_no_room_is_tried_again_soon_and_uses_up_no_number()


def test_offline_it_is_silent_and_a_session_begins_with_a_heartbeat() -> None:
    rig = Rig()
    rig.uplink.up = False
    rig.run(600)
    assert rig.uplink.beats == [] and rig.waiting() == []
    rig.uplink.up = True
    rig.run(1)
    rig.task.announce()
    rig.task.report()
    assert rig.waiting() == [(b"state", b"online", True), (b"info", b"birth", True)]
    rig.run(1)
    assert len(rig.uplink.beats) == 2, "at once, not in half a minute"


def test_a_report_is_a_birth_and_a_heartbeat_now() -> None:
    rig = Rig().run(5)
    before = len(rig.uplink.beats)
    rig.task.report()
    rig.run(1)
    assert rig.waiting() == [(b"info", b"birth", True)] and len(rig.uplink.beats) == before + 1
    rig.run(5)
    assert len(rig.uplink.beats) == before + 1


def test_faults_are_retained_and_an_empty_payload_clears_them() -> None:
    rig = Rig()
    rig.task.fault("tamper", (5, "open"))
    assert rig.waiting() == [(b"fault/tamper", b"5 open", True)]
    rig.task.fault("tamper", None)
    assert rig.waiting() == [(b"fault/tamper", b"", True)]


def test_where_a_column_proves_the_end_of_a_fault_is_told_by_a_heartbeat_at_once() -> None:
    """An empty payload has no proof. Red without the look at `authentic`; and nobody else beats for it."""
    for key, more in ((None, 0), (object(), 1)):
        rig = Rig().run(5)
        rig.task._messages.authentic = key
        rig.task.fault("tamper", (5, "open"))
        before = len(rig.uplink.beats)
        rig.run(1)
        assert len(rig.uplink.beats) == before
        rig.task.fault("tamper", None)
        rig.run(1)
        assert len(rig.uplink.beats) == before + more


def test_events_are_not_retained_and_what_was_dropped_is_told() -> None:
    rig = Rig()
    for n in range(20):
        rig.task.event("boot", n)
    rig.run(1)
    assert rig.uplink.beats[0][1]["dropped"] == 4
    assert rig.waiting()[0] == (b"event", b"boot 4", False)


def test_uptime_goes_on_over_the_wrap_of_the_ticks_without_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A month offline; ticks wrap every 12 days. Negative control: a step that does not look at the clock loses it."""

    def uptime_s() -> int:
        rig = Rig()
        rig.task.step()
        rig.uplink.up = False
        for _ in range(30):
            rig.board.advance(86_400_000)
            rig.task.step()
        rig.uplink.up = True
        rig.task.step()
        return int(rig.uplink.beats[-1][1]["uptime_s"])

    assert uptime_s() == 30 * 86_400
    real = Telemetry.step
    monkeypatch.setattr(Telemetry, "step", lambda self: real(self) if self.uplink.up else module._IDLE_MS)
    assert uptime_s() != 30 * 86_400
