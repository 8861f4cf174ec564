# mypy: allow-untyped-calls
"""The link keeper: the driver first, then the interface restarted, ever less often, and last the chip."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_board import FakeBoard

from firmware import link
from firmware.link import LinkKeeper
from firmware.startup import again

RESTART_S = 120
STEP = LinkKeeper.step


@pytest.fixture(autouse=True)
def _no_chip_to_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "give_up", lambda column, resets, why: column.give_up(resets, why))


class Rig:
    def __init__(self) -> None:
        self.board = FakeBoard()
        self.down_ms = 0
        self.resets: list[tuple[int, int, str]] = []  # (now in s, how many in a row, why)
        self.make_keeper(0)

    def make_keeper(self, resets: int) -> None:
        column: Any = self  # of which only `give_up` knows anything
        self.keeper = LinkKeeper(self.board, RESTART_S, lambda: self.down_ms, resets, column)

    def give_up(self, resets: int, why: str) -> None:
        self.resets.append((self.board.now_ms // 1000, resets, why))
        self.make_keeper(resets)

    def run(self, seconds: int) -> list[int]:
        """When it restarted the interface, in s from now."""
        restarts = []
        for second in range(seconds):
            before = self.board.link.calls.count("restart")
            assert self.keeper.step() > 0
            if self.board.link.calls.count("restart") > before:
                restarts.append(second)
            self.board.advance(1000)
        return restarts


def test_it_starts_the_link_and_leaves_a_good_one_alone() -> None:
    rig = Rig()
    assert rig.run(10_000) == [] and rig.board.link.calls == ["start"]


def test_a_link_that_stays_down_is_restarted_ever_less_often() -> None:
    rig = Rig()
    rig.board.link.up = False
    rig.down_ms = 1
    restarts = rig.run(24 * 3600)
    gaps = [b - a for a, b in zip(restarts, restarts[1:], strict=False)]
    assert restarts[0] == pytest.approx(RESTART_S, abs=2)
    assert gaps[:3] == pytest.approx([RESTART_S, 2 * RESTART_S, 4 * RESTART_S], abs=5)
    assert max(gaps) <= 32 * RESTART_S + 5 and len(restarts) > 24, "and it never gives up"


@pytest.mark.parametrize("doublings", [0, 40])
def test_restarts_at_the_wrong_pace_are_noticed(monkeypatch: pytest.MonkeyPatch, doublings: int) -> None:
    """Broken by pauses that never grow, or without an end."""
    monkeypatch.setattr(link, "_DOUBLINGS_MAX", doublings)
    with pytest.raises(AssertionError):
        test_a_link_that_stays_down_is_restarted_ever_less_often()


def test_a_broker_that_is_away_gets_twice_the_time() -> None:
    rig = Rig()
    rig.run(10)
    rig.down_ms = 1
    assert rig.run(2 * RESTART_S + 10)[0] >= 2 * RESTART_S - 2


def test_doubt_that_comes_too_early_is_noticed() -> None:
    """Negative control: a link that says itself that it is down is restarted in half of that time."""
    rig = Rig()
    rig.run(10)
    rig.down_ms, rig.board.link.up = 1, False
    assert rig.run(2 * RESTART_S + 10)[0] < 2 * RESTART_S - 2


def test_after_a_good_time_it_begins_at_the_beginning() -> None:
    rig = Rig()
    rig.down_ms, rig.board.link.up = 1, False
    rig.run(3600)
    rig.down_ms, rig.board.link.up = 0, True
    rig.run(5)
    rig.down_ms, rig.board.link.up = 1, False
    assert rig.run(RESTART_S + 5)[0] == pytest.approx(RESTART_S, abs=3)


def test_a_restart_that_fails_is_said_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.board.link.up, rig.down_ms = False, 1

    def fails() -> None:
        raise OSError(5, "driver")

    monkeypatch.setattr(rig.board.link, "restart", fails)
    rig.run(RESTART_S * 4)
    assert len([line for line in rig.board.logged if "driver" in line]) >= 2


HOUR_S = 3600


def test_the_last_step_is_a_reset_of_the_chip_ever_later() -> None:
    rig = Rig()
    rig.board.link.up, rig.down_ms = False, 1
    rig.run(40 * HOUR_S)  # and so on, up to 64 hours
    at = [0, *(now for now, _, _ in rig.resets)]
    gaps = [later - before for before, later in zip(at, at[1:], strict=False)]
    assert gaps == pytest.approx([HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 16 * HOUR_S], abs=5)
    assert [resets for _, resets, _ in rig.resets] == [1, 2, 3, 4, 5]
    assert rig.resets[0][2] == "no link for 3600 s"


@pytest.mark.slow
def test_a_broker_that_is_away_for_a_week_resets_nothing() -> None:
    rig = Rig()
    rig.down_ms = 1
    rig.run(7 * 24 * HOUR_S)
    assert rig.resets == []


def test_a_link_that_came_back_begins_to_count_again() -> None:
    rig = Rig()
    rig.make_keeper(4)
    rig.run(5)
    rig.board.link.up, rig.down_ms = False, 1
    rig.run(HOUR_S + 10)
    assert [resets for _, resets, _ in rig.resets] == [1]


def test_hardware_that_failed_at_the_start_gets_its_reset_soon_and_then_ever_later() -> None:
    rig = Rig()
    rig.board.link.up, rig.down_ms, rig.board.link.failure = False, 1, "esp_eth_driver_install failed"
    rig.run(12 * HOUR_S)
    at = [0, *(now for now, _, _ in rig.resets)]
    gaps = [later - before for before, later in zip(at, at[1:], strict=False)]
    assert gaps[:4] == pytest.approx([15, 30, 60, 120], abs=3) and max(gaps) == pytest.approx(16 * 60, abs=3)
    assert {why for _, _, why in rig.resets} == {"esp_eth_driver_install failed"}


def test_a_reset_that_is_not_possible_just_now_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    rig.board.link.up, rig.down_ms = False, 1
    asked: list[int] = []
    monkeypatch.setattr(again, "give_up", lambda column, resets, why: asked.append(resets))
    rig.run(HOUR_S + 60)
    assert len(asked) > 20 and set(asked) == {1}


def test_an_interface_that_does_not_start_is_tried_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red until this was mended: the exception left the constructor, and with it the column."""
    rig = Rig()
    left = [3]

    def fails() -> None:
        if left[0]:
            left[0] -= 1
            raise OSError("WiFi Out of Memory")
        rig.board.link.up, rig.down_ms = True, 0

    rig.board.link.up, rig.down_ms = False, 1
    monkeypatch.setattr(rig.board.link, "start", fails)
    monkeypatch.setattr(rig.board.link, "restart", fails)
    rig.make_keeper(0)
    rig.run(90)
    assert left == [0] and rig.board.link.up
    assert len([line for line in rig.board.logged if "WiFi Out of Memory" in line]) == 3


def test_an_interface_that_never_starts_gets_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()

    def fails() -> None:
        raise OSError("WiFi Out of Memory")

    rig.board.link.up, rig.down_ms = False, 1
    monkeypatch.setattr(rig.board.link, "start", fails)
    monkeypatch.setattr(rig.board.link, "restart", fails)
    rig.make_keeper(0)
    rig.run(900)
    assert rig.resets and rig.resets[0][0] > 150


@pytest.mark.parametrize(
    "test",
    [
        test_the_last_step_is_a_reset_of_the_chip_ever_later,
        test_hardware_that_failed_at_the_start_gets_its_reset_soon_and_then_ever_later,
        test_an_interface_that_never_starts_gets_a_reset,
    ],
)
def test_a_keeper_without_a_last_step_is_noticed(monkeypatch: pytest.MonkeyPatch, test: Callable[..., None]) -> None:
    monkeypatch.setattr(Rig, "give_up", lambda *_: None)
    with pytest.raises((AssertionError, IndexError)):
        test(*[monkeypatch][: test.__code__.co_argcount])


def test_it_says_each_change_once() -> None:
    rig = Rig()
    rig.run(5)
    rig.board.link.up = False
    rig.run(5)
    assert [line.split(" {")[0] for line in rig.board.logged] == ["link: up", "link: down"]


def forgetful(keeper: LinkKeeper) -> int:
    keeper._was_up = None
    return int(STEP(keeper))


def no_end_of_doubt(keeper: LinkKeeper) -> int:
    keeper._pause.stop = lambda: None  # type: ignore[method-assign]
    return int(STEP(keeper))


def impatient(keeper: LinkKeeper) -> int:
    keeper._try(keeper._board.link.restart)
    return 1


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (forgetful, test_it_says_each_change_once),
        (no_end_of_doubt, test_after_a_good_time_it_begins_at_the_beginning),
        (impatient, test_it_starts_the_link_and_leaves_a_good_one_alone),
    ],
)
def test_a_broken_keeper_is_noticed(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[LinkKeeper], int], test: Callable[[], None]
) -> None:
    monkeypatch.setattr(LinkKeeper, "step", broken)
    with pytest.raises((AssertionError, IndexError)):
        test()
