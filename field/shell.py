"""`make shell PORT=...`: mpremote's prompt on a column's board. The column is OFF DUTY meanwhile, and goes back on duty
when the shell ends (Ctrl-] or Ctrl-x), and by itself after MINUTES, also when the cable is pulled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from common.arguments import whole
from field.board import Board
from field.code import add_out, letting_in
from field.telling import in_words
from field.words import Trouble, asked_for, tool_parser

MINUTES = 30
MINUTES_MAX = 240
_MS = 60_000


def shell(port: str, minutes: int, out: Path, off_duty: Callable[[], None]) -> int:
    """mpremote's exit status. `off_duty` is called when it is. Raises BoardError, CodeError."""
    let_in = letting_in(out)
    board = Board(port, minutes * _MS, let_in)  # of its watchdog: nobody can feed it from a prompt
    board.__enter__()
    board.to_prompt()
    off_duty()
    mpremote = [sys.executable, "-m", "mpremote", "connect", port, "resume", "repl"]
    try:
        return subprocess.run(mpremote, check=False).returncode
    finally:
        with Board(port, let_in=let_in):
            pass  # leaving it restarts the board


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.shell", __doc__)
    parser.add_argument("port", help="serial port of a column, such as /dev/ttyUSB0")
    help_text = f"until the watchdog puts the column back on duty, 1 to {MINUTES_MAX} (default: %(default)s)"
    parser.add_argument("--minutes", type=whole("minutes", 1, MINUTES_MAX), default=MINUTES, help=help_text)
    add_out(parser)
    arguments = parser.parse_args(argv)
    if not sys.stdin.isatty() and Path(arguments.port).exists():  # a port that is not there is told first
        raise Trouble("shell.no-terminal")
    said = words("shell.off-duty", minutes=arguments.minutes)
    return shell(arguments.port, arguments.minutes, arguments.out, lambda: print(said, flush=True))


if __name__ == "__main__":
    sys.exit(main())
