"""A serial port that cannot be opened at once."""

import contextlib
import fcntl
import json
import os
import pty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from config_document import document
from field_tools import MAINS

from field import image, ports
from field.board import Board, BoardError
from field.console import Console, NotOpened
from field.words import LANGUAGES, PortTrouble, Words

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


WITH_PORT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("accept", "diag", "logs", "shell", "watch"), ("PORT",)),
    "code": ("--port", "PORT"), "console": ("PORT", "status"), "flash": ("PORT=CONFIG",),
    "image": ("PORT", "CONFIG", "--sha256", "0"),
}  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("tool", WITH_PORT)
def test_a_port_that_is_not_there_is_all_that_is_said(
    tool: str, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make diag` said first that it checks a column which then was not there, and `make accept` that the board is off
    duty. Red for a tool that begins to tell before its port is open, or leaves it to another program's English."""
    monkeypatch.setattr(image, "check", lambda *_: image.CHIPS[0])
    monkeypatch.setattr("field.diag.command.our_build", lambda: None)
    monkeypatch.setattr("field.flash.bundle.make", lambda: None)
    (tmp_path / "config.json").write_text(json.dumps(document()))
    port, configuration = str(tmp_path / "no port"), str(tmp_path / "config.json")
    typed = [word.replace("PORT", port).replace("CONFIG", configuration) for word in WITH_PORT[tool]]
    assert MAINS[tool]([*typed, "--lang", language]) != 0
    out, err = capsys.readouterr()
    absent = Words(language)("port.absent", ports="|").partition("|")[0]
    assert tool == "flash" or out == "", "of several ports, each has a line that says how far it is"
    assert port in err and absent in err and err.startswith(Words(language)("error", why=""))
    assert err.count("\n") == 1


def test_no_tool_with_a_port_is_left_out() -> None:
    """Red with a new tool that opens one."""
    folder, found = Path(ports.__file__).parent, set[str]()
    for file in (*folder.glob("*.py"), *folder.glob("*/command.py")):
        text = file.read_text("utf-8")
        if "serial port" in text and "def main(" in text:
            found.add(file.stem if file.parent == folder else file.parent.name)
    assert found == set(WITH_PORT)
