"""All open incidents: ids, bounds, drills, and that a restart finds them as they were."""

from typing import Any

import pytest
from fake_board import FlashMode
from hypothesis import given, settings
from hypothesis import strategies as st
from incident_rig import STATES, Rig

from firmware import incidents as module
from firmware.startup.restoring import boot_of


def test_a_press_is_on_flash_when_it_returns() -> None:
    rig = Rig()
    one = rig.incidents.press(45)
    assert rig.reboot().open_ids() == [one.id] == ["petropavl-01-7-1"]


def test_panic_burst_is_one_incident() -> None:
    rig = Rig()
    presses = []
    for _ in range(10):
        presses.append(rig.incidents.press(45).press)
        rig.incidents.released()
        rig.board.advance(300)
    assert presses == list(range(1, 11)) and rig.incidents.count() == 1
    assert rig.reboot().essence() == rig.essence()


def test_after_the_open_window_it_is_a_new_incident() -> None:
    rig = Rig()
    first = rig.incidents.press(0)
    rig.step_for(598_000)
    assert rig.incidents.press(0) is first
    rig.step_for(600_000)
    assert rig.incidents.press(0) is not first


def test_after_closed_it_is_a_new_incident() -> None:
    rig = Rig()
    first = rig.incidents.press(0)
    assert rig.incidents.answered(first.id, "closed")
    assert rig.closed == [first.id] and rig.incidents.count() == 0 and rig.incidents.current() is None
    assert rig.incidents.press(0).id != first.id


def test_bound_of_open_incidents_refuses_no_press() -> None:
    rig = Rig()
    for _ in range(module._OPEN_MAX + 5):
        one = rig.incidents.press(0)
        rig.board.advance(600_000)
    assert rig.incidents.count() == module._OPEN_MAX
    assert one.press == 6 and one.is_due()


def test_bound_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: without the bound the list grows."""
    bound = module._OPEN_MAX
    monkeypatch.setattr(module, "_OPEN_MAX", 10_000)
    rig = Rig()
    for _ in range(bound + 5):
        rig.incidents.press(0)
        rig.board.advance(600_000)
    assert rig.incidents.count() == bound + 5


def test_unknown_ids_are_counted_and_change_nothing() -> None:
    rig = Rig()
    rig.incidents.press(0)
    before = rig.essence()
    assert not rig.incidents.answered("petropavl-02-7-1", "accepted")
    assert not rig.incidents.answered("", "closed")
    assert rig.incidents.unknown_answers == 2 and rig.essence() == before


def test_newest_first_and_drills_last() -> None:
    rig = Rig()
    rig.incidents.start_drill()
    first = rig.incidents.press(0)
    rig.board.advance(600_000)
    second = rig.incidents.press(0)
    order = []
    while (one := rig.incidents.due()) is not None:
        order.append(one.id)
        one.transmitted()
    assert order[:2] == [second.id, first.id] and len(order) == 3


def test_a_drill_touches_neither_lamp_nor_journal() -> None:
    rig = Rig()
    ident = rig.incidents.start_drill()
    assert rig.incidents.start_drill() == ident, "one at a time"
    assert rig.incidents.current() is None and rig.incidents.count() == 0 and rig.board.flash.files == {}
    assert rig.incidents.due().status == "test" and not rig.incidents.is_waiting()
    assert rig.incidents.answered(ident, "received")
    assert rig.drills == [(ident, True)] and rig.closed == [] and rig.incidents.due() is None


def test_a_drill_without_an_answer_ends() -> None:
    rig = Rig()
    ident = rig.incidents.start_drill()
    rig.step_for(12_000)
    assert rig.drills == [(ident, False)]


def test_retention_removes_only_what_the_centre_knows() -> None:
    rig = Rig()
    answered = rig.incidents.press(0)
    rig.incidents.at_broker(answered, 1)
    rig.incidents.answered(answered.id, "received")
    rig.step_for(602_000)
    unanswered = rig.incidents.press(0)
    for _ in range(24):
        rig.board.advance(3_600_000)
        rig.incidents.step()
    assert rig.open_ids() == [unanswered.id]


def test_a_press_that_has_not_reached_the_broker_outlives_the_retention() -> None:
    """The centre knows of the incident, and not of its second press: the link was down from then on."""
    rig = Rig()
    one = rig.incidents.press(0)
    rig.incidents.at_broker(one, 1)
    rig.incidents.answered(one.id, "received")
    rig.incidents.press(0)
    rig.board.advance(25 * 3_600_000)
    rig.incidents.step()
    assert rig.open_ids() == [one.id]
    rig.incidents.at_broker(one, 2)
    rig.incidents.step()
    assert rig.open_ids() == []


def test_ids_are_unique_over_presses_drills_and_boots() -> None:
    seen = []
    rig = Rig()
    for _ in range(5):
        for _ in range(3):
            one, drill = rig.incidents.press(0).id, rig.incidents.start_drill()
            seen += [one, drill]
            rig.incidents.answered(drill, "received")
            rig.incidents.answered(one, "closed")
        rig = rig.reboot()
    assert len(set(seen)) == len(seen) == 30


@pytest.mark.parametrize(("ident", "boot"), [("a-b-12-3", 12), ("a-b", 0), ("", 0), ("x-y-z", 0), ("a-x-3", 0)])
def test_boot_of(ident: str, boot: int) -> None:
    assert boot_of(ident) == boot


def test_clock_set_dates_what_was_raised_before() -> None:
    rig = Rig(source="none")
    one = rig.incidents.press(50)
    assert one.raised_at is None
    rig.board.advance(1000)
    rig.clock.source = "ntp"
    rig.incidents.clock_set()
    assert one.raised_at == rig.board.epoch_ms() - 1050


# -- restore


def test_records_that_make_no_sense_cost_only_themselves() -> None:
    rig = Rig()
    rig.incidents.press(0)
    good = list(rig.journal.restore())
    nonsense: list[Any] = [7, None, [], {}, {"k": "open"}, {"k": "what"}, {"k": "press"}]
    nonsense += [{"k": "state", "id": "x", "s": 2}]
    nonsense += [{"k": "state", "id": good[0]["id"], "s": "x"}]
    other = Rig()
    other.incidents.restore(nonsense[:5] + good + nonsense[5:], 9)
    assert other.essence() == rig.essence()


def test_an_open_that_was_written_twice_is_one_incident() -> None:
    """A flash that fails after it has written makes the journal write again."""
    rig = Rig()
    rig.incidents.press(0)
    rig.board.flash.files["journal.log"] *= 2
    assert rig.reboot().essence() == rig.essence()


def test_a_press_whose_open_is_damaged_is_still_an_alarm() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    rig.incidents.press(0)
    rig.board.flash.files["journal.log"] = rig.board.flash.files["journal.log"].replace(b'"open"', b'"oqen"')
    again = rig.reboot()
    assert again.open_ids() == [one.id] and again.incidents.due().press == 2


def damaged() -> Rig:
    """Two incidents at the centre, the newest with three presses: the record of the third is spoilt, and a reset."""
    rig = Rig()
    rig.incidents.press(0)
    rig.board.advance(700_000)
    for _ in range(3):
        rig.incidents.press(0)
    rig.board.flash.files["journal.log"] = rig.board.flash.files["journal.log"].replace(b'"n": 3', b'"n": 7')
    return rig.reboot()


@pytest.mark.parametrize("resets", [0, 1])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_a_press_after_a_damaged_journal_is_never_one_that_the_centre_has_seen(resets: int, is_compacted: bool) -> None:
    rig = damaged()
    older, newest = rig.open_ids()
    if is_compacted:
        rig.incidents.compact()
    for _ in range(resets):
        rig = rig.reboot()
    raised = rig.incidents.press(0)
    assert raised.press == 1 and rig.open_ids() == [older, newest, raised.id], "number 3 was given already"
    assert rig.incidents.press(0) is raised and raised.press == 2, "the new one takes presses as ever"
    rig.incidents.compact()
    again = rig.reboot()
    assert again.incidents.press(0).id == raised.id, "after a further reset too"
    assert [one.sealed for one in again.incidents._list] == [True, True, False]


def test_a_damaged_journal_does_not_vouch_for_a_finger_on_the_button() -> None:
    """Else a new press, held while the column boots, passes for the one before, whose release was damaged."""
    rig = damaged()
    assert rig.incidents.held is False
    rig.incidents.press(0)
    assert rig.reboot().incidents.held is True


def test_a_sound_journal_seals_nothing() -> None:
    rig = Rig()
    one = rig.incidents.press(0)
    again = rig.reboot()
    assert again.incidents.press(0).id == one.id
    again.incidents.compact()
    assert b"sealed" not in again.board.flash.files["journal.log"]


def test_no_more_incidents_are_opened_than_are_kept_after_damage_either() -> None:
    rig = damaged()
    while rig.incidents.count() < module._OPEN_MAX:
        rig.incidents.press(0).sealed = True
    newest = rig.open_ids()[-1]
    assert rig.incidents.press(0).id == newest and rig.incidents.count() == module._OPEN_MAX


def test_held_survives() -> None:
    rig = Rig()
    rig.incidents.press(0)
    assert rig.reboot().incidents.held
    rig.incidents.released()
    assert not rig.reboot().incidents.held
    rig.incidents.press(0)
    rig.incidents.compact()
    assert rig.reboot().incidents.held


operation = st.one_of(
    st.just("press"),
    st.just("release"),
    st.just("deliver"),
    st.just("lost"),
    st.just("compact"),
    st.just("new window"),
    st.just("reboot"),
    st.just("flash full"),
    st.just("flash ok"),
    st.tuples(st.integers(0, 5), st.sampled_from(STATES)),
)


def restart_finds_the_same(operations: list[str | tuple[int, str]]) -> None:
    rig = Rig()
    for what in operations:
        if what == "press":
            rig.incidents.press(45)
        elif what == "release":
            rig.incidents.released()
        elif what == "deliver":
            rig.deliver()
        elif what == "lost":
            rig.incidents.connection_lost()
        elif what == "compact":
            rig.incidents.compact()
        elif what == "new window":
            rig.step_for(602_000)
        elif what == "flash full":
            rig.board.flash.mode = FlashMode.FULL
        elif what in ("flash ok", "reboot"):
            rig.board.flash.mode = FlashMode.OK
            rig.step_for(6000)
            rig = rig.reboot() if what == "reboot" else rig
        elif isinstance(what, tuple) and rig.open_ids():
            rig.incidents.answered(rig.open_ids()[what[0] % len(rig.open_ids())], what[1])
        if rig.board.flash.mode is FlashMode.OK:
            again = rig.reboot()
            assert again.essence() == rig.essence()
            assert again.incidents.held == rig.incidents.held
            assert again.faults == {} and all(one.late for one in again.incidents._list)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(operation, max_size=25))
def test_a_restart_at_any_point_finds_the_same_incidents(operations: list[str | tuple[int, str]]) -> None:
    restart_finds_the_same(operations)


def test_restart_control(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: a compaction that forgets the answers is found."""
    opened: Any = module._opened
    monkeypatch.setattr(module.Incidents, "records", lambda self: [opened(one) for one in self._list])
    with pytest.raises(AssertionError):
        restart_finds_the_same(["press", (0, "accepted"), "compact"])


def test_nobody_has_answered_yet_until_a_person_does() -> None:
    """Red when a repeated `received` without the word takes it back, or when it outlives a person's answer."""
    rig = Rig()
    one = rig.incidents.press(45)
    rig.deliver()
    assert rig.incidents.answered(one.id, "received", 1)
    told = rig.changes
    assert one.lamp() == "answered"
    assert rig.incidents.answered(one.id, "received", 1, True)
    assert one.lamp() == "unanswered" and rig.changes == told + 1, "the lamp is told at once"
    rig.incidents.answered(one.id, "received", 1, True)
    rig.incidents.answered(one.id, "received", 1)
    assert one.lamp() == "unanswered" and rig.changes == told + 1
    rig.board.advance(5000)
    rig.incidents.press(45)
    assert one.press == 2 and one.lamp() == "calling", "the press is felt"
    rig.board.advance(1500)
    assert one.lamp() == "unanswered"
    rig.incidents.answered(one.id, "accepted", 2)
    assert one.lamp() == "help-coming"
    rig.incidents.answered(one.id, "received", 2, True)
    assert one.lamp() == "help-coming", "late, and out of order"


def test_a_drill_and_a_foreign_call_know_no_waiting() -> None:
    rig = Rig()
    rig.incidents.start_drill()
    assert rig.incidents.answered(rig.incidents.drill.id, "received", 1, True)
    assert not rig.incidents.answered("petropavl-01-7-9", "received", 1, True)
    assert rig.incidents.current() is None


def test_an_exercise_is_marked_and_touches_neither_journal_nor_lamp() -> None:
    rig = Rig()
    ident = rig.incidents.start_drill("exercise")
    assert rig.incidents.drill.status == "exercise" and rig.incidents.drill.id == ident
    assert rig.incidents.current() is None and rig.reboot().open_ids() == []
