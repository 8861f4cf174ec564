"""What documentation shows to be typed, taken from the Markdown itself and from the comments of the examples.

A block without a name is typed in a shell, line by line. In running text what stands between backticks is a command
where it begins with a program's name, and options of one where it begins with `--`; it may leave something out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in (".service", ".conf", ".toml"))
PIECE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$|`([^`]+)`", re.M | re.S)
NAMES = "make|sos-column|sos-desk|pip|mosquitto|nginx|systemctl|journalctl|useradd|openssl|python3?"
ALSO = "(?:install|chown|chmod|ls|ln) [-/]|chmod [0-7]{3}|sudo "
PROGRAM = re.compile(rf"(?:[A-Z_]+=\S* )*(?:(?:{NAMES}|\.venv/bin/\S+)(?= |$)|{ALSO})")
OPTIONAL, EITHER = re.compile(r"\[([^][]*)\]"), re.compile(r"(?<=[ =])(\w+(?:\|\w+)+)")
AFTERWARDS = re.compile(r"\b[A-Z_]+=(?:\"[^\"]*\"|[\w./-]*\w)")
OUTPUTS = ("-out", "--output-file", "-o", "--flash")
BETWEEN = {"&&", "||", ";", "|", "&"}


class Line(NamedTuple):
    text: str
    whole: bool
    """As it is typed; else something may be left out."""


class Command(NamedTuple):
    words: list[str]
    environment: list[str]
    made: list[str]
    """Files that it writes."""


def blocks(text: str) -> list[str]:
    """What is typed in a shell."""
    return [found[2] for found in PIECE.finditer(text) if found[3] is None and not found[1]]


def block(page: str, begins: str) -> str:
    """What docs/`page` tells to type in the block that has a line which begins so; a test runs it."""
    (found,) = [one for one in blocks((ROOT / "docs" / page).read_text("utf-8")) if f"\n{begins}" in f"\n{one}"]
    return re.sub(r"(^|\s+)#.*", "", re.sub(r"\\\n\s*", "", found), flags=re.M).strip()


def lines(text: str) -> list[Line]:
    """In the order of the page."""
    found = []
    for name, block, span in PIECE.findall(text):
        if span:
            said = " ".join(span.split())
            found += [Line(said, False)] if PROGRAM.match(said) or said.startswith("--") else []
        elif not name:
            found += [one for line in re.sub(r"\\\n\s*", "", block).splitlines() for one in _typed(line.strip())]
    return found


def _typed(line: str) -> Iterator[Line]:
    """A line, and again with each of the variables that its comment says may be added."""
    command, _, comment = re.sub(r"(^|\s+)#", "\0", line, count=1).partition("\0")
    if command:
        yield Line(command, not command.startswith("--") and "..." not in command)
    if command.startswith("make"):
        for variable in AFTERWARDS.findall(comment):
            kept = re.sub(rf" {variable.partition('=')[0]}=\S+", "", command)
            yield Line(f"{kept} {variable}", False)


def in_comments(text: str) -> list[Line]:
    """Of an example: what is indented in a comment, or between backticks there."""
    comments = [line[1:] for line in text.splitlines() if line.startswith("#")]
    indented = [Line(line.strip(), True) for line in comments if line.startswith("  ")]
    return indented + lines("\n".join(line for line in comments if not line.startswith("  ")))


def commands(line: str) -> Iterator[Command]:
    """What a shell runs for it, once for each choice that `[...]` and `a|b` leave."""
    for number in range(max((found[0].count("|") + 1 for found in OPTIONAL.finditer(line)), default=1)):
        yield from _run(_chosen(_chosen(line, OPTIONAL, " | ", number), EITHER, "|", number))


def _chosen(line: str, what: re.Pattern[str], between: str, number: int) -> str:
    return what.sub(lambda found: (found[1].split(between) * (number + 1))[number], line)


def _run(line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    now, tokens = Command([], [], []), [*lexer, ";"]
    for before, token in zip(["", *tokens], tokens, strict=False):
        if token in BETWEEN:
            if now.words:
                yield now
            now = Command([], [], [])
        elif before.startswith(">") or before in OUTPUTS:
            now.made.append(token)
            if before in OUTPUTS:
                now.words.append(token)
        elif re.fullmatch(r"[A-Z_]+=.*", token) and not now.words:
            now.environment.append(token.partition("=")[0])
        elif not token.startswith((">", "<")) and not before.startswith("<"):
            now.words.append(token)
