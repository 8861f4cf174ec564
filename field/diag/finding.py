"""What one line of the check-up says. The texts are in words/*.json: `<line>.<says>`, with `.cause` and `.next`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

# In the order in which they are shown. What a line rests on stands above it.
LINES = (
    "duty",
    "supply",
    "chip",
    "versions",
    "files",
    "configuration",
    "flash",
    "journal",
    "heap",
    "clock",
    "resets",
    "tamper",
    "link",
    "lookup",
    "broker",
    "tls",
    "login",
    "access",
    "stream",
    "alarm",
    "lamp",
    "button",
)
ANY = "any"  # stands for a line in the keys of what every line can say


class Verdict(StrEnum):
    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    UNTESTED = "-"


@dataclass(frozen=True)
class Finding:
    """`values` fill the text's placeholders; `because`: the line whose failure keeps this one from being tested."""

    line: str
    verdict: Verdict
    says: str
    values: dict[str, Any] = field(default_factory=dict)
    because: str = ""

    @property
    def key(self) -> str:
        """Of its text."""
        return f"{ANY if self.says in EVERYWHERE else self.line}.{self.says}"


EVERYWHERE = ("blocked", "cannot-say", "refused", "alarm-open", "locked", "not-reached")


class Untold(Exception):
    """A check cannot judge its line; no fault of the line's."""

    def __init__(self, says: str, because: str = "", **values: Any) -> None:
        super().__init__(says)
        self.says, self.because, self.values = says, because, values


def passes(line: str, says: str, **values: Any) -> Finding:
    return Finding(line, Verdict.PASS, says, values)


def warns(line: str, says: str, **values: Any) -> Finding:
    return Finding(line, Verdict.WARN, says, values)


def fails(line: str, says: str, **values: Any) -> Finding:
    return Finding(line, Verdict.FAIL, says, values)


def untested(line: str, says: str, because: str = "", **values: Any) -> Finding:
    return Finding(line, Verdict.UNTESTED, says, values, because)
