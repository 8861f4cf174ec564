"""A virtual board on duty, and its console as a technician has it."""

import time
from typing import Any

import memory_rig
from board_probe import Bench
from centre_probe import end
from column_probe import PATIENCE_S

from desk.ledger import Incident
from sim.servers.centre import Centre

DEVICE = "board-02"
BOOT_S = 20.0
RUNTIMES = ("micropython", "micropython32")


class Duty:
    """A column on duty, with a centre that answers."""

    def __init__(self, desk: Bench, centre: Centre) -> None:
        self.desk = desk
        self.board = desk.board
        self.centre = centre

    def alarm(self) -> str:
        before = len(self.centre.look(lambda ledger: ledger.of(DEVICE)))
        self.board.press(150)
        raised = self.centre.wait_for(
            lambda ledger: next(iter(ledger.of(DEVICE)[before:]), None), PATIENCE_S, "the alarm"
        )
        time.sleep(0.25)  # let go, and the debouncer has seen it
        end(self.centre, raised)
        return raised.id

    def resets(self) -> list[Any]:
        return [event for event in self.desk.seen.events + self.desk.seen.drain(0.2) if event["event"] == "reset"]


# A stock ESP32 without PSRAM has 112 (docs/diagnostics.md), where questions that meet alarm after alarm on a busy
# machine may leave too little for the next one, until the column restarts. Above 116 IDF has no room for TLS.
ANSWERS_BYTES = 115 * 1024


def raised(centre: Centre, number: int) -> Incident:
    return centre.wait_for(
        lambda ledger: next(iter(ledger.of(memory_rig.DEVICE)[number:]), None), PATIENCE_S, f"alarm {number + 1}"
    )
