"""Runs programs up to where they have parsed their command line, and says what each of them objects to.

A process of its own: standard input has a list of lists of [module, words, whole], of each of which one has to be
taken; standard output what was said to each list, "" to one that is taken. Where a command is not whole it may lack
what the program wants.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import runpy
import sys
from typing import Any

from common.arguments import Parser


class Parsed(BaseException):
    """What a program would do next is nobody's business here."""


def relax(parser: argparse.ArgumentParser) -> None:
    """What is named in running text may leave out what it has to be given."""
    for group in parser._mutually_exclusive_groups:
        group.required = False
    for action in parser._actions:
        action.required = False
        if action.option_strings and action.nargs in (None, argparse.ONE_OR_MORE):
            action.nargs = argparse.OPTIONAL if action.nargs is None else argparse.ZERO_OR_MORE
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                relax(each)


def objection(module: str, words: list[str], whole: bool) -> str:
    """Of `python -m module words`."""

    def stopping(parse: Any) -> Any:
        def parse_args(parser: argparse.ArgumentParser, *given: Any) -> None:
            if not whole:
                relax(parser)
            raise Parsed(getattr(parse(parser, *given), "next_command", None))

        return parse_args

    kept = {of: of.parse_args for of in (argparse.ArgumentParser, Parser)}
    said, sys.argv = io.StringIO(), [module, *words]
    for of, parse in kept.items():
        of.parse_args = stopping(parse)  # type: ignore[method-assign]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Parsed as parsed:
        (following,) = parsed.args  # mpremote has several commands in one line
        return objection(module, following, whole) if following else ""
    except SystemExit as ended:
        return "" if ended.code == 0 and "--help" in words else said.getvalue() or str(ended.code)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        for of, parse in kept.items():
            of.parse_args = parse  # type: ignore[method-assign]
    return said.getvalue() or "it ended without having looked"


def first_taken(any_of: list[tuple[str, list[str], bool]]) -> str:
    said = ""
    for one in any_of:
        if not (said := objection(*one)):
            break
    return said


if __name__ == "__main__":
    print(json.dumps([first_taken(any_of) for any_of in json.load(sys.stdin)]), flush=True)
