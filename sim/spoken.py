"""What the simulator says to technicians and integrators, in the language of the person who types.

`python -m sim campaign`, `renewals`, `city` and `bench` are for developers, and speak English.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tools.spoken
from common import sentences
from common.sentences import Sentences
from field.words import SENTENCES as FIELD

WORDS = Path(__file__).with_name("words")


def spoken(argv: Sequence[str], *more: Path) -> Sentences:
    """By `--lang`, else by the environment; `more`: tables of those that a command starts."""
    return sentences.spoken(argv, *more, FIELD, tools.spoken.WORDS, WORDS)
