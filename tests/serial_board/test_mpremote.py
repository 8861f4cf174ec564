"""Real, unmodified mpremote on a virtual board: each command that a technician or a tool of this project uses."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_probe import Bench, bench
from column_probe import need

from sim.real.flash_image import Image

pytestmark = pytest.mark.micropython
BINARY = bytes(range(256)) * 21


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One blank board for all commands."""
    need("micropython")
    with bench(tmp_path_factory.mktemp("board")) as desk:
        yield desk


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "binary").write_bytes(BINARY)
    (tmp_path / "folder" / "inner" / "text").write_text("Петропавл\n" * 50)
    return tmp_path


def test_exec_and_eval_run_on_the_boards_own_interpreter(desk: Bench) -> None:
    assert desk.does("exec", "import sys; print(sys.implementation.name, sys.platform)") == "micropython esp32\n"
    assert desk.does("eval", "[1, b'\\xff']") == "[1, b'\\xff']\n"
    assert desk.does("exec", "print('қазақ')") == "қазақ\n"


def test_an_exception_is_shown_as_a_board_shows_it(desk: Bench) -> None:
    run = desk.mpremote("exec", "def f():\n    1 / 0\nf()")
    assert run.returncode == 1
    assert run.stdout.splitlines() == [
        "Traceback (most recent call last):",
        '  File "<stdin>", line 3, in <module>',
        '  File "<stdin>", line 2, in f',
        "ZeroDivisionError: divide by zero",
    ]
    syntax = desk.mpremote("exec", "1 +")
    assert syntax.returncode == 1 and "SyntaxError" in syntax.stdout and "sim/" not in syntax.stdout


def test_files_go_there_and_back_unchanged(desk: Bench, files: Path) -> None:
    desk.does("fs", "cp", str(files / "folder" / "binary"), ":binary")
    digest = hashlib.sha256(BINARY).hexdigest()
    assert desk.does("fs", "sha256sum", ":binary").splitlines()[-1] == digest
    desk.does("fs", "cp", ":binary", str(files / "back"))
    assert (files / "back").read_bytes() == BINARY
    assert Image(desk.board.flash_path.read_bytes()).read("binary") == BINARY, "it is on the flash"
    assert f"{len(BINARY)} binary" in desk.does("fs", "ls")
    desk.does("fs", "rm", ":binary")
    assert "binary" not in desk.does("fs", "ls")


def test_folders_go_there_and_are_removed(desk: Bench, files: Path) -> None:
    desk.does("fs", "mkdir", ":top")
    desk.does("fs", "cp", "-r", str(files / "folder"), ":top/")
    assert desk.does("fs", "cat", ":top/folder/inner/text") == "Петропавл\n" * 50
    assert "inner" in desk.does("fs", "tree", ":top")
    desk.does("fs", "touch", ":top/empty", "+", "fs", "rm", ":top/empty", "+", "fs", "rm", "-r", ":top")
    assert "top" not in desk.does("fs", "ls")
    missing = desk.mpremote("fs", "cat", ":top/folder/inner/text")
    assert missing.returncode == 1 and "No such file" in missing.stderr


def test_df_shows_the_flash_and_nothing_of_this_machine(desk: Bench) -> None:
    size = desk.board.flash_path.stat().st_size
    lines = desk.does("df").splitlines()[1:]
    assert len(lines) == 1 and str(size) in lines[0] and lines[0].endswith(" /")
    assert desk.does("fs", "ls", ":/") == "ls :/\n"


def test_a_script_runs_and_what_it_made_stays_until_a_soft_reset(desk: Bench, files: Path) -> None:
    script = files / "script.py"
    script.write_text("made = 41\nprint('script ran')\n" + "# long enough for several windows\n" * 40)
    assert desk.does("run", str(script)) == "script ran\n"
    assert desk.does("resume", "exec", "print(made + 1)") == "42\n"
    desk.does("soft-reset")
    assert desk.does("resume", "exec", "print('made' in globals())") == "False\n"


def test_reset_is_one_of_the_chip(desk: Bench) -> None:
    cause = "import machine; print(machine.reset_cause() == machine.%s)"
    desk.does("reset")
    desk.seen.wait("reset", cause="hard")
    desk.console("friendly")
    assert desk.does("resume", "exec", cause % "HARD_RESET") == "True\n"
    assert desk.does("exec", cause % "SOFT_RESET") == "True\n", (
        "mpremote resets before the first command, unless resumed"
    )


def test_the_clock_is_set(desk: Bench) -> None:
    assert desk.does("rtc").startswith("(2000, 1, ")
    desk.does("rtc", "--set")
    assert not desk.does("rtc").startswith("(2000, ")


def test_a_folder_of_this_machine_is_mounted(desk: Bench, files: Path) -> None:
    (files / "folder" / "module.py").write_text("from umqtt.simple import MQTTClient\nprint('imported', MQTTClient)\n")
    code = """
import os
print(sorted(os.listdir('/remote')))
with open('/remote/binary', 'rb') as f:
    print(f.read() == bytes(range(256)) * 21)
with open('/remote/written', 'wb') as f:
    f.write(bytes(range(256)))
import module
"""
    shown = desk.does("mount", str(files / "folder"), "exec", code).splitlines()
    shown.remove(f"Local directory {files / 'folder'} is mounted at /remote")  # mpremote's own: now or at its end
    assert shown == ["['binary', 'inner', 'module.py']", "True", "imported <class 'MQTTClient'>"]
    assert (files / "folder" / "written").read_bytes() == bytes(range(256))


def test_without_raw_paste_mpremote_falls_back(desk: Bench) -> None:
    """Also what older mpremotes and pyboard.py do."""
    program = f"""
from mpremote.transport_serial import SerialTransport
board = SerialTransport({desk.board.port!r})
board.use_raw_paste = False
board.enter_raw_repl(soft_reset=True)
print(board.eval('sum(range(1000))'), board.exec('print(7)'))
board.exit_raw_repl()
board.close()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout.startswith("499500 ")


def test_what_the_simulated_board_does_not_have(desk: Bench) -> None:
    """docs/virtual-board.md says so."""
    assert desk.does("exec", "import machine; print(hasattr(machine, 'bootloader'))") == "False\n"
    assert desk.does("romfs", "query") == "ROMFS is not enabled on this device\n"
