"""Where nothing can be told any more, a simulated column does not wait for ever."""

import os
import subprocess
import sys
from pathlib import Path

from sim.real.flash_image import PROJECT

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


def test_a_reader_who_has_seen_enough_is_told_nothing() -> None:
    """`| head -1`: red when it hangs, or ends as if all was well."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ended(writing) == (1, "")
    finally:
        os.close(writing)
