"""Each negative control of the storms is caught by what it names, and by nothing when it is off."""

import pytest

from sim.search.storms import controls, judge, rare
from sim.search.storms.search import INVARIANTS, Workers

SEEDS = range(1, 150)
TRACES = [name for name, control in controls.CONTROLS.items() if control.caught_by == "I9"]


def test_every_invariant_has_a_control() -> None:
    assert {control.caught_by for control in controls.CONTROLS.values()} == set(INVARIANTS)


@pytest.mark.parametrize("name", [name for name in controls.CONTROLS if name not in TRACES])
def test_a_control_is_caught(name: str) -> None:
    caught_by = controls.CONTROLS[name].caught_by
    storms = [f"{judge.RARE}:{name}"] if name in rare.STORMS else [judge.name_of(seed) for seed in SEEDS]
    for storm in storms:
        if caught_by in map(judge.broken, judge.perform(storm, 1, name).violations):
            break
    else:
        pytest.fail(f"{caught_by} never complained about {name}")
    assert judge.perform(storm, 1, None).violations == []


@pytest.mark.parametrize("name", [None, *TRACES])
def test_another_hash_seed_or_a_second_run_gives_another_trace(name: str | None) -> None:
    apart, within = [], []
    with Workers(2) as workers:
        for seed in (1, 2, 3, 4, 5, 6):
            jobs = [worker.submit(judge.perform, judge.name_of(seed), 2, name) for worker in workers]
            first, second = (job.result() for job in jobs)
            apart += judge.compare(first, second)
            within += [text for text in first.violations if judge.broken(text) == "I9"]
    assert bool(apart) == (name is not None)
    assert bool(within) == (name == "true-chance")  # string hashes stay the same within one process


def test_a_control_ends_with_its_context() -> None:
    with pytest.raises(KeyError), controls.applied("no-such-control"):
        pass
    before = judge.perform("4:heal", 1, None)
    assert judge.perform("4:heal", 1, "relay-before-journal").violations
    assert judge.perform("4:heal", 1, None) == before
