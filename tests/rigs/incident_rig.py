"""Incidents on a journal on a flash that fails when told to; `reboot` gives those of the next boot."""

from typing import Any

from fake_board import FakeBoard, FakeFlash

from firmware.incident import CLOSED, RECEIVED
from firmware.incidents import Incidents
from firmware.journal import Journal

CONFIG: dict[str, Any] = {
    "device_id": "petropavl-01",
    "incident": {"open_s": 600, "retention_s": 86_400, "repeat_s": 15, "repeat_max_s": 60, "answer_s": 10},
}
STATES = ("received", "accepted", "dispatched", "closed")


class FakeClock:
    def __init__(self, board: FakeBoard, source: str = "ntp") -> None:
        self._board = board
        self.source = source

    def now_ms(self) -> int:
        return self._board.epoch_ms()


class Rig:
    def __init__(self, flash: FakeFlash | None = None, boot: int = 7, source: str = "ntp") -> None:
        self.board = FakeBoard()
        if flash:
            self.board.flash = flash
        self.boot = boot
        self.clock = FakeClock(self.board, source)
        self.faults: dict[str, str] = {}
        self.faults_told: list[tuple[str, str | None]] = []
        self.closed: list[str] = []
        self.drills: list[tuple[str, bool]] = []
        self.changes = 0  # how often the lamp was told to look
        make: Any = Incidents
        make_journal: Any = Journal
        self.journal = make_journal(self.board, self._fault)
        self.incidents = make(
            self.board,
            CONFIG,
            self.journal,
            self.clock,
            lambda one: self.closed.append(one.id),
            self._drill,
            self._change,
        )
        self.incidents.restore(self.journal.restore(), boot)

    def _fault(self, ident: str, detail: str | None) -> None:
        self.faults_told.append((ident, detail))
        if detail is None:
            self.faults.pop(ident, None)
        else:
            self.faults[ident] = detail

    def _change(self) -> None:
        self.changes += 1

    def _drill(self, one: Any, answered: bool) -> None:
        self.drills.append((one.id, answered))

    def reboot(self) -> "Rig":
        return Rig(self.board.flash, self.boot + 1, self.clock.source)

    def deliver(self) -> None:
        """Transmit what is due, and let the broker have it."""
        while (one := self.incidents.due()) is not None:
            one.transmitted()
            self.incidents.at_broker(one, one.press)

    def step_for(self, ms: int) -> None:
        for _ in range(ms // 2000):
            self.board.advance(2000)
            self.incidents.step()

    def open_ids(self) -> list[str]:
        return [one.id for one in self.incidents._list]

    def essence(self) -> list[tuple[Any, ...]]:
        """What must survive a reset: an answer below `received` (PUBACK) need not."""
        return [
            (one.id, one.press, one.state if one.state >= RECEIVED else 0, one.raised_at, one.clock)
            for one in self.incidents._list
            if one.state != CLOSED
        ]


def at_broker(one: Any) -> None:
    one.transmitted()
    one.at_broker(one.press)
