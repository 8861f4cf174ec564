"""A lying broker: a sample of the lives (more: `make campaign PARTS=lying`), and the controls."""

from collections import Counter

import pytest

from sim.search.lying import search
from sim.search.lying.promises import PROMISES

SEED, LIVES, LIVES_MAX = 1, 3, 20
"""At least and at most: a change of the firmware makes other lives of the same numbers."""


def test_a_lying_broker_brings_nothing_about() -> None:
    """Red as the controls show; and, for a dead column, when the desk takes a replayed call for a sign of life."""
    print("seed", SEED)
    checks, fired = Counter[str](), Counter[str]()
    for number in range(SEED, SEED + LIVES_MAX):
        life = search.perform(number)
        assert life.judge.violations == [], f"life {number}"
        checks.update(life.judge.checks)
        fired.update(life.fired)
        if number >= SEED + LIVES - 1 and fired.keys() >= search.KINDS and checks.keys() >= set(PROMISES):
            return
    raise AssertionError(f"never: {set(PROMISES) - checks.keys()}, {search.KINDS - fired.keys()}")


def test_the_same_number_is_the_same_life() -> None:
    one, two = (search.perform(7) for _ in range(2))
    assert (one.judge.checks, one.fired) == (two.judge.checks, two.fired)


@pytest.mark.parametrize("control", search.CONTROLS)
def test_each_control_is_red_and_can_be_replayed(control: str) -> None:
    """What one guard holds off, gets through without it."""
    caught = search.CONTROLS[control].caught_by
    for number in range(SEED, SEED + LIVES_MAX):
        with search.applied(control):
            life = search.perform(number)
        if any(line.startswith(caught) for line in life.judge.violations):
            assert search.replay(str(number), control) == 1
            return
    raise AssertionError("the control is none any more")


def test_a_run_reports_what_it_found_with_the_command_that_shows_it_again() -> None:
    findings = search.run(0.0, SEED, "proof-not-checked", lambda text: None)
    assert findings.runs == 1 and findings.violations[0].replay.endswith(f"lying:{SEED} --control proof-not-checked")
