# mypy: allow-untyped-calls
"""The link keeper: the driver first, then the interface restarted, ever less often, and never a reset."""

from collections.abc import Callable

import pytest
from fake_board import FakeBoard

from firmware import link
from firmware.link import LinkKeeper

RESTART_S = 120
STEP = LinkKeeper.step


class Rig:
    def __init__(self) -> None:
        self.board = FakeBoard()
        self.down_ms = 0
        self.keeper = LinkKeeper(self.board, RESTART_S, lambda: self.down_ms)

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
    assert len([line for line in rig.board.logged if "restart failed" in line]) >= 2


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


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (forgetful, test_it_says_each_change_once),
        (no_end_of_doubt, test_after_a_good_time_it_begins_at_the_beginning),
        (lambda keeper: keeper._restart() or 1, test_it_starts_the_link_and_leaves_a_good_one_alone),
    ],
)
def test_a_broken_keeper_is_noticed(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[LinkKeeper], int], test: Callable[[], None]
) -> None:
    monkeypatch.setattr(LinkKeeper, "step", broken)
    with pytest.raises((AssertionError, IndexError)):
        test()
