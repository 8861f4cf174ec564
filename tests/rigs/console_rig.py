# mypy: allow-untyped-calls
"""A column with somebody who types on its console."""

import json
from typing import Any

from column_rig import Rig
from fake_board import FakeBoard


class TypingBoard(FakeBoard):
    def __init__(self) -> None:
        super().__init__()
        self.keys = bytearray()
        self.read_bytes: list[int] = []

    def typed(self, limit: int) -> bytes | None:
        taken = super().typed(limit)
        if taken:
            self.read_bytes.append(len(taken))
        return taken


def typed(rig: Rig, data: bytes, ms: int = 1000) -> list[dict[str, Any]]:
    """What the console says within that time."""
    before = len(rig.board.logged)
    rig.board.keys = bytearray(data)
    rig.run(ms)
    return said(rig, before)


def said(rig: Rig, since: int = 0) -> list[dict[str, Any]]:
    texts = rig.board.logged[since:]
    return [json.loads(text.removeprefix("console: ")) for text in texts if text.startswith("console: ")]


def merged(lines: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in lines:
        for key, value in line.items():
            found[key] = found.get(key, []) + value if isinstance(value, list) else value
    return found
