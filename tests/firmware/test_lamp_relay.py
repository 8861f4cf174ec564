"""The lamp shows what it is told at once, in a rhythm; the relay opens by itself."""

from typing import Any

import pytest
from fake_board import FakeBoard

from firmware.lamp import COLOURS, LISTENED, RHYTHMS, Lamp
from firmware.relay import Relay

DARK = (0, 0, 0)
STATES = (
    *("ready", "calling", "sent", "answered", "unanswered", "help-coming", "not-delivered", "out-of-service"),
    "identify",
)
make_lamp: Any = Lamp
make_relay: Any = Relay


def run(board: FakeBoard, task: Any, ms: int) -> None:
    """Step the task as often as it asks for, at least every 2 s, never sooner than 1 ms."""
    end_ms = board.now_ms + ms
    while board.now_ms < end_ms:
        board.advance(min(max(1, task.step()), end_ms - board.now_ms))


def test_every_state_of_the_contract_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(STATES)
    assert len(set(COLOURS.values())) == len(STATES) and DARK not in COLOURS.values()


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_shown_at_once_whatever_was_before(state: str) -> None:
    board = FakeBoard()
    lamp = make_lamp(board)
    for before in STATES:
        lamp.show(before)
        run(board, lamp, 137)
        lamp.show(state)
        if before != state:
            assert board.lamp.shown[-1] == (board.now_ms, COLOURS[state])


@pytest.mark.parametrize("state", [s for s in STATES if s in RHYTHMS and s != "identify"])
def test_rhythm(state: str) -> None:
    board = FakeBoard()
    lamp = make_lamp(board)
    lamp.show(state)
    run(board, lamp, 10_000)
    on_ms, off_ms = RHYTHMS[state]
    times = [ms for ms, _ in board.lamp.shown]
    assert {colour for _, colour in board.lamp.shown[::2]} == {COLOURS[state]}
    assert {colour for _, colour in board.lamp.shown[1::2]} == {DARK}
    assert times[:4] == [0, on_ms, on_ms + off_ms, 2 * on_ms + off_ms]


def test_steady_states_are_written_once() -> None:
    board = FakeBoard()
    lamp = make_lamp(board)
    lamp.show("ready")
    run(board, lamp, 60_000)
    lamp.show("ready")
    assert board.lamp.shown == [(0, COLOURS["ready"])]


@pytest.mark.parametrize("state", [state for state in STATES if state != "identify"])
def test_a_steady_lamp_winks_while_the_place_is_heard_and_a_rhythm_stays_what_it_means(state: str) -> None:
    board = FakeBoard()
    lamp = make_lamp(board)
    lamp.show(state)
    lamp.show(state, listened=True)
    run(board, lamp, 10_000)
    on_ms, off_ms = RHYTHMS.get(state, LISTENED)
    times = [ms for ms, _ in board.lamp.shown[-4:]]
    colours = [colour for _, colour in board.lamp.shown[-4:]]
    assert set(colours) == {COLOURS[state], DARK}
    assert times[2] - times[0] == on_ms + off_ms
    lamp.show(state)
    assert board.lamp.shown[-1] == (board.now_ms, COLOURS[state])


def test_identify_shows_nothing_that_means_a_state() -> None:
    board = FakeBoard()
    lamp = make_lamp(board)
    lamp.show("identify")
    run(board, lamp, 1000)
    others = {COLOURS[state] for state in STATES if state != "identify"} | {DARK}
    assert len(board.lamp.shown) > 10 and not others & {colour for _, colour in board.lamp.shown}


def test_relay_opens_after_its_limit_and_a_press_restarts_it() -> None:
    board = FakeBoard()
    relay = make_relay(board, 180)
    relay.close()
    run(board, relay, 100_000)
    relay.close()
    run(board, relay, 179_000)
    assert board.relay.closed
    run(board, relay, 1001)
    assert not board.relay.closed
    assert board.relay.set_to[-1][0] == pytest.approx(280_000, abs=5)
    assert len(board.relay.set_to) == 3, "it opens once"


def test_relay_opened_by_hand_stays_open() -> None:
    board = FakeBoard()
    relay = make_relay(board, 1)
    relay.close()
    relay.open()
    run(board, relay, 5000)
    assert [closed for _, closed in board.relay.set_to] == [True, False]
