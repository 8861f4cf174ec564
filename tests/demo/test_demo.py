"""`python -m sim demo` as its users start it: what it prints, its exit status, and that nothing outlives
it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cli_probe import marked

from common import typed
from sim import demo
from sim.demo import main
from sim.demo.script import Scenario, Step
from sim.demo.watch import require

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "sim", "demo"]
TIMEOUT_S = 110
END_TIMEOUT_S = 15


class Started(NamedTuple):
    """The demonstration without a terminal, in Kazakh. `mark` is in the environment of all its processes."""

    process: subprocess.Popen[str]
    mark: str

    def running(self) -> list[str]:
        """The command lines of its processes that still run."""
        return [*marked(self.mark).values()]


@pytest.fixture
def started() -> Iterator[Started]:
    mark = f"DEMO_TEST={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, name: value, "LC_ALL": "kk_KZ.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Started(process, mark)
        if process.poll() is None:
            process.kill()


@pytest.mark.timeout(TIMEOUT_S + END_TIMEOUT_S)
def test_without_a_terminal_it_plays_the_script_and_passes(started: Started) -> None:
    output, _ = started.process.communicate(timeout=TIMEOUT_S)
    *lines, last = output.splitlines()
    steps = [line for line in lines if line.startswith(("ДҰРЫС ", "АҚАУ "))]
    assert started.process.returncode == 0, output
    assert last == f"дұрыс {len(steps)}, ақау 0"
    assert len(steps) >= 14
    assert [line for line in lines if not re.search("[әғқңөұүһі]", line)] == [], "every line is in the language"
    assert not started.running()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_midway_it_leaves_nothing_behind(started: Started, number: signal.Signals, status: int) -> None:
    assert started.process.stdout is not None
    while not started.process.stdout.readline().startswith("ДҰРЫС"):
        pass
    assert len(started.running()) == 5, "the demonstration, its desk and three chips"
    started.process.send_signal(number)
    assert started.process.wait(END_TIMEOUT_S) == status
    assert not started.running()


@pytest.mark.parametrize(("language", "word"), [("en", "keeps nothing"), ("ru", "не хранит"), ("kk", "сақтамайды")])
def test_a_script_refuses_the_folder_that_it_would_not_keep(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, language: str, word: str
) -> None:
    """`make run FOLDER=register | cat` played, and left no register. Red without the refusal, which leaves the script
    and the desk without a folder alone."""
    monkeypatch.setattr(demo, "_script", lambda *_: 7)
    monkeypatch.setattr(demo, "_desk", lambda *_: 8)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(typed, "TARGET", "run")
    with pytest.raises(SystemExit):
        main(["--folder", str(tmp_path / "register"), "--lang", language])
    told = capsys.readouterr().err
    assert told.startswith("make run: ") and word in told and " FOLDER " in told and "UI=desk" in told
    assert main(["--lang", language]) == 7
    assert main(["--folder", str(tmp_path / "register"), "--ui", "desk"]) == 8


def test_a_failed_step_is_told_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(self: Scenario) -> list[Step]:
        def never() -> None:
            require(False, "an alarm was lost")

        return [Step("come up", self._come_up), Step("lost", never)]

    monkeypatch.setattr(Scenario, "steps", lose)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert main(["--ui", "script"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["FAIL lost (an alarm was lost)", "1 passed, 1 failed"]
