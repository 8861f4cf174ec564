"""Releases that are none: a sample of the search (the million is `make campaign PARTS=updates`), and its controls."""

import pytest

from sim.search.updates import search

SAMPLE = 300
SEED = 3_000_000


def quiet(_: str) -> None:
    pass


def test_none_but_the_true_release_is_put_in_force() -> None:
    print("seed", SEED)
    findings = search.explore(SAMPLE, 600, SEED, None, quiet)
    assert findings.violations == [] and findings.unfired == [] and findings.runs == SAMPLE
    assert findings.checks[search.TAKEN] == 1 and min(findings.fired.values()) >= SAMPLE // len(search.KINDS) - 2


@pytest.mark.parametrize("control", search.CONTROLS)
def test_each_control_is_red_and_can_be_replayed(control: str) -> None:
    """What the column would take without that guard, it takes."""
    findings = search.explore(60, 600, SEED + 1, control, quiet)
    assert findings.violations, "the control is none any more"
    number = findings.violations[0].replay.split("updates:")[1].split()[0]
    assert search.replay(number, control) == 1 and search.replay(number, None) == 0


def test_a_column_that_refuses_a_true_release_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_VERSION", "1.0.0")
    assert search.TAKEN in search.attempt(0)
