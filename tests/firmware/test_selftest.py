# mypy: allow-untyped-calls
"""When the column tests itself, and what it makes of the result. A whole column on the fake board."""

from typing import Any

import pytest
from column_rig import Rig

HALF_HOUR_MS = 1_800_000


class Endpoint:
    """A stream's endpoint: what it answers, and when it was asked."""

    def __init__(self, rig: Rig, answer: bytes | None = b"RTSP/1.0 200 OK\r\n\r\n") -> None:
        self.answer, self.closed = answer, 0
        self.asked_ms: list[int] = []
        rig.board.names["cameras.example"] = "10.0.0.3"
        dial_broker = rig.board.on_dial

        def dial(address: str, port: int, name: str | None) -> Any:
            if port != 554:
                return dial_broker(address, port, name)
            if self.answer is None:
                raise OSError("connection refused")
            self.asked_ms.append(rig.board.now_ms)
            return Talk(self)

        rig.board.on_dial = dial


class Talk:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._left = endpoint, endpoint.answer or b""

    def is_open(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        return len(data)

    def read_into(self, buffer: Any) -> int | None:
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count or None

    def close(self) -> None:
        self._endpoint.closed += 1


def make(stream_s: int = 0, drill_s: int = 0, **changes: Any) -> tuple[Rig, Endpoint]:
    rig = Rig(selftest__stream_s=stream_s, selftest__drill_s=drill_s, **changes)
    return rig, Endpoint(rig)


def pauses(times_ms: list[int]) -> list[int]:
    return [later - earlier for earlier, later in zip(times_ms, times_ms[1:], strict=False)]


def test_looks_come_half_fixed_half_random() -> None:
    rig, endpoint = make(stream_s=60)
    rig.up().run(HALF_HOUR_MS)
    found = pauses(endpoint.asked_ms)
    assert len(found) >= 30 and all(30_000 <= pause <= 63_000 for pause in found) and len(set(found)) > 10
    assert endpoint.closed == len(endpoint.asked_ms)
    assert rig.board.forgotten.count("firmware.probe") == endpoint.closed, "the memory is given back each time"


def test_one_failure_is_no_fault_and_two_are() -> None:
    rig, endpoint = make(stream_s=3600)
    rig.up()
    for answer, fault in ((b"RTSP/1.0 404 ", []), (b"RTSP/1.0 200 ", []), (None, []), (None, ["stream-down"])):
        endpoint.answer = answer
        rig.column.looks._due.start(0)
        rig.run(3000)
        assert rig.column.faults.ids() == ["clock-unset", *fault], rig.board.logged
    assert rig.fault("stream-down") == ["rtsp://cameras.example/1: connection refused"]
    due_ms = rig.column.looks._due.left_ms(0)
    assert 100_000 <= due_ms <= 300_000, "soon again"
    endpoint.answer = b"RTSP/1.0 200 "
    rig.run(due_ms + 6000)
    assert rig.fault("stream-down")[-1] is None, (due_ms, rig.board.logged[-5:], endpoint.asked_ms)
    assert rig.column.messages.stream_ok_at is None, "without a clock no time"


def test_a_look_needs_a_session_and_no_incident() -> None:
    rig, endpoint = make(stream_s=10)
    rig.board.link.up = False
    rig.run(30_000)
    assert endpoint.asked_ms == []
    rig.board.link.up = True
    rig.run(15_000)
    looks = len(endpoint.asked_ms)
    assert looks
    rig.press()
    rig.run(30_000)
    assert len(endpoint.asked_ms) == looks


def test_a_press_ends_a_look_without_a_verdict() -> None:
    """Red when the look goes on, or its end is taken for a failure."""
    rig, endpoint = make(stream_s=10)
    endpoint.answer = b"RTSP"  # and no more
    rig.up()
    while not endpoint.asked_ms:
        rig.run(10)
    rig.press()
    rig.run(100)
    assert endpoint.closed == 1 and rig.column.looks._failures == 0 and rig.lamp() == "sent"


def test_no_room_for_a_look_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise MemoryError

    rig, endpoint = make(stream_s=10)
    monkeypatch.setattr("firmware.probe.probe", no_room)
    rig.up().run(60_000)
    assert endpoint.asked_ms == [] and rig.column.faults.ids() == ["clock-unset"]


@pytest.mark.parametrize(("free", "looks"), [(8_191, False), (8_192, True)])
def test_a_small_heap_is_left_to_the_alarms(free: int, looks: bool) -> None:
    rig, endpoint = make(stream_s=10)
    rig.board.heap_free = free
    rig.up().run(60_000)
    assert bool(endpoint.asked_ms) is looks and rig.column.faults.ids() == ["clock-unset"]


def test_an_examination_that_fails_leaves_nothing_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the `finally`: 2 KB of the alarms' heap would be gone until the next one."""

    def no_room(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("firmware.selftest.examine", no_room)
    rig = Rig().up()
    with pytest.raises(MemoryError):
        rig.column.self_test()
    assert "firmware.selftest" in rig.board.forgotten


def test_a_drill_is_answered_or_a_fault_and_comes_again() -> None:
    rig, _ = make(drill_s=3600)
    rig.up().run(3_700_000)
    drills = {alarm["id"] for alarm in rig.said("alarm")}
    assert len(drills) >= 2 and {alarm["status"] for alarm in rig.said("alarm")} == {"test"}
    assert len(rig.fault("drill-unanswered")) == 1, "nobody answered, said once"
    ident = rig.column.incidents.start_drill()
    rig.answer(ident, "received")
    assert rig.fault("drill-unanswered")[-1] is None
    assert 1_800_000 - 1000 <= rig.column.drills._due.left_ms(0) <= 3_600_000, "the next one counts from it"
    assert rig.lamps()[-1] == "ready" and not rig.board.relay.closed


def test_off_is_off_and_so_it_stays() -> None:
    rig, endpoint = make()
    rig.up().run(HALF_HOUR_MS)
    assert endpoint.asked_ms == [] and rig.said("alarm") == []
    rig.answer(rig.column.incidents.start_drill(), "received")  # by command: it does not begin a schedule
    assert not rig.column.drills._due.running()


def test_in_safe_mode_there_is_none() -> None:
    rig = Rig(mode="safe", selftest__drill_s=1)
    rig.run(10_000)
    assert rig.said("alarm") == [] and rig.column.drills is rig.column.looks is None


@pytest.mark.parametrize("low_mv", [0, 11_000])
def test_the_supply_has_a_limit_with_hysteresis(low_mv: int) -> None:
    rig, _ = make(supply__low_mv=low_mv)
    rig.board.supply = 11_000
    rig.up()
    for supply_mv in (10_999, 11_342, None, 11_343):
        rig.board.supply = supply_mv
        rig.run(3000)
    assert rig.fault("supply") == (["10999 mV, less than 11000", None] if low_mv else [])


@pytest.mark.parametrize(("free", "looks"), [(20_479, False), (20_480, True)])
def test_the_systems_heap_is_left_to_the_session(free: int, looks: bool) -> None:
    rig, endpoint = make(stream_s=10)
    rig.board.system_free = free
    rig.up().run(60_000)
    assert bool(endpoint.asked_ms) is looks and rig.column.faults.ids() == ["clock-unset"]


def test_it_looks_soon_after_it_came_online() -> None:
    """Red without `online`: an hour long nobody would know. The control: a look that comes sooner is not put off."""
    rig, endpoint = make(stream_s=3600)
    rig.up().run(9000)
    assert len(endpoint.asked_ms) == 1
    rig.column.looks._due.start(1000)
    rig.column.looks.online()
    rig.run(4000)
    assert len(endpoint.asked_ms) == 2
    rig.column.looks._due.start(3_000_000)
    for is_up in (False, True):  # another session
        rig.board.link.up = is_up
        rig.run(20_000)
    assert len(endpoint.asked_ms) == 3 and rig.column.uplink.is_up()


def test_it_looks_again_soon_before_it_says_that_the_camera_is_away() -> None:
    """Red with the pause of 150 to 300 s after the first failure: the fault would come after the call."""
    rig, endpoint = make(stream_s=3600)
    endpoint.answer = None
    rig.up().run(25_000)
    assert rig.fault("stream-down") == ["rtsp://cameras.example/1: connection refused"]


def test_a_call_brings_one_look_when_the_centre_knows_of_it() -> None:
    """Red when it looks while the alarm is on its way (the heap and the link are the alarm's), never, or for ever."""
    rig, endpoint = make(stream_s=3600)
    rig.up().run(9000)
    births = len(rig.said("info"))
    first = rig.press()
    rig.run(8000)
    assert len(endpoint.asked_ms) == 1, "nobody has answered yet"
    rig.answer(first, "received")
    rig.run(4000)
    assert len(endpoint.asked_ms) == 2 and len(rig.said("info")) == births + 1, "it looks, and says so"
    rig.run(60_000)
    assert len(endpoint.asked_ms) == 2, "one look a call"
    rig.answer(first, "closed")
    rig.run(5000)
    rig.answer(rig.press(), "received")
    rig.run(4000)
    assert len(endpoint.asked_ms) == 3, "the next call, the next look"


def test_a_camera_that_is_away_in_a_call_is_a_fault_within_the_call() -> None:
    rig, endpoint = make(stream_s=3600)
    rig.up().run(9000)
    endpoint.answer = None
    rig.answer(rig.press(), "received")
    rig.run(16_000)
    assert rig.fault("stream-down")[-1] == "rtsp://cameras.example/1: connection refused"
    assert rig.column.incidents.count() == 1


def test_without_looks_a_call_brings_none() -> None:
    rig, endpoint = make(stream_s=0)
    rig.up()
    rig.answer(rig.press(), "received")
    rig.run(30_000)
    assert endpoint.asked_ms == []
