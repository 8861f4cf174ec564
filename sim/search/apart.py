"""Runs one part of the campaign in a process of its own, so that it has a core to itself and can be stopped."""

import importlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import NoReturn

from sim.search.findings import Findings
from tools.toolbox import ToolMissing

POLL_S = 0.5
END_S = 10.0  # a part that is stopped ends the processes that it started


class PartFailed(Exception):
    """It raised, was stopped or died; the text says which."""


def run_apart(
    name: str,
    budget_s: float,
    seed: int,
    control: str | None,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
) -> Findings:
    """`run` of the module with that name, with the same arguments. Raises PartFailed, ToolMissing."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_perform, args=(there, name, budget_s, seed, control))
    process.start()
    there.close()
    try:
        while not stopped():
            if not here.poll(POLL_S):
                continue
            kind, what = here.recv()
            if kind == "says":
                say(what)
            elif kind == "findings":
                return what
            elif kind == "tool-missing":
                raise ToolMissing(what)
            else:
                raise PartFailed(what)
        raise PartFailed("stopped")
    except EOFError:
        process.join(END_S)
        raise PartFailed(f"its process ended with status {process.exitcode}") from None
    finally:
        _end(process)
        say("")


def _end(process: multiprocessing.process.BaseProcess) -> None:
    if process.is_alive():
        process.terminate()
        process.join(END_S)
    if process.is_alive():
        process.kill()
    process.join()


def _perform(pipe: Connection, name: str, budget_s: float, seed: int, control: str | None) -> None:
    """In the new process. Ctrl-C is the campaign's business, and SIGTERM leaves through every `finally`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    try:
        module = importlib.import_module(name)
        findings = module.run(budget_s, seed, control, lambda text: pipe.send(("says", text)))
        pipe.send(("findings", findings))
    except ToolMissing as error:
        pipe.send(("tool-missing", str(error)))
    except Exception:
        pipe.send(("error", traceback.format_exc()))


def _leave(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def all_cores() -> int:
    return os.cpu_count() or 1
