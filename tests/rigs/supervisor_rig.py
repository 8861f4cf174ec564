"""A supervisor with tasks that do as they are told."""

from collections.abc import Callable
from typing import Any

from fake_board import FakeBoard

from firmware.supervisor import Supervisor

TIMEOUT_MS = 8000


class Hang(BaseException):
    """Stands for a step that never comes back: nothing in the firmware gets to run after it."""


class Task:
    def __init__(self, name: str, every_ms: int = 2000, act: Callable[[], None] = lambda: None) -> None:
        self.name, self.every_ms, self.act = name, every_ms, act
        self.steps = 0

    def step(self) -> int:
        self.steps += 1
        self.act()
        return self.every_ms


class Looks:
    name = "button"

    def __init__(self) -> None:
        self.unseen_ms: list[int] = []
        self.busy = False

    def look(self, unseen_ms: int) -> None:
        self.unseen_ms.append(unseen_ms)

    def is_busy(self) -> bool:
        return self.busy


def fail() -> None:
    raise ValueError("it broke here")


def hang() -> None:
    raise Hang


def make(*tasks: Any, timeout_ms: int = TIMEOUT_MS, button: Any = None) -> tuple[FakeBoard, Any]:
    board = FakeBoard()
    construct: Any = Supervisor
    return board, construct(board, button or Looks(), list(tasks), timeout_ms)
