"""A column's answer is lines of JSON; the tool prints them as one object, and loses none."""

import re
from typing import Any

import pytest

from common.sentences import LANGUAGES
from field.console import collect, in_language
from field.words import Words
from firmware.console.help import COMMANDS


def joined(*lines: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for line in lines:
        collect(answer, {"re": "x", **line})
    return answer


def test_each_look_of_an_answer_is_kept() -> None:
    """Red when the last of several counts: a dead camera stood behind a living intercom, and was not printed."""
    looks = [{"uri": "rtsp://a", "ok": False}, {"uri": "sip:b", "ok": True}, {"uri": "http://c", "ok": True}]
    assert joined(*({"stream": look} for look in looks)) == {"stream": looks}
    assert joined({"stream": looks[0]}) == {"stream": looks[0]}


def test_parts_of_one_thing_come_together() -> None:
    first, second = {"files": {"a.py": "1"}, "faults": ["x"]}, {"files": {"b.py": "2"}, "faults": ["y"]}
    assert joined(first, second) == {"files": {"a.py": "1", "b.py": "2"}, "faults": ["x", "y"]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_command_does_is_told_in_the_persons_language(language: str) -> None:
    """The column says it in English, for its heap is the alarm's. What programs read stays: names of keys and
    commands, and the whole answer of any other command. Red with a command that no table knows."""
    words = Words(language)
    said = joined(*({"commands": [{"command": command, "does": text}]} for command, text in COMMANDS))
    told = in_language(said, words)["commands"]
    assert [one["command"] for one in told] == [command for command, _ in COMMANDS]
    for one, (_, text) in zip(told, COMMANDS, strict=True):
        assert (one["does"] == text) == (language == LANGUAGES[0])
        bare = re.sub(r"\bcode \w+|TLS", "", one["does"])
        assert language == LANGUAGES[0] or not re.search("[A-Za-z]{3,}", bare), one
    assert in_language({"faults": ["this list"]}, words) == {"faults": ["this list"]}
