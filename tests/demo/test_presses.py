"""What a rehearsed rollout counts as a press, and what it says of one that is amiss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from sim.demo import rollout
from sim.demo.desk_client import DeskClient, Incident
from sim.demo.presses import Seen
from sim.real.column import RealColumn
from sim.spoken import spoken

NAME = "petropavl-01"
FIRST = f"{NAME}-7-1"


class Desk:
    """Has what `take` gave it, and passes each end on."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self.has: dict[str, Incident] = {}

    def take(self, ident: str, press: int) -> None:
        self.has[ident] = Incident(ident, NAME, "received", press, False, {}, {})

    def incidents(self) -> list[Incident]:
        return list(self.has.values())

    def close(self, ident: str, outcome: str) -> None:
        self.has[ident] = Incident(ident, NAME, "closed", self.has[ident].press, False, {}, {})
        log(self._seen, f"answer: {ident} closed")

    def column(self, name: str) -> dict[str, Any]:
        return {"presence": "up", "info": {"fw": "1.0.0"}}


class Column:
    """Does what the test says when its button is pressed."""

    def __init__(self, pressed: Callable[[], None]) -> None:
        self._pressed = pressed

    def press(self, duration_ms: float) -> None:
        self._pressed()


def log(seen: Seen, text: str) -> None:
    seen.add(NAME, {"t_ms": 1, "event": "log", "text": text})


def boot(seen: Seen) -> None:
    seen.add(NAME, {"t_ms": 1, "event": "boot", "boot": 7, "cause": "hard"})


def take(seen: Seen, desk: Desk, ident: str = FIRST, press: int = 1) -> None:
    log(seen, f"press: incident {ident} press {press}")
    desk.take(ident, press)


Made = tuple[rollout.Town, Seen, Desk, list[str], list[Callable[[], None]]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A town of one column, without patience; what it says, and what its column does at the next presses."""
    monkeypatch.setattr(rollout, "PATIENCE_S", -1.0)
    seen, said, coming = Seen(), list[str](), list[Callable[[], None]]()
    desk = Desk(seen)
    street = {NAME: cast(RealColumn, Column(lambda: coming.pop(0)()))}
    town = rollout.Town(tmp_path, tmp_path, 0, cast(DeskClient, desk), street, seen, said.append)
    return town, seen, desk, said, coming


def test_a_press_that_is_held_until_the_column_is_armed_counts(made: Made) -> None:
    """Its boot is seen first, the press only later. Red when what met a restart is taken for lost at once: then there
    is one more at the desk than was counted, for ever."""
    town, seen, desk, said, coming = made
    coming += [lambda: boot(seen), lambda: take(seen, desk, f"{NAME}-7-2")]
    town.press()
    take(seen, desk)  # by what was still held
    town.press()
    town.settle()
    assert said[-1] == "2 presses, all at the desk and answered; 0 fell into a restart"


def test_a_press_that_fell_into_a_restart_is_none(made: Made) -> None:
    town, seen, desk, said, coming = made
    coming += [lambda: boot(seen), lambda: take(seen, desk)]
    town.press()
    town.press()
    town.settle()
    assert said == [
        f"a press of 150 ms at {NAME} met its restart",
        "1 presses, all at the desk and answered; 1 fell into a restart",
    ]


def test_a_lost_press_is_named(made: Made) -> None:
    """Also beside one too many, which made up for it when both were only counted."""
    town, seen, desk, _, coming = made
    coming.append(lambda: boot(seen))
    town.press()
    log(seen, f"press: incident {FIRST} press 2")
    desk.take(FIRST, 1)
    desk.take(f"{NAME}-7-9", 1)
    with pytest.raises(rollout.RolloutFailed) as failed:
        town.settle()
    text = str(failed.value)
    assert f"\n  press 2 of {FIRST} at {NAME} is not at the desk; the desk has 1 of it, closed\n" in text
    assert f"\n  press 1 of {NAME}-7-9 at {NAME} is at the desk, but not taken; the desk has 1 of it, closed\n" in text
    assert (
        f"\n  {NAME}: 1 presses, 1 taken, 1 boots; at the desk: 1.0.0\n  > 1 ms press: incident {FIRST} press 2" in text
    )


def test_a_column_that_hears_no_answer_is_named(made: Made) -> None:
    town, seen, desk, _, coming = made
    coming.append(lambda: take(seen, desk))
    town.press()
    log(seen, f"press: incident {FIRST} press 2")  # once more, and the desk's word for the first is all it hears
    desk.has[FIRST] = Incident(FIRST, NAME, "closed", 2, False, {}, {})
    with pytest.raises(rollout.RolloutFailed, match=f"press 2 of {FIRST} at {NAME} has no end at the column"):
        town.settle()


def test_one_press_that_counts_twice_is_found(made: Made) -> None:
    """Column and desk agree on it, but nobody pressed."""
    town, seen, desk, _, coming = made
    coming.append(lambda: take(seen, desk))
    town.press()
    take(seen, desk, FIRST, 2)
    with pytest.raises(rollout.RolloutFailed, match=f"{NAME} took more than the 1 presses that there were"):
        town.settle()


def test_a_press_without_a_sign_is_named(made: Made) -> None:
    town, _, _, _, coming = made
    coming.append(lambda: None)
    with pytest.raises(rollout.RolloutFailed, match=f"a sign of press 1 at {NAME}"):
        town.press()


def test_a_column_without_the_time_is_waited_for(made: Made) -> None:
    """It refuses the command of a release, and the rehearsal took that for the release's fault. Red where its fault is
    not noticed, or not its end."""
    _, seen, _, _, _ = made
    log(seen, "fault: clock-unset: no time since power-up")
    assert seen.timeless == {NAME}
    log(seen, "fault: clock-unset cleared")
    assert seen.timeless == set()


def test_what_failed_is_told_in_the_language_and_the_columns_words_stay(made: Made) -> None:
    """Red where the text is turned as one: a sentence then takes the lines behind it for its own."""
    town, seen, desk, _, _ = made
    take(seen, desk)
    log(seen, "link: down")
    with pytest.raises(rollout.RolloutFailed) as failed:
        town.wait(lambda: False, "the new firmware everywhere")
    told = rollout.in_words(f"FAILED: {failed.value}", spoken(["--lang", "ru"]).said).splitlines()
    assert told[0] == "НЕ УДАЛОСЬ: за -1 с не случилось: новая прошивка у всех"
    assert any(line == f"  {NAME}: нажатий 0, принято 1, запусков 0; на пульте: 1.0.0" for line in told)
    assert told[-1].startswith("  > 1 ms press: incident ") and told[-1].endswith("; 1 ms link: down")
    assert "column" not in "".join(told) and "not at" not in "".join(told)
