"""Commands on standard input, one a line, and what holds when there are none."""

import argparse
import os
import sys
import threading
from collections.abc import Iterator

NO_INPUT = "take no commands and run until SIGTERM: for the background of a script, whose input is empty or closed"


def add_no_input(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-input", action="store_true", help=NO_INPUT)


def command_lines(*, no_input: bool) -> Iterator[str]:
    """The lines of standard input to their end; with `no_input` none, and no end: a signal has to end it."""
    if no_input:
        threading.Event().wait()
    yield from sys.stdin or ()


def occupy_standard_input() -> None:
    """If standard input is closed, the next file or socket gets its number and would be read as commands."""
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
