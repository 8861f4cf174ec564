"""`make accept PORT=...`: a board's figures, measured and held against the model's; JSON=1 is the board's card."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console as Terminal
from rich.progress import Progress
from rich.table import Table

from common import assumptions
from common.arguments import whole
from field.accept.bench import GPIO_MAX, Bench
from field.accept.measures import EDGES_MAX_S, EDGES_S, MEASURES, Value, Wish, inspect
from field.accept.verdict import Line, Verdict, judge
from field.board import Board, BoardError
from field.code import CodeError, add_out, letting_in
from field.keeping import PROVISIONED
from field.rows import WIFI_PASSWORD
from field.telling import fail, in_words
from field.words import Words, asked_for, tool_parser

STYLES = {Verdict.AGREES: "green", Verdict.WITHIN: "yellow", Verdict.OUTSIDE: "bold red", Verdict.UNMEASURED: "dim"}
EXIT_DIFFERS, EXIT_FAILED = 1, 3
REST_S = 35  # of an inspection, beside the minute with the button


class Card:
    """What was measured of one board."""

    def __init__(self, bench: Bench, figures: dict[str, assumptions.Figure]) -> None:
        self.port, self.chip, self.machine, self.version = bench.board.port, bench.chip, bench.machine, bench.version
        self.measured: dict[str, Value] = {}
        self._figures = figures

    def lines(self) -> list[Line]:
        return list(judge(self._figures, self.chip, self.measured))

    def status(self) -> int:
        return EXIT_DIFFERS if any(line.verdict in (Verdict.WITHIN, Verdict.OUTSIDE) for line in self.lines()) else 0

    def document(self, words: Words) -> dict[str, Any]:
        return {
            "v": assumptions.CARD_VERSION,
            "port": self.port,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "chip": self.chip,
            "machine": self.machine,
            "micropython": self.version,
            "figures": {name: value for name, value in self.measured.items() if value is not None},
            "lines": [_entry(line, words) for line in self.lines()],
        }


def take(
    port: str,
    wish: Wish,
    say: Callable[[int], None] = lambda done: None,
    out: Path = PROVISIONED,
    begins: Callable[[], None] = lambda: None,
) -> Card:
    """Inspect a board; `say` hears how many of MEASURES are done; `out`: where its key is, if it asks for codes;
    `begins` is called once its port is open. Raises BoardError, CodeError; the board restarts in any case."""
    figures = assumptions.load()
    opened = Board(port, let_in=letting_in(out))
    begins()
    with opened as board, Bench(board) as bench:
        card = Card(bench, figures)
        for done, found in enumerate(inspect(bench, wish, set(figures)), 1):
            card.measured |= found
            say(done)
    return card


def consequence(line: Line, words: Words) -> str:
    """In words, of a figure that is not the model's."""
    if line.verdict is Verdict.WITHIN:
        return words("accept.within")
    return words(f"accept.outside.{line.figure.name}") if line.verdict is Verdict.OUTSIDE else ""


def show(card: Card, words: Words, terminal: Terminal) -> None:
    columns = [words(f"accept.head.{name}") for name in ("figure", "modelled", "measured", "verdict")]
    table = Table(*columns, "", box=None, pad_edge=False)
    shown = [line for line in card.lines() if line.figure.name in NAMED or line.verdict is not Verdict.UNMEASURED]
    for line in shown:
        name = words(f"accept.figure.{line.figure.name}") if line.figure.name in NAMED else line.figure.name
        measured = "-" if line.measured is None else _short(line.measured)
        verdict = words(f"accept.verdict.{line.verdict}")
        style = STYLES[line.verdict]
        table.add_row(name, _short(line.modelled), measured, f"[{style}]{verdict}[/]", consequence(line, words))
    terminal.print(table)
    print(words("accept.unmeasured", count=len(card.lines()) - len(shown)))
    lines = [line for line in card.lines() if line.verdict is not Verdict.UNMEASURED]
    differ = sum(line.verdict is not Verdict.AGREES for line in lines)
    print(words("accept.some-differ", count=differ, all=len(lines)) if differ else words("accept.all-agree"))


NAMED = frozenset(name for measure in MEASURES for name in measure.near)


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"


def _entry(line: Line, words: Words) -> dict[str, Any]:
    return {
        "figure": line.figure.name,
        "unit": line.figure.unit,
        "modelled": line.modelled,
        "measured": line.measured,
        "verdict": str(line.verdict),
        "text": consequence(line, words) or None,
    }


def _server(text: str | None, parser: argparse.ArgumentParser) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"argument --server: found {text!r}, must be HOST:PORT such as broker.example:8883")
    return host, int(port)


def _jumper(text: str | None, parser: argparse.ArgumentParser) -> tuple[int, int] | None:
    if text is None:
        return None
    out, _, into = text.partition("-")
    gpios = [int(one) if one.isdecimal() and len(one) <= len(str(GPIO_MAX)) else GPIO_MAX + 1 for one in (out, into)]
    if max(gpios) > GPIO_MAX or out == into:
        parser.error(f"argument --jumper: found {text!r}, must be two GPIOs with a lead between them, such as 18-19")
    return gpios[0], gpios[1]


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 everything agrees, EXIT_DIFFERS, EXIT_FAILED: no inspection to its end."""
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.accept", __doc__)
    parser.add_argument("port", help="serial port of a board, bare or a column, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="the board's card, as one JSON object")
    seconds = whole("seconds", 1, EDGES_MAX_S)
    parser.add_argument("--seconds", type=seconds, default=EDGES_S, help="to watch the button (default: %(default)s)")
    parser.add_argument("--server", metavar="HOST:PORT", help="of TLS, for a session and its heap; needs --wifi")
    parser.add_argument("--wifi", default="", metavar="SSID", help=f"its password comes from {WIFI_PASSWORD}")
    add_out(parser)
    pins_help = "two spare pins with a lead between them, for what takes an edge"
    parser.add_argument("--jumper", metavar="GPIO-GPIO", help=pins_help)
    arguments = parser.parse_args(argv)
    if arguments.server and not arguments.wifi:
        parser.error("--server needs --wifi, the name of the network through which the board reaches it")
    wish = Wish(
        arguments.seconds,
        _server(arguments.server, parser),
        (arguments.wifi, os.environ.get(WIFI_PASSWORD, "")),
        _jumper(arguments.jumper, parser),
    )
    said = words("accept.off-duty", seconds=round(arguments.seconds + REST_S))
    try:
        with Progress(console=Terminal(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
            task = progress.add_task("", total=len(MEASURES), visible=False)

            def begins() -> None:
                progress.console.print(said, markup=False, highlight=False, soft_wrap=True)
                progress.update(task, visible=True)

            def say(done: int) -> None:
                progress.update(task, completed=done)

            card = take(arguments.port, wish, say, arguments.out, begins)
    except (BoardError, CodeError) as error:
        fail(words, error)
        return EXIT_FAILED
    if arguments.json:
        print(json.dumps(card.document(words), ensure_ascii=False, indent=1))
    else:
        print(words("accept.title", port=card.port, machine=card.machine, version=card.version))
        show(card, words, Terminal(highlight=False, width=None if sys.stdout.isatty() else 200))
    return card.status()


if __name__ == "__main__":
    sys.exit(main())
