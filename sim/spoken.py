"""What the simulator says to technicians, in the language of the person who types: `make run`, `board` and `servers`.

Everything else of `python -m sim` is for integrators and developers, and speaks English.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tools.spoken
from common import sentences
from common.sentences import Sentences
from field.words import SENTENCES as FIELD

WORDS = Path(__file__).with_name("words")


def spoken(argv: Sequence[str]) -> Sentences:
    """By `--lang`, else by the environment."""
    return sentences.spoken(argv, FIELD, tools.spoken.WORDS, WORDS)
