"""A button in a loop of looks over a waveform, and what it reported."""

from typing import Any

from fake_board import FakeBoard

from firmware.button import Button

CONFIG = {"press_ms": 40, "release_ms": 60, "stall_ms": 40, "stuck_s": 60}


class Rig:
    def __init__(
        self, *, closed: bool = False, held_at_boot: bool = False, counts: bool = True, integrates: bool = False
    ) -> None:
        self.board = FakeBoard()
        self.board.contact.counts = counts
        self.board.contact.integrates = integrates
        if closed:
            self.board.contact.set(True)
        self.presses: list[tuple[int, bool]] = []  # (age_ms, in_stall)
        self.seen_ms: list[int] = []
        self.releases = 0
        self.stuck: list[bool] = []
        self.failures: list[str] = []
        make: Any = Button
        told = (self._press, self._release, self.stuck.append, self.failures.append)
        self.button = make(self.board, CONFIG, *told, held_at_boot)

    def _press(self, age_ms: int, in_stall: bool) -> None:
        self.presses.append((age_ms, in_stall))
        self.seen_ms.append(self.board.now_ms)

    def _release(self) -> None:
        self.releases += 1

    def run(self, ms: int) -> None:
        """The firmware's loop: step, wait, look."""
        end_ms = self.board.now_ms + ms
        while self.board.now_ms < end_ms:
            wait_ms = min(self.button.step(), end_ms - self.board.now_ms)
            self.button.look(self.board.wait(wait_ms))

    def look_after(self, ms: int) -> None:
        """One look after a wait of exactly so long, all of it watched."""
        self.board.advance(ms)
        self.button.look(0)

    def stall(self, ms: int) -> None:
        """The loop does something else: the next look knows that it did not watch."""
        self.board.advance(ms)
        self.button.look(-1)
