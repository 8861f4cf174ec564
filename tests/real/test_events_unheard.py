"""Where nothing can be told any more, a simulated column does not wait for ever."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.real import command
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT
from sim.spoken import spoken

ENDS_S = 20.0
# As `pillar`, which ends on a signal with 0, and whose events come from a column's thread.
PROGRAM = """
import signal, threading
from common.signals import exit_on
from sim.real.command import printer
from sim.spoken import spoken
exit_on(signal.SIGTERM, signal.SIGINT, status=0)
tell = printer(spoken(["--lang", "ru"]).said)
def column():
    for _ in range(3):
        tell({"event": "lamp", "state": "ready"})
threading.Thread(target=column).start()
threading.Event().wait()
"""


def ended(stdout: int) -> tuple[int, str]:
    argv = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(argv, cwd=PROJECT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
                         stdin=subprocess.DEVNULL, timeout=ENDS_S)  # fmt: skip
    return run.returncode, run.stderr


def test_a_full_disk_ends_it_with_a_sentence() -> None:
    """Red when the error is the column's thread's alone (it hangs), or ends the program with 0."""
    with Path("/dev/full").open("w") as full:
        told = "ошибка: в стандартный вывод больше ничего не записать: диск заполнен\n"
        assert ended(full.fileno()) == (1, told)


def test_a_configuration_that_found_no_room_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`sim config ... > file`: it ended in a traceback, or told nothing. Red when it ends as if the file was whole."""
    asked = ["config", "--device-id", "a", "--region", "nko", "--broker", "127.0.0.1:1", "--lang", "kk"]
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert main(asked) == command.EXIT_FAILED
    assert capsys.readouterr().err == "қате: стандартты шығысқа енді ештеңе жазылмайды: диск толған\n"


def test_a_column_that_dies_ends_the_program_that_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scratch folder without room, say. Red when the thread's end is the thread's alone."""
    ended_with: list[int] = []
    monkeypatch.setattr(command, "end", ended_with.append)

    def no_room(column: RealColumn) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/scratch/flash")

    monkeypatch.setattr(RealColumn, "_start", no_room)
    with RealColumn(None, on_event=print, on_death=command.ending(spoken(["--lang", "ru"]).said)) as column:
        column.power_on()
        column._thread.join(ENDS_S)
    assert (
        ended_with == [command.EXIT_FAILED] and capsys.readouterr().err == "ошибка: '/scratch/flash': диск заполнен\n"
    )


def test_a_reader_who_has_seen_enough_is_told_nothing() -> None:
    """`| head -1`: red when it hangs, or ends as if all was well."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(writing) == (1, "")
    finally:
        os.close(writing)
