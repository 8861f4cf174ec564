"""What the command lines share."""

import argparse
import math
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from common import typed
from common.home import COLUMN_COMMAND, DESK_COMMAND
from common.numbers import must_be
from common.sentences import LANGUAGES, Sentences, is_known

EXIT_USAGE = 2

_DIGITS_MAX = 9
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


def lists(tables: Mapping[str, Mapping[str, str]], said: Callable[[str], str] = str) -> str:
    """Titles with tables of names and what they mean, for the end of a help text; `said` turns a text into the
    person's language."""
    width = max(len(name) for table in tables.values() for name in table)
    parts = []
    for title, table in tables.items():
        lines = "\n".join(f"{name:{width}}  {said(text)}" for name, text in table.items())
        parts.append(f"{said(title)}\n{textwrap.indent(lines, '  ')}")
    return "\n\n".join(parts)


def described(docstring: str | None) -> str:
    """A module's docstring for its help text: the commands are called as they are where they are run."""
    text = docstring or ""
    return text.replace("python -m sim", COLUMN_COMMAND).replace("python -m desk", DESK_COMMAND)


def byte_count(text: str) -> int:
    """For argparse: 98304 or 96k or 1m."""
    found = re.fullmatch(r"(\d+)([km]?)", text.lower())
    if not found or not int(found[1]):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be a number of bytes such as 98304 or 96k")
    return int(found[1]) * _UNITS[found[2]]


def number(must: str, accepts: Callable[[float], bool]) -> Callable[[str], float]:
    """For argparse: a number that `accepts` takes. `must` goes on from "must be" for one that it does not."""

    def parsed(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan  # which no comparison takes
        if not accepts(found):
            raise argparse.ArgumentTypeError(f"found {text!r}, must be {must_be(text, must)}")
        return found

    return parsed


def whole(of: str, low: int, high: int) -> Callable[[str], int]:
    """For argparse: a whole number from `low` to `high`; `of` says of what."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or len(text) > _DIGITS_MAX or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"found {text!r}, must be a number of {of} from {low} to {high}")
        return int(text)

    return parsed


def add_language(parser: argparse.ArgumentParser) -> None:
    """Every tool's --lang; `make ... LANG=ru` gives what was typed there."""
    help_text = "(default: as LC_ALL or LANG say, else en)"
    parser.add_argument("--lang", type=_language, metavar="|".join(LANGUAGES), help=help_text)


def _language(text: str) -> str:
    """For argparse: a language, or a locale as LANG has it."""
    if text and not is_known(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, must be one of {', '.join(LANGUAGES)}")
    return text


class Parser(argparse.ArgumentParser):
    """A parser that helps and complains in the language of `sentences`."""

    def __init__(self, sentences: Sentences, prog: str, description: str | None = None, **options: Any) -> None:
        self._sentences = sentences
        said = sentences.said
        options |= {"add_help": False, "allow_abbrev": False}  # --ca must not pass for --card
        super().__init__(prog=prog, description=description and said(description), **options)
        self._positionals.title, self._optionals.title = said("positional arguments"), said("options")
        self.add_argument("-h", "--help", action="help", help="show this help message and exit")

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        if isinstance(options.get("help"), str):
            options["help"] = self._sentences.said(options["help"])
        if options.get("choices") and not names[0].startswith("-"):  # what is missing is named by what can be typed
            options.setdefault("metavar", "|".join(map(str, options["choices"])))
        return super().add_argument(*names, **options)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """In any order: NAME also behind an option. An option that nobody knows is told before what is missing, which
        is mostly what it was meant to be."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is not None:  # they have options of their own
            return super().parse_args(words, namespace)
        if (unknown := self._unknown(words)) and not {"-h", "--help"} & set(words):
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if not any(action.nargs == argparse.OPTIONAL for action in self._get_positional_actions()):
            return super().parse_args(words, namespace)
        self.usage = super().format_usage().removeprefix("usage: ").strip()  # which parsing in two steps would shorten
        return self.parse_intermixed_args(words, namespace)

    def _unknown(self, words: list[str]) -> list[str]:
        """The long options among them that this parser has not, not even shortened."""
        own = words[: words.index("--")] if "--" in words else words
        names = [word.partition("=")[0] for word in own if word.startswith("--") and " " not in word]
        return [name for name in names if not any(known.startswith(name) for known in self._option_string_actions)]

    def format_usage(self) -> str:
        return self._turned(super().format_usage())

    def format_help(self) -> str:
        return self._turned(super().format_help())

    def error(self, message: str) -> NoReturn:
        if not typed.TARGET:  # behind make nobody can type any of it
            self.print_usage(sys.stderr)
        prog = f"make {typed.TARGET}" if typed.TARGET else self.prog
        self.exit(EXIT_USAGE, f"{prog}: {self._sentences.said(f'error: {message}')}\n")

    def _turned(self, text: str) -> str:
        """Its first word alone: everything else was turned when it was said."""
        return text.replace("usage: ", self._sentences.said("usage: {}").format(""), 1)
