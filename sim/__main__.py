"""The simulator's one command line: `python -m sim --help` lists everything."""

from __future__ import annotations

# ruff: noqa: E402
from common.interrupted import end_quietly

end_quietly()  # not in the package's __init__, which a chip's process imports too

import argparse
import functools
import importlib
import sys
from contextlib import nullcontext
from pathlib import Path

from common.arguments import Parser, add_language, byte_count, described, lists
from common.commands import add_no_input, occupy_standard_input
from common.home import COLUMN_COMMAND
from common.sentences import Sentences, any_letters
from sim.spoken import spoken

DELEGATED = {
    "board": ("sim.serial_board", "one board on a serial port, for mpremote"),
    "servers": ("sim.fleet", "broker, centre, cameras and clock of a provisioned fleet, for boards"),
    "pillar": ("sim.pillar.command", "one column with camera, intercom and a page to press its button"),
    "desk": ("desk.command", "the control centre's desk, in the browser"),
    "demo": ("sim.demo", "three columns, a broker and a control centre, live or scripted"),
    "rollout": ("sim.demo.rollout", "a signed update for the example fleet, and a bad one before it"),
    "campaign": ("sim.search.command", "hunt for a press that is lost, invented or lied about"),
    "renewals": ("sim.search.renewals.fleet", "change the certificates of 10,000 columns, some at a time"),
    "city": ("sim.search.city_year.command", "a year of a city's columns at a real desk, in virtual time"),
    "bench": ("sim.bench", "measure, side by side with stock umqtt.simple"),
}


def main(argv: list[str] | None = None) -> int:
    argv = _command_first(sys.argv[1:] if argv is None else argv)
    occupy_standard_input()
    if argv and argv[0] in DELEGATED:
        module = importlib.import_module(DELEGATED[argv[0]][0])
        return int(module.main(argv[1:]) or 0)
    any_letters()
    sentences = spoken(argv)
    arguments = _parser(sentences).parse_args(argv)
    if arguments.command == "config":
        from sim.real import configuration

        return configuration.main(arguments, sentences.said)
    return _column(arguments, sentences)


def _command_first(argv: list[str]) -> list[str]:
    """`--lang ru` before the command's name is the command's."""
    ahead = 2 if argv[:1] == ["--lang"] else 1 if argv and argv[0].startswith("--lang=") else 0
    return [*argv[ahead:], *argv[:ahead]] if argv[ahead:] else argv


def _column(arguments: argparse.Namespace, sentences: Sentences) -> int:
    from sim.real import command
    from sim.servers.own_time import own_time
    from tools import toolbox

    try:
        config = arguments.config.read_bytes()
    except OSError as error:
        print(sentences.said(command.unreadable(error)), file=sys.stderr)
        return command.EXIT_USAGE
    _warn(arguments, sentences)
    try:
        with own_time(config) if arguments.clock else nullcontext(config) as config:
            return command.main(
                config,
                runtime=arguments.runtime,
                flash_path=arguments.flash,
                heap_bytes=arguments.heap,
                psram=not arguments.no_psram,
                in_place=arguments.in_place,
                seed=arguments.seed,
                chip=arguments.chip,
                card=arguments.card,
                no_input=arguments.no_input,
                said=sentences.said,
            )
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, sentences.said)


def _warn(arguments: argparse.Namespace, sentences: Sentences) -> None:
    """Of a configuration that no column works with: this one runs as one in the street would, and says so in English
    on its console alone."""
    from field import documents
    from field.words import Trouble, Words

    try:
        documents.files(arguments.config, arguments.chip)
    except Trouble as trouble:
        why = trouble.told(Words(sentences.language))
        print(sentences.said(f"warning: {why}"), file=sys.stderr)


def _parser(sentences: Sentences) -> Parser:
    """Of everything; each command's own is in it, or in its module."""
    said, layout = sentences.said, argparse.RawDescriptionHelpFormatter
    parser = Parser(sentences, COLUMN_COMMAND, described(__doc__), formatter_class=layout)
    add_language(parser)
    made = functools.partial(Parser, sentences)
    commands = parser.add_subparsers(  # type: ignore[call-overload]
        dest="command", required=True, metavar="COMMAND", parser_class=made
    )
    column = _add_column(commands, sentences)
    config = _add_config(commands, sentences)
    for name, (_, text) in DELEGATED.items():
        commands.add_parser(name, help=said(text))
    parser.epilog = f"{column.format_usage()}\n{column.epilog}\n\n{config.format_usage()}"
    return parser


def _add_column(commands: argparse._SubParsersAction[Parser], sentences: Sentences) -> Parser:
    from sim.chip.options import CHIPS
    from sim.real import command
    from sim.real.runtimes import RUNTIMES
    from sim.servers import own_time

    column = commands.add_parser(
        "column",
        help=sentences.said("run one column in real time"),
        description=(command.__doc__ or "").partition("`: ")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_language(column)
    add = column.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="configuration document (JSON)")
    add("--runtime", choices=RUNTIMES, default="cpython", help="(default: %(default)s)")
    add("--flash", type=Path, metavar="IMAGE", help="LittleFS image, kept (default: a throw-away one)")
    add("--heap", type=byte_count, metavar="BYTES", help="MicroPython heap that the firmware has, such as 98304 or 96k")
    add("--no-psram", action="store_true", help="the heap grows out of IDF's, as a stock image's does without PSRAM")
    add("--in-place", action="store_true", help="code in the chip's image, as in one of your own; needs MicroPython")
    add("--seed", type=int, default=0, metavar="N", help="of the chip's chance (default: %(default)s)")
    add("--chip", choices=CHIPS, default="esp32", help="(default: %(default)s)")
    add("--clock", action="store_true", help=own_time.HELP)
    add("--card", type=Path, metavar="FILE", help="figures of a board (make accept JSON=1): the chip is as that one")
    add_no_input(column)
    column.epilog = lists(
        {
            "commands, one a line on standard input:": command.COMMANDS,
            "events, one JSON object a line:": command.EVENTS,
        },
        sentences.said,
    )
    return column


def _add_config(commands: argparse._SubParsersAction[Parser], sentences: Sentences) -> Parser:
    from sim.real import configuration

    config = commands.add_parser(
        "config",
        help=sentences.said("print a complete configuration for one column"),
        description=(configuration.__doc__ or "").partition("`: ")[2],
    )
    add_language(config)
    configuration.add_arguments(config)
    return config


if __name__ == "__main__":
    sys.exit(main())
