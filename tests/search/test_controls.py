"""Each negative control of the storms is caught by what it names, and by nothing when it is off."""

import pytest

from sim.search.storms import controls, judge, script
from sim.search.storms.script import Storm
from sim.search.storms.search import INVARIANTS, Workers

SEEDS = range(1, 150)
# The campaign has to perform some hundreds of storms until one shows it: here it is, shrunk.
RARE = {
    "no-backoff-after-young-death": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        5.000 s  broker ends-at-retained  for_ms=50000
        6.000 s  takeover
    """,
    "done-at-puback": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=nobody
        20.000 s  broker deny-alarm  for_ms=20000
        25.000 s  press  for_ms=120 seed=4
    """,
    "never-repeated": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  network black-hole  for_ms=30000
        20.500 s  press  for_ms=120 seed=4
    """,
    "trusts-status": """
        seed 1
        mode heal
        length 240.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  network link-refused  for_ms=200000 reason=204
        25.000 s  press  for_ms=120 seed=4
    """,
    "startup-error-is-configuration": """
        seed 1
        mode heal
        length 60.000 s
        setting chip=esp32 config=default policy=software
        20.000 s  broker down  for_ms=20000
        25.000 s  press  for_ms=120 seed=4
        30.000 s  network-fails  count=1
    """,
}
RARE["no-last-step"] = RARE["startup-error-is-configuration"]
TRACES = [name for name, control in controls.CONTROLS.items() if control.caught_by == "I9"]


def test_every_invariant_has_a_control() -> None:
    assert {control.caught_by for control in controls.CONTROLS.values()} == set(INVARIANTS)


@pytest.mark.parametrize("name", [name for name in controls.CONTROLS if name not in TRACES])
def test_a_control_is_caught(name: str) -> None:
    caught_by = controls.CONTROLS[name].caught_by
    storms: list[str | Storm] = [script.load(RARE[name])] if name in RARE else [judge.name_of(seed) for seed in SEEDS]
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
