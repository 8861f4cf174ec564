# mypy: allow-untyped-calls
"""From a board to a running column: every kind of configuration, and a board that refuses one."""

import json
from typing import Any

import pytest
from config_document import document
from fake_board import FakeBoard
from test_config_files import good_board, put

from firmware import column, start
from firmware.lamp import COLOURS

BOOT = {"number": 1 << 24, "mode": "normal", "unhealthy": 0, "folder": ""}


class Idle:
    def run(self) -> None:
        pass


class Enough(BaseException):
    """The loop has turned long enough."""


def run(board: Any, turns: int = 40) -> Any:
    real, left = board.wait, [turns]

    def wait(timeout_ms: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise Enough
        real(timeout_ms)

    board.wait = wait
    with pytest.raises(Enough):
        start.run(board, dict(BOOT))
    return board


class Picky(FakeBoard):
    """Refuses one device id's pins, as a driver may."""

    def configure(self, config: dict[str, Any]) -> None:
        if config.get("device_id") == "refused":
            raise ValueError("invalid pin")
        super().configure(config)


def test_a_good_configuration_is_run() -> None:
    board = run(good_board())
    assert board.config["device_id"] == "petropavl-01" and "start" in board.link.calls and board.dog.fed_ms


def test_what_only_the_start_needs_is_forgotten() -> None:
    names = ("configure", "config", "config_files", "pins", "last_reset", "assembly")
    assert run(good_board()).forgotten == ["firmware." + name for name in names]


def test_the_certificates_stay_with_the_board_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the column's copy of the configuration they would take several KB of heap."""
    made: list[Any] = []

    def make(board: Any, boot: Any, config: Any, *_: Any) -> Idle:
        made.append(config)
        return Idle()

    monkeypatch.setattr(column, "Column", make)
    board = good_board()
    taken: list[str] = []
    monkeypatch.setattr(board, "configure", lambda config: taken.append(json.dumps(config)))
    start.run(board, dict(BOOT))
    assert "-----BEGIN" in taken[0] and "-----BEGIN" not in json.dumps(made[0])


def test_a_broken_one_is_said_and_the_last_good_one_run() -> None:
    board = good_board()
    put(board, document(device_id="Ä"))
    run(board)
    assert board.config is not None and board.config["device_id"] == "petropavl-01"
    assert any(line.startswith("configuration: device_id: found ") for line in board.logged)


def test_one_that_the_board_refuses_falls_back_too() -> None:
    board = Picky()
    board.flash = good_board().flash
    put(board, document(device_id="refused"))
    run(board)
    assert board.config is not None and board.config["device_id"] == "petropavl-01"
    assert any("the board refused them: invalid pin" in line for line in board.logged)


def test_with_none_that_works_it_waits_and_says_so_again_and_again() -> None:
    board = run(FakeBoard(), turns=100)
    said = [line for line in board.logged if "there is no such file" in line]
    assert len(said) == 5 and board.link.calls == [] and board.dog is not None and len(board.dog.fed_ms) > 90
    assert board.config["link"] == {"type": "none"} and board.lamp.shown


def test_a_refused_one_without_a_good_one_waits() -> None:
    board = Picky()
    put(board, document(device_id="refused"))
    run(board)
    assert board.config is not None and board.config["link"] == {"type": "none"}


def test_the_fall_back_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken by a board that forgot what worked."""
    monkeypatch.setattr("firmware.config.last_good", lambda flash, chip: (None, "none"))
    with pytest.raises(KeyError):  # the fallback configuration has no device id
        test_one_that_the_board_refuses_falls_back_too()


def test_a_technicians_interrupt_leaves_no_green_lamp_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red without the `except` in `start.run`: the lamp keeps its last colour while nobody looks at the button."""
    board = good_board()

    def wait(_timeout_ms: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(board, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        start.run(board, dict(BOOT))
    assert board.lamp.shown[-1][1] == COLOURS["out-of-service"]
