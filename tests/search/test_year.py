"""The device-year's short share: the script is what it says, a day of it is clean, and each control is red."""

from collections import Counter

import pytest

from sim.search.year import growth, search
from sim.search.year.growth import Sample, complaints
from sim.search.year.script import KINDS, STREET, WEEK_DAYS, YEAR_DAYS, Happening, script
from sim.virtual import clocks
from sim.virtual.timeline import MS_PER_DAY

SEED = 1
SHORT_PERIOD = 1 << 25  # ticks that wrap every 9.3 hours


@pytest.fixture
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "PERIOD", SHORT_PERIOD)
    monkeypatch.setattr(clocks, "HALF", SHORT_PERIOD // 2)


def broken(control: str | None, days: int = 1) -> str:
    with search.applied(control):
        return "\n".join(search.Year(SEED, "steady", days).perform())


# -- the script


def test_same_seed_same_year() -> None:
    assert script(SEED, YEAR_DAYS) == script(SEED, YEAR_DAYS) != script(SEED + 1, YEAR_DAYS)
    assert script(SEED, 30) == [one for one in script(SEED, YEAR_DAYS) if one.at_ms < 30 * MS_PER_DAY]


def test_the_year_has_all_kinds_and_about_two_calls_a_month() -> None:
    counts = Counter(one.kind for one in script(SEED, YEAR_DAYS, cut_every_days=30))
    assert set(counts) == set(KINDS)
    assert 15 <= sum(counts[kind] for kind in ("press", "bounce", "panic")) <= 37
    assert counts["link-flap"] >= YEAR_DAYS - 2 * WEEK_DAYS and counts["power-cut"] == 12


def test_nothing_ends_the_outage_of_a_week_early() -> None:
    plan = script(SEED, YEAR_DAYS)
    begins_ms = next(one.at_ms for one in plan if one.kind == "network link-down")
    within = [one for one in plan if 0 <= one.at_ms - begins_ms < WEEK_DAYS * MS_PER_DAY]
    outage = sorted(one.kind for one in within if one.kind not in STREET)
    assert outage == ["broker down", "network black-hole", "network black-hole", "network link-down"]


def test_a_happening_is_one_readable_line() -> None:
    one = Happening(3 * MS_PER_DAY + 1_800_000, "press", (120, 7))
    assert str(one) == "day   3  0.500 h  press  for_ms=120 seed=7"


# -- living through it


def test_a_day_is_clean_and_the_same_twice() -> None:
    days = [search.Year(SEED, "steady", 1) for _ in range(2)]
    assert [one.perform() for one in days] == [[], []]
    assert days[0].world.trace.digest() == days[1].world.trace.digest()
    assert days[0].world.boots == ["power-on"] and days[0].fired()["link-flap"]


def test_an_outage_a_press_in_it_and_a_new_address(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [
        Happening(3_600_000, "network link-down", (3_000_000,)),
        Happening(5_200_000, "press", (200, 5)),
        Happening(6_000_000, "dns-change", ("10.0.1.2",)),
        Happening(12 * 3_600_000, "tamper", (60_000,)),
        Happening(13 * 3_600_000, "dns-change", ("10.0.2.2",)),
    ]
    monkeypatch.setattr(search, "script", lambda *_: plan)
    one = search.Year(SEED, "steady", 1)
    assert one.perform() == []
    calls = [case for case in one.world.centre.ledger.values() if case.first["status"] == "actual"]
    assert len(calls) == 1 and set(one.fired()) == set(one.planned)
    assert one.fired()["dns-change"] == 1, "the first one comes while the column is away"


def test_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CUT_EVERY_DAYS", 1)
    one = search.Year(SEED, "cuts", 1)
    assert one.perform() == []
    assert one.world.boots == ["power-on"] * 2 and one.fired()["power-cut"] == 1


@pytest.mark.usefixtures("short_ticks")
def test_ticks_that_wrap_often_change_nothing() -> None:
    one = search.Year(SEED, "steady", 1)
    assert one.perform() == []


# -- negative controls


@pytest.mark.usefixtures("short_ticks")
def test_a_watchdog_that_is_not_fed_after_a_wrap_is_noticed() -> None:
    assert "I7" in broken("year-wrap")


@pytest.mark.usefixtures("short_ticks")
def test_an_uptime_that_wraps_is_noticed() -> None:
    assert "one clock" in broken("year-clock")


def test_a_list_that_grows_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "SAMPLE_DAYS", 0.25)
    assert "growth" in broken("year-hoard")


def test_growth_is_told_from_ups_and_downs() -> None:
    first = Sample(5, 200, 12_000, 2_000, 100, 40)
    limit = growth.GROWTH_MAX_BYTES
    assert complaints([first]) == [] == complaints([first, first._replace(day=10, held_bytes=12_000 + limit)])
    assert complaints([first, first._replace(day=10, held_bytes=12_001 + limit)])
    assert complaints([first, first._replace(day=10, flash_bytes=growth.FLASH_MAX_BYTES + 1)])


def test_every_control_is_described_and_can_be_switched_on() -> None:
    assert set(search.CONTROLS) == set(search._PATCHES)


# -- the part


def test_run_stops_with_its_budget_and_replay_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    findings = search.run(3.0, SEED, None, said.append)
    assert findings.violations == [] and findings.unfired == []
    assert findings.simulated_s >= 20_000 and findings.runs >= 1
    assert search.replay(f"{SEED}:steady:1", None) == 0
    assert "every promise was kept" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["1:sunny:3", "1:steady:0", "1:steady:366"])
def test_a_replay_that_makes_no_sense(what: str) -> None:
    with pytest.raises(ValueError, match="a year is"):
        search.replay(what, None)
