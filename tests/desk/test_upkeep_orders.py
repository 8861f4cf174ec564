"""Work orders and maintenance, at a real desk in virtual time; the answer to a drill; and what the pages are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from upkeep_rig import DAY, HOUR, KEY, MINUTE, Desk, S

from common.receiver import key_of, label_key, signature
from desk.ledger import LedgerError
from desk.upkeep import orders, report, store
from desk.upkeep.life import DOWN, PRESUMED
from desk.upkeep.orders import DOWN_MS, WorkOrder
from desk.upkeep.roster import Roster

ALL = ("sos-01", "sos-02", "sos-03")
ONE = ALL[0]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path / "register.db") as made:
        for name in ALL:
            made.birth(name)
        made.beat(MINUTE, *ALL)
        yield made


def maintenance(desk: Desk, for_ms: int = HOUR) -> WorkOrder:
    return desk.duty.open_order(
        ONE, "chief", what="new button", who="A. Omarov", cause="works", until_ms=desk.now_ms + for_ms, maintenance=True
    )


def open_orders(desk: Desk) -> list[WorkOrder]:
    return store.orders(desk.register, is_open=True)


# -- orders


def test_a_column_that_is_down_for_long_gets_an_order_which_a_passed_drill_closes(desk: Desk) -> None:
    desk.will(ONE)
    desk.beat(DOWN_MS - MINUTE, *ALL[1:])
    assert open_orders(desk) == []
    desk.beat(2 * MINUTE, *ALL[1:])
    (order,) = open_orders(desk)
    assert (order.device_id, order.opened_by, order.cause, order.repaired_ms) == (ONE, "", "unknown", None)
    desk.duty.assign_order(order.n, "B. Kim", desk.now_ms + DAY)
    desk.birth(ONE)
    desk.beat(MINUTE, *ALL)
    (order,) = open_orders(desk)
    assert (order.cause, order.who) == ("supply", "B. Kim") and order.repaired_ms is not None
    desk.drill(ONE)
    assert open_orders(desk) == []
    (closed,) = store.orders(desk.register, is_open=False)
    assert closed.down_ms is not None and closed.repaired_ms is not None
    took_ms = closed.repaired_ms - closed.down_ms
    assert orders.repair_ms([closed]) == {"supply": {"mean_ms": took_ms, "n": 1}} and took_ms > DOWN_MS


def test_a_drill_while_the_fault_stands_closes_nothing(desk: Desk) -> None:
    desk.fault(ONE, "stream-down")
    desk.beat(DOWN_MS + MINUTE, *ALL)
    assert [order.cause for order in open_orders(desk)] == ["camera"]
    desk.drill(ONE)
    assert len(open_orders(desk)) == 1


def test_one_who_comes_back_and_goes_again_is_not_repaired(desk: Desk) -> None:
    desk.will(ONE)
    desk.beat(DOWN_MS + MINUTE, *ALL[1:])
    desk.birth(ONE)
    desk.beat(MINUTE, *ALL)
    desk.will(ONE)
    desk.beat(MINUTE, *ALL[1:])
    (order,) = open_orders(desk)
    assert order.repaired_ms is None


def test_no_order_for_what_nobody_mends_at_a_column(desk: Desk) -> None:
    desk.stand(False)
    desk.run(2 * DOWN_MS, step_ms=4 * S)
    assert desk.state(ONE) == (DOWN, "broker") and open_orders(desk) == []


# -- maintenance


def test_in_maintenance_a_press_does_not_ring_and_is_kept(desk: Desk) -> None:
    maintenance(desk)
    desk.run(2 * S)
    assert desk.state(ONE) == (DOWN, "maintenance")
    (told,) = desk.commands(ONE)
    assert told["cmd"] == "maintain" and 3500 <= told["for_s"] <= 3600
    incident_id = desk.alarm(ONE)
    assert desk.register.incidents(status="actual") == [], "it would ring"
    row = desk.register.incident(incident_id)
    assert row is not None and row["status"] == "test"
    assert [entry["kind"] for entry in row["timeline"]][0] == "maintenance"
    assert desk.links(ONE)["button"] == "proven", "it was a hand that pressed"
    assert desk.alarm(ALL[1]) in [row["id"] for row in desk.register.incidents(status="actual")], "others ring"


def test_a_press_in_maintenance_is_over_at_once_for_the_column_too(desk: Desk) -> None:
    """Red where it stays open: the column goes on with it when it is back, for hours, and takes the next press for one
    more of it, with no word of its own to whoever presses. A drill ends by itself, as ever."""
    order = maintenance(desk)
    desk.run(2 * S)
    first = desk.alarm(ONE)
    told = desk.answer(first)
    assert told is not None and (told["state"], told["by"]) == ("closed", "desk-1")
    row = desk.register.incident(first)
    assert row is not None and [one["kind"] for one in row["timeline"]][::3] == ["maintenance", "closed"]
    desk.duty.finish_order(order.n, "chief")
    answer = desk.drill(ONE)
    assert answer["state"] == "received" and desk.duty.keeper.maintenance(ONE) is None
    row = desk.register.incident(desk.alarm(ONE))
    assert row is not None and (row["state"], row["status"]) == ("received", "actual")


def test_what_was_promised_binds_the_desk_too(desk: Desk) -> None:
    """Red when maintenance that nobody ended goes on muting: the column would be forgotten."""
    maintenance(desk, 10 * MINUTE)
    desk.beat(10 * MINUTE + S, *ALL)
    incident_id = desk.alarm(ONE)
    assert [row["id"] for row in desk.register.incidents(status="actual")] == [incident_id]
    assert desk.state(ONE) == (DOWN, "maintenance"), "... and it is not back before a drill has passed"


def test_it_comes_back_only_with_a_passed_drill(desk: Desk) -> None:
    order = maintenance(desk)
    desk.run(2 * S)
    desk.drill(ONE)
    assert desk.duty.keeper.maintenance(ONE) is not None, "the technician tries it; nobody has said that he is done"
    desk.duty.finish_order(order.n, "chief")
    desk.run(2 * S)
    assert desk.commands(ONE)[-1]["cmd"] == "drill"
    desk.alarm(ONE, "test")
    desk.run(2 * S)
    assert desk.duty.keeper.maintenance(ONE) is not None, "the drill has not been answered, as far as the column says"
    desk.drill(ONE, receiver="wrong")
    assert desk.duty.keeper.maintenance(ONE) is not None, "and not by the right centre"
    desk.drill(ONE)
    assert desk.duty.keeper.maintenance(ONE) is None
    desk.beat(MINUTE, *ALL)
    assert desk.state(ONE) == (PRESUMED, "")
    assert desk.commands(ONE)[-1] | {"id": "", "expires": ""} == {
        "v": 1, "id": "", "cmd": "maintain", "expires": "", "for_s": 0,
    }  # fmt: skip


def test_maintenance_that_is_finished_ends_after_a_restart_of_the_desk_too(desk: Desk) -> None:
    """Red where only the process that was told remembers that the work is done: presses would go on ringing nowhere."""
    order = maintenance(desk)
    desk.duty.finish_order(order.n, "chief")
    desk.end()
    desk.begin()
    desk.beat(5 * S, *ALL)
    desk.drill(ONE)
    assert desk.duty.keeper.maintenance(ONE) is None
    assert desk.alarm(ONE) in [row["id"] for row in desk.register.incidents(status="actual")]


def test_what_columns_are_to_do_waits_for_the_broker(desk: Desk) -> None:
    """Red where it is thrown away: the drill after the work would wait until the column starts anew."""
    order = maintenance(desk)
    desk.run(2 * S)
    desk.stand(False)
    desk.duty.finish_order(order.n, "chief")
    desk.run(2 * S)
    assert [one["cmd"] for one in desk.commands(ONE)] == ["maintain"]
    desk.stand(True)
    desk.run(2 * S)
    assert [one["cmd"] for one in desk.commands(ONE)] == ["maintain", "drill"]


def test_nothing_is_wished_while_nobody_can_be_told(desk: Desk) -> None:
    """Red where each half hour of an outage leaves a command, and the last one is sent when presses ring again."""
    maintenance(desk, 4 * HOUR)
    desk.run(2 * S)
    desk.stand(False)
    desk.run(3 * HOUR, step_ms=10 * S)
    desk.stand(True)
    desk.run(2 * S)
    assert [one["cmd"] for one in desk.commands(ONE)] == ["maintain"] * 2
    assert 3500 <= desk.commands(ONE)[-1]["for_s"] <= 3600
    desk.stand(False)
    desk.run(2 * HOUR, step_ms=10 * S)
    desk.stand(True)
    desk.run(2 * S)
    assert len(desk.commands(ONE)) == 2, "it is over"


def test_a_column_that_starts_anew_is_told_again_and_so_is_one_after_a_restart_of_the_desk(desk: Desk) -> None:
    maintenance(desk)
    desk.run(2 * S)
    desk.birth(ONE)
    desk.run(2 * S)
    assert [one["cmd"] for one in desk.commands(ONE)] == ["maintain"] * 2
    desk.end()
    desk.now_ms += MINUTE
    desk.begin()
    desk.beat(5 * S, *ALL)
    assert [one["cmd"] for one in desk.commands(ONE)] == ["maintain"] * 3
    assert desk.state(ONE) == (DOWN, "maintenance")


@pytest.mark.parametrize("until_ms", [None, 8 * DAY, -1])
def test_maintenance_has_an_end(desk: Desk, until_ms: int | None) -> None:
    with pytest.raises(LedgerError):
        desk.duty.open_order(
            *(ONE, "chief"), what="x", who="y", cause="works", maintenance=True,
            until_ms=None if until_ms is None else desk.now_ms + until_ms,
        )  # fmt: skip


# -- the answer to a drill


def test_an_answer_to_a_drill_says_who_answers_and_for_which_place_signed(desk: Desk) -> None:
    answer = desk.drill(ONE)
    said = answer["receiver"]
    entry = desk.roster.entries[ONE]
    assert (said["name"], said["address"], said["geo"]) == ("nko-102", entry.address, entry.geo)
    assert said["sig"] == signature(key_of(KEY, ONE), answer["id"], "nko-102", entry.address, entry.geo)
    real = desk.answer(desk.alarm(ONE))
    assert real is not None and "receiver" not in real, "a call's answer stays as it was"


def test_a_wrong_receiver_is_down_and_breaks_the_drill(desk: Desk) -> None:
    desk.drill(ONE)
    desk.fault(ONE, "wrong-receiver")
    desk.run(2 * S)
    assert desk.links(ONE)["drill"] == "broken" and desk.state(ONE) == (DOWN, "works")


# -- what pages are told


def overview(desk: Desk) -> dict[str, object]:
    return desk.duty.overview(desk.now_ms)


def test_the_public_learns_nothing_that_helps_to_choose_a_column(desk: Desk) -> None:
    desk.fault(ONE, "tamper")
    desk.run(2 * S)
    found = overview(desk)
    assert report.public(found).keys() == {"v", "at_ms", "total", "proven", "call_proven", "down"}
    told = report.public_column(found, ONE)
    assert told is not None and told.keys() == {"v", "device_id", "address", "state", "proven_ms", "at_ms"}
    assert told["state"] == "out" and told["at_ms"] % HOUR == 0
    assert "tamper" not in str(told) and "vandalism" not in str(told)
    assert report.public_column(found, "sos-99") is None


def test_one_columns_state_is_for_who_has_read_its_label(desk: Desk) -> None:
    """Red when a name is enough: names can be guessed."""
    assert desk.duty.is_label(ONE, label_key(KEY, ONE))
    assert not desk.duty.is_label(ONE, label_key(KEY, ALL[1])) and not desk.duty.is_label(ONE, "")
    desk.duty._answer_key = None
    assert not desk.duty.is_label(ONE, "") and not desk.duty.is_label(ONE, label_key(KEY, ONE))


def test_the_share_never_counts_a_column_that_nobody_has_heard(tmp_path: Path) -> None:
    with Desk(tmp_path / "other.db") as desk:
        desk.birth(ALL[1])
        desk.beat(MINUTE, ALL[1])
        found = overview(desk)
        assert found["share"] == {"total": 3, "proven": 0, "call_proven": 0, "down": 2}
        lines = "".join(report.roster_csv(found)).splitlines()
        assert len(lines) == 4 and "never-online" in lines[1] and "never-online" not in lines[2]


def test_without_a_roster_the_columns_that_were_heard_are_all(tmp_path: Path) -> None:
    with Desk(tmp_path / "other.db", Roster.nothing()) as desk:
        desk.birth("sos-07", location={**desk_location(), "address": "somewhere"})
        desk.beat(MINUTE, "sos-07")
        found = overview(desk)
        assert found["roster"] is False and [one["device_id"] for one in found["columns"]] == ["sos-07"]  # type: ignore[attr-defined]


def desk_location() -> dict[str, object]:
    from contract_examples import example

    return dict(example("info")[1]["location"])


def test_a_stranger_is_a_finding_and_gets_neither_minutes_nor_orders_nor_a_place_in_the_share(desk: Desk) -> None:
    """Red when whoever invents names fills the register with lives and orders."""
    desk.birth("sos-99", location=desk_location())
    desk.beat(MINUTE, *ALL, "sos-99")
    desk.will("sos-99")
    desk.beat(DOWN_MS + MINUTE, *ALL)
    found = desk.duty.overview(desk.now_ms)
    assert [one["kind"] for one in found["findings"]] == ["not-in-roster"] and found["counts"] == {"not-in-roster": 1}
    assert found["share"]["total"] == 3 and "sos-99" in [one["device_id"] for one in found["columns"]]
    assert open_orders(desk) == [] and desk.spans("sos-99") == []


def test_a_column_that_comes_and_goes_does_not_fill_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SPANS_MAX", 6)
    for _ in range(6):
        desk.will(ONE)
        desk.beat(10 * S, *ALL[1:])
        desk.connect(ONE)
        desk.beat(10 * S, *ALL)
    assert len(desk.spans(ONE)) == 6 and len(desk.spans(ALL[1])) == 1


def test_another_part_of_the_desk_proves_a_link(desk: Desk) -> None:
    desk.hear(ONE, "info", {**info_of(desk), "stream": {"sip": "sip:sos-01@intercom.example", "ok_at": None}})
    assert desk.links(ONE)["voice"] == "unproven" and desk.links(ONE)["picture"] == "absent"
    desk.duty.prove(ONE, "voice", "a call that was heard")
    assert desk.links(ONE)["voice"] == "proven"
    desk.run(S)
    desk.end()
    desk.begin()
    assert desk.links(ONE)["voice"] == "proven"


def info_of(desk: Desk) -> dict[str, object]:
    return dict(desk.duty._ledger.columns[ONE].info)
