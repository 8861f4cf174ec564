"""`python -m sim board`: a board on a pseudo-terminal; commands on standard input, JSON lines on standard output.

Connect with: mpremote connect PORT resume exec "print(1)". PORT is what --link says, or in the output's first line.
"""

import argparse
import hashlib
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from littlefs import LittleFSError

from common.arguments import Parser, add_language, byte_count, lists
from common.assumptions import on_chip
from common.commands import add_no_input, command_lines
from common.home import COLUMN_COMMAND, COLUMN_TYPED
from common.sentences import Sentences, any_letters
from common.signals import exit_on
from field.telling import explained
from field.words import Trouble, Words
from firmware.startup.config_files import CONFIG_FILE
from sim.chip.options import CHIPS
from sim.real import command
from sim.real.command import Tell, ending, printer
from sim.real.flash_image import Image
from sim.serial_board.faults import FAULTS
from sim.serial_board.serial import SerialBoard
from sim.serial_board.wiring import wired_for
from sim.spoken import spoken
from tools import toolbox

EXIT_USAGE = 2
ACTIVE_FILE = "active"  # its first letter is the folder in force: boot.py
SEED_BYTES = 3  # as many as the part of a chip's number that is its own
RUNTIMES = ("micropython", "micropython32", "micropython-newest", "micropython32-newest")
COMMANDS = {
    "unplug": "pull the cable out: the terminal goes away",
    "plug": "put the cable back in: a new terminal, the same link",
}
EVENTS = {
    "port": "path: the terminal to connect to, or null while the cable is out",
    "console": "state: off, start, boot.py, main.py, friendly or raw (at that prompt)",
}


def main(argv: list[str]) -> int:
    """Run one board until `quit`; returns the exit status."""
    any_letters()
    sentences = spoken(argv)
    said, tell = sentences.said, printer(sentences.said)
    arguments = _parser(sentences).parse_args(argv)
    try:
        config = None if arguments.config is None else arguments.config.read_bytes()
    except OSError as error:
        print(said(command.unreadable(error)), file=sys.stderr)
        return EXIT_USAGE
    exit_on(signal.SIGTERM, signal.SIGINT)
    try:
        chip, wiring = arguments.chip or CHIPS[0], None
        if arguments.wired_for is not None:
            chip, wiring = wired_for(arguments.wired_for, arguments.chip)
        with SerialBoard(
            config,
            runtime=arguments.runtime,
            flash_path=arguments.flash,
            heap_bytes=arguments.heap,
            psram=not arguments.no_psram,
            seed=seed_of(arguments.flash) if arguments.seed is None else arguments.seed,
            chip=chip,
            wired_for=wiring,
            servers=arguments.servers,
            link=arguments.link,
            figures=on_chip(chip, arguments.card),
            faults=arguments.fault,
            usb_powered=arguments.usb_powered,
            on_event=tell,
            on_death=ending(said),
        ) as board:
            if wiring is not None:
                _tell_whose(board.flash_path, wiring["device_id"], said)
            _obey(board, command_lines(no_input=arguments.no_input), tell)
    except (Trouble, OSError) as error:
        words = Words(sentences.language)
        print(words("error", why=explained(error) if isinstance(error, OSError) else error), file=sys.stderr)
        return EXIT_USAGE
    except ValueError as error:
        print(said(f"error: {error}"), file=sys.stderr)
        return EXIT_USAGE
    except toolbox.ToolMissing as error:
        return toolbox.missing(error, said)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def seed_of(flash: Path | None) -> int:
    """Each image is a chip of its own, after each start the same one: two boards on one bench with one number would be
    one board in the log of what was flashed."""
    return 0 if flash is None else int.from_bytes(hashlib.sha256(str(flash.resolve()).encode()).digest()[:SEED_BYTES])


def serves_as(flash: Path) -> str | None:
    """The column that the configuration in force makes of it, as `make flash` asks (field/device/agent.py); None for a
    blank board, and for what nobody can read."""
    try:
        image = Image(flash.read_bytes())
        folder = (image.read(ACTIVE_FILE) or b"")[:1].decode("ascii")
        return str(json.loads(image.read(f"{folder}/{CONFIG_FILE}".lstrip("/")) or b"")["device_id"])
    except (ValueError, LookupError, TypeError, LittleFSError):
        return None


def _tell_whose(flash: Path, asked_for: str, said: Callable[[str], str]) -> None:
    """Of a flash that is kept, and another column's: a real board would not be that one either."""
    column = serves_as(flash)
    if column not in (None, asked_for):
        text = f"this board is not blank, it is {column}; for a blank one give another --flash, or remove that file"
        print(said(f"warning: {flash}: {text}"), file=sys.stderr, flush=True)


def _obey(board: SerialBoard, lines: Iterable[str], tell: Tell) -> None:
    def report(event: str, **details: Any) -> None:
        tell({"t_ms": board.now_ms(), "event": event, **details})

    report("port", path=board.port)
    board.power_on()
    command.run(board, _without_the_cables(board, lines, report), report, more=COMMANDS)


def _without_the_cables(board: SerialBoard, lines: Iterable[str], report: Callable[..., None]) -> Iterator[str]:
    """Obeys the commands that only a board has; the others are those of every column."""
    actions = {"unplug": board.unplug, "plug": board.plug}
    there = {"unplug": "unplug: the cable is out already", "plug": "plug: the cable is in already"}
    for line in lines:
        words = line.split()
        if words == ["help"]:
            for command, text in COMMANDS.items():
                report("help", command=command, text=text)
        if len(words) == 1 and words[0] in actions:
            if board.is_plugged == (words[0] == "plug"):
                report("error", text=there[words[0]])
            actions[words[0]]()
        else:
            yield line


def _parser(sentences: Sentences) -> Parser:
    layout = argparse.RawDescriptionHelpFormatter
    description = (__doc__ or "").partition("`: ")[2]
    parser = Parser(sentences, f"{COLUMN_COMMAND} board", description, formatter_class=layout)
    add_language(parser)
    add = parser.add_argument
    add(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration document: flash the firmware with it",
    )
    add("--wired-for", type=Path, metavar="CONFIG", help="document or folder of provisioning: blank, but wired for it")
    add("--servers", type=Path, metavar="FILE", help=f"where they are simulated; written by: {COLUMN_TYPED} servers")
    add("--flash", type=Path, metavar="IMAGE", help="LittleFS image, kept (default: a throw-away one, empty)")
    add("--link", type=Path, metavar="PATH", help="symbolic link to the terminal, kept over unplug and plug")
    add("--runtime", choices=RUNTIMES, default=RUNTIMES[0], help="(default: %(default)s)")
    add("--chip", choices=CHIPS, help=f"(default: that of --wired-for, else {CHIPS[0]})")
    add("--heap", type=byte_count, metavar="BYTES", help="MicroPython heap that the firmware has, such as 98304 or 96k")
    add("--card", type=Path, metavar="FILE", help="figures of a board (default: hal/assumptions.toml's for the chip)")
    add("--no-psram", action="store_true", help="a module without PSRAM: its heap is IDF's as well")
    add("--seed", type=int, metavar="N", help="of the chip's number and chance, and of faults (default: by --flash)")
    add("--usb-powered", action="store_true", help="the cable is the supply: `unplug` cuts the power")
    add("--fault", action="append", default=[], metavar="NAME[=N]", help="may be given several times; see below")
    add_no_input(parser)
    parser.epilog = lists(
        {
            "faults:": FAULTS,
            "commands, one a line on standard input:": {**COMMANDS, **command.COMMANDS},
            "events, one JSON object a line:": {**EVENTS, **command.EVENTS},
        },
        sentences.said,
    )
    return parser
