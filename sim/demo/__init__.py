"""The demonstration, `make run` or `python -m sim demo`: three columns and a desk in the browser; without a terminal a
script acts on them, and no alarm may be lost."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from common.arguments import Parser, add_language
from common.home import COLUMN_COMMAND
from common.sentences import Sentences, any_letters
from common.signals import exit_on
from sim.real.column import RUNTIMES
from sim.spoken import spoken

UIS = ("desk", "script")
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main(argv: list[str]) -> int:
    """Run it; returns the exit status: 0, 1 if a step of the script failed, 130 after Ctrl-C."""
    from sim.demo.desk_process import DeskError
    from sim.real.command import unheard
    from sim.servers.broker import BrokerError
    from sim.servers.program import NotStarted
    from tools import toolbox

    any_letters()
    sentences = spoken(argv)
    parser = _parser(sentences)
    arguments = parser.parse_args(argv)
    ui = arguments.ui or ("desk" if _has_terminal() else "script")
    if ui == "script" and arguments.folder:
        parser.error("the script, which plays without a terminal, keeps nothing: leave --folder out, or add --ui=desk")
    # So that all its processes end with this one, also when the terminal's window is closed.
    exit_on(signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    try:
        if ui == "desk":
            return _desk(arguments.runtime, arguments.folder, sentences)
        return _script(arguments.runtime, sentences)
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, sentences.said)
    except BrokenPipeError as error:
        return unheard(error, sentences.said)
    except (BrokerError, DeskError, NotStarted, OSError) as error:
        print(sentences.said(f"error: {error}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parser(sentences: Sentences) -> Parser:
    parser = Parser(sentences, f"{COLUMN_COMMAND} demo", (__doc__ or "").partition("`: ")[2])
    add_language(parser)
    parser.add_argument("--ui", choices=UIS, help="(default: desk on a terminal, else script)")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="the desk's, kept (default: a throw-away one)")
    parser.add_argument("--runtime", choices=RUNTIMES, default="cpython", help="(default: %(default)s)")
    return parser


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not os.environ.get("CI")


def _script(runtime: str, sentences: Sentences) -> int:
    from sim.demo.script import Scenario
    from sim.demo.town import Town, real_column

    def say(line: str) -> None:
        print(sentences.said(line), flush=True)

    say("Three columns in Petropavlovsk, a broker, a desk; nobody at the keyboard.")
    with Town(make_column=real_column(runtime), language=sentences.language) as town:
        all_passed = Scenario(town, say).run()
    return 0 if all_passed else 1


def _desk(runtime: str, folder: Path | None, sentences: Sentences) -> int:
    from sim.demo.live import run

    with tempfile.TemporaryDirectory(prefix="sos-desk-") as scratch:
        return run(runtime, folder or Path(scratch), sentences)
