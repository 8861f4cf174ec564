"""`make code`, and how the tools come in: the key is looked for where provisioning put it, or the challenge is told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from diag_answers import Recorded
from diag_port import FakePort, Say
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from common import console_code
from field import code
from field.console import Console, Refused
from field.diag.finding import Verdict
from firmware.console import code as console_command
from firmware.console import talk

CHALLENGE = "16777300-1"
NAME = "one"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fleet")
    asked = TOML + "[common.access]\ncode = true\n"
    assert make(Tables(folder)(HEADER, GOOD, toml=asked), folder / "out") == 0
    return folder / "out"


def wanted(out: Path) -> str:
    keys = json.loads((out / "centre" / "keys.json").read_text())["columns"]
    return console_code.code(bytes.fromhex(keys[NAME]), CHALLENGE)


class Locked(FakePort):
    """A column that asks for a code. `asked`: what was typed."""

    def __init__(self, right: str, wrong: str = "a wrong code; the centre is told") -> None:
        super().__init__(self._answer)
        self._right, self._wrong, self._is_locked = right, wrong, True
        self.asked: list[str] = []

    def _answer(self, line: str, say: Say) -> None:
        word, _, typed = line.partition(" ")
        error = None
        if word:
            self.asked.append(line)
        if word == "status":
            self._line(say, {"re": word, "locked": self._is_locked, "names": {"device_id": NAME}})
        elif word == "code" and typed in ("", "end", self._right):
            self._is_locked = self._is_locked and not typed or typed == "end"
            self._line(say, {"re": word, "challenge": CHALLENGE, "open_s": 0 if self._is_locked else 1799})
        elif word:
            error = self._wrong
        if word:
            self._line(say, {"re": word, "ok": error is None, **({"error": error} if error else {})})

    def _line(self, say: Say, line: dict[str, object]) -> None:
        say(b"console: " + json.dumps(line).encode() + b"\r\n")


def test_the_fleet_asks_for_it_and_the_command_makes_it(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((out / "columns" / NAME / "config.json").read_text())
    assert config["access"] == {"code": True}
    capsys.readouterr()
    assert code.main([NAME, CHALLENGE, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == wanted(out)


@pytest.mark.parametrize("language", ["en", "ru", "kk"])
@pytest.mark.parametrize(
    ("name", "challenge", "said"), [("two", CHALLENGE, "two"), (NAME, "17", "16777300-1"), ("..", CHALLENGE, "..")]
)
def test_what_there_is_no_code_for_is_told(
    out: Path, capsys: pytest.CaptureFixture[str], name: str, challenge: str, said: str, language: str
) -> None:
    assert code.main([name, challenge, "--out", str(out), "--lang", language]) == 1
    told = capsys.readouterr().err
    assert said in told and (language == "en") == ("must be" in told or "check the name" in told)


@pytest.mark.parametrize("place", ["", "columns", "columns/one", "columns/one/config.json"])
def test_the_key_is_found_from_wherever_a_tool_looks(out: Path, place: str) -> None:
    key = code.key_of(NAME, [out / "none", out / place])
    assert key is not None and console_code.code(key, CHALLENGE) == wanted(out)


def test_another_columns_key_is_not_taken(out: Path, tmp_path: Path) -> None:
    document = {"device_id": "two", "secrets": {"auth_key": "ab" * 32}}
    (tmp_path / "two.json").write_text(json.dumps(document))
    assert code.key_of(NAME, [tmp_path / "two.json"]) is None
    assert code.key_of("two", [tmp_path / "two.json"]) == bytes.fromhex("ab" * 32)
    assert code.key_of("two", [out]) is None


def test_a_console_is_opened_and_closed(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Locked(wanted(out)) as column:
        assert code.main(["--port", column.port, "--out", str(out), "--lang", "en"]) == 0
        assert f"code {wanted(out)}" in column.asked and "open for 30 min" in capsys.readouterr().out
        assert code.main(["--port", column.port, "--code", "end", "--out", str(out), "--lang", "en"]) == 0
        assert "closed again" in capsys.readouterr().out
        typed = ["--port", column.port, "--code", wanted(out), "--out", os.devnull, "--lang", "en"]
        assert code.main(typed) == 0 and "open for 30 min" in capsys.readouterr().out, "the desk's code"
        assert code.main(typed) == 0 and "open already" in capsys.readouterr().out, "it takes no further one"
        with Console(column.port) as console:
            assert code.open_console(console, [out]) is False, "nothing is typed into an open one"


@pytest.mark.parametrize(
    ("language", "told"), [("en", "reset button"), ("ru", "reset на плате"), ("kk", "reset түймесін")]
)
def test_a_column_without_the_memory_to_close_says_what_closes_it(
    language: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red where `status` is asked first, which takes more memory and is not needed; where it is asked once; and where
    "code: too little memory is free" is all that is said."""
    monkeypatch.setattr("field.code._CLOSE_PAUSE_S", 0.0)
    asked: list[str] = []

    def short(line: str, say: Say) -> None:
        asked.extend([line] if line else [])
        answer = {"re": "", "ok": False, "error": talk.SHORT}
        say(b"console: " + json.dumps(answer).encode() + b"\r\n" if line else b"")

    with FakePort(short) as column:
        assert code.main(["--port", column.port, "--code", "end", "--lang", language]) == 1
        said = capsys.readouterr().err
        assert column.port in said and told in said and "30" in said and "make code" not in said
    assert asked == ["code end"] * 3


def test_without_the_key_the_challenge_is_told(out: Path, tmp_path: Path) -> None:
    with Locked("12345678") as column, pytest.raises(code.CodeError, match=rf"{NAME}.*{CHALLENGE}.*make code"):
        code.letting_in(tmp_path)(column.port)
    assert column.asked == ["status", "code"]


def test_a_column_with_another_key_than_the_folder_says_what_to_do(out: Path, tmp_path: Path) -> None:
    """One that was stolen, revoked and found again. Red when "a wrong code" is all that is said; its old folder opens
    it."""
    with Locked("another") as column, pytest.raises(code.CodeError, match=rf"OUT=.{out}/revoked/one-.*ERASE=1"):
        code.letting_in(out)(column.port)
    assert code._WRONG in Path(str(console_command.__file__)).read_text("utf-8"), "the firmware says so"
    wait = "after a wrong code the next one has to wait: try again in 3 s"
    with Locked("another", wait) as column, pytest.raises(Refused, match="try again in 3 s"):
        code.letting_in(out)(column.port)
    old = tmp_path / "revoked" / f"{NAME}-17"
    shutil.copytree(out / "columns" / NAME, old)
    with Locked(wanted(out)) as column:
        assert code.main(["--port", column.port, "--out", str(old), "--lang", "en"]) == 0


def test_a_check_up_says_what_is_locked() -> None:
    """Red when the console's words and the tool's go apart."""
    why = "a technician's code is needed; type: code; or at a laptop: make code PORT=..."
    assert why in Path(str(talk.__file__)).read_text("utf-8")
    found = Recorded().refuse("access", why).refuse("test", why).judged()
    locked = ("access", "alarm", "lamp", "button")
    assert {found[line].key for line in locked} == {"any.locked"}
    assert {found[line].verdict for line in locked} == {Verdict.UNTESTED}
