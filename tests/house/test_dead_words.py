"""No word is kept that nobody says: each sentence of the tables is said by a source, ours or a library's, and says it
otherwise than the table would without it."""

from __future__ import annotations

import argparse
import asyncio.base_events
import errno
import importlib.util
import ipaddress
import json.decoder
import os
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from sentences import all_texts

import sim.spoken
import tools.spoken
from common.arguments import described
from common.sentences import COMMON, LANGUAGES, Sentences, pattern, texts
from desk.rollout import command as rollout
from desk.rollout import plan

ROOT = Path(__file__).resolve().parents[2]
DESK, FIELD = ROOT / "desk" / "words", ROOT / "field" / "words" / "sentences"
# Who says the sentences of a table, and what else is turned where they are.
SPEAKERS: dict[Path, tuple[str, ...]] = {
    COMMON: ("common", "desk", "field"),
    DESK: ("desk", "common"),
    rollout.WORDS: ("desk", "common", "firmware/update", "firmware"),
    FIELD: ("field", "common", "firmware/startup", "firmware/console"),
    tools.spoken.WORDS: ("tools", "common"),
    sim.spoken.WORDS: ("sim", "tools", "common"),
}
BESIDE = {COMMON: (COMMON, FIELD), DESK: (COMMON, DESK), rollout.WORDS: (COMMON, DESK, rollout.WORDS),
          FIELD: (COMMON, FIELD), tools.spoken.WORDS: (COMMON, tools.spoken.WORDS),
          sim.spoken.WORDS: (COMMON, FIELD, tools.spoken.WORDS, sim.spoken.WORDS)}  # fmt: skip
SOURCES = ("pip._internal.index.collector", "serial.serialposix", "serial.serialutil", "mpremote.transport",
           "mpremote.transport_serial")  # fmt: skip
# What no source in Python says as it stands: the C libraries' (macOS's too), Rust's in `cryptography`, Python's own
# csv and exceptions as text, and what is joined from parts.
SAMPLES = {
    "Failed to resolve IP address for '7' (7)", "Temporary failure in name resolution",
    "[Errno 7] 7: '7'", "[Errno 7] 7", "(7, '7')", "Name or service not known", "Device not configured",
    "'utf-8' codec can't decode byte 0x7 in position 7: 7",
    "'utf-8' codec can't decode bytes in position 7: 7", "7: line 7 column 7 (char 7)",
    "[Errno 7] error while attempting to bind on address ('7', 7): address already in use",
    "database disk image is malformed", "file is not a database", "unable to open database file",
    "attempt to write a readonly database", "database is locked", "database or disk is full", "disk I/O error",
    "for 7 a URI of at most 7 bytes that begins with 7 or 7", "7 and 7: GPIO7 is used twice; give each its own pin",
    "no CSV table: unexpected end of data", "',' expected after '\"'", "field larger than field limit (7)",
    "Illegal character '\\n'",
    "Invalid control character at",
    *(f"7 {state}" for state in (*plan.UNDER_WAY, *plan.FAILED)),
}  # fmt: skip


@cache
def said_in(room: str) -> frozenset[str]:
    found: set[str] = set()
    for path in (ROOT / room).rglob("*.py"):
        found |= all_texts(path)
    return frozenset(found)


@cache
def said_by_libraries() -> frozenset[str]:
    files = [Path(str(module.__file__)) for module in (argparse, ipaddress, json, json.decoder, asyncio.base_events)]
    files += [Path(tomllib.__file__).with_name("_parser.py")]
    specs = [importlib.util.find_spec(name) for name in SOURCES]
    files += [Path(str(spec.origin)) for spec in specs if spec is not None]
    system = {os.strerror(number) for number in errno.errorcode}
    found = SAMPLES | system | {text.lower() for text in system}  # asyncio's are lower-case
    for file in files:
        found |= all_texts(file)
    return frozenset(found)


def unsaid(folder: Path, table: dict[str, str]) -> list[str]:
    """Those whose words, in their order, stand in no text that is said there."""
    said = set[str]().union(said_by_libraries(), *map(said_in, SPEAKERS[folder]))
    said |= {described(text) for text in said if "python -m" in text}
    found = []
    for key, sentence in table.items():
        literals = [part for part in re.split(r"\{\w+\}", sentence) if part]
        wanted = re.compile(".*?".join(map(re.escape, literals)), re.DOTALL)
        if not any(wanted.search(text) for text in said if all(literal in text for literal in literals)):
            found.append(key)
    return found


def needless(folder: Path, table: dict[str, str], language: str) -> list[str]:
    """Those without which the same is said: another sentence of the table says it as well."""
    found, sentences = [], Sentences(language, *BESIDE[folder])
    everything = sentences._patterns
    for key, sentence in table.items():
        sample, this = re.sub(r"\{(\w+)\}", r"<\1>", sentence), (pattern(sentence), texts(folder, language)[key])
        sentences._patterns = everything
        turned = sentences.said(sample)
        sentences._patterns = [one for one in everything if one != this]
        if sentences._patterns != everything and turned == sentences.said(sample):
            found.append(key)
    return found


def test_every_sentence_is_said_and_needed() -> None:
    """Red when a sentence goes from the source and stays in the tables, or when another one turns it as well in every
    language."""
    for folder in SPEAKERS:
        english = dict(texts(folder, LANGUAGES[0]))
        assert unsaid(folder, english) == [], folder
        needless_in = [set(needless(folder, english, language)) for language in LANGUAGES[1:]]
        assert set.intersection(*needless_in) == set(), folder


def test_a_dead_sentence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that nobody says, and one that a wider sentence says as well."""
    assert unsaid(COMMON, {"x": "{name} was eaten by a bear"}) == ["x"]
    kept, narrow = texts, {"x": "[Errno 2] No such file or directory: {name}"}

    def more(folder: Path, language: str) -> dict[str, str]:
        known = dict(kept(folder, language))
        turned = known["errno-said"].replace("{why}", known["no-file-errno"]) if folder == COMMON else ""
        return known | ({"x": narrow["x"] if language == LANGUAGES[0] else turned} if turned else {})

    monkeypatch.setattr("common.sentences.texts", more)
    monkeypatch.setitem(globals(), "texts", more)
    assert needless(COMMON, narrow, "ru") == ["x"]
