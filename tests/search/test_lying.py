"""A lying broker: a sample of the lives (more: `make campaign PARTS=lying`), and the controls."""

import pytest

from sim.search.lying import search
from sim.search.lying.promises import PROMISES

SEED, LIVES = 2, 4  # with all that may befall them
BROKEN = 1


def quiet(_: str) -> None:
    pass


def test_a_lying_broker_brings_nothing_about() -> None:
    """Red as the controls show; and, for a dead column, when the desk takes a replayed call for a sign of life."""
    print("seed", SEED)
    lives = [search.perform(number) for number in range(SEED, SEED + LIVES)]
    assert [line for life in lives for line in life.judge.violations] == []
    checks = sum((life.judge.checks for life in lives), start=lives[0].judge.checks.copy())
    assert [promise for promise in PROMISES if not checks[promise]] == []
    fired = sum((life.fired for life in lives), start=lives[0].fired.copy())
    assert fired.keys() >= search.KINDS


def test_the_same_number_is_the_same_life() -> None:
    one, two = (search.perform(7) for _ in range(2))
    assert (one.judge.checks, one.fired) == (two.judge.checks, two.fired)


@pytest.mark.parametrize("control", search.CONTROLS)
def test_each_control_is_red_and_can_be_replayed(control: str) -> None:
    """What one guard holds off, gets through without it."""
    findings = search.run(0.0, BROKEN, control, quiet)
    caught = search.CONTROLS[control].caught_by
    assert any(one.text.startswith(caught) for one in findings.violations), findings.violations
    assert search.replay(str(BROKEN), control) == 1
