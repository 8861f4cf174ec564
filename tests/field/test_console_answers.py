"""A column's answer is lines of JSON; the tool prints them as one object, and loses none."""

from typing import Any

from field.console import collect


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
