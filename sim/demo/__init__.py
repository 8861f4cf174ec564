"""The demonstration, `make run` or `python -m sim demo`: three columns and a desk in the browser; without a terminal a
scripted scenario with the same desk."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from common.arguments import described
from common.home import COLUMN_COMMAND
from common.signals import exit_on
from sim.real.column import RUNTIMES

UIS = ("desk", "script")
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main(argv: list[str]) -> int:
    """Run it; returns the exit status: 0, 1 if a step of the script failed, 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    # So that all its processes end with this one, also when the terminal's window is closed.
    exit_on(signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    try:
        if (arguments.ui or ("desk" if _has_terminal() else "script")) == "desk":
            return _desk(arguments.runtime, arguments.folder)
        return _script(arguments.runtime)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"{COLUMN_COMMAND} demo", description=described(__doc__))
    parser.add_argument("--ui", choices=UIS, help="(default: desk on a terminal, else script)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the desk's, kept (default: a throw-away one)")
    parser.add_argument("--runtime", choices=RUNTIMES, default="cpython", help="(default: %(default)s)")
    return parser


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")


def _script(runtime: str) -> int:
    from sim.demo.script import Scenario
    from sim.demo.town import Town, real_column

    print("Three columns in Petropavlovsk, a broker, a desk; nobody at the keyboard.", flush=True)
    with Town(make_column=real_column(runtime)) as town:
        all_passed = Scenario(town, lambda line: print(line, flush=True)).run()
    return 0 if all_passed else 1


def _desk(runtime: str, folder: Path | None) -> int:
    from sim.demo.desk_process import DeskError
    from sim.demo.live import run
    from sim.servers.broker import BrokerError
    from tools.toolbox import ToolMissing

    with tempfile.TemporaryDirectory(prefix="sos-desk-") as scratch:
        try:
            return run(runtime, folder or Path(scratch))
        except (BrokerError, DeskError, ToolMissing, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
