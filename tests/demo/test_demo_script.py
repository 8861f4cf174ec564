"""The scripted demonstration passes with columns that do right, and finds each thing that a column can do
wrong."""

from __future__ import annotations

import pytest
from demo_fakes import FAULTS, FakeColumn

from sim.demo.script import Scenario
from sim.demo.town import Town

# What must notice the fault, by words of its title; every other step that is played must pass.
FOUND_BY = {
    "loses": ("broker away", ["broker away", "books"]),
    "forgets": ("power cut", ["power cut", "books"]),
    "doubles": ("Школа", ["Школа", "books"]),
    "lies": ("hangs: the lamp", ["hangs: the lamp", "truth"]),
    "jumpy": ("vibration", ["vibration", "books"]),
    "counts-badly": ("panic", ["panic", "books"]),
    "blames-another": ("uplink hangs", ["uplink hangs"]),
    "retains": ("Школа", ["contract"]),
    "stays-open": ("Школа", ["Школа"]),
}
LAST = ("books", "truth", "contract")
# Long enough for an answer that does not come (ANSWER_S), short enough for a test.
HURRIED = 0.4


def play(fault: str, words: tuple[str, ...]) -> tuple[bool, list[str]]:
    """Play the steps with one of these words in their titles; returns the result and what was said."""
    said: list[str] = []
    patience = 1.0 if "uplink hangs" in words else HURRIED
    with Town(make_column=lambda config, on_event: FakeColumn(config, on_event, fault), patience=patience) as town:
        scenario = Scenario(town, said.append)
        steps = [step for step in scenario.steps() if any(word in step.title for word in words)]
        assert len(steps) == len(words)
        return scenario.run(steps), said


def test_all_is_well_with_columns_that_do_right() -> None:
    said: list[str] = []
    with Town(make_column=FakeColumn) as town:
        passed = Scenario(town, said.append).run()
    assert passed, "\n".join(said)
    assert said[-1] == f"{len(said) - 1} passed, 0 failed"
    assert all(line.startswith("PASS ") for line in said[:-1])


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(fault: str) -> None:
    step, found_by = FOUND_BY[fault]
    passed, said = play(fault, ("come up", step, *LAST))
    failed = [line for line in said if line.startswith("FAIL")]
    assert not passed
    assert len(failed) == len(found_by), said
    assert all(word in line for word, line in zip(found_by, failed, strict=True)), said
    assert said[-1] == f"{len(said) - 1 - len(failed)} passed, {len(failed)} failed"
