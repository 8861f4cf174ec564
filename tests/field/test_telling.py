"""What goes wrong in a command becomes words, in the language that was asked for: no traceback, whatever happens."""

import errno
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from diag_answers import Recorded
from diag_port import FakeColumn, FakePort
from field_tools import MAINS

from field import bundle, flash, image, logs, provision, shell, watch
from field.board import Board, BoardError
from field.diag import command
from field.telling import EXIT_FAILED, EXIT_INTERRUPTED, in_words
from field.words import LANGUAGES, Trouble, Words


def raising(error: BaseException) -> Any:
    @in_words
    def main(argv: Sequence[str] | None = None) -> int:
        raise error

    return main


KINDS = {
    errno.EACCES: "file.permission",
    errno.EPERM: "file.permission",
    errno.ENOENT: "file.missing",
    errno.ENOSPC: "file.full",
    errno.EROFS: "file.read-only",
    errno.EISDIR: "file.folder",
    errno.EEXIST: "file.in-the-way",
    errno.EIO: "file.fails",
}


@pytest.mark.parametrize("number", KINDS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_system_says_of_a_file(number: int, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = OSError(number, "as the system says", "a file")
    assert raising(error)(["--lang", language]) == EXIT_FAILED
    said = Words(language)
    wanted = said("error", why=said(KINDS[number], name="a file", error="as the system says"))
    assert capsys.readouterr().err.strip() == wanted


def test_a_trouble_an_interruption_and_a_reader_that_left(capsys: pytest.CaptureFixture[str]) -> None:
    assert raising(Trouble("bundle.no-library"))([]) == EXIT_FAILED
    assert "make tools" in capsys.readouterr().err
    assert raising(KeyboardInterrupt())([]) == EXIT_INTERRUPTED
    with pytest.raises(ZeroDivisionError):  # a fault of the program is not hidden
        raising(ZeroDivisionError())([])


@pytest.mark.parametrize("name", MAINS)
def test_every_command_has_it(name: str) -> None:
    """Red for a command whose `main` is not wrapped: its disk, port or file ends in a traceback."""
    assert hasattr(MAINS[name], "__wrapped__")
    with_main = {path.stem for path in Path(bundle.__file__).parent.glob("*.py") if "def main(" in path.read_text()}
    assert with_main | {"accept", "diag"} == set(MAINS)


def test_an_answer_that_the_cable_garbled_is_the_cables_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board.__new__(Board)
    board.port = "/dev/x"
    for answer in ('{"files": {"boo\ufffd', "", "[1]", "17"):
        monkeypatch.setattr(Board, "run", lambda self, code, answer=answer: answer)
        with pytest.raises(BoardError, match="/dev/x: what it answers is garbled: take another cable") as error:
            board.survey()
        assert f"/{len(answer)}: " in str(error.value) and "Expecting" not in str(error.value), "no words of Python's"


ASIDE = 'Traceback (most recent call last):\r\n  File "x.py", line 61, in _take\r\nMemoryError: heap is locked\r\n'
STOPPED = ASIDE.replace("MemoryError: heap is locked", "KeyboardInterrupt: ")


@pytest.mark.parametrize("output, trouble", [(ASIDE + "{}", ""), ('{"files": ' + ASIDE, ""), ("", STOPPED)])
def test_a_board_that_was_interrupted_is_asked_again(output: str, trouble: str) -> None:
    """What it said into its answer is no cable's fault, and no technician's to read. Red without the look for it: then
    another cable is asked for, or the board is."""
    board = Board.__new__(Board)
    board.port, board._transport = "/dev/x", Transport(output.encode(), trouble.encode())
    with pytest.raises(BoardError) as raised:
        board.survey()
    assert raised.value.key == "board.interrupted"
    for language in LANGUAGES:
        assert not re.search("Traceback|File|Error|Interrupt", raised.value.told(Words(language)))


class Transport:
    """Each answer is the same one: what was printed, and what went wrong."""

    def __init__(self, *answer: bytes) -> None:
        self._answer = answer

    def exec_raw(self, code: str, timeout: float) -> tuple[bytes, ...]:
        return self._answer


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_board_that_came_back_without_a_configuration_says_all_errors(language: str) -> None:
    """Red with "; " between them: no table knows two sentences as one."""
    errors = [{"errors": [f"pins.{name}: missing, must be a GPIO number"]} for name in ("button", "lamp")]
    recorded = Recorded().says("status", {"configured": False}, *errors)
    with FakeColumn(recorded) as column, pytest.raises(flash.FlashError) as raised:
        flash._ask(column.port, time.monotonic(), 0.0, flash.Roll(), had_session=False)
    said = raised.value.told(Words(language))
    assert "missing" not in said and "number" not in said and "pins.lamp" in said


def test_a_shell_that_did_not_open_takes_nobody_off_duty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when it says so before the board is at its prompt."""
    assert shell.main([str(tmp_path / "none"), "--lang", "en"]) == EXIT_FAILED
    out, err = capsys.readouterr()
    assert out == "" and "there is no such port" in err


def test_a_shell_without_a_terminal_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """mpremote answered with a traceback, and the column had gone off duty for it. Red without the look at the
    terminal: then the port is opened."""
    (tmp_path / "port").touch()
    assert shell.main([str(tmp_path / "port"), "--lang", "en"]) == EXIT_FAILED
    out, err = capsys.readouterr()
    assert out == "" and "a prompt needs a terminal" in err


def test_watching_a_board_without_a_configuration_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = Recorded().says("status", {"configured": False}, {"errors": ["pins.button: missing"]})
    with FakeColumn(recorded) as column:
        assert watch.main([column.port, "--lang", "en", "--count", "1"]) == EXIT_FAILED
    assert "without a usable configuration, OFF DUTY" in capsys.readouterr().err


def test_watching_an_older_firmware_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    recorded = Recorded()
    recorded.lines["status"] = [line for line in recorded.lines["status"] if "queue" not in line]
    with FakeColumn(recorded) as column:
        assert watch.main([column.port, "--lang", "en", "--count", "1"]) == EXIT_FAILED
    assert "this firmware does not tell 'queue'" in capsys.readouterr().err


@pytest.mark.parametrize("main", [logs.main, watch.main], ids=["logs", "watch"])
def test_nobody_behind_the_port(main: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("field.console.FIRST_LINE_S", 0.2)
    with FakePort(lambda line, say: None) as port:
        assert main([port.port, "--lang", "ru"]) == EXIT_FAILED
    assert "никто не отвечает" in capsys.readouterr().err


def test_a_check_up_of_a_port_that_is_not_there_has_no_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when 22 dashes and "FAIL: 0" are printed: that looks like nothing is wrong."""
    assert command.main([str(tmp_path / "none"), "--lang", "en"]) == command.EXIT_NOBODY
    out, err = capsys.readouterr()
    assert out == "" and "there is no such port" in err
    assert command.main([str(tmp_path / "none"), "--json"]) == command.EXIT_NOBODY
    assert json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("main", "arguments"),
    [
        (image.main, ["/dev/null", "NOWHERE/image.bin", "--sha256", "0" * 64]),
        (bundle.main, ["--out", "/dev/null/bundle"]),
        (provision.main, ["NOWHERE/fleet.csv"]),
        (flash.main, ["/dev/null=NOWHERE/config.json"]),
    ],
)
def test_a_file_that_cannot_be_had_is_one_line(
    main: Any, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([one.replace("NOWHERE", str(tmp_path / "none")) for one in arguments]) == EXIT_FAILED
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ")
