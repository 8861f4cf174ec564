"""`python -m sim servers`: the servers of a provisioned fleet. Commands on standard input, JSON lines on output.

Virtual boards find it by the file that the first line of output names.
"""

import argparse
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from common.arguments import Parser, add_language, lists
from common.commands import add_no_input, command_lines
from common.home import COLUMN_COMMAND
from common.sentences import Sentences, any_letters
from common.signals import exit_on
from sim.fleet.surroundings import BREAKS, FleetServers, FleetServersError
from sim.real.command import Tell, printer
from sim.servers.broker import BrokerError
from sim.servers.program import NotStarted
from sim.spoken import spoken
from tools import toolbox

EXIT_USAGE = 2
EXIT_FAILED = 1
COMMANDS = {
    "break NAME": "see below",
    "mend NAME": "undo it, with the same =ID; `mend password` and `mend access` without one: for all columns",
    "expire ID": "make a configuration in which the column's certificate has ended, to be flashed",
    "close": "the centre closes all open incidents",
    "help": "list these commands",
    "quit": "end (so does the end of the input, but with --no-input)",
}
EVENTS = {
    "ready": "servers: the file for boards; columns: how many were provisioned; desk: the broker's address for a desk",
    "column": "device_id, online: true, false or null (nothing of it yet): as the centre has heard",
    "alarm": "device_id, id, press, status (actual or test), state: as the centre has it",
    "intercom": "device_id; call: is one open; hears: is its loudspeaker loud",
    "stand-in": "place: HOST:PORT, where a column's look is answered and nothing can be seen or heard; why",
    "broken, mended": "what",
    "expired": "config: a folder for `make flash`",
    "closed": "count: of incidents",
    "error": "text: what is wrong with a command",
    "help": "command, text",
}


def main(argv: list[str]) -> int:
    """Run the servers until `quit`; returns the exit status."""
    any_letters()
    sentences = spoken(argv)
    arguments = _parser(sentences).parse_args(argv)
    exit_on(signal.SIGTERM, signal.SIGINT)
    try:
        tell = printer(sentences.said)
        made = FleetServers(
            arguments.provisioned, arguments.state, tell, street=not arguments.stand_ins, said=sentences.said
        )
        for what in arguments.broken:
            made.check(what)
        with made as servers:
            desk = f"localhost:{servers.broker.centre_port}"
            tell({"event": "ready", "servers": str(servers.table), "columns": len(servers.columns), "desk": desk})
            for what in arguments.broken:
                _obey(servers, ["break", what], tell)
            _listen(servers, command_lines(no_input=arguments.no_input), tell)
    except (FleetServersError, BrokerError, NotStarted, TimeoutError, OSError) as error:
        print(sentences.said(f"error: {error}"), file=sys.stderr)
        return EXIT_FAILED
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, sentences.said)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _listen(servers: FleetServers, lines: Iterable[str], tell: Tell) -> None:
    for line in lines:
        words = line.split()
        if words == ["quit"]:
            return
        try:
            if words:
                _obey(servers, words, tell)
        except (FleetServersError, BrokerError, NotStarted) as error:
            tell({"event": "error", "text": str(error)})


def _obey(servers: FleetServers, words: list[str], tell: Tell) -> None:
    match words:
        case ["break", what]:
            servers.break_(what)
            tell({"event": "broken", "what": what})
        case ["mend", what]:
            servers.mend(what)
            tell({"event": "mended", "what": what})
        case ["expire", device_id]:
            tell({"event": "expired", "config": str(servers.expire(device_id))})
        case ["close"]:
            tell({"event": "closed", "count": servers.close_incidents()})
        case ["help"]:
            for command, text in {**COMMANDS, **BREAKS}.items():
                tell({"event": "help", "command": command, "text": text})
        case _:
            raise FleetServersError(f"unknown command {' '.join(words)!r}: must be one of {', '.join(COMMANDS)}")


def _parser(sentences: Sentences) -> Parser:
    layout = argparse.RawDescriptionHelpFormatter
    description = (__doc__ or "").partition("`: ")[2]
    parser = Parser(sentences, f"{COLUMN_COMMAND} servers", description, formatter_class=layout)
    add_language(parser)
    add = parser.add_argument
    add("provisioned", type=Path, help="what provisioning made; it is not changed")
    help_text = "folder for the servers' own files (default: %(default)s)"
    add("--state", type=Path, default=Path("build/servers"), metavar="FOLDER", help=help_text)
    add("--break", dest="broken", action="append", default=[], metavar="NAME", help="may be given several times")
    add("--stand-ins", action="store_true", help="no real camera and intercom: streams that show and say nothing")
    add_no_input(parser)
    parser.epilog = lists(
        {
            "names of what can be broken:": BREAKS,
            "commands, one a line on standard input:": COMMANDS,
            "events, one JSON object a line:": EVENTS,
        },
        sentences.said,
    )
    return parser
