"""`make shell PORT=...`: mpremote's prompt on a column's board. The column is OFF DUTY meanwhile, and goes back on duty
when the shell ends (Ctrl-] or Ctrl-x), and by itself after MINUTES, also when the cable is pulled."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from field.board import Board
from field.telling import in_words
from field.words import add_language, asked_for

MINUTES = 30
MINUTES_MAX = 240
_MS = 60_000


def shell(port: str, minutes: int) -> int:
    """mpremote's exit status. Raises BoardError."""
    board = Board(port, grace_ms=minutes * _MS)  # of its watchdog: nobody can feed it from a prompt
    board.__enter__()
    board.to_prompt()
    mpremote = [sys.executable, "-m", "mpremote", "connect", port, "resume", "repl"]
    try:
        return subprocess.run(mpremote, check=False).returncode
    finally:
        with Board(port):
            pass  # leaving it restarts the board


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m field.shell", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("port", help="serial port of a column, such as /dev/ttyUSB0")
    help_text = f"until the watchdog puts the column back on duty, 1 to {MINUTES_MAX} (default: %(default)s)"
    parser.add_argument("--minutes", type=int, default=MINUTES, help=help_text)
    add_language(parser)
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.minutes <= MINUTES_MAX:
        parser.error(f"--minutes: found {arguments.minutes}, must be 1 to {MINUTES_MAX}")
    print(asked_for(argv, os.environ)("shell.off-duty", minutes=arguments.minutes), flush=True)
    return shell(arguments.port, arguments.minutes)


if __name__ == "__main__":
    sys.exit(main())
