"""A call that nobody accepts climbs the ladder: each step once, over any kill, whichever desk takes it."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ladder_rig import PLAN, Street, street

from desk import escalation
from desk.escalation import Escalation
from desk.ladder import parse
from desk.register import Reading
from sim.search.answering.room import POINTS, Room

OFFICERS = ("duty", "chief")
CUTS = [(point, nth) for point in ("before-telling", "after-telling", "before-told") for nth in (1, 2)]


def calm(kind: str) -> bool:
    return kind in ("step-sent", "step-begun", "step-heard")


def is_truthful(made: Street, incident_id: str, officer: str) -> bool:
    """Told once; or the timeline of some desk says that nobody knows."""
    times = sum(told.tell == officer for told in made.told)
    return times == 1 or (times > 0 and ("step-uncertain", officer) in made.said(incident_id))


def test_each_step_in_its_time_and_none_when_somebody_has_accepted(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        first = made.press()
        made.run_s(14)
        assert made.timeline_of(first) == [] and not any("unanswered_s" in ack for ack in made.acks)
        made.run_s(4)
        assert made.timeline_of(first) == [("step-sent", "desks")]
        assert made.acks[-1]["state"] == "received" and made.acks[-1]["unanswered_s"] == 15
        made.run_s(15)
        assert [told.tell for told in made.told] == ["duty"] and 30 <= made.told[0].at_s - 1 <= 33
        second = made.press("petropavl-02")
        made.accept(first)
        made.run_s(20)
        made.accept(second)
        made.run_s(120)
        assert [told.tell for told in made.told] == ["duty"], "an accepted call climbs no further"
        assert made.timeline_of(first)[1:] == [("step-begun", "duty"), ("step-sent", "duty")]
        assert made.timeline_of(second) == [("step-sent", "desks")]
        assert all("unanswered_s" not in ack for ack in made.acks if ack["state"] != "received")


def test_a_drill_wakes_nobody(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        made.press(status="test", event_type="drill")
        made.press("petropavl-02", status="exercise", event_type="drill")
        made.run_s(120)
        assert made.told == [] and not any("unanswered_s" in ack for ack in made.acks)


def test_a_further_press_of_a_closed_call_waits_anew(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        incident_id = made.press()
        made.run_s(100)
        assert [told.tell for told in made.told] == list(OFFICERS)
        made.accept(incident_id)
        made.rooms[0].do(lambda duty: duty.close(incident_id, "false", "anna"))
        made.run_s(5)
        made.press(press=2)
        made.run_s(10)
        assert "unanswered_s" not in made.acks[-1], "it has waited for 10 s only"
        made.run_s(90)
        assert [told.tell for told in made.told] == [*OFFICERS, *OFFICERS]
        assert len({told.key for told in made.told}) == 4


@pytest.mark.parametrize(("point", "nth"), CUTS)
def test_killed_at_any_point_no_step_is_lost_and_none_is_told_twice_in_silence(
    point: str, nth: int, tmp_path: Path
) -> None:
    """kill -9 around the nth telling; around each write: below."""
    with street(tmp_path) as made:
        counted = itertools.count(1)
        made.dies = lambda room, at: at == point and next(counted) == nth
        incident_id = made.press()
        made.run_s(150)
        assert made.rooms[0].deaths == [point]
        for officer in OFFICERS:
            assert is_truthful(made, incident_id, officer), (made.told, made.said(incident_id))
        assert ("step-sent", "desks") in made.timeline_of(incident_id)


def broken_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str, how: Any) -> list[str]:
    """Where the test above fails when the ladder is broken like that."""
    monkeypatch.setattr(Escalation, what, how)
    failed = []
    for point, nth in itertools.product(POINTS[2:4], (1, 2)):
        folder = tmp_path / f"{point}-{nth}"
        folder.mkdir()
        try:
            test_killed_at_any_point_no_step_is_lost_and_none_is_told_twice_in_silence(point, nth, folder)
        except AssertionError:
            failed.append(f"{point}-{nth}")
    return failed


def test_a_ladder_that_forgets_a_step_after_a_restart_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Negative control: what was begun counts as done. Red only where the desk died before the telling left."""

    def forgets(self: Escalation, batch: Any, begun: Any, now_ms: int) -> None:
        for rung in begun:
            self._of(rung.incident_id)[rung.opening, rung.step] = rung
            self._put(batch, rung, escalation.SENT, now_ms)

    failed = broken_by(monkeypatch, tmp_path, "recall", forgets)
    assert any(name.startswith("before-telling") for name in failed), failed


def test_a_ladder_that_sends_twice_in_silence_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Negative control: what was begun is begun again, and nobody says that it may have arrived."""

    def again(self: Escalation, batch: Any, begun: Any, now_ms: int) -> None:
        for rung in begun:
            self._of(rung.incident_id).pop((rung.opening, rung.step), None)

    failed = broken_by(monkeypatch, tmp_path, "recall", again)
    assert any(name.startswith("after-telling") for name in failed), failed


# -- what the other side says


def test_a_step_that_failed_is_tried_again_and_then_said_to_have_failed(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        made.fate = lambda telling: "failed" if telling.tell == "duty" else "sent"
        incident_id = made.press()
        made.run_s(120)
        kinds = [kind for kind, who in made.timeline_of(incident_id) if who == "duty"]
        assert kinds == ["step-begun", "step-failed"] * escalation.TRIES_MAX
        assert [told.tell for told in made.told] == ["chief"], "the ladder goes on"


@pytest.mark.parametrize("fate", ["uncertain", "lost"])
def test_an_uncertain_step_is_said_and_repeated_once_under_the_same_key(fate: str, tmp_path: Path) -> None:
    with street(tmp_path) as made:
        made.fate = lambda telling: fate if telling.tell == "duty" and telling.number == 1 else "sent"
        incident_id = made.press()
        made.run_s(120)
        kinds = [kind for kind, who in made.timeline_of(incident_id) if who == "duty"]
        assert kinds == ["step-begun", "step-uncertain", "step-begun", "step-sent"]
        duty = [told for told in made.told if told.tell == "duty"]
        assert len({told.key for told in duty}) == 1 and duty[-1].repeated
        assert len(duty) == (2 if fate == "uncertain" else 1)


def test_what_stays_uncertain_is_not_repeated_for_ever(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        made.fate = lambda telling: "uncertain"
        made.press()
        made.run_s(600)
        assert [told.tell for told in made.told] == ["duty", "duty", "chief", "chief"]


# -- two desks


def test_of_two_desks_one_takes_each_step_and_both_say_so(tmp_path: Path) -> None:
    with street(tmp_path, "desk-1", "desk-2") as made:
        incident_id = made.press()
        made.run_s(100)
        assert [told.tell for told in made.told] == list(OFFICERS)
        for room in (0, 1):
            entries = made.timeline_of(incident_id, room)
            assert ("step-sent", "duty") in entries and ("step-sent", "chief") in entries
            assert all(calm(kind) for kind, _ in entries), entries
            assert {who for _, who in entries} == {"desks", *OFFICERS}


def test_without_the_claim_both_desks_would_send(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Negative control: each takes every step for itself."""
    monkeypatch.setattr(Escalation, "_say", lambda *_: None)
    with street(tmp_path, "desk-1", "desk-2") as made:
        made.press()
        made.run_s(100)
        assert [told.tell for told in made.told] == ["duty", "duty", "chief", "chief"]


def test_the_second_desk_is_told_whatever_its_own_ladder(tmp_path: Path) -> None:
    """It rings louder by the other's word; its own first step would come after an hour."""
    with street(tmp_path, "desk-1", "desk-2") as made:
        made.rooms[1].duty._escalation.plan = parse({"ladder": [{"steps": [{"after_s": 3600, "tell": "desks"}]}]})  # type: ignore[union-attr]
        incident_id = made.press()
        made.run_s(20)
        assert made.timeline_of(incident_id, 1) == [("step-heard", "desks")]
        incident = made.rooms[1].duty._ledger.find(incident_id)  # type: ignore[union-attr]
        assert incident is not None and incident.unanswered_s == 15


def test_a_desk_that_dies_with_a_step_in_hand_is_followed_by_the_other(tmp_path: Path) -> None:
    with street(tmp_path, "desk-1", "desk-2") as made:
        dead: list[str] = []

        def dies(room: Room, point: str) -> bool:
            if point == "before-telling" and not dead:
                dead.append(room.name)
                room._down_us = lambda: 10**12  # for days
                return True
            return False

        made.dies = dies
        incident_id = made.press()
        made.run_s(200)
        (name,) = dead
        assert [told.tell for told in made.told] == ["chief", "duty"] and name not in {told.desk for told in made.told}
        other = 1 if name == "desk-1" else 0
        assert ("step-uncertain", "duty") in made.timeline_of(incident_id, other)


QUICK = parse(
    {
        "officer": {"duty": {}, "chief": {}},
        "ladder": [{"steps": [{"after_s": n, "tell": who} for n, who in enumerate(("desks", *OFFICERS), 1)]}],
    }
)
LAST_S = 10.0
"""All of that ladder is over, and nothing else has been written since."""
STATES = {
    ("1-desks", "sent"),
    *((step, state) for step in ("2-duty", "3-chief") for state in ("claimed", "begun", "sent")),
}


def rungs_of(room: Room) -> set[tuple[str, str]]:
    """The steps in that desk's register, and how far they are."""
    with contextlib.closing(Reading(room.path)) as reading:
        return {(row["step"], row["state"]) for row in reading.ask("SELECT step, state FROM rung")}


@pytest.mark.parametrize("names", [("desk-1",), ("desk-1", "desk-2")], ids=["one-desk", "two-desks"])
def test_killed_before_and_after_every_write_and_telling_of_the_whole_ladder(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    """Everybody rings louder, the other desk is told, an officer, the next one: kill -9 of either desk around each, and
    while an officer is being told. As the two controls above show, red where a step is forgotten, or doubled in
    silence. Of two desks the writes are cut behind each: before the next one stands the same, with the words said."""
    points: list[tuple[str, int]] = []
    found: set[tuple[str, str]] = set()
    with street(tmp_path, *names, plan=QUICK) as made:
        lived: Counter[str] = Counter()

        def lives(room: Room, at: str) -> bool:
            if made.now_s < LAST_S and (at != "before-commit" or len(names) == 1):
                lived[at] += 1
                points.append((at, lived[at]))
            return False

        made.dies = lives
        made.press()
        made.run_s(LAST_S)
    for point, nth in points:
        folder = tmp_path / f"{point}-{nth}"
        folder.mkdir()
        with street(folder, *names, plan=QUICK) as made:
            counted = itertools.count(1)

            def dies(room: Room, at: str, point: str = point, nth: int = nth, counted: Any = counted) -> bool:
                if at != point or next(counted) != nth:
                    return False
                found.update(rungs_of(room))
                return True

            made.dies = dies
            call = made.press()
            made.run_s(70 + LAST_S)
            assert [death for room in made.rooms for death in room.deaths] == [point]
            for officer in OFFICERS:
                assert is_truthful(made, call, officer), (point, nth, made.told, made.said(call))
            assert ("step-sent", "desks") in made.said(call)
    assert found >= STATES, (found, points)


def test_a_desk_alone_without_a_broker_does_not_wait_for_one(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        made.press()
        made.run_s(20)
        duty = made.rooms[0].duty
        assert duty is not None
        for line in (duty._calls, duty._telemetry):
            line._client.drop()  # type: ignore[attr-defined]
            line._on_disconnect()
        made.run_s(60)
        assert [told.tell for told in made.told] == list(OFFICERS)


def test_a_call_from_before_the_ladder_is_left_in_peace(tmp_path: Path) -> None:
    with street(tmp_path) as made:
        duty = made.rooms[0].duty
        assert duty is not None
        duty._ladder_from_ms = made.rooms[0].now_ms + 3_600_000
        made.press()
        made.run_s(120)
        assert made.told == []


def test_the_plan_names_all_that_is_told_here() -> None:
    assert [step.name for step in PLAN.steps("nko", "public")] == ["15-desks", "30-duty", "60-chief"]


def test_a_claim_that_lost_and_is_heard_late_takes_nothing(tmp_path: Path) -> None:
    """One dies with the step in hand, and comes back before the other's lost claim has reached it. Red where claims
    have no round: each desk then leaves the step to the other for a minute. Found by a year of the city."""
    with street(tmp_path, "desk-1", "desk-2") as made:
        died: list[str] = []

        def dies(room: Room, point: str) -> bool:
            if point == "before-telling" and not died:
                died.append(room.name)
                room._down_us = lambda: 2_000_000
                return True
            return False

        made.dies = dies
        made.press()
        made.run_s(50)
        assert died and [told.tell for told in made.told] == ["duty"]


def test_two_steps_of_one_officer_that_end_in_one_moment_are_two_entries(tmp_path: Path) -> None:
    """Red where an entry is told by who was told. Found by a year of the city."""
    steps = [{"after_s": after_s, "tell": tell} for after_s, tell in ((5, "desks"), (10, "duty"), (20, "duty"))]
    with street(tmp_path, plan=parse({"officer": {"duty": {}}, "ladder": [{"steps": steps}]})) as made:
        made.fate = lambda telling: "never"
        incident_id = made.press()
        made.run_s(30)
        made.rooms[0]._down_us = lambda: 1_000_000
        made.rooms[0].kill()
        made.run_s(5)
        kinds = [kind for kind, who in made.timeline_of(incident_id) if who == "duty"]
        assert kinds.count("step-uncertain") == 2
