"""What the command lines share."""

import argparse
import math
import re
import textwrap
from collections.abc import Callable, Mapping

from common.home import COLUMN_COMMAND, DESK_COMMAND

_DIGITS_MAX = 9
_UNITS = {"": 1, "k": 1024, "m": 1024 * 1024}


def lists(tables: Mapping[str, Mapping[str, str]]) -> str:
    """Titles with tables of names and what they mean, for the end of a help text."""
    width = max(len(name) for table in tables.values() for name in table)
    parts = []
    for title, table in tables.items():
        lines = "\n".join(f"{name:{width}}  {text}" for name, text in table.items())
        parts.append(f"{title}\n{textwrap.indent(lines, '  ')}")
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
            raise argparse.ArgumentTypeError(f"found {text!r}, must be {must}")
        return found

    return parsed


def whole(of: str, low: int, high: int) -> Callable[[str], int]:
    """For argparse: a whole number from `low` to `high`; `of` says of what."""

    def parsed(text: str) -> int:
        if not text.isdecimal() or len(text) > _DIGITS_MAX or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"found {text!r}, must be a number of {of} from {low} to {high}")
        return int(text)

    return parsed
