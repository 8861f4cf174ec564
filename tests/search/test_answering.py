"""Who answers, in virtual time: what is promised to whoever pressed holds over kills, cuts and people who fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.search.answering import picture, search
from sim.search.answering.city import DAY_S, MOODS
from sim.search.answering.promises import IN_TIME, ONCE, PROMISES, TRUE, WHOLE

DAYS, SEED = 30, 11
CONTROLS = {"ladder-forgets": (6, 8), "ladder-twice": (1, 8), "full-silent": (33, 8)}
"""Seed and days in which the break has to show."""


def test_weeks_of_a_city_keep_every_promise_and_are_a_page(tmp_path: Path) -> None:
    """A whole year: make campaign PARTS=answering. Red as the two tests below show."""
    city, judge = search.perform(SEED, DAYS, tmp_path)
    assert judge.violations == []
    assert all(judge.checks[promise] > 0 for promise in PROMISES), judge.checks
    assert judge.walked > 0 and judge.checks[WHOLE] > judge.walked
    assert {f"operator {mood}" for mood in MOODS} <= city.fired.keys()
    assert any(kind.startswith("killed") for kind in city.fired) and city.now_s > DAYS * DAY_S
    assert any(room.full_us for room in city.rooms) and city.fired["both disks full"] > 0
    page = tmp_path / "answering.html"
    picture.write(page, [city], [judge])
    text = page.read_text("utf-8")
    assert text.count("<svg") == 3 and f"{len(city.calls)} calls in {DAYS} days" in text


def test_the_same_seed_is_the_same_city(tmp_path: Path) -> None:
    lives = []
    for name in ("one", "two"):
        city, judge = search.perform(SEED, 6, tmp_path / name)
        lives.append(([vars(call) for call in city.calls.values()], city.fired, judge.checks))
    assert lives[0] == lives[1]


@pytest.mark.parametrize(
    ("control", "promise"), [("ladder-forgets", TRUE), ("ladder-twice", ONCE), ("full-silent", IN_TIME)]
)
def test_a_broken_ladder_is_found(control: str, promise: str, tmp_path: Path) -> None:
    with search.applied(control):
        _, judge = search.perform(*CONTROLS[control], tmp_path)
    assert any(line.startswith(promise) for line in judge.violations), judge.violations
    assert search.CONTROLS[control].caught_by == promise
