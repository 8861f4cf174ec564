"""The year of a city, a fortnight of it: every promise is kept, and each that is broken on purpose is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.search.city_year import command
from sim.search.city_year.city import BEGIN_MS, City
from sim.search.city_year.controls import CONTROLS, broken
from sim.search.city_year.failures import DAY_MS, KINDS, WRONG_ADDRESS, WRONG_RECEIVER, Failure, script
from sim.search.city_year.page import page
from sim.search.city_year.verdict import Verdict, judge

SEED, COLUMNS, DAYS = 7, 6, 9
HOUR_MS = 3_600_000
NAMES = tuple(f"sos-{number:02}" for number in range(1, COLUMNS + 1))
# One of each kind, one after the other: a fortnight has to have them all.
ORDER = tuple(KINDS)


def one_of_each() -> list[Failure]:
    made, at_ms = [], BEGIN_MS + DAY_MS + 6 * HOUR_MS
    for number, kind in enumerate(ORDER):
        count = min(COLUMNS, KINDS[kind].takes[0])
        columns = tuple(sorted(NAMES[(number + one) % COLUMNS] for one in range(count)))
        lasts_ms = 30 * HOUR_MS if kind in (WRONG_ADDRESS, WRONG_RECEIVER) else 2 * HOUR_MS
        run_on = frozenset(columns[:1]) if kind == "district without power" else frozenset()
        made.append(Failure(kind, columns, at_ms, at_ms + lasts_ms, run_on))
        at_ms += lasts_ms + 5 * HOUR_MS
    return made


def live(folder: Path) -> tuple[City, Verdict]:
    print(f"seed {SEED}")
    with City(folder, SEED, DAYS, COLUMNS) as city:
        city.failures = one_of_each()
        city.perform()
        return city, judge(city)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[City, Verdict]:
    return live(tmp_path_factory.mktemp("city"))


def test_one_failure_of_each_kind_is_known_for_what_it_was(whole: tuple[City, Verdict]) -> None:
    city, verdict = whole
    assert city.failures[-1].to_ms < city.end_ms, "the time is too short for all of them"
    wrong = {failure.kind: cause for failure, cause in verdict.found if failure.cause != cause}
    assert wrong.keys() <= {"street dug up, nobody told the desk"}, "nobody could know that one"
    assert verdict.minutes["none"] == 0 and verdict.late == []
    injected = [failure for failure in city.failures if failure.kind in (WRONG_ADDRESS, WRONG_RECEIVER)]
    assert len(injected) == 2 and all(failure.drills for failure in injected)
    assert sum(verdict.minutes[name] for name in ("proven", "presumed", "down")) == COLUMNS * DAYS * 24 * 60
    assert verdict.minutes["proven"] > 0.5 * COLUMNS * DAYS * 24 * 60
    assert verdict.orders[0] > 5 and verdict.repair


def test_the_report_is_a_page_with_a_picture_and_says_what_went_wrong(whole: tuple[City, Verdict]) -> None:
    city, verdict = whole
    made = page(city, verdict)
    assert made.count("<svg") == 1 and "<script" not in made
    assert all(kind in made for kind in KINDS) and all(name in made for name in city.columns)
    spoiled = Verdict(minutes=verdict.minutes.copy(), lives=verdict.lives, found=[(city.failures[0], "x")])
    spoiled.minutes["none"] = 3
    assert "3 minutes without a state" in page(city, spoiled)


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_what_is_broken_on_purpose_is_noticed(tmp_path: Path, control: str) -> None:
    with broken(control):
        _, verdict = live(tmp_path)
    told = {
        "no-evidence": verdict.share < 0.95,
        "no-absence": any(failure.kind == "desk away" and cause != "desk" for failure, cause in verdict.found),
        "no-spans": verdict.minutes["none"] > 0,
        "any-receiver": len(verdict.late) == 2,
    }
    assert told[control] and verdict.complaints()


def test_the_same_seed_is_the_same_year_and_no_column_has_two_failures_at_once() -> None:
    one = script(SEED, NAMES, BEGIN_MS, 365)
    assert one == script(SEED, NAMES, BEGIN_MS, 365) != script(SEED + 1, NAMES, BEGIN_MS, 365)
    assert {failure.kind for failure in one} == set(KINDS)
    for name in NAMES:
        mine = [failure for failure in one if name in failure.columns]
        assert all(before.to_ms < after.from_ms for before, after in zip(mine, mine[1:], strict=False))


def test_the_command_writes_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--days", "2", "--columns", "3", "--out", str(tmp_path)]) == 0
    assert '"none": 0' in capsys.readouterr().out and (tmp_path / "report.html").stat().st_size > 1000
