"""A share of the campaign with fixed seeds: storms of both modes, and how the search judges, stops and reports."""

from collections import Counter
from pathlib import Path

import pytest

from sim.search.storms import judge, script, search
from sim.search.storms.script import KINDS, Outcome, Storm

SHARES = 6
SEEDS_A_SHARE = 12


@pytest.mark.parametrize("share", range(SHARES))
def test_storms_break_nothing(share: int) -> None:
    for seed in range(1 + share * SEEDS_A_SHARE, 1 + (share + 1) * SEEDS_A_SHARE):
        name = judge.name_of(seed)
        assert judge.perform(name, 1, None).violations == [], f"again: --replay storms:{name}"


def test_every_third_storm_never_heals() -> None:
    assert [judge.name_of(seed) for seed in (1, 2, 3)] == ["1:heal", "2:heal", "3:never"]


def test_a_storm_is_read_by_number_mode_or_file(tmp_path: Path) -> None:
    assert judge.read("3") == script.generate(3, "never")
    assert judge.read("3:heal") == script.generate(3, "heal")
    path = tmp_path / "x.storm"
    path.write_text(script.dump(script.generate(8, "heal")))
    assert judge.read(str(path)) == script.generate(8, "heal")


def test_an_error_of_the_world_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def perform(storm: Storm) -> Outcome:
        raise ArithmeticError("the world has no end")

    monkeypatch.setattr(script, "perform", perform)
    assert judge.perform("1:heal", 1, None).violations == ["harness: ArithmeticError: the world has no end"]


def test_a_storm_that_never_ends_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def perform(storm: Storm) -> Outcome:
        while True:
            try:
                sum(range(1000))
            except Exception:
                continue

    monkeypatch.setattr(script, "perform", perform)
    monkeypatch.setattr(judge, "CPU_LIMIT_S", 0.2)
    (violation,) = judge.perform("1:heal", 1, None).violations
    assert violation.startswith("harness: it does not end")


def test_two_traces_of_one_storm_are_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = iter("ab")
    monkeypatch.setattr(script, "perform", lambda storm: Outcome([], 1.0, Counter(), next(digests)))
    (violation,) = judge.perform("1:heal", 2, None).violations
    assert judge.broken(violation) == "I9"


@pytest.mark.parametrize(
    ("text", "name"), [("I2 (seed 1): x", "I2"), ("broker: x", "broker"), ("the run broke", "harness")]
)
def test_what_a_violation_is_about(text: str, name: str) -> None:
    assert judge.broken(text) == name


def test_a_search_performs_storms_in_turn_and_again() -> None:
    said: list[str] = []
    findings = search.run(8.0, 40, None, said.append)
    assert findings.violations == [] and findings.runs > 0 and said
    assert findings.figures["seeds"].startswith(f"40 to {39 + findings.runs},")
    assert findings.checks["I9"] > 0 and findings.checks["I1"] > 0
    assert findings.simulated_s > findings.wall_s
    assert not findings.kinds and "not judged" in findings.figures["not fired"]


def test_a_kind_that_never_fired_is_judged_after_enough_storms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "ENOUGH", 1)
    findings = search.run(1.0, 40, None, lambda text: None)
    assert findings.kinds == KINDS and findings.unfired


def test_a_control_ends_the_search_and_is_shrunk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(search, "SAVED", tmp_path)
    findings = search.run(60.0, 1, "alarm-before-journal", lambda text: None)
    assert findings.wall_s < 60 and findings.violations[0].replay.endswith("--control alarm-before-journal")
    (path,) = tmp_path.iterdir()
    assert len(script.load(path.read_text()).script) == 1
    assert search.replay(str(path), "alarm-before-journal") == 1
    assert search.replay(str(path), None) == 0


def test_one_core_is_enough_for_two_hash_seeds() -> None:
    findings = search.run(8.0, 40, None, lambda text: None, lambda: 1)
    assert not findings.figures["performed again"].startswith("0 ")


def test_no_core_is_a_search_that_stops() -> None:
    assert search.run(60.0, 1, None, lambda text: None, lambda: -1).runs == 0
