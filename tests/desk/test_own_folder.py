"""Whoever names a wrong folder to one of the desk's commands is told which, what is there, and which one to give."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from desk.command import main
from desk.register import Register
from desk.register_file import REGISTER_FILE


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
