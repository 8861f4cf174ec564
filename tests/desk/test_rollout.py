"""A rollout's rules in virtual time: stages, neighbours, limits, and kills at any moment. No broker, no clock."""

import argparse
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest

from common.places import apart_m
from desk.rollout import command
from desk.rollout import plan as rules
from desk.rollout.book import Book
from desk.rollout.plan import Column, Limits, Plan

DIGEST, VERSION = "ab" * 32, "1.1.0"
SECOND_MS, MINUTE_MS, HOUR_MS = 1000, 60_000, 3_600_000
LIMITS = Limits(watch_s=600, column_s=1800)
# Three squares, far apart; in each the columns stand 100 m from each other.
SQUARES = ((54.87, 69.10), (54.90, 69.20), (54.95, 69.30))


class Fleet:
    """Columns that do what their firmware does, minute by minute. `bad`: what becomes of those that switch."""

    def __init__(self, size: int = 40, seed: int = 1) -> None:
        self.dice = random.Random(seed)
        self.places = {
            f"c-{number:02}": (SQUARES[number % 3][0] + 0.001 * (number // 3), SQUARES[number % 3][1])
            for number in range(size)
        }
        self.states: dict[str, str] = {}
        self.fails: dict[str, str] = {}
        self.offline: set[str] = set()
        self.most_at_once = 0

    def info(self, name: str) -> dict[str, Any]:
        latitude, longitude = self.places[name]
        body: dict[str, Any] = {"fw": "1.0.0", "location": {"geo": f"geo:{latitude},{longitude};u=5"}}
        if name in self.states:
            why = "no drill" if self.states[name] == "returned" else None
            body["update"] = {"state": self.states[name], "release": DIGEST[:16], "version": VERSION, "why": why}
        return body

    def tell_all(self, plan: Plan, now_ms: int, *, kept: bool) -> None:
        for name in self.places:
            if kept or name not in self.offline:
                plan.heard("nko", name, "info", self.info(name), now_ms, kept=kept)
                plan.heard("nko", name, "state", {"state": "online"}, now_ms, kept=kept)

    def obey(self, sends: list[rules.Send]) -> None:
        for send in sends:
            if send.device_id not in self.offline:
                self.states[send.device_id] = "fetching" if send.is_wanted else "aborted"

    def step(self) -> None:
        following = {"fetching": "trial", "trial": "kept"}
        for name, state in self.states.items():
            if state in following and self.dice.random() < 0.7:
                self.states[name] = self.fails.get(name, following[state]) if state == "trial" else following[state]

    def under_way(self) -> list[str]:
        return [name for name, state in self.states.items() if state in ("fetching", "trial")]


def perform(fleet: Fleet, plan: Plan, hours: float = 12.0, start_ms: int = 0) -> int:
    """Until it ends or stops; the time then."""
    fleet.tell_all(plan, start_ms, kept=True)
    for now_ms in range(start_ms, start_ms + int(hours * HOUR_MS), 60 * SECOND_MS):
        fleet.tell_all(plan, now_ms, kept=False)
        fleet.obey(plan.look(now_ms))
        for one, other in itertools.combinations(fleet.under_way(), 2):
            assert apart_m(fleet.places[one], fleet.places[other]) >= LIMITS.apart_m, (one, other)
        fleet.most_at_once = max(fleet.most_at_once, len(fleet.under_way()))
        fleet.step()
        if plan.state != rules.RUNNING:
            return now_ms
    return start_ms + int(hours * HOUR_MS)


def test_it_goes_through_the_whole_fleet_and_never_to_two_neighbours_at_once() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    perform(fleet, plan)
    assert plan.state == rules.DONE, plan.why
    assert set(fleet.states.values()) == {"kept"} and len(fleet.states) == 40
    assert fleet.most_at_once == LIMITS.at_once


def test_the_stages_are_one_then_5_then_25_percent_then_all() -> None:
    fleet, plan, seen = Fleet(), Plan(DIGEST, VERSION, LIMITS), {}
    fleet.tell_all(plan, 0, kept=True)
    for now_ms in range(0, 12 * HOUR_MS, 60 * SECOND_MS):
        fleet.tell_all(plan, now_ms, kept=False)
        fleet.obey(plan.look(now_ms))
        fleet.step()
        seen[plan.stage] = len(fleet.states)
    assert seen == {0: 1, 1: 2, 2: 10, 3: 40}


def test_the_watch_between_the_stages_is_kept() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    started: dict[int, int] = {}
    fleet.tell_all(plan, 0, kept=True)
    last_kept_ms: dict[int, int] = {}
    for now_ms in range(0, 12 * HOUR_MS, 60 * SECOND_MS):
        fleet.tell_all(plan, now_ms, kept=False)
        if fleet.states and set(fleet.states.values()) == {"kept"}:
            last_kept_ms.setdefault(len(fleet.states), now_ms)
        before = plan.stage
        fleet.obey(plan.look(now_ms))
        if plan.stage != before:
            started[plan.stage] = now_ms
        fleet.step()
    for stage, count in ((1, 1), (2, 2), (3, 10)):
        assert started[stage] - last_kept_ms[count] >= LIMITS.watch_s * 1000


def test_one_that_goes_back_stops_it_at_the_first_stage() -> None:
    """Red when `_excess` does not count who returned."""
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    fleet.fails = dict.fromkeys(fleet.places, "returned")
    perform(fleet, plan)
    assert plan.state == rules.STOPPED and "returned: " in plan.why and len(fleet.states) == 1
    assert plan.look(20 * HOUR_MS) == []


@pytest.mark.parametrize(("limit", "stage"), [(0, 0), (1, 1), (3, 2)])
def test_it_stops_when_there_are_more_than_the_limit(limit: int, stage: int) -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS._replace(returned=limit))
    fleet.fails = dict.fromkeys(fleet.places, "returned")
    perform(fleet, plan)
    assert plan.state == rules.STOPPED and plan.stage == stage
    assert sum(state == "returned" for state in fleet.states.values()) <= limit + LIMITS.at_once


def first_updated(plan: Plan) -> Column:
    return next(one for one in plan.columns.values() if one.state == rules.KEPT)


def kept_one() -> tuple[Fleet, Plan, int]:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    now_ms = perform(fleet, plan, 0.1)
    assert [one.state for one in plan.columns.values()].count(rules.KEPT) == 1
    return fleet, plan, now_ms


def test_a_drill_that_nobody_answers_stops_it() -> None:
    _, plan, now_ms = kept_one()
    name = first_updated(plan).device_id
    plan.heard("nko", name, "fault/drill-unanswered", {"id": "drill-unanswered"}, now_ms, kept=True)
    plan.look(now_ms)
    assert plan.state == rules.STOPPED and f"unanswered: {name}" in plan.why


def test_an_updated_column_that_falls_silent_stops_it_and_another_one_does_not() -> None:
    fleet, plan, now_ms = kept_one()
    updated = first_updated(plan).device_id
    fleet.offline = {next(name for name in fleet.places if name != updated)}
    perform(fleet, plan, 0.2, now_ms)
    assert plan.state == rules.RUNNING, plan.why
    fleet.offline = {updated}
    perform(fleet, plan, 0.2, now_ms + HOUR_MS // 2)
    assert plan.state == rules.STOPPED and f"silent: {updated}" in plan.why


def test_without_a_broker_nobody_is_silent() -> None:
    _, plan, now_ms = kept_one()
    plan.connected(now_ms + HOUR_MS)
    plan.look(now_ms + HOUR_MS)
    assert plan.state == rules.RUNNING, plan.why


def test_a_column_that_refuses_or_does_not_hear_stops_it() -> None:
    for answer in (True, False):
        fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
        fleet.tell_all(plan, 0, kept=True)
        fleet.tell_all(plan, 0, kept=False)
        (send,) = plan.look(0)
        if answer:
            body = {"id": f"{plan.command_prefix}1", "ok": False, "error": "refused: too little memory is free"}
            plan.heard("nko", send.device_id, "result", body, 1, kept=False)
        told = 0
        for now_ms in range(0, HOUR_MS, 10 * SECOND_MS):
            fleet.tell_all(plan, now_ms, kept=False)
            told += len(plan.look(now_ms))
        assert plan.state == rules.STOPPED and ("refused: " if answer else "lost: ") in plan.why
        assert not answer or plan.columns[send.device_id].why == "too little memory is free"  # the state says the rest
        assert told == (0 if answer else rules.TOLD_MAX - 1)


def begun() -> tuple[Fleet, Plan, str]:
    """A plan that has told its first column, whose name is given."""
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    fleet.tell_all(plan, 0, kept=True)
    fleet.tell_all(plan, 0, kept=False)
    (send,) = plan.look(0)
    return fleet, plan, send.device_id


def test_who_still_tries_what_it_got_before_is_told_again_until_it_takes_it() -> None:
    """It passes by itself, and stopped the rollout. Red where it counts as a refusal, where the fifth telling makes it
    lost, where a refusal of the release itself only waits, and where it may wait beyond `column_s`."""
    for ends_min in (20, None):
        fleet, plan, name = begun()
        for second in range(0, 40 * 60, 10):
            now_ms, is_tried = second * SECOND_MS, ends_min is None or second < ends_min * 60
            fleet.tell_all(plan, now_ms, kept=False)
            sends = plan.look(now_ms) if second else [rules.Send("nko", name, is_wanted=True)]
            if plan.state != rules.RUNNING:
                break
            if any(send.device_id == name for send in sends):
                error = rules.ON_TRIAL if is_tried else "refused: too little memory is free"
                body = {"id": f"{plan.command_prefix}1", "ok": False, "error": error}
                plan.heard("nko", name, "result", body, now_ms, kept=False)
                assert not is_tried or (plan.columns[name].state, plan.columns[name].why) == (rules.TOLD, rules.WAITS)
        assert plan.state == rules.STOPPED
        assert (plan.why.partition(":")[0], second // 60) == (("refused", 20) if ends_min else ("lost", 30))


def test_the_firmware_says_it_so() -> None:
    source = Path(command.__file__).parents[2] / "firmware" / "update" / "order.py"
    assert f'return "{rules.ON_TRIAL}"' in source.read_text("utf-8")


def test_who_fetches_and_asks_for_nothing_is_said_to_be_held_up() -> None:
    """ "Fetching" stood there without a word while a call was open. Red where what it asks for does not end it, and
    where a rollout that could hear nobody takes columns for held up."""
    fleet, plan, name = begun()
    column = plan.columns[name]

    def lives(from_s: int, to_s: int) -> None:
        for second in range(from_s, to_s, 5):
            fleet.tell_all(plan, second * SECOND_MS, kept=False)
            plan.look(second * SECOND_MS)

    fleet.states[name] = "fetching"
    lives(5, 60)
    assert (column.state, column.why) == (rules.FETCHING, "")
    lives(60, 75)
    assert column.why == rules.HELD and column in plan.take_changed()
    plan.asked(name, 75 * SECOND_MS)
    assert column.why == "" and column in plan.take_changed()
    plan.connected(140 * SECOND_MS)
    lives(140, 180)
    assert column.why == ""
    fleet.states[name] = "trial"
    lives(180, 300)
    assert (column.state, column.why) == (rules.TRIAL, "")


def test_who_resumed_is_not_told_to_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when `start` says that it had ended to whoever has typed `resume` already."""
    book, plan = Book(tmp_path), Plan(DIGEST, VERSION, LIMITS)
    plan.state = rules.STOPPED
    book.keep(plan, 0, [])
    arguments = argparse.Namespace(folder=tmp_path, **LIMITS._asdict())
    for wished, told in (("", True), ("resume", False)):
        if wished:
            assert book.wish(wished)
        command._plan(arguments, plan, book, str)  # type: ignore[arg-type]
        assert ("it had ended" in capsys.readouterr().out) == told
    book.close()


def test_somebody_elses_result_is_none_of_ours() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    fleet.tell_all(plan, 0, kept=True)
    fleet.tell_all(plan, 0, kept=False)
    (send,) = plan.look(0)
    plan.heard("nko", send.device_id, "result", {"id": "c-1", "ok": False, "error": "x"}, 1, kept=False)
    assert plan.columns[send.device_id].state == rules.TOLD


def test_who_is_not_here_is_not_told() -> None:
    fleet, plan = Fleet(2), Plan(DIGEST, VERSION, LIMITS)
    fleet.offline = {"c-00", "c-01"}
    perform(fleet, plan, 1)
    assert fleet.states == {} and plan.state == rules.RUNNING
    fleet.offline = set()
    perform(fleet, plan, 12, HOUR_MS)
    assert plan.state == rules.DONE


@pytest.mark.parametrize("kept", [True, False])
def test_a_state_that_comes_before_the_birth_message_counts(kept: bool) -> None:
    """A column that connects says `state` first, and a broker hands out what it has in whatever order. Red when the
    state of a column that is not known yet is forgotten: it waits for ever."""
    plan = Plan(DIGEST, VERSION, LIMITS)
    plan.heard("nko", "c-1", "state", {"state": "online"}, 0, kept=kept)
    plan.heard("nko", "c-1", "info", {"fw": "0.9.0", "location": {"geo": "geo:1,1"}}, 0, kept=False)
    assert [send.device_id for send in plan.look(0)] == ["c-1"]


def test_who_has_the_version_already_is_left_alone() -> None:
    plan = Plan(DIGEST, VERSION, LIMITS)
    plan.heard("nko", "c-1", "info", {"fw": VERSION, "location": {"geo": "geo:1,1"}}, 0, kept=True)
    plan.heard("nko", "c-1", "state", {"state": "online"}, 0, kept=False)
    assert plan.look(0) == [] and plan.state == rules.DONE


def test_a_pause_lets_those_go_on_who_are_under_way() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    fleet.tell_all(plan, 0, kept=True)
    fleet.tell_all(plan, 0, kept=False)
    fleet.obey(plan.look(0))
    plan.pause()
    (name,) = fleet.states
    assert plan.is_served(name) and not plan.is_served("c-39" if name != "c-39" else "c-38")
    perform_paused = range(60_000, HOUR_MS * 2, 60_000)
    for now_ms in perform_paused:
        fleet.step()
        fleet.tell_all(plan, now_ms, kept=False)
        assert plan.look(now_ms) == []
    assert plan.state == rules.PAUSED and fleet.states == {name: "kept"}
    plan.resume(2 * HOUR_MS)
    perform(fleet, plan, 12, 2 * HOUR_MS)
    assert plan.state == rules.DONE


def test_an_abort_gives_up_what_is_only_fetched() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS._replace(watch_s=0))
    fleet.tell_all(plan, 0, kept=True)
    while len(fleet.under_way()) < 2:
        fleet.tell_all(plan, 0, kept=False)
        fleet.obey(plan.look(0))
        fleet.states.update({name: "kept" for name in fleet.states if len(fleet.states) < 3})
    fleet.tell_all(plan, 0, kept=False)
    plan.abort()
    sends = plan.look(0)
    assert {send.device_id for send in sends} == set(fleet.under_way()) and not any(send.is_wanted for send in sends)
    assert plan.state == rules.ABORTED and not any(plan.is_served(send.device_id) for send in sends)


def test_who_is_to_give_up_is_told_until_the_broker_has_it(tmp_path: Path) -> None:
    """Whatever else it says meanwhile, and over a kill: nobody else would tell a column that asks for pieces to stop.
    Red when `_stop` sends the command itself, once."""
    fleet, plan, name = begun()
    fleet.states[name] = "fetching"
    fleet.tell_all(plan, SECOND_MS, kept=False)
    plan.abort()
    book = Book(tmp_path)
    book.keep(plan, SECOND_MS, [])
    book.close()
    restored = Book(tmp_path).restore(LIMITS)
    assert restored is not None
    fleet.tell_all(restored, SECOND_MS, kept=True)  # what the broker kept, from before
    told = [send for now_ms in range(0, 2 * MINUTE_MS, SECOND_MS) for send in restored.look(now_ms)]
    assert told == [rules.Send("nko", name, is_wanted=False)] * 2 and not restored.is_over
    restored.gave_up(name)
    assert restored.is_over and restored.look(HOUR_MS) == [] and restored.columns[name].why == rules.GIVEN_UP


def test_who_resumes_gives_nobody_up() -> None:
    _, plan, name = begun()
    plan._stop(rules.STOPPED, "a test")
    plan.resume(0)
    assert plan.columns[name].why == "" and all(send.is_wanted for send in plan.look(0))


def test_after_a_stop_it_goes_on_by_hand_without_those_who_failed() -> None:
    fleet, plan = Fleet(), Plan(DIGEST, VERSION, LIMITS)
    fleet.fails = dict.fromkeys(fleet.places, "returned")
    now_ms = perform(fleet, plan)
    fleet.fails = {}
    plan.resume(now_ms)
    perform(fleet, plan, 12, now_ms)
    assert plan.state == rules.DONE
    assert sorted(fleet.states.values()).count("returned") == 1, "it is not tried again"


def test_without_a_place_a_column_goes_alone() -> None:
    plan = Plan(DIGEST, VERSION, LIMITS)
    assert plan.are_neighbours(Column("a", "r"), Column("b", "r", (1.0, 1.0)))


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [((54.9, 69.2), (54.9, 69.2), 0), ((54.0, 69.0), (55.0, 69.0), 111_195), ((0.0, 179.9995), (0.0, -179.9995), 111)],
)
def test_distances(one: tuple[float, float], other: tuple[float, float], metres: int) -> None:
    assert apart_m(one, other) == pytest.approx(metres, rel=0.01, abs=1)


# -- on the disk


class Killed(BaseException):
    pass


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path, seed: int) -> None:
    """What is sent was on the disk before, so whoever starts again knows it; a command comes twice at the worst. Red
    when the book is written behind the sending."""
    print("seed", seed)
    dice = random.Random(seed)
    fleet = Fleet(12, seed)
    now_ms, kills = 0, 0
    book = Book(tmp_path)
    plan = Plan(DIGEST, VERSION, LIMITS)
    book.keep(plan, 0, [])
    known: set[str] = set()
    fleet.tell_all(plan, now_ms, kept=True)
    while plan.state == rules.RUNNING and now_ms < 24 * HOUR_MS:
        now_ms += 60 * SECOND_MS
        try:
            fleet.tell_all(plan, now_ms, kept=False)
            sends = plan.look(now_ms)
            if dice.random() < 0.1:
                raise Killed
            book.keep(plan, now_ms, [])
            known |= {send.device_id for send in sends}
            if dice.random() < 0.1:
                raise Killed
            fleet.obey(sends)
        except Killed:
            kills += 1
            book.close()
            book = Book(tmp_path)
            restored = book.restore(LIMITS)
            assert restored is not None
            plan = restored
            taken = {one.device_id for one in plan.columns.values() if one.state != rules.WAITING}
            assert known <= taken | {name for name, state in fleet.states.items() if state == "kept"}
            fleet.tell_all(plan, now_ms, kept=True)
        fleet.step()
        assert plan.stage == 3 or len(fleet.states) <= plan.target(2)
    assert plan.state == rules.DONE and kills > 3 and set(fleet.states.values()) == {"kept"}
    book.close()


def test_what_the_book_keeps_comes_back(tmp_path: Path) -> None:
    _, plan, now_ms = kept_one()
    plan.pause()
    book = Book(tmp_path)
    book.keep(plan, now_ms, ["a line"])
    assert not plan.changed
    again = book.restore(LIMITS)
    assert again is not None and again.columns == plan.columns
    assert (again.state, again.why, again.stage, again.digest) == (rules.PAUSED, plan.why, plan.stage, DIGEST)
    assert book.log() == [(now_ms, "a line")] and book.release() == DIGEST
    assert json.dumps(book.wish("abort")) == "true" and book.take_wish() == "abort" and book.take_wish() == ""
    book.close()
