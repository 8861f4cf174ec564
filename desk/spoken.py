"""What the desk's commands say on a command line, in the language of the person who types it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from common.sentences import COMMON, Sentences, language_of

WORDS = Path(__file__).with_name("words")


def spoken(argv: Sequence[str], *more: Path) -> Sentences:
    """By `--lang`, else by the environment. `more`: folders with a command's own sentences."""
    return Sentences(language_of(argv, os.environ), COMMON, WORDS, *more)
