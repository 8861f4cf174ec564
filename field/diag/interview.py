"""Asks a column on duty everything that the checks need, one question after the other."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from field.console import SHORT_OF_MEMORY, Console, Line, Refused, merge
from field.diag.finding import Untold

STATUS = "status"
# In this order: what takes long comes last, and `test` behind all that could need the same session.
QUESTIONS = ("files", "certs", "net", "stream", "access", "test")
SETTLE_S = 12.0  # a column that has just started looks for its broker and its time server first
_EVERY_S = 1.0
_UNKNOWN = "unknown command"
_ALARM_OPEN = "an alarm is open"
_LOCKED = "a technician's code"


class Answer(NamedTuple):
    """`said`: its lines as one object (see console.merge); `refusal`: why it ends there, or None."""

    lines: list[Line]
    refusal: str | None = None

    @property
    def said(self) -> Line:
        found: Line = {}
        for line in self.lines:
            merge(found, line)
        return found

    def each(self, key: str) -> list[Any]:
        """Of an answer that says the same key again and again."""
        return [line[key] for line in self.lines if key in line]

    @property
    def is_unknown(self) -> bool:
        return self.refusal is not None and self.refusal.startswith(_UNKNOWN)

    @property
    def lacks_memory(self) -> bool:
        return self.refusal is not None and self.refusal.startswith(SHORT_OF_MEMORY)


class Lamp(NamedTuple):
    """Colours that the column showed, and those of them that the technician did not see."""

    shown: list[str]
    wrong: list[str]


class Absence(NamedTuple):
    """`kind`: nobody, prompt (MicroPython's), unconfigured, mute (a column on duty without a console) or strange
    (somebody else); `heard`: what it said."""

    kind: str
    heard: str


@dataclass
class Build:
    """What this laptop would flash: SHA-256 in full by name; libraries may be frozen into a board's image instead."""

    version: str
    files: Mapping[str, str]
    libraries: Mapping[str, str]


@dataclass
class Column:
    """All that is known of the column under test. What was not asked is not in `answers`."""

    port: str
    build: Build
    now: datetime.datetime  # this laptop's
    answers: dict[str, Answer] = field(default_factory=dict)
    seen_broker: Any = None  # dates of the broker's certificate as this laptop sees it, where the column cannot tell
    lamp: Lamp | None = None  # None = nobody was asked
    lamp_refusal: str | None = None
    is_button_tried: bool = False
    absence: Absence | None = None  # nobody answers

    @property
    def status(self) -> Line:
        """Raises Untold."""
        return self.told(STATUS).said

    @property
    def is_locked(self) -> bool:
        """It wants a code that nobody gave: it said so to what acts."""
        refusals = [*(answer.refusal for answer in self.answers.values()), self.lamp_refusal]
        return any(why is not None and why.startswith(_LOCKED) for why in refusals)

    def told(self, word: str) -> Answer:
        """An answer that can be judged. Raises Untold."""
        answer = self.answers.get(word)
        if answer is None:
            raise Untold("not-reached")
        if answer.is_unknown:
            raise Untold("cannot-say", command=word)
        if answer.lacks_memory:
            raise Untold("blocked", because="heap")
        return answer

    def fault(self, ident: str) -> str | None:
        """The detail of a fault that the column reports itself ("" where only its name is known), or None."""
        if ident not in self.status.get("faults", []):
            return None
        logs = self.answers.get("logs")
        told = logs.said.get("faults", []) if logs else []
        return next((str(one.get("detail", "")) for one in told if one.get("id") == ident), "")


def untold(answer: Answer) -> Untold:
    """The column would not, for a reason that is no fault of the line's."""
    why = answer.refusal or "-"
    if why.startswith(_LOCKED):
        return Untold("locked")
    return Untold("alarm-open") if why.startswith(_ALARM_OPEN) else Untold("refused", why=why)


def ask(console: Console, word: str) -> Answer:
    """Raises ConsoleError when nobody answers, or the cable is pulled."""
    lines: list[Line] = []
    try:
        for line in console.lines(word, lines.clear):
            lines.append(line)
    except Refused as error:
        return Answer(lines, error.why)
    return Answer(lines)


def interview(
    console: Console, column: Column, say: Callable[[str], None], unlock: Callable[[], None] = lambda: None
) -> None:
    """Fills `column.answers`; `say(word)` before each question, `unlock` a column that asks for a code. Raises
    ConsoleError: what was answered stays there."""
    say(STATUS)
    column.answers[STATUS] = _settled(console)
    column.now = datetime.datetime.now(datetime.UTC)  # to be compared with what its clock said
    status = column.answers[STATUS]
    if status.refusal is not None or status.said.get("configured") is False:
        return
    if status.said.get("locked"):
        unlock()
    wants_logs = bool(status.said.get("faults") or status.said.get("reset", {}).get("traceback"))
    for word in ("logs",) * wants_logs + QUESTIONS:
        say(word)
        column.answers[word] = ask(console, word)


def _settled(console: Console) -> Answer:
    deadline_s = time.monotonic() + SETTLE_S
    while True:
        status = ask(console, STATUS)
        if status.refusal is not None or is_settled(status.said) or time.monotonic() > deadline_s:
            return status
        console.listen(_EVERY_S)


def is_settled(status: Line) -> bool:
    """It has a session and the time, or knows why not, or had long enough to find out."""
    uptime_s = status.get("uptime_s")
    if uptime_s is None or uptime_s > 2 * SETTLE_S:
        return True
    broker, clock = status.get("broker", {}), status.get("clock", {})
    has_time = clock.get("source") == "ntp" or clock.get("server") is None
    return has_time and bool(broker.get("session") or broker.get("error"))
