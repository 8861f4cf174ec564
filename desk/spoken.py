"""What the desk says to the person who runs it, in the language of `--lang`, else of the environment: its commands'
words, and its log. And to who reads its page, in the page's language, what has no code there: `reasons`.

The source prints and logs plain English, for a test and a programmer; each text is turned here, on its way out. What is
for programs stays as it is: the lines of JSON, `audit.log`, the texts in the API's answers (the page has words for
their codes, or asks for its language). So does what is for a report of an error: tracebacks, and what libraries log
under their own names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from common import sentences
from common.sentences import Sentences, any_letters

WORDS = Path(__file__).with_name("words")
LOG_WORDS = WORDS / "log"
COLUMNS_WORDS = Path(__file__).with_name("rollout") / "words"  # why columns refuse
LINE_MAX = 500
"""A longer line stays in English: somebody else's text is in it, and looking for sentences takes its time."""


def spoken(argv: Sequence[str], *more: Path) -> Sentences:
    """By `--lang`, else by the environment. `more`: folders with a command's own sentences."""
    return sentences.spoken(argv, WORDS, *more)


@cache
def reasons(language: str) -> Callable[[str], str]:
    """Turns why something is so: why an officer was not told, a file not taken, a command refused."""
    said = spoken(["--lang", language], LOG_WORDS, COLUMNS_WORDS).said
    return lambda text: said(text) if len(text) <= LINE_MAX else text


class LineInWords(logging.Formatter):
    """`WARNING desk.duty: desk desk-1: nobody is here: ...`, in a language; the logger's name says who speaks."""

    def __init__(self, sentences: Sentences) -> None:
        super().__init__()
        self._said = sentences.said

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        text = self._said(record.message) if len(record.message) <= LINE_MAX else record.message
        return f"{self._said(record.levelname)} {record.name}: {text}"


def begin_log(argv: Sequence[str]) -> None:
    """From now on this process logs warnings and errors on standard error, in the language that `argv` asks for."""
    any_letters()
    handler = logging.StreamHandler()
    handler.setFormatter(LineInWords(spoken(argv, LOG_WORDS)))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
