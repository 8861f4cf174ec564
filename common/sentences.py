"""What programs say in English, in the language of the person who reads it.

Programs raise and print plain English: a log, a programmer and a test read it as it stands. Where it reaches a person,
`Sentences.said` turns it by a table: en.json has each sentence with holes, ru.json and kk.json the same sentence under
the same key. What fills a hole is turned too, and so is what stands behind a place ("fleet.csv:2:4 (lat): ..."). A key
that begins with "place-" says that its sentence is one, and ends where the next colon stands: "camera {name}".
`tests/house/test_sentences.py` takes the sentences from the source and finds those that nobody has turned.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from common.typed import as_typed

LANGUAGES = ("en", "ru", "kk")
COMMON = Path(__file__).with_name("words")  # what more than one product says
_HOLE = re.compile(r"\{(\w+)\}")
_BEHIND = ": "
_IN_PLACE = r"(?:(?!: ).)*?"
_PLACE = "place-"


@cache
def texts(folder: Path, language: str) -> Mapping[str, str]:
    """One folder's table of a language."""
    found: dict[str, str] = json.loads((folder / f"{language}.json").read_text("utf-8"))
    return found


def choose(asked: str | None, environment: Mapping[str, str]) -> str:
    """`asked`, else what LC_ALL, LC_MESSAGES or LANG say ("ru_RU.UTF-8"), else English.

    Where nobody speaks what was asked for, the environment's language is left to say so. LANG is the typed one behind
    make, and SOS_LANG then what it was before.
    """
    known = asked if asked and is_known(asked) else None
    for text in (known, *(environment.get(name) for name in ("LC_ALL", "LC_MESSAGES", "SOS_LANG", "LANG"))):
        if text:
            language = _of_locale(text)
            return language if language in LANGUAGES else LANGUAGES[0]
    return LANGUAGES[0]


def is_known(asked: str) -> bool:
    """Whether it names a language that is spoken here. "C" is no language, and English everywhere."""
    return _of_locale(asked) in (*LANGUAGES, "c", "posix")


def _of_locale(text: str) -> str:
    return text.replace("-", "_").partition("_")[0].partition(".")[0].lower()


def language_of(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """What a command line, whatever else it says, or the environment asks for."""
    asked = None  # the last one counts, as for argparse
    for at, word in enumerate(argv):
        if word.startswith("--lang="):
            asked = word.partition("=")[2]
        elif word == "--lang" and at + 1 < len(argv):
            asked = argv[at + 1]
    return choose(asked, environment)


def any_letters() -> None:
    """Standard input and output in UTF-8: a missing locale must not stop anybody."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


class Sentences:
    """Turns the sentences of some tables, each a folder with one file for each language."""

    def __init__(self, language: str, *folders: Path) -> None:
        self.language = language
        known = [
            (english, texts(folder, language)[key], key.startswith(_PLACE))
            for folder in folders
            for key, english in texts(folder, LANGUAGES[0]).items()
            if language != LANGUAGES[0]
        ]
        # First those that begin with a word of their own, and of these the one that says most of what it fits.
        known.sort(key=lambda one: (one[0].startswith("{"), -len(_HOLE.sub("", one[0]))))
        self._patterns = [(pattern(english, is_place=is_place), turned) for english, turned, is_place in known]

    def said(self, text: str) -> str:
        """In this language, as far as it is known: all of it, or line by line."""
        if not text:
            return text
        whole = self._whole(text)
        return as_typed(whole if whole is not None else "\n".join(self._line(line) for line in text.split("\n")))

    def _line(self, line: str) -> str:
        """The longest part behind a place, and each of what stands before it."""
        bare = line.strip()
        parts = bare.split(_BEHIND)
        for at in range(len(parts)):
            turned = self._whole(_BEHIND.join(parts[at:]))
            if turned is not None:
                parts[at:] = [turned]
                break
        turned_parts = [self._whole(part) or part for part in parts]
        return line.replace(bare, _BEHIND.join(turned_parts)) if bare else line

    def _whole(self, text: str) -> str | None:
        for known, turned in self._patterns:
            if (found := known.fullmatch(text)) is not None:
                values = {name: self.said(value) for name, value in found.groupdict().items()}
                return turned.format(**values)
        return None


def spoken(argv: Sequence[str], *folders: Path) -> Sentences:
    """By `--lang`, else by the environment: what more than one product says, and the tables of `folders`."""
    return Sentences(language_of(argv, os.environ), COMMON, *folders)


@cache
def pattern(sentence: str, *, is_place: bool = False) -> re.Pattern[str]:
    """Finds a sentence whatever fills its holes; a hole at its beginning holds no place and what is said of it, and a
    place holds nothing of what is said of it."""
    parts, seen = _HOLE.split(sentence), set[str]()
    found = ""
    for at, part in enumerate(parts):
        if at % 2 == 0:
            found += re.escape(part)
        elif part in seen:
            found += f"(?P={part})"
        else:
            seen.add(part)
            found += f"(?P<{part}>{_IN_PLACE if is_place or (at == 1 and not parts[0]) else '.*?'})"
    return re.compile(found, re.DOTALL)
