"""A serial port that cannot be opened at once."""

import contextlib
import fcntl
import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from field import ports
from field.board import Board, BoardError
from field.console import Console, NotOpened
from field.words import PortTrouble

OPENERS: dict[type[PortTrouble], Callable[[str], Board | Console]] = {BoardError: Board, NotOpened: Console}


class Held:
    """A port that another program has, with pyserial's own lock."""

    def __init__(self, link: Path) -> None:
        self._leader, self._follower = pty.openpty()
        fcntl.flock(self._follower, fcntl.LOCK_EX)
        link.symlink_to(os.ttyname(self._follower))
        self.port = str(link)

    def release(self) -> None:
        fcntl.flock(self._follower, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._leader)
        os.close(self._follower)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with contextlib.closing(Held(tmp_path / "board")) as made:
        yield made


@pytest.mark.parametrize("trouble", OPENERS)
def test_a_port_that_another_program_keeps_is_busy(
    trouble: type[PortTrouble], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "_LEAVING_S", 0.0)
    with pytest.raises(trouble, match="another program uses it"):
        OPENERS[trouble](held.port)


@pytest.mark.parametrize("trouble", OPENERS)
def test_a_port_that_is_just_being_left_is_waited_for(
    trouble: type[PortTrouble], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that follows another meets its lock for a moment. Red when a busy port is refused at once."""
    monkeypatch.setattr(ports, "_LEAVING_S", 60.0)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        held.release()

    monkeypatch.setattr("field.ports.time.sleep", pause)
    OPENERS[trouble](held.port).close()
    assert len(pauses) == 1
