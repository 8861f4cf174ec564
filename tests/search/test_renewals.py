"""Certificates that change while the city lives on: a sample of the search, and its controls. `make campaign
PARTS=renewals` performs as many of the fleet's 10,000 columns as its budget lets."""

import pytest

from field import certificates
from sim.search.renewals import search
from sim.search.renewals.column import ROOT, Renewed, steps

SAMPLE = 6
SEED = 1


def quiet(_: str) -> None:
    pass


def test_no_column_is_lost() -> None:
    print("seed", SEED)
    findings = search.explore(SAMPLE, 600, SEED, None, quiet)
    assert findings.violations == [] and findings.runs == SAMPLE and findings.checks[search.KEPT] == SAMPLE
    assert len(findings.fired) >= 8


@pytest.mark.parametrize("control", search.CONTROLS)
def test_each_control_is_red_and_can_be_replayed(control: str) -> None:
    """Without that guard, certificates that nobody knows take a column off the air for good."""
    findings = search.explore(1, 600, SEED, control, quiet)
    assert findings.violations, "the control is none any more"
    number = findings.violations[0].replay.split("renewals:")[1].split()[0]
    assert search.replay(number, control) == 1


def test_a_column_that_only_tries_is_left_behind_by_nobody() -> None:
    """Columns 612 and 714 were: their sessions were seconds old when the city went on, and they went back to
    certificates that counted no more. Red when what a column tries counts as what it has."""
    column = Renewed(SEED)
    column.step = steps()[1]
    has = certificates.fingerprint(column.step.wanted.ca, column.step.wanted.cert)
    for state, is_there in (("trial", False), ("kept", True)):
        column.world.centre.latest[ROOT + "info"] = {"certificates": has, "update": {"state": state}}
        assert column.is_there() == is_there


def test_a_city_that_drops_its_authority_too_early_loses_columns() -> None:
    """Negative control of the broker: it goes by certificates, and the steps have their order for a reason."""
    bad, add, _, drop = steps()
    column = Renewed(SEED)
    assert column.perform(bad) == "" and column.perform(add) == ""
    assert "lost" in column.perform(drop)
