"""What is one process's alone, and whose name is told when it cannot be had."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.beside import Held, Hold, named
from common.home import ROOT

HOLDER = """
import sys
from pathlib import Path
from common.beside import Hold
hold = Hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_one_process_has_it_and_a_killed_one_hinders_nobody(tmp_path: Path) -> None:
    """Red when the lock is the file that is left behind, or when the other is not named."""
    argv = [sys.executable, "-c", HOLDER, str(tmp_path / "it")]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(Held) as held:
            Hold(tmp_path / "it")
        assert held.value.process == str(other.pid)
        other.send_signal(signal.SIGKILL)
    first = Hold(tmp_path / "it")
    with pytest.raises(Held, match=str(os.getpid())):
        Hold(tmp_path / "it")
    first.release()
    first.release()
    Hold(tmp_path / "it").release()


def test_what_was_forgotten_is_free(tmp_path: Path) -> None:
    """A start that failed on its way holds nothing. Red without the finalizer."""
    Hold(tmp_path / "it")
    Hold(tmp_path / "it").release()


def test_an_error_names_the_file_that_was_typed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        Hold(tmp_path / "none" / "it")
    assert missing.value.filename == str(tmp_path / "none" / "it")
    with pytest.raises(FileNotFoundError) as missing, named(tmp_path / "it"):
        (tmp_path / "it.new").unlink()
    assert missing.value.filename == str(tmp_path / "it")
