"""`python -m sim` and `column` speak the person's language; a column's console stays as the firmware has it."""

from __future__ import annotations

import errno
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from common.sentences import is_known
from sim import __main__ as simulator
from sim.real import command
from sim.real.command import unreadable
from sim.spoken import spoken

CYRILLIC = re.compile("[\u0400-\u04ff]")
MINIMUM = ["--device-id", "cli-01", "--region", "nko", "--broker", "127.0.0.1:9"]


@pytest.fixture(autouse=True)
def _signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "exit_on", lambda *signals: None)


def test_what_is_missing_is_made_by_the_command_that_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It named `config --help`, which makes nothing. Red where the command that is told makes no file that a column
    takes, or makes another one."""
    missing = tmp_path / "a column.json"
    assert simulator.main(["column", "--config", str(missing)]) == command.EXIT_USAGE
    told = capsys.readouterr().err
    program, name, *words = shlex.split(told.partition("this makes one: ")[2])
    assert (program, name, words[:2]) == (".venv/bin/python", "-m", ["sim", "config"]) and words[-2] == ">"
    assert Path(words[-1]) == missing
    assert simulator.main(words[1:-2]) == 0
    assert json.loads(capsys.readouterr().out)["device_id"] == "test-01"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "c"), "нет права"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "c"), "это папка"),
        (OSError(errno.ELOOP, "Too many levels of symbolic links", "c"), "это ссылка"),
    ],
)
def test_what_cannot_be_read_for_another_reason_is_not_made_anew(error: OSError, told: str) -> None:
    """Red where a folder or a file of somebody else's is answered with the advice to make one."""
    said = spoken(["--lang", "ru"]).said(unreadable(error))
    assert said.startswith("ошибка: --config: c: ") and told in said and "sim config" not in said


@pytest.mark.parametrize("argv", [["--lang", "kk"], ["--lang=kk"]])
def test_the_language_may_stand_before_the_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Red where the command's own module does not get it, or the word behind it is taken for the command."""
    for words in (["board", "--nonsense"], ["column", "--nonsense"], ["config", *MINIMUM, "--broker", "x"]):
        try:
            status = simulator.main([*argv, *words])
        except SystemExit as ended:
            status = int(str(ended.code))
        said = capsys.readouterr().err
        assert status == command.EXIT_USAGE and "қате: " in said and "error" not in said


def test_a_column_answers_in_the_language_and_its_console_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red where an answer goes out past the words, and where a line of the console goes through them."""
    config = tmp_path / "column.json"
    assert simulator.main(["config", *MINIMUM]) == 0
    config.write_text(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.StringIO("help\npres 120\npress x\nquit\n"))
    assert simulator.main(["column", "--config", str(config), "--lang", "ru"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    answers = [one["text"] for one in events if one["event"] in ("help", "error")]
    assert len(answers) == len(command.COMMANDS) + 2
    assert [text for text in answers if not CYRILLIC.search(text)] == []


def test_a_line_of_the_console_is_not_turned(capsys: pytest.CaptureFixture[str]) -> None:
    """Red where `printer` turns it: a test, and whoever reads the contract, looks for what the firmware prints."""
    tell = command.printer(spoken(["--lang", "ru"]).said)
    tell({"event": "log", "text": "open the contact"})
    tell({"event": "help", "text": "open the contact"})
    console, help_line = (json.loads(line)["text"] for line in capsys.readouterr().out.splitlines())
    assert (console, help_line) == ("open the contact", "разомкнуть контакт")


@pytest.mark.parametrize("locale", ["en", "ru_RU.UTF-8", "kk-KZ", "C.UTF-8", "POSIX"])
def test_a_language_or_a_locale_is_taken(locale: str) -> None:
    assert is_known(locale)


@pytest.mark.parametrize("locale", ["kz", "rus", "de_DE.UTF-8"])
def test_a_language_that_is_not_spoken_is_refused(locale: str) -> None:
    """Kazakh is kk, and Kazakhstan kz: who mixes them up would read English, and not know why."""
    assert not is_known(locale)
