"""The whole fleet's rehearsal, some columns at a time: what has lived is not lost, not performed twice, and not counted
with lives of another tree. How a column lives: test_renewals.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.search.renewals import fleet, search


class Lives:
    """In the place of `search.attempt`: a column lives at once. `lost`: who is; `killed`: at whom the process ends."""

    def __init__(self) -> None:
        self.performed: list[int] = []
        self.lost: set[int] = set()
        self.killed = 0

    def __call__(self, number: int) -> tuple[str, set[str], float]:
        if number == self.killed:
            raise KeyboardInterrupt
        self.performed.append(number)
        return "lost: no session" * (number in self.lost), set(search.KINDS), 3600.0


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> Lives:
    found = Lives()
    monkeypatch.setattr(search, "attempt", found)
    return found


def run(folder: Path, columns: str, *more: str) -> int:
    return fleet.main(["--folder", str(folder), "--columns", columns, *more])


def test_a_run_that_was_killed_goes_on(lives: Lives, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also when it was cut off in the middle of a line. Red when the rest of that line passes for a column, or takes
    the next one with it."""
    lives.killed = 4
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "1-6")
    file = tmp_path / "1-6.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    lives.killed = 0
    assert run(tmp_path, "1-6") == 0
    assert lives.performed == [1, 2, 3, 3, 4, 5, 6] and "6 of 6 columns" in capsys.readouterr().out
    assert run(tmp_path, "1-6") == 0 and len(lives.performed) == 7


def test_several_share_a_folder(lives: Lives, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "1-3") == 0 and run(tmp_path, "4-6") == 0
    assert run(tmp_path, "1-8") == 0
    assert lives.performed == [1, 2, 3, 4, 5, 6, 7, 8] and "8 of 8 columns" in capsys.readouterr().out


def test_one_that_is_lost_is_named_with_its_command(
    lives: Lives, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also by a run that performed none. Red when only this run's own count."""
    lives.lost = {2}
    for _ in range(2):
        assert run(tmp_path, "1-3") == fleet.EXIT_RED
        assert "number 2: lost: no session" in (said := capsys.readouterr().out) and "--replay renewals:2" in said


def test_what_never_happened_is_told(lives: Lives, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rehearsal in which no power was cut shows nothing of power cuts."""
    assert run(tmp_path, f"1-{fleet.ENOUGH}") == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "KINDS", search.KINDS | {"an earthquake"})
        assert run(tmp_path, f"1-{fleet.ENOUGH}") == fleet.EXIT_RED
    assert "never happened: an earthquake" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["tree", "control"])
def test_lives_of_another_tree_are_not_counted(
    lives: Lives, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Nor those of a column that was broken on purpose."""
    assert run(tmp_path, "1-2") == 0
    if what == "tree":
        monkeypatch.setattr(fleet, "tree_digest", lambda: "another")
    more = ["--control", "kept-without-session"] if what == "control" else []
    assert run(tmp_path, "3-4", *more) == fleet.EXIT_USAGE
    assert "another tree" in capsys.readouterr().err and lives.performed == [1, 2]


@pytest.mark.parametrize("columns", ["", "3", "5-4", "a-b", "1-1111111111"])
def test_a_range_that_is_none(tmp_path: Path, columns: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(tmp_path, columns)
    assert "two numbers" in capsys.readouterr().err
