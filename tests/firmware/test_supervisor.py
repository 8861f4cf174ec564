"""The supervisor: progress feeds the watchdog, a dead task is named and starves it, a hang leaves its name."""

from typing import Any

import pytest
from fake_board import FakeBoard, FlashMode
from supervisor_rig import Hang, Looks, Task, fail, hang, make

from firmware import resets, supervisor
from firmware.button import ACTIVE_MS


def run(board: FakeBoard, house: Any, ms: int) -> None:
    end_ms = board.now_ms + ms
    while board.now_ms < end_ms:
        house.turn()


def longest_hunger_ms(board: FakeBoard) -> int:
    assert board.dog is not None
    times = [0, *board.dog.fed_ms, board.now_ms]
    return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))


@pytest.mark.parametrize("timeout_ms", [2000, 8000, 60_000])
def test_healthy_is_fed_and_waits_are_short(timeout_ms: int) -> None:
    board, house = make(Task("slow", 3_600_000), timeout_ms=timeout_ms)
    run(board, house, 120_000)
    assert board.dog is not None and board.dog.timeout_ms == timeout_ms
    assert max(board.waits) <= timeout_ms // 3
    assert longest_hunger_ms(board) <= timeout_ms // 3 + 10


def test_long_waits_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: with a wait of the whole timeout the check above fails."""
    monkeypatch.setattr(supervisor, "_FEED_SHARE", 1)
    board, house = make(Task("slow", 3_600_000), timeout_ms=2000)
    run(board, house, 120_000)
    assert max(board.waits) > 2000 // 3


def test_tasks_run_when_they_want_to() -> None:
    fast, slow = Task("fast", 100), Task("slow", 1000)
    board, house = make(fast, slow)
    run(board, house, 10_000)
    assert 95 <= fast.steps <= 101 and 9 <= slow.steps <= 11


def test_a_task_that_wants_to_sleep_for_days_is_woken() -> None:
    sleeper = Task("link", 5 * 86_400_000)
    board, house = make(sleeper)
    run(board, house, 10_000)
    assert sleeper.steps >= 5


def test_every_turn_tasks_run_in_every_turn() -> None:
    eager = Task("column", 2000)
    eager.every_turn = True  # type: ignore[attr-defined]
    board, house = make(Task("fast", 100), eager)
    run(board, house, 1000)
    assert eager.steps >= 10


def test_a_task_that_raises_is_named_and_starves_the_watchdog() -> None:
    others = Task("uplink", 500)
    board, house = make(others, Task("telemetry", 500, fail), Task("lamp", 500))
    run(board, house, 10_000)
    assert board.dog is not None and board.dog.fed_ms == []
    assert house.culprit == "telemetry" and others.steps >= 19, "the others go on"
    assert any("telemetry" in line and "it broke here" in line for line in board.logged)
    assert board.scratch.data == resets.crumb("telemetry", False)
    board.cause = "watchdog"
    report = resets.last(board)
    assert report["culprit"] == "telemetry"
    assert "it broke here" in report["traceback"] and "def fail" not in report["traceback"]


def test_starving_control() -> None:
    """Negative control: the same tasks without the failure are fed all the time."""
    board, house = make(Task("uplink", 500), Task("telemetry", 500), Task("lamp", 500))
    run(board, house, 10_000)
    assert board.dog is not None and len(board.dog.fed_ms) >= 19 and house.culprit is None


def test_a_task_that_left_and_then_fails_is_named_and_the_others_go_on() -> None:
    """Red when `_died` looks for an entry that is not there any more."""
    others = Task("uplink", 500)

    def leave_and_fail() -> None:
        house.drop(leaving)
        fail()

    leaving = Task("update", 500, leave_and_fail)
    board, house = make(leaving, others)
    run(board, house, 5000)
    assert house.culprit == "update" and leaving.steps == 1 and others.steps >= 9


def test_the_first_to_die_is_to_blame() -> None:
    board, house = make(Task("clock", 500, fail), Task("link", 500, fail))
    run(board, house, 5000)
    assert house.culprit == "clock" and resets.last(board)["culprit"] == "clock"


def test_a_look_that_raises_blames_the_button() -> None:
    button = Looks()
    button.look = lambda unseen_ms: fail()  # type: ignore[method-assign]
    board, house = make(Task("lamp"), button=button)
    run(board, house, 3000)
    assert house.culprit == "button" and board.dog is not None and len(board.dog.fed_ms) <= 1


def test_dying_with_a_dead_flash_still_starves_and_leaves_the_crumb() -> None:
    board, house = make(Task("uplink", 500, fail))
    board.flash.mode = FlashMode.WRITE_ERROR
    run(board, house, 3000)
    assert board.dog is not None and board.dog.fed_ms == []
    board.flash.mode, board.cause = FlashMode.OK, "watchdog"
    assert resets.last(board)["culprit"] == "uplink"


@pytest.mark.parametrize("part", ["describe_error", "log"])
def test_a_task_that_dies_of_memory_is_named_though_there_is_no_room_to_describe_it(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red without the `except MemoryError` of `_died`: the second error leaves the loop, and nobody is named."""

    def no_room(*_: Any) -> None:
        raise MemoryError

    board, house = make(Task("uplink", 500, no_room), Task("lamp", 500))
    monkeypatch.setattr(board, part, no_room)
    run(board, house, 2000)
    assert house.culprit == "uplink"
    board.cause = "watchdog"
    assert resets.last(board)["culprit"] == "uplink"


@pytest.mark.parametrize("name", ["button", "uplink", "column"])
def test_a_hang_leaves_its_name(name: str) -> None:
    tasks = [Task(each, 500, hang if each == name else lambda: None) for each in ("button", "uplink", "column")]
    board, house = make(*tasks)
    house.trust_clock()
    with pytest.raises(Hang):
        run(board, house, 3000)
    board.cause = "watchdog"
    report = resets.last(board)
    assert report["culprit"] == name and report["clock_trusted"] is True


def test_a_hang_outside_the_tasks_blames_no_task() -> None:
    board, house = make(Task("uplink", 500))

    def hang_in_wait(timeout_ms: int) -> int:
        raise Hang

    board.wait = hang_in_wait  # type: ignore[method-assign]
    with pytest.raises(Hang):
        house.turn()
    board.cause = "watchdog"
    assert resets.last(board)["culprit"] == "supervisor"


def test_the_contact_is_looked_at_after_every_task_and_every_wait() -> None:
    button = Looks()
    board, house = make(Task("a", 2000), Task("b", 2000), button=button)
    house.turn()
    assert button.unseen_ms[:2] == [-1, -1] and button.unseen_ms[2] >= 0


def test_while_the_button_decides_it_is_looked_at_every_millisecond() -> None:
    """Negative control: the same loop with a button that has decided waits long again."""
    button = Looks()
    board, house = make(Task("slow", 3_600_000), button=button)
    house.turn()
    button.busy = True
    board.waits.clear()
    run(board, house, 50)
    assert set(board.waits) == {ACTIVE_MS} == {1} and len(board.waits) >= 45
    button.busy = False
    board.waits.clear()
    run(board, house, 5000)
    assert min(board.waits) >= 1000


def test_over_the_wrap_of_the_ticks() -> None:
    steady = Task("steady", 100)
    board, house = make(steady)
    run(board, house, 5000)
    assert board.ticks_ms() < 10_000 and 48 <= steady.steps <= 51


def test_idle_tasks_fall_into_step() -> None:
    """Two idle tasks a second apart would wake the loop twice as often as it has to be. Negative control: a wait too
    short to be called idle brings nobody forward."""
    early, late = Task("early"), Task("late", 1000)
    board, house = make(early, late)
    house.turn()
    late.every_ms = 2000
    run(board, house, 10_000)
    board.waits.clear()
    run(board, house, 20_000)
    assert min(board.waits) >= 1990 and abs(early.steps - late.steps) <= 1
    early.every_ms = 500
    run(board, house, 2500)
    steps = late.steps
    run(board, house, 20_000)
    assert late.steps - steps <= 11
