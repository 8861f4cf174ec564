"""Signals that end a program, and its main thread, which has to hear of them.

The kernel gives a process's signal to any of its threads. Python's handler runs in the main thread only, and a main
thread that waits in a lock or in a read is not woken by what another thread got: about one SIGTERM in ten to a
`python -m sim pillar` was slept through on two busy cores. So what the main thread has not heard is sent to it again.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType

GRACE_S = 0.1  # for the main thread to hear it by itself
_asked: list[int] = []  # the status with which the program itself wants to end


def exit_on(*numbers: signal.Signals, status: int | None = None) -> None:
    """From now on each of them raises SystemExit (KeyboardInterrupt for SIGINT without a `status`) in the main thread.

    `status`: the exit status; without one 128 and the number, as a shell says it. Called once, in the main thread.
    """
    unheard = set(numbers)

    def handle(number: int, frame: FrameType | None) -> None:
        unheard.discard(signal.Signals(number))
        if number == signal.SIGINT and status is None:
            raise KeyboardInterrupt
        sys.exit(_asked[0] if _asked else 128 + number if status is None else status)

    caught, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)  # written to in whichever thread got it
    threading.Thread(target=_pass_on, args=(caught, unheard), name="signals", daemon=True).start()
    for number in numbers:
        signal.signal(number, handle)


def end(status: int) -> None:
    """In any thread, of a program that exits on SIGTERM: its main thread ends as by that, with this exit status."""
    _asked.append(status)
    os.kill(os.getpid(), signal.SIGTERM)


def _pass_on(caught: int, unheard: set[signal.Signals]) -> None:
    main = threading.main_thread().ident
    while number := os.read(caught, 1):
        time.sleep(GRACE_S)
        if number[0] in unheard and main is not None:
            signal.pthread_kill(main, number[0])
