"""A signal ends a program also when the kernel has given it to a thread that cannot."""

import signal
import subprocess
import sys

import pytest

from common.home import ROOT

HEARD_S = 10.0
NOT_HEARD_S = 1.0
# The main thread waits; another one gets the signal.
PROGRAM = """
import signal, sys, threading, time
from common.signals import exit_on
{install}
def other():
    time.sleep(0.3)
    signal.pthread_kill(threading.get_ident(), signal.{number})
    time.sleep(60)
threading.Thread(target=other, daemon=True).start()
try:
    {wait}
finally:
    print("cleaned up", flush=True)
"""
WAITS = {"a lock": "threading.Event().wait()", "standard input": "sys.stdin.read()"}


def run(install: str, number: str, wait: str, timeout_s: float = HEARD_S) -> tuple[int, str]:
    program = PROGRAM.format(install=install, number=number, wait=WAITS[wait])
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            status = process.wait(timeout_s)
            assert process.stdout is not None
            return status, process.stdout.read()
        finally:
            process.kill()


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize(
    ("install", "number", "status"),
    [
        ("exit_on(signal.SIGTERM, signal.SIGHUP)", "SIGTERM", 143),
        ("exit_on(signal.SIGTERM, signal.SIGHUP)", "SIGHUP", 129),
        ("exit_on(signal.SIGTERM, status=0)", "SIGTERM", 0),
        ("exit_on(signal.SIGINT)", "SIGINT", -signal.SIGINT),  # KeyboardInterrupt, and nobody caught it
        ("exit_on(signal.SIGINT, status=0)", "SIGINT", 0),
    ],
)
def test_it_ends_and_cleans_up_once(wait: str, install: str, number: str, status: int) -> None:
    assert run(install, number, wait) == (status, "cleaned up\n")


@pytest.mark.parametrize("wait", WAITS)
def test_without_it_the_main_thread_sleeps_on(wait: str) -> None:
    """Negative control: the same with a handler alone."""
    with pytest.raises(subprocess.TimeoutExpired):
        run("signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))", "SIGTERM", wait, NOT_HEARD_S)
