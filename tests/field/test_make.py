"""The targets as people type them: blanks and brackets in names, a language behind make, a fault for a board."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, Tables
from whole_rig import MAKE

from field import flash, logs
from field.telling import EXIT_FAILED
from field.words import Words
from sim.real.flash_image import PROJECT

pytestmark = pytest.mark.slow


NAME = "Жоба SOS (1) [2]"
NOT_COPIED = (".*", "build", "docs", "provisioned", "sim", "tests", "__pycache__")


def make(target: str, *variables: str, cwd: Path = PROJECT, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [*MAKE, target, *variables]
    environment = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / NAME
    made.mkdir()
    return made


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One of such a name, with the programs of this one. tests/tools/test_environment.py makes a .venv in another."""
    made: Path = shutil.copytree(PROJECT, tmp_path / NAME, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (made / ".venv").symlink_to(PROJECT / ".venv")
    return made


@pytest.mark.parametrize("target", ["diag", "logs", "watch", "shell"])
def test_a_port_with_blanks_and_brackets_is_one_port(target: str, folder: Path) -> None:
    port = folder / "a port"
    done = make(target, f"PORT={port}", "LANG=en")
    assert f"{port}: cannot be opened: there is no such port" in done.stderr


def test_a_fleet_a_folder_and_a_configuration_with_blanks_and_brackets(folder: Path) -> None:
    fleet, out, port = Tables(folder)(HEADER, GOOD), folder / "made (new)", folder / "a port"
    done = make("provision", f"FLEET={fleet}", f"OUT={out}")
    assert done.returncode == 0, done.stderr
    done = make("flash", f"PORT={port}", f"CONFIG={out}/columns/one", f"OUT={out}", "LANG=en")
    assert f"error: {port}: column one: cannot be opened: there is no such port" in done.stderr
    done = make("flash-all", f"BOARDS='{port}={out}/columns/one'", f"OUT={out}", "LANG=en")
    assert f"error: {port}: column one: cannot be opened" in done.stderr
    done = make("flash-all", f"PORTS={port.parent.parent}/none", f"OUT={out}", "LANG=en")
    assert ": cannot be opened" in done.stderr and "column -" not in done.stderr


@pytest.mark.parametrize("target", ["diag", "logs", "watch"])
def test_the_language_behind_make_beats_the_environments(target: str, folder: Path) -> None:
    done = make(target, f"PORT={folder}/none", "LANG=ru", LC_ALL="en_US.UTF-8", LANG="en_US.UTF-8")
    assert "не открывается: такого порта нет" in done.stderr
    done = make(target, f"PORT={folder}/none", LC_ALL="kk_KZ.UTF-8", LANG="ru_RU.UTF-8")
    assert "ашылмайды" in done.stderr, "without it the environment's order holds"


@pytest.mark.parametrize("locale", ["C", "xx_XX.KOI8-R"])
def test_build_tells_in_the_language_too(checkout: Path, locale: str) -> None:
    """In a checkout whose name has blanks and letters, with a locale that has none and with one that is not there. Red
    where a target's path stands without quotes, or a program's output goes by the locale."""
    done = make("build", "LANG=kk", "PROVIDE=true", cwd=checkout, LC_ALL=locale)
    assert done.returncode == 0 and "нұсқа" in done.stdout, done.stderr
    assert (checkout / "build" / "bundle" / "boot.py").exists()


def needless_questions(makefile: str) -> set[str]:
    """Variables that a target asks people for, and that the Makefile itself gives a value."""
    wants = re.findall(r"\bWANTS_\S+ = (.+)", makefile)
    asked = {name for text in wants for name in re.findall(r"\b[A-Z0-9]{2,}\b", text)}
    assert len(asked) > 8, "the Makefile is not understood any more"
    return asked & set(re.findall(r"^(\w+) *[:?+]?=", makefile, re.M))


def test_what_a_target_asks_for_has_no_value_of_its_own() -> None:
    """`make revoke` without DEVICE went on with a list of files of that name. Red when the two meet again."""
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    assert needless_questions(makefile) == set()
    assert needless_questions(makefile + "DEVICE := boot.py\n") == {"DEVICE"}


PATHS = (
    "BROKER", "CARD", "CONFIG", "DEVICE", "FLEET", "FOLDER", "IMAGE", "JSON", "KEY", "LINK", "NAME", "OUT", "PORT",
    "ROLLOUT", "SERVERS", "WIFI",
)  # fmt: skip


def unquoted(makefile: str) -> list[str]:
    """Places where what a person typed for a path or a name reaches the shell without quotes around it."""
    text = re.sub(r"\$\((?:if|origin|foreach \w+,) ?\$?\(?\w+\)?", "", makefile)
    text = text.replace('"$$(dirname "', '"')  # quotes within a command's own
    found = []
    for line in text.splitlines():
        for match in re.finditer(rf"\$\(({'|'.join(PATHS)})\)", line):
            if line[: match.start()].count('"') % 2 == 0 and "'" not in line[: match.start()]:
                found.append(line.strip())
    return found


def test_a_path_or_a_name_stands_in_quotes_in_every_target() -> None:
    """The targets that were tried with blanks above are some; this holds for all. Red with `--json $(JSON)`."""
    makefile = (PROJECT / "Makefile").read_text("utf-8")
    assert unquoted(makefile) == []
    for wrong in ("--out $(OUT)", '--link "a" $(LINK)', "$(if $(CARD),--card $(CARD))"):
        assert unquoted(f"board:\n\t@$(PY) -m sim {wrong}\n"), wrong
    assert makefile.count('"$(OUT)"') > 5, "the Makefile is not understood any more"


def test_a_fault_for_a_board_is_one_that_there_is(folder: Path) -> None:
    fleet = Tables(folder)(HEADER, GOOD)
    assert make("provision", f"FLEET={fleet}", f"OUT={folder}/out").returncode == 0
    done = make("board", f"CONFIG={folder}/out/columns/one", f"LINK={folder}/a board", "FAULT=no-such")
    assert done.returncode != 0 and "no-such" in done.stderr and "deaf" in done.stderr


PORTS = {
    13: "port.permission",
    16: "port.busy",
    25: "port.none",
}


@pytest.mark.parametrize("number", PORTS)
@pytest.mark.parametrize("language", ["en", "ru", "kk"])
def test_a_port_that_cannot_be_opened_says_why_and_what_to_do(
    number: int, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when every reason is one: "is the cable in?" to somebody who lacks a permission."""
    port = Path("/dev/null")  # it is there

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("serial.Serial.open", refuse)
    monkeypatch.setattr("field.ports._LEAVING_S", 0.0)
    said = Words(language)(PORTS[number], group=port.group())
    assert logs.main([str(port), "--lang", language]) == EXIT_FAILED
    assert said in capsys.readouterr().err
    (tmp_path / "columns" / "one").mkdir(parents=True)
    (tmp_path / "columns" / "one" / "config.json").touch()
    log = tmp_path / "log.csv"
    assert flash.main([f"{port}={tmp_path}/columns", "--lang", language, "--log", str(log)]) == EXIT_FAILED
    assert said in capsys.readouterr().err
