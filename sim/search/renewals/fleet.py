"""`python -m sim renewals`: the rehearsal of a whole fleet's renewals, some columns at a time.

Each column is written to a file in DIR as soon as it has lived. A further run, also after a kill, performs only those
that are not there yet, and several may share a folder, each with a range of its own. At the end it says what is there
of its range: how many were performed, which were lost, and with which command each of these is seen again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common.arguments import described
from common.home import COLUMN_COMMAND, ROOT
from sim.search.findings import command_of
from sim.search.renewals import search

EXIT_RED, EXIT_USAGE = 1, 2
ROOMS = ("contract", "firmware", "sim/virtual", "sim/search/renewals")
FILES = ("boot.py", "field/certificates.py", "field/renewal.py")
"""What a column's life depends on: lives of another tree are not counted with these."""
TOLD_EVERY_S = 60.0
ENOUGH = 100  # columns, that everything happens to some of them
SHOWN_MAX = 10


class FolderError(Exception):
    """The folder is of another tree, or of another control."""


class Lived(NamedTuple):
    """One column's life. `why`: what went wrong, or empty."""

    number: int
    why: str
    fired: list[str]
    lived_s: float
    wall_s: float


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 none was lost, 1 some were, or something that should have happened never did, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    first, last = arguments.columns
    try:
        book = Book(arguments.folder, first, last, arguments.control)
        with search.broken(arguments.control):
            perform(book, range(first, last + 1), arguments.control, lambda text: print(text, flush=True))
    except (FolderError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    return report(book.lives(), range(first, last + 1), arguments.control)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog=f"{COLUMN_COMMAND} renewals", description=described(__doc__)
    )
    add = parser.add_argument
    whole = (1, search.FLEET)
    add("--columns", type=_range, default=whole, metavar="A-B", help=f"which of the fleet (default: 1-{search.FLEET})")
    add("--folder", type=Path, required=True, metavar="DIR", help="where it keeps who has lived")
    add("--control", choices=search.CONTROLS, help="break the column on purpose: has to end red")
    return parser


def _range(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be two numbers such as 1-5000")
    return int(found[1]), int(found[2])


class Book:
    """The lives in a folder. Raises FolderError for one of another tree."""

    def __init__(self, folder: Path, first: int, last: int, control: str | None) -> None:
        self._head = {"tree": tree_digest(), "control": control}
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{first}-{last}.jsonl"
        self.lives()
        if not self._file.exists():
            self._append(self._head)
        elif not self._file.read_bytes().endswith(b"\n"):
            self._write("\n")  # a kill tore the last line

    def lives(self) -> dict[int, Lived]:
        """Of all files; a line that a kill cut short is none."""
        found: dict[int, Lived] = {}
        for file in sorted(self._folder.glob("*.jsonl")):
            head, *rows = list(_documents(file)) or [{}]
            if head != self._head:
                raise FolderError(f"{file} is of another tree, or of another control: take another folder")
            found |= {row["number"]: Lived(**row) for row in rows}
        return found

    def add(self, lived: Lived) -> None:
        self._append(lived._asdict())

    def _append(self, document: dict[str, Any]) -> None:
        self._write(json.dumps(document) + "\n")

    def _write(self, text: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(text)


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text("utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def tree_digest() -> str:
    """Of all code that a column's life depends on."""
    digest = hashlib.sha256()
    inside = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    for path in [*(ROOT / name for name in FILES), *inside]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def perform(book: Book, numbers: Sequence[int], control: str | None, say: Callable[[str], None]) -> None:
    """Those that have not lived yet."""
    there = book.lives()
    left, done, told_s = [number for number in numbers if number not in there], 0, time.monotonic()
    say(f"{len(numbers)} columns, {len(numbers) - len(left)} of them have lived already")
    lost = sum(bool(there[number].why) for number in numbers if number in there)
    for number in left:
        began_s = time.monotonic()
        why, fired, lived_s = search.attempt(number)
        book.add(Lived(number, why, sorted(fired), lived_s, round(time.monotonic() - began_s, 3)))
        done, lost = done + 1, lost + bool(why)
        if time.monotonic() - told_s > TOLD_EVERY_S:
            told_s = time.monotonic()
            say(f"{len(numbers) - len(left) + done} have lived, {lost} lost")


def report(lives: dict[int, Lived], numbers: Sequence[int], control: str | None) -> int:
    """Says what is there; the exit status."""
    mine = [lives[number] for number in numbers if number in lives]
    fired = Counter(kind for one in mine for kind in one.fired)
    days, wall_s = sum(one.lived_s for one in mine) / 86_400, sum(one.wall_s for one in mine)
    print(f"{len(mine):,} of {len(numbers):,} columns, {days:.0f} simulated days in {wall_s:.0f} s")
    print("what happened:", ", ".join(f"{kind} {fired[kind]:,}" for kind in sorted(search.KINDS)))
    lost = [one for one in mine if one.why]
    print(f"lost: {len(lost)}")
    for one in lost[:SHOWN_MAX]:
        print(f"  number {one.number}: {one.why}\n    {command_of('renewals', str(one.number), control)}")
    unfired = sorted(search.KINDS - fired.keys()) if len(mine) >= ENOUGH else []
    if unfired:
        print(f"never happened: {', '.join(unfired)}")
    return EXIT_RED if lost or unfired or len(mine) < len(numbers) else 0
