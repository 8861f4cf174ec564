"""What a part of the campaign reports, and what a negative control is: the one vocabulary of all parts."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from rich.table import Table


class Violation(NamedTuple):
    """A promise that was broken."""

    text: str  # invariant, time and what happened
    replay: str  # the one command that shows it again


class Control(NamedTuple):
    """A deliberate break: `make campaign CONTROL=name` has to end red, else the search is blind."""

    breaks: str  # what is broken, in one line
    caught_by: str  # the invariant, or the check, that has to complain


@dataclass
class Findings:
    """Of one part. A kind of `kinds` that never fired is a violation: the search did not search there."""

    title: str
    runs: int = 0
    simulated_s: float = 0.0
    wall_s: float = 0.0
    invariants: tuple[str, ...] = ()  # what was checked, by name
    checks: Counter[str] = field(default_factory=Counter)  # ... and how often, where that was counted
    kinds: frozenset[str] = frozenset()  # every kind of fault that has to fire
    fired: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)  # further rows of the summary
    tables: list[Table] = field(default_factory=list)  # shown under the summary

    @property
    def unfired(self) -> list[str]:
        return sorted(kind for kind in self.kinds if not self.fired[kind])


def command_of(part: str, what: str, control: str | None) -> str:
    """The one command that performs a run again."""
    end = f" --control {control}" if control else ""
    return f".venv/bin/python -m sim campaign --replay {part}:{what}{end}"
