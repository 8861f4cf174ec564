# mypy: allow-untyped-calls
"""A board whose flash has a good configuration, and its start."""

import json
from typing import Any

import pytest
from config_document import document
from fake_board import FakeBoard

from firmware import resets
from firmware.startup import config_files, start
from firmware.startup.config import load

BOOT = {"number": 1 << 24, "mode": "normal", "unhealthy": 0, "folder": ""}


def put(board: FakeBoard, changed: dict[str, Any]) -> None:
    secrets = changed.pop("secrets", None)
    board.flash.files["config.json"] = json.dumps(changed, ensure_ascii=False).encode()
    if secrets is not None:
        board.flash.files["secrets.json"] = json.dumps(secrets).encode()


def run_healthily(board: FakeBoard) -> None:
    """What a boot does with its configuration, from the start until it counts as healthy."""
    config_files.put_on_trial(board.flash, "", load(board.flash, "esp32")[1])
    resets.certify(board, 1, True)
    board.flash.files.pop("boot.rec", None)


def good_board() -> FakeBoard:
    """Its configuration has worked."""
    board = FakeBoard()
    put(board, document())
    run_healthily(board)
    return board


class Enough(BaseException):
    """The loop has turned long enough."""


def run(board: Any, turns: int = 40) -> Any:
    """The board, after whatever its flash makes of it was started and has waited so often."""
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
