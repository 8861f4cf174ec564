# mypy: allow-untyped-calls
"""A session over a scripted broker, moved by hand: for the tests of firmware/session.py."""

from typing import Any

import pytest
from fake_board import FakeBoard
from fake_net import TOPICS, FakeStream, coder

from firmware.session import LinkLost, PacketIds, Session

KEEPALIVE_S, PUBACK_S = 12, 4
KEEPALIVE_MS, PUBACK_MS = KEEPALIVE_S * 1000, PUBACK_S * 1000
ALARM = TOPICS["alarm"]
STEP_MS = 10


class Rig:
    def __init__(self, answers: str = "connack suback puback pingresp", keepalive_s: int = KEEPALIVE_S) -> None:
        self.board = FakeBoard()
        self.stream = FakeStream(self.board, answers)
        self.acknowledged: list[Any] = []
        self.messages: list[tuple[bytes, bytes]] = []
        self.careful = False
        self.session = Session(
            self.board,
            self.stream,
            coder(),
            PacketIds(),
            {"keepalive_s": keepalive_s, "puback_timeout_s": PUBACK_S},
            self.acknowledged.append,
            lambda topic, payload, _: self.messages.append((topic, payload)),
        )

    def run(self, ms: int) -> None:
        end = self.board.now_ms + ms
        while True:
            was_up = self.session.is_up
            self.session.step()
            if self.session.is_up and not was_up:
                self.session.subscribe(TOPICS["subscribe"], self.careful)
            if self.board.now_ms >= end:
                return
            self.board.advance(STEP_MS)

    def up(self) -> "Rig":
        self.run(50)
        assert self.session.is_up
        self.stream.heard.clear()
        self.stream.writes.clear()
        return self

    def lost(self, within_ms: int) -> tuple[int, str]:
        """(ms until LinkLost, why)"""
        start = self.board.now_ms
        with pytest.raises(LinkLost) as caught:
            self.run(within_ms)
        return self.board.now_ms - start, str(caught.value)
