"""Virtual boards that misbehave, and what real mpremote makes of it: always an end, in bounded time."""

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from board_probe import Bench, Typist, bench
from column_probe import need

from sim.real.flash_image import Image
from sim.serial_board import FAULTS, SerialBoard

pytestmark = pytest.mark.micropython
DATA = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def micropython() -> None:
    need("micropython")


@pytest.fixture
def big(tmp_path: Path) -> str:
    (tmp_path / "big").write_bytes(DATA)
    return str(tmp_path / "big")


def on_flash(desk: Bench) -> list[str]:
    return Image(desk.board.flash_path.read_bytes()).names()


def test_the_cable_comes_out_in_mid_copy_and_the_board_lives_on(tmp_path: Path, big: str) -> None:
    with bench(tmp_path, faults=["unplugged=4000"]) as desk:
        run = desk.mpremote("fs", "cp", big, ":big")
        assert run.returncode != 0
        assert desk.board.received_bytes == 4000 and not desk.board.is_plugged
        desk.seen.wait("port", path=None)
        assert desk.board.console in ("raw", "exec"), "it waits for the rest"
        desk.board.plug()
        desk.does("fs", "cp", big, ":big")
        assert Image(desk.board.flash_path.read_bytes()).read("big") == DATA


def test_the_cable_is_the_supply(tmp_path: Path, big: str) -> None:
    with bench(tmp_path, faults=["unplugged-at=9"], usb_powered=True) as desk:
        assert desk.mpremote("fs", "cp", big, ":big").returncode != 0
        assert desk.board.executions == 9
        desk.console("off")
        assert desk.board.chip_pid is None
        desk.board.plug()
        desk.console("friendly")
        assert "big" not in on_flash(desk) or Image(desk.board.flash_path.read_bytes()).read("big") != DATA
        desk.does("fs", "cp", big, ":big")
        desk.board.unplug_after(executions=1)
        assert desk.mpremote("exec", "print(1)").returncode != 0
        desk.console("off")


def test_the_flash_is_full(tmp_path: Path, big: str) -> None:
    with bench(tmp_path, faults=["flash-full=2"]) as desk:
        full = desk.mpremote("fs", "cp", big, ":big")
        assert full.returncode == 1 and "No space left on device" in full.stderr
        desk.does("exec", "print('still there')")


@pytest.mark.alone
def test_a_busy_main_is_interrupted(tmp_path: Path) -> None:
    with bench(tmp_path, faults=["busy-main"]) as desk:
        desk.console("main.py")
        started = time.monotonic()
        assert desk.does("resume", "exec", "print(n >= 0)") == "True\n"
        assert time.monotonic() - started < 5
        desk.does("exec", "print('and after a soft reset')")


@pytest.mark.alone
def test_nothing_stops_a_watchdog_but_a_reset_of_the_chip(tmp_path: Path) -> None:
    """Why firmware is copied after a service request: Ctrl-C and a soft reset leave the watchdog armed."""
    with bench(tmp_path, faults=["watchdog=1500"]) as desk, Typist(desk.board.port) as typist:
        desk.console("main.py")
        typist.talk(b"\r\x03", b">>> ")
        typist.talk(b"\x04", b"watchdog armed")
        typist.talk(b"\r\x03", b">>> ")
        typist.talk(b"\x01", b"raw REPL; CTRL-B to exit\r\n>")
        typist.talk(b"\x04", b"raw REPL; CTRL-B to exit\r\n>")
        started = time.monotonic()
        typist.until(b"rst:0xc (SW_CPU_RESET)")
        assert time.monotonic() - started < 3
        desk.seen.wait("reset", cause="watchdog")
        typist.until(b"watchdog armed")
        typist.talk(b"\r\x03", b">>> ")
        typist.talk(b"import os, machine; os.rename('main.py', 'x.py'); machine.reset()\r", b"\r\n>>> ")
        desk.seen.wait("reset", cause="hard")
        time.sleep(2)
        typist.talk(b"1 + 1\r", b"2\r\n>>> ")


def test_a_fed_watchdog_lets_files_be_copied(tmp_path: Path) -> None:
    with bench(tmp_path, faults=["watchdog=2000"]) as desk, Typist(desk.board.port) as typist:
        desk.console("main.py")
        typist.talk(b"\r\x03", b">>> ")
        for _ in range(8):
            typist.talk(b"watchdog.feed()\r", b"\r\n>>> ")
            time.sleep(0.4)
        assert desk.board.console == "friendly"


def test_an_old_micropython_says_so(tmp_path: Path) -> None:
    ask = "import sys; i = sys.implementation; print(i.version[:3], i._mpy & 0xff, i._mpy >> 8 & 3)"
    with bench(tmp_path, faults=["old-micropython"]) as desk, Typist(desk.board.port) as typist:
        assert desk.does("exec", ask) == "(1, 20, 0) 6 1\n"
        assert b"MicroPython v1.20.0; " in typist.talk(b"\x02", b">>> ")
    with bench(tmp_path) as desk:
        assert desk.does("exec", ask).endswith(" 6 3\n")


def test_a_board_without_umqtt(tmp_path: Path) -> None:
    ask = "import umqtt.simple; print('frozen')"
    with bench(tmp_path, faults=["no-umqtt"]) as desk:
        run = desk.mpremote("exec", ask)
        assert run.returncode == 1 and "ImportError: no module named 'umqtt" in run.stdout
    with bench(tmp_path) as desk:
        assert desk.does("exec", ask) == "frozen\n"


def test_noise_before_the_prompt_is_survived(tmp_path: Path) -> None:
    with bench(tmp_path, faults=["noise"], seed=3) as desk:
        with Typist(desk.board.port) as typist:
            shown = typist.talk(b"\r\x03", b">>> ")
            assert any(byte > 127 for byte in shown), "there was noise"
        assert desk.does("exec", "print(1)") == "1\n"


def test_noise_of_an_opening_comes_before_what_the_chip_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when only a look for what was typed notices the opening: on a busy machine the prompt came first."""
    with bench(tmp_path, faults=["noise"], seed=3) as desk:
        desk.seen.wait("console", state="friendly")
        monkeypatch.setattr(desk.board, "_listen", lambda: None)
        with Typist(desk.board.port) as typist:
            desk.board._show(b"said")
            shown = typist.until(b"said")
        assert any(byte > 127 for byte in shown)


def test_garbage_on_the_line_ends_a_copy_or_is_noticed(tmp_path: Path, big: str) -> None:
    with bench(tmp_path, faults=["garbage=100"], seed=5) as desk:
        assert desk.mpremote("fs", "cp", big, ":big", timeout_s=40).returncode != 0


def test_a_deaf_board_is_given_up_on(tmp_path: Path) -> None:
    with bench(tmp_path, faults=["deaf"]) as desk:
        started = time.monotonic()
        run = desk.mpremote("exec", "print(1)")
        assert run.returncode != 0 and "could not enter raw repl" in run.stderr
        assert time.monotonic() - started < 15


def test_native_usb_goes_away_with_the_chip_and_comes_back(tmp_path: Path) -> None:
    """A soft reset leaves it alone; red when a hard one does too."""
    with bench(tmp_path, faults=["native-usb=800"]) as desk:
        desk.mpremote("soft-reset")
        assert desk.board.is_plugged
        desk.mpremote("resume", "exec", "import machine; machine.reset()", timeout_s=20)
        desk.seen.wait("port", path=None)
        desk.seen.wait("port", path=desk.board.port)
        assert desk.does("resume", "exec", "print(1)") == "1\n"


def test_a_reset_while_code_runs_leaves_mpremote_waiting(tmp_path: Path) -> None:
    """Which is why a tool that flashes has to watch the clock itself."""
    with bench(tmp_path) as desk, pytest.raises(subprocess.TimeoutExpired):
        desk.mpremote("exec", "import machine; machine.reset()", timeout_s=3)


def test_a_wrong_board_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [{"faults": ["rust"]}, {"runtime": "cpython"}, {"runtime": "pypy"}, {"chip": "z80"}]
    for options in wrong:
        with pytest.raises(ValueError):
            SerialBoard(link=tmp_path / "board", **options)
        assert {path.name for path in tmp_path.iterdir()} <= {"board.lock"}, "which nobody holds"
    SerialBoard(link=tmp_path / "board").close()


def test_every_fault_is_tested_here() -> None:
    text = Path(__file__).read_text()
    assert [name for name in FAULTS if f'"{name}"' not in text and f'"{name}=' not in text] == []
