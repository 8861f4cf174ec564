"""`make diag PORT=...`: the check-up of a column on duty: PASS, WARN or FAIL, each with its cause and the next step."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from rich.console import Console as Terminal

from field import bundle
from field.console import Console, ConsoleError
from field.diag import by_hand, dates, table
from field.diag.absence import ARMED, find_out
from field.diag.finding import Finding, Untold, Verdict
from field.diag.interview import STATUS, Build, Column, interview
from field.diag.judge import judge, worst
from field.diag.network_checks import WAY, way_end
from field.diag.words import LANGUAGES, Words, choose
from firmware import VERSION

EXIT_FAILED, EXIT_USAGE, EXIT_NOBODY = 1, 2, 3
BY_HAND = tuple(by_hand.CHECKS)
_ALONE = ("nobody", "strange", ARMED)  # kinds of absence: no column


class Checkup:
    """One visit to one column. `trouble`: what ended it early, or None."""

    def __init__(self, port: str, build: Future[Build], words: Words) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.column = Column(port, Build("", {}, {}), now)
        self.trouble: str | None = None
        self._build = build
        self._words = words

    def ask(self, say: Callable[[str], None], then: Callable[[Console, Checkup], None]) -> None:
        """All questions, and `then` what a person is asked, on the same connection."""
        heard: list[str] = []
        try:
            with Console(self.column.port, heard.append) as console:
                if not self._interviewed(console, say, heard):
                    return
                self._look_at_broker()
                then(console, self)
        except ConsoleError as error:
            self.trouble = str(error)

    def _interviewed(self, console: Console, say: Callable[[str], None], heard: list[str]) -> bool:
        for is_last in (False, True):
            try:
                interview(console, self.column, say)
                return True
            except ConsoleError:
                if STATUS in self.column.answers:
                    raise
                absence = find_out(console, heard)
            if is_last or absence.kind != ARMED:
                self.column.absence = absence
                return False
            heard.clear()
        raise AssertionError("unreachable")

    def findings(self) -> list[Finding]:
        self.column.build = self._build.result()
        return judge(self.column)

    def status(self) -> int:
        absence = self.column.absence
        if self.trouble is not None or absence is not None and absence.kind in _ALONE:
            return EXIT_NOBODY
        return EXIT_FAILED if worst(self.findings()) is Verdict.FAIL else 0

    def _look_at_broker(self) -> None:
        """The column refuses the broker's certificate: this laptop may see its dates."""
        try:
            end, broker = way_end(self.column), self.column.status["broker"]
        except (Untold, KeyError):
            return
        if end is not None and end.line == "tls" and end.says != "column-refused" and broker["address"]:
            seen = dates.broker_seen_from_here(broker["address"], broker["port"], broker["host"])
            self.column.seen_broker = seen


def our_build() -> Build:
    """What this laptop would flash. Raises bundle.BuildError."""
    made = bundle.make()
    files = {name: hashlib.sha256(data).hexdigest() for name, data in made.files.items()}
    libraries = {name.partition("/")[2]: hashlib.sha256(data).hexdigest() for name, data in made.libraries.items()}
    return Build(VERSION, files, libraries)


def for_machines(checkup: Checkup, words: Words) -> int:
    checkup.ask(lambda word: None, lambda console, checkup: None)
    findings, status = checkup.findings(), checkup.status()
    print(table.as_json(table.document(findings, checkup.column, words, status, checkup.trouble)))
    return status


def for_people(checkup: Checkup, words: Words) -> int:
    terminal = Terminal(highlight=False, markup=False)
    is_dialogue = sys.stdin.isatty() and sys.stdout.isatty()
    shown: list[str] = []

    def show(lines: tuple[str, ...] | None = None) -> None:
        wanted = [one for one in checkup.findings() if one.line not in shown and (not lines or one.line in lines)]
        shown.extend(one.line for one in wanted)
        table.show(wanted, words, terminal)

    def by_a_person(console: Console, checkup: Checkup) -> None:
        show(tuple(one.line for one in checkup.findings() if one.line not in BY_HAND))
        if is_dialogue and checkup.column.absence is None:
            _dialogue(console, checkup.column, by_hand.Person(words, input, print))

    print(words("title", port=checkup.column.port))
    checkup.ask(_progress(words), by_a_person)
    show()
    if checkup.trouble is not None:
        print(words("trouble", why=checkup.trouble), file=sys.stderr)
    print(table.summary(checkup.findings(), words))
    if any(one.line in WAY and one.verdict is Verdict.FAIL for one in checkup.findings()):
        print(words("again-later"))
    return checkup.status()


def _dialogue(console: Console, column: Column, person: by_hand.Person) -> None:
    """Ctrl-D ends it: what was not asked is not tested."""
    try:
        by_hand.try_lamp(console, column, person)
        if not column.status["button"]["stuck"]:
            by_hand.try_button(console, column, person)
    except (EOFError, Untold, KeyError):
        print()


def _progress(words: Words) -> Callable[[str], None]:
    if not sys.stderr.isatty():
        return lambda word: None
    return lambda word: print(f"... {words(f'asking.{word}')}", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Exit status: 0 nothing failed, EXIT_FAILED, EXIT_USAGE, EXIT_NOBODY (also a cable that was pulled)."""
    parser = argparse.ArgumentParser(prog="python -m field.diag", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="as one JSON object; nobody is asked anything")
    parser.add_argument("--lang", choices=LANGUAGES, help="(default: as LANG says, else en)")
    arguments = parser.parse_args(argv)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    words = Words(choose(arguments.lang, os.environ))
    with ThreadPoolExecutor(1) as pool:
        checkup = Checkup(arguments.port, pool.submit(our_build), words)
        try:
            return for_machines(checkup, words) if arguments.json else for_people(checkup, words)
        except bundle.BuildError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            return EXIT_NOBODY
