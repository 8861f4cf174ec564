"""`make logs PORT=...`: what a column has written down: why it restarted last, its faults, its journal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from field.console import Console
from field.telling import in_words
from field.words import Words, asked_for, tool_parser
from firmware.incident import ACK_STATES


def text(logs: dict[str, Any], words: Words) -> Iterator[str]:
    """The answer to `logs`, for people."""
    reset = logs["reset"]
    cause, culprit = words.said(reset["cause"]), words.said(reset["culprit"] or "")
    yield words("logs.reset-by" if culprit else "logs.reset", boot=reset["boot"], cause=cause, culprit=culprit)
    yield from (f"  {line}" for line in logs.get("traceback", []))
    faults = logs.get("faults", [])
    yield words("logs.faults", count=len(faults)) if faults else words("logs.no-faults")
    for one in faults:
        since = words("logs.since", at=_moment(one["since"])) if one["since"] else words("logs.no-clock")
        yield "  " + words("logs.fault", id=words.fault(one["id"]), detail=words.said(str(one["detail"])), since=since)
    for key in ("journal", "quarantine"):
        records = logs.get(key, [])
        yield words(f"logs.{key}", count=len(records)) if records else words(f"logs.no-{key}")
        yield from (f"  {_record(one, words)}" for one in records)
    if logs.get("left_out"):
        yield "  " + words("logs.left-out", count=logs["left_out"])


def _record(one: dict[str, Any], words: Words) -> str:
    if "damaged" in one:
        return words("logs.damaged", record=one["damaged"])
    try:
        return words(f"logs.record.{one['k']}", **one | {"at": _when(one.get("at"), words), "s": _state(one, words)})
    except KeyError:  # of a newer firmware, or damaged in a way that its CRC does not tell
        return " ".join(f"{key}={one[key]}" for key in one)


def _moment(said: str) -> str:
    """As the column says it, RFC 3339, in the form of the journal's times; what is none stays."""
    try:
        return f"{datetime.fromisoformat(said).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:
        return said


def _when(unix_ms: int | None, words: Words) -> str:
    if unix_ms is None:
        return words("logs.no-clock")
    return f"{datetime.fromtimestamp(unix_ms // 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _state(one: dict[str, Any], words: Words) -> str:
    named = {number: words(f"logs.state.{name}") for name, number in ACK_STATES.items()}
    return named.get(one.get("s", 0), str(one.get("s")))


@in_words
def main(argv: Sequence[str] | None = None) -> int:
    words = asked_for(argv, os.environ)
    parser = tool_parser(words, "python -m field.logs", __doc__)
    parser.add_argument("port", help="serial port of a column on duty, such as /dev/ttyUSB0")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    arguments = parser.parse_args(argv)
    with Console(arguments.port) as console:
        logs = console.ask("logs")
    print(json.dumps(logs, ensure_ascii=False) if arguments.json else "\n".join(text(logs, words)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
