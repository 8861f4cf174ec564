"""`make diag PORT=...`: the check-up of a column on duty: PASS, WARN or FAIL, each with its cause and the next step."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console as Terminal

from field.code import add_out
from field.console import Console, NotOpened
from field.diag import by_hand, table
from field.diag.checkup import Checkup, our_build
from field.diag.finding import Finding, Untold, Verdict
from field.diag.interview import Column
from field.diag.network_checks import WAY
from field.diag.words import Words
from field.telling import EXIT_FAILED, in_words
from field.words import asked_for, tool_parser

EXIT_USAGE, EXIT_NOBODY = 2, 3
BY_HAND = tuple(by_hand.CHECKS)


def for_machines(checkup: Checkup, words: Words) -> int:
    checkup.ask(lambda word: None, lambda console: None)
    status = _status(checkup)
    trouble = next((one.told(words) for one in (checkup.trouble, checkup.left_open) if one is not None), None)
    print(table.as_json(table.document(checkup.findings(), checkup.column, words, status, trouble)))
    return status


def for_people(checkup: Checkup, words: Words) -> int:
    terminal = Terminal(highlight=False, markup=False)
    shown: list[str] = []

    def show(*later: str) -> None:
        """What was not shown yet, but for some lines."""
        wanted = [one for one in checkup.findings() if one.line not in (*shown, *later)]
        shown.extend(one.line for one in wanted)
        table.show(wanted, words, terminal)

    def by_a_person(console: Console) -> None:
        show(*BY_HAND)
        if sys.stdin.isatty() and sys.stdout.isatty() and _is_to_be_asked(checkup.findings()):
            _dialogue(console, checkup.column, by_hand.Person(words, input, print))

    checkup.ask(_progress(words), by_a_person, lambda: print(words("title", port=checkup.column.port), flush=True))
    if isinstance(checkup.trouble, NotOpened):  # a table of what was not asked says nothing
        print(words("error", why=checkup.trouble), file=sys.stderr)
        return EXIT_NOBODY
    show()
    if checkup.trouble is not None:
        print(words("trouble", why=checkup.trouble), file=sys.stderr)
    if checkup.left_open is not None:
        print(checkup.left_open.told(words), file=sys.stderr)
    print(table.summary(checkup.findings(), words))
    if any(one.line in WAY and one.verdict is Verdict.FAIL for one in checkup.findings()):
        print(words("again-later"))
    return _status(checkup)


def _status(checkup: Checkup) -> int:
    if checkup.found_nobody:
        return EXIT_NOBODY
    return EXIT_FAILED if any(one.verdict is Verdict.FAIL for one in checkup.findings()) else 0


def _is_to_be_asked(findings: list[Finding]) -> bool:
    """Not of a board that is no column at the moment."""
    return any(one.line == "lamp" and one.says == "unasked" for one in findings)


def _dialogue(console: Console, column: Column, person: by_hand.Person) -> None:
    """Ctrl-D ends it: what was not asked is not tested."""
    try:
        by_hand.try_lamp(console, column, person)
        if not column.status["button"]["stuck"] and not column.is_locked:
            by_hand.try_button(console, column, person)
    except (EOFError, Untold, KeyError):
        print()


def _progress(words: Words) -> Callable[[str], None]:
    if not sys.stderr.isatty():
        return lambda word: None
    return lambda word: print(f"... {words(f'asking.{word}')}", file=sys.stderr)


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 nothing failed, EXIT_FAILED, EXIT_USAGE, EXIT_NOBODY (also a cable that was pulled)."""
    words = Words(asked_for(argv, os.environ).language)
    parser = tool_parser(words, "python -m field.diag", __doc__)
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="as one JSON object; nobody is asked anything")
    add_out(parser)
    arguments = parser.parse_args(argv)
    with ThreadPoolExecutor(1) as pool:
        checkup = Checkup(arguments.port, pool.submit(our_build), arguments.out)
        return for_machines(checkup, words) if arguments.json else for_people(checkup, words)
