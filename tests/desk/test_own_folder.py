"""Whoever names a wrong folder to one of the desk's commands is told which, what is there, and which one to give."""

from __future__ import annotations

import errno
import io
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from desk import backup_command
from desk.command import main
from desk.register import Register
from desk.register_file import REGISTER_FILE, damaged
from desk.spoken import spoken
from desk.trouble import of_register


def none(folder: Path) -> None:
    pass


def a_file(folder: Path) -> None:
    folder.write_text("")


def empty(folder: Path) -> None:
    folder.mkdir()


def a_folder_for_the_register(folder: Path) -> None:
    (folder / REGISTER_FILE).mkdir(parents=True)


def no_register(folder: Path) -> None:
    folder.mkdir()
    (folder / REGISTER_FILE).write_text("hello")


WRONG: dict[Callable[[Path], None], dict[str, str]] = {
    none: {"en": "there is no such folder: give the one", "ru": "такой папки нет", "kk": "мұндай қалта жоқ"},
    a_file: {"en": "is no folder: give the one", "ru": "это не папка", "kk": "бұл қалта емес"},
    empty: {"en": "no desk has run with this folder", "ru": "с этой папкой пульт не", "kk": "пульт жұмыс істемеген"},
    a_folder_for_the_register: {"en": "is no file: put", "ru": "это не файл", "kk": "бұл файл емес"},
    no_register: {"en": "damaged or not one: put", "ru": "или это не реестр", "kk": "бұл тізілім емес"},
}
OF_A_REGISTER = (["evidence", "check"], ["evidence", "key"], ["evidence", "head"], ["evidence", "export", "x"],
                 ["backup", "--to", "COPY"])  # fmt: skip
OF_ACCOUNTS = (["account", "list"], ["account", "remove", "x"], ["account", "reset-second-factor", "x"])
START = ["--broker", "127.0.0.1:1"]
MAKING = (["account", "add", "x"], START)


@pytest.mark.parametrize("language", ["en", "ru", "kk"])
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_folder_is_told(
    wrong: Callable[[Path], None], language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """ "A database cannot be opened", "the disk fails", and the fingerprint of a key made there and then, were the
    answers for a mistyped name. Red without `register_in` in one of the commands; for one that makes anything there."""
    folder = tmp_path / "desk"
    wrong(folder)
    before = sorted(tmp_path.rglob("*"))
    commands = [*OF_A_REGISTER, *(OF_ACCOUNTS if wrong in (none, a_file) else ()), *(MAKING if wrong is a_file else ())]
    for command in commands:
        argv = [str(tmp_path / "copy") if word == "COPY" else word for word in command]
        assert main([*argv, "--folder", str(folder), "--lang", language]) == 2, command
        said = capsys.readouterr()
        assert WRONG[wrong][language] in said.err and str(folder) in said.err and not said.out, (command, said)
    assert sorted(tmp_path.rglob("*")) == before
    if wrong is a_folder_for_the_register:  # its keys are made before
        assert main([*START, "--folder", str(folder), "--lang", language]) == 2
        assert WRONG[wrong][language] in capsys.readouterr().err


FILES = ("--cameras", "--ladder", "--roster", "--answer-key", "--camera-passwords", "--column-keys", "--connect-to")
REFUSED = (
    (["account", "add", "x"], "0"),
    (["account", "add", "x", "--role", "chief"], "0"),
    (["account", "add", "no/name"], "1 to 32"),
    (["account", "add"], "--role"),
    *(([*START, option, "NONE"], "no.file") for option in FILES),
    ([*START, "--releases", "NONE", "--release-keys", "NONE"], "no.file"),
    ([*START, "--user", "x", "--password-file", "NONE"], "no.file"),
    ([*START, "--second-factor", "required"], "account add"),
    ([*START, "--listen", "0.0.0.0:0"], "account add"),
)


@pytest.mark.parametrize(("command", "why"), REFUSED, ids=lambda one: one if isinstance(one, str) else " ".join(one))
def test_what_is_refused_makes_no_folder(
    command: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty password left /nonexist/x behind. Red where the folder is made before the last of the input is read."""
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    argv = [str(tmp_path / "no.file") if word == "NONE" else word for word in command]
    assert main([*argv, "--folder", str(tmp_path / "new" / "desk")]) == 2
    assert why.replace("1 to 32", "1 to 32") in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_first_account_makes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("four words of mine\n"))
    assert main(["account", "add", "x", "--folder", str(tmp_path / "new")]) == 0
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("language", ["en", "ru", "kk"])
def test_a_damaged_register_is_told_in_our_words_first(language: str, tmp_path: Path) -> None:
    """SQLite's check says "*** in database main ***" and a line feed; that stood in front. Red with {error} before
    the sentence, and for a text of two lines."""
    path = tmp_path / REGISTER_FILE
    text = of_register(damaged("*** in database main ***\nPage 2: btreeInitPage() returns error code 11"), path).text
    said = spoken(["--lang", language]).said(f"error: {text}")
    start = {"en": "the register is damaged", "ru": "реестр повреждён", "kk": "тізілім бүлінген"}[language]
    assert f"{path}: {start}" in said and said.endswith(
        "(*** in database main *** Page 2: btreeInitPage() returns error code 11)"
    )


@pytest.mark.parametrize("command", [["account", "remove"], ["evidence", "export"]], ids=" ".join)
def test_a_name_may_stand_before_or_behind_the_folder(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage shows it behind. Red with argparse's own `parse_args`: "unrecognized arguments: R. Reader"."""
    Register(tmp_path / REGISTER_FILE).close()
    folder, said = ["--folder", str(tmp_path)], []
    name, action = command
    for words in ([action, "R. Reader", *folder], [action, *folder, "R. Reader"], [*folder, action, "R. Reader"]):
        assert main([name, *words]) == 2
        said.append(capsys.readouterr().err)
    assert "'R. Reader'" in said[0] and len(set(said)) == 1, said


@pytest.mark.parametrize(("language", "start"), [("en", "usage: python"), ("ru", "запуск: python")])
def test_the_usage_is_whole_where_any_order_counts(
    language: str, start: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red without `self.usage` in common/arguments.py: parsing in two steps takes "usage: " for its first letters."""
    with pytest.raises(SystemExit):
        main(["account", "--folder", "x", "--lang", language])
    assert capsys.readouterr().err.startswith(f"{start} -m desk account [-h]")


def test_an_unknown_option_is_told_before_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Red without `_unknown`: "--folder is missing" for whoever had typed --foler."""
    with pytest.raises(SystemExit):
        main(["--foler", "x", "--broker", "127.0.0.1:1"])
    assert capsys.readouterr().err.rstrip().endswith("unrecognized arguments: --foler")


@pytest.mark.parametrize("failing", ["mkdtemp", "_copy_register", "copyfile"])
def test_a_copy_that_fails_is_told_of_the_folder_that_was_typed(
    failing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ ".b2-3668yfeq" was named, which nobody had typed. Red when the error is handed on as it came."""
    Register(tmp_path / REGISTER_FILE).close()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").touch()

    def no_room(*where: Path, prefix: str = "", dir: Path | None = None) -> str:
        raise OSError(errno.ENOSPC, "No space left on device", str(dir / f"{prefix}x" if dir else where[1]))

    rooms = {"mkdtemp": tempfile, "copyfile": shutil, "_copy_register": backup_command}
    monkeypatch.setattr(rooms[failing], failing, no_room)
    to = tmp_path.with_name(f"{tmp_path.name}-copy")
    assert main(["backup", "--folder", str(tmp_path), "--to", str(to)]) == 2
    told = capsys.readouterr().err
    assert str(to) in told and f"/.{to.name}" not in told and "the disk is full" in told, told


def test_the_help_names_all_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    """`evidence` and `desk.rollout` were in no help. Red without one of them."""
    with pytest.raises(SystemExit):
        main(["--help", "--lang", "ru"])
    told = capsys.readouterr().out
    assert [
        one for one in ("account add", "backup --folder", "desk evidence --help", "desk.rollout") if one not in told
    ] == []
    assert "доказательства вызова: " in told and "прошивка для колонн" in told


def test_a_folder_without_accounts_has_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """ "there are: none" was said in every language. Red when the lock of the second factors is left behind, too."""
    for what in ("remove", "reset-second-factor"):
        assert main(["account", what, "x", "--folder", str(tmp_path), "--lang", "kk"]) == 2
        assert "әлі бірде-бірі жоқ" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("language", ["ru", "kk"])
def test_a_copy_says_what_it_holds_and_what_belongs_beside_it(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It said nothing. Red when a name is left out, and for a line in English."""
    folder, copy = tmp_path / "desk", tmp_path / "copy"
    folder.mkdir()
    Register(folder / REGISTER_FILE).close()
    (folder / "accounts.json").write_text("[]")
    assert main(["backup", "--folder", str(folder), "--to", str(copy), "--lang", language]) == 0
    first, second = capsys.readouterr().out.splitlines()
    names = ", ".join(sorted(path.name for path in copy.iterdir()))
    assert first.startswith(f"{copy}: ") and first.endswith(names) and REGISTER_FILE in names
    assert "--record" in second and "provisioning" in second and re.search("[\u0400-\u04ff]", second)
