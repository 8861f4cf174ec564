"""`make run` with the desk, as its users start it: what it prints, that the desk comes again, that nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import pytest
from cli_probe import marked

from sim import demo
from sim.demo import live
from sim.demo.desk_process import DeskError, DeskProcess, has_display
from sim.real.flash_image import PROJECT
from sim.servers.broker import EmbeddedBroker

pytestmark = pytest.mark.xdist_group("ports")  # they look for the same free ones

TIMEOUT_S = 60.0
PARTS = 5  # the demonstration, its desk, three chips; and mosquitto, two cameras and an intercom, where there are any
MORE = 4


class Started(NamedTuple):
    """The demonstration. `mark` is in the environment of all its processes."""

    process: subprocess.Popen[str]
    mark: str
    lines: list[str]
    """What it has printed until the pages were there."""

    def running(self) -> dict[int, str]:
        """Its processes that still run: process id -> command line."""
        return marked(self.mark)

    def url(self, pattern: str) -> str:
        found = re.search(pattern + r"\s+(http://127\.0\.0\.1:\d+/\S*)", "\n".join(self.lines))
        assert found, self.lines
        return found[1]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    mark = f"DEMO_TEST={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    command = [sys.executable, "-m", "sim", "demo", "--ui", "desk", "--folder", str(tmp_path / "desk")]
    environment = {key: text for key, text in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    with subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**environment, name: value},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Started(process, mark, list(read_until(process, "Ctrl-C")))
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT_S)
            process.kill()


def read_until(process: subprocess.Popen[str], word: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if word in line:
            return


BROWSER = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())  # the desk's link sets a cookie


def asked(url: str) -> Any:
    with BROWSER.open(url, timeout=TIMEOUT_S) as answer:
        text = answer.read()
        return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def wait_for(look: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_says_where_the_pages_are_and_leaves_nothing_behind(
    started: Started, number: signal.Signals, status: int
) -> None:
    assert b"<html" in asked(started.url("desk"))
    assert b"<html" in asked(started.url("pillars"))
    names = {"petropavl-01", "petropavl-02", "school-07-01"}
    columns = urljoin(started.url("desk"), "/api/columns")
    wait_for(lambda: {one["device_id"] for one in asked(columns)} == names, "all columns")
    assert len(started.running()) in range(PARTS, PARTS + MORE + 1), started.running()
    started.process.send_signal(number)
    assert started.process.wait(TIMEOUT_S) == status
    wait_for(lambda: not started.running(), "all its processes to end")


def test_a_desk_that_ends_comes_again_where_it_was(started: Started) -> None:
    url = started.url("desk")
    desk = next(pid for pid, command in started.running().items() if " -m desk " in command)
    os.kill(desk, signal.SIGKILL)
    assert started.process.stdout is not None
    assert "here it comes again" in started.process.stdout.readline()
    wait_for(lambda: any(pid != desk and " -m desk " in line for pid, line in started.running().items()), "a new desk")
    wait_for(lambda: answers(url), "the page at the same place")


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return b"<html" in asked(url)
    return False


@pytest.mark.parametrize(
    ("terminal", "arguments", "wanted"),
    [
        (True, [], "_desk"),
        (False, [], "_script"),
        (False, ["--ui", "desk"], "_desk"),
        (True, ["--ui", "script"], "_script"),
    ],
)
def test_which_view_it_is(terminal: bool, arguments: list[str], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []

    def play(name: str) -> int:
        played.append(name)
        return 0

    for name in ("_desk", "_script"):
        monkeypatch.setattr(demo, name, lambda *_, name=name: play(name))
    monkeypatch.setattr(demo, "_has_terminal", lambda: terminal)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert demo.main(arguments) == 0
    assert played == [wanted]


def test_a_desk_that_cannot_start_says_why(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Its folder is its owner's only, whatever the shell leaves open, as the desk's own; red with a plain `mkdir`, or
    a plain `open`, in DeskProcess."""
    request.addfinalizer(partial(os.umask, os.umask(0)))
    desk = DeskProcess(tmp_path / "new", "127.0.0.1", 1, arguments=["--nonsense"])
    with pytest.raises(DeskError, match=r"(?s)did not start .*unrecognized arguments: --nonsense"):
        desk.start()
    assert [path.stat().st_mode & 0o777 for path in (desk.folder, desk.log_path)] == [0o700, 0o600]


@pytest.mark.parametrize(("variable", "wanted"), [("DISPLAY", True), ("WAYLAND_DISPLAY", True), ("TERM", False)])
def test_a_window_opens_only_where_there_is_a_screen(
    variable: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, ":0")
    assert has_display() is wanted


def test_a_taken_port_is_given_up_for_another() -> None:
    with EmbeddedBroker() as other:
        assert live._free(other.port) == 0
    assert live._free(other.port) == other.port


def test_without_mosquitto_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tools.toolbox.TOOLS", tmp_path)
    monkeypatch.setattr("tools.toolbox.MORE_PATH", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert isinstance(live._broker(), EmbeddedBroker)
