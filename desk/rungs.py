"""What is kept and said of the ladder's steps (desk/escalation.py): a rung, a word to other desks, a telling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass
class Rung:
    """One step of one call. `opening`: see Incident.opening; `at_ms`: of its state; `why`: how it ended."""

    incident_id: str
    opening: int
    step: str
    tell: str
    after_s: int
    state: str
    desk: str
    at_ms: int
    tries: int = 0
    unsure: int = 0
    why: str = ""


class Word(NamedTuple):
    """For the other desks, on the call's `ack`."""

    incident_id: str
    ladder: dict[str, Any]


class Telling(NamedTuple):
    """An officer is to be told now. `number`: which try it is; `repeated`: the one before may have arrived."""

    incident_id: str
    opening: int
    step: str
    tell: str
    number: int
    repeated: bool

    @property
    def key(self) -> str:
        """The same for every repeat of this step."""
        return f"{self.incident_id}/{self.opening}/{self.step}"


def rungs_of(rows: Iterable[Mapping[str, Any]]) -> list[Rung]:
    """Of rows of the register's table."""
    return [Rung(**row) for row in rows]
