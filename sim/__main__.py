"""The simulator's one command line: `python -m sim --help` lists everything."""

import argparse
import importlib
import sys
from contextlib import nullcontext
from pathlib import Path

from common.arguments import byte_count, described, lists
from common.commands import add_no_input, occupy_standard_input
from common.home import COLUMN_COMMAND

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
    argv = sys.argv[1:] if argv is None else argv
    occupy_standard_input()
    if argv and argv[0] in DELEGATED:
        module = importlib.import_module(DELEGATED[argv[0]][0])
        return int(module.main(argv[1:]) or 0)
    arguments = _parser().parse_args(argv)
    if arguments.command == "config":
        from sim.real import configuration

        return configuration.main(arguments)
    return _column(arguments)


def _column(arguments: argparse.Namespace) -> int:
    from sim.real import command
    from sim.servers.own_time import own_time
    from tools import toolbox

    try:
        config = arguments.config.read_bytes()
    except OSError as error:
        print(command.unreadable(error), file=sys.stderr)
        return command.EXIT_USAGE
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
            )
    except toolbox.ToolMissing as error:
        return toolbox.missing(error)


def _parser() -> argparse.ArgumentParser:
    from sim.chip.options import CHIPS
    from sim.real import command, configuration
    from sim.real.runtimes import RUNTIMES
    from sim.servers import own_time

    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=COLUMN_COMMAND,
        description=described(__doc__),
        formatter_class=layout,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    column = commands.add_parser("column", help="run one column in real time", formatter_class=layout)
    column.description = (command.__doc__ or "").partition("`: ")[2]
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
        }
    )

    config = commands.add_parser("config", help="print a complete configuration for one column")
    config.description = (configuration.__doc__ or "").partition("`: ")[2]
    configuration.add_arguments(config)
    for name, (_, text) in DELEGATED.items():
        commands.add_parser(name, help=text)
    parser.epilog = f"{column.format_usage()}\n{column.epilog}\n\n{config.format_usage()}"
    return parser


if __name__ == "__main__":
    sys.exit(main())
