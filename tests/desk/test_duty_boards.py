"""Two boards under one column's name: the desk shows it as a fault of that column."""

from __future__ import annotations

from typing import Any

from contract_examples import example
from duty_rig import PureDesk, topic_of

from desk.ledger import BOARDS_S, TWO_BOARDS

DEVICE = "petropavl-01"
HOUR_MS = 3_600_000


def birth(desk: PureDesk, uid: str, at_ms: int) -> None:
    info: dict[str, Any] = example("info")[1]
    desk.take(topic_of(DEVICE, "info"), {**info, "hw": {**info["hw"], "uid": uid}}, at_ms)
    assert not desk.refused


def faults(desk: PureDesk) -> dict[str, Any]:
    return desk.ledger.columns[DEVICE].faults


def test_two_boards_that_take_turns_are_a_fault() -> None:
    desk = PureDesk("desk")
    for number, uid in enumerate(("aa", "bb", "aa")):
        assert not desk.ledger.columns or not faults(desk)
        birth(desk, uid, 1000 * number)
    assert faults(desk)[TWO_BOARDS]["detail"] == "boards aa, bb"


def test_a_new_board_is_a_repair() -> None:
    desk = PureDesk("desk")
    for number, uid in enumerate(("aa", "aa", "bb", "bb", "cc")):
        birth(desk, uid, 1000 * number)
    assert not faults(desk)


def test_it_is_over_a_day_after_the_last_change() -> None:
    desk = PureDesk("desk")
    for number, uid in enumerate(("aa", "bb", "aa")):
        birth(desk, uid, 1000 * number)
    birth(desk, "aa", round(BOARDS_S * 1000))
    assert TWO_BOARDS in faults(desk)
    birth(desk, "aa", round(BOARDS_S * 1000) + HOUR_MS)
    assert not faults(desk)


def test_no_column_can_take_it_back() -> None:
    desk = PureDesk("desk")
    for number, uid in enumerate(("aa", "bb", "aa")):
        birth(desk, uid, 1000 * number)
    desk.take(topic_of(DEVICE, f"fault/{TWO_BOARDS}"), b"", 9000)
    assert desk.refused and TWO_BOARDS in faults(desk)
