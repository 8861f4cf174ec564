"""What the tools say that a technician's targets run, in the language of the person who typed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common import sentences
from common.sentences import Sentences

WORDS = Path(__file__).with_name("words")


def spoken(argv: Sequence[str]) -> Sentences:
    """By `--lang`, else by the environment."""
    return sentences.spoken(argv, WORDS)
