"""Who opened picture and sound of which place, why, and for how long: the audit list, and a call's timeline.

An opening is in the register before the browser can see or hear anything, and its end as soon as it is known. What was
open when the desk was killed is ended by the next start, at the last moment that the desk was known to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from desk.batch import Change
from desk.duty import wall_ms
from desk.register import Register

OPENINGS_MAX = 100_000  # the oldest go
LIST_MAX = 1000
REASON_MIN, REASON_MAX = 3, 200  # characters
# How one ended: the page has words for each, `opening-ended.*`.
ASKED, GONE, CALL_CLOSED, DESK_STOPPED = "asked", "gone", "call-closed", "desk-stopped"
PLAYBACK = "playback"  # a way, and how it ended: a recording was looked at
OPENED, SHUT = "opened", "shut"  # kinds of a timeline's entries


class Opening(NamedTuple):
    """`camera`: the name of a city's camera; "" for the column's own. `reason`: "" within an open call."""

    device_id: str
    incident_id: str
    way: str
    by: str
    reason: str = ""
    camera: str = ""


def needs_reason(incident: dict[str, Any]) -> bool:
    """Whether a look there is one outside a call: it is closed, or nobody asked for help."""
    return bool(incident["status"] != "actual" or incident["state"] == "closed")


class Openings:
    """In `register`. Any thread. `notify` is told of incidents whose timeline has grown."""

    def __init__(
        self, register: Register, notify: Callable[[Change], None] = lambda _: None, now_ms: Callable[[], int] = wall_ms
    ) -> None:
        self._register, self._notify, self._now_ms = register, notify, now_ms

    def left(self) -> dict[int, int]:
        """At the start: what was open when the desk ended, by its number, and when it ended at the latest."""
        alive_ms = self._register.alive_ms()
        rows = self._register.ask("SELECT n, at_ms FROM opening WHERE ended_ms IS NULL")
        return {row["n"]: max(row["at_ms"], alive_ms) for row in rows}

    def recover(self, left: Mapping[int, int] | None = None) -> None:
        """Once, as soon as the register takes it: end those. Raises sqlite3.Error."""
        for number, ended_ms in (self.left() if left is None else left).items():
            self.end(number, DESK_STOPPED, ended_ms)

    def begin(self, opening: Opening) -> int:
        """Write it down; its number. Raises sqlite3.Error: then it is not written."""
        at_ms = self._now_ms()
        detail = {"way": opening.way, "camera": opening.camera, "note": opening.reason}
        with self._register.transaction():
            number = self._register.change(
                'INSERT INTO opening (at_ms, device_id, camera, incident_id, way, "by", reason)'
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(at_ms, opening.device_id, opening.camera, opening.incident_id, opening.way),
                *(opening.by, opening.reason),
            )
            self._register.change("DELETE FROM opening WHERE n <= ? AND ended_ms IS NOT NULL", number - OPENINGS_MAX)
            self._enter(opening.incident_id, at_ms, OPENED, opening.by, detail)
        self._notify(Change("incident", opening.incident_id))
        return number

    def played(self, opening: Opening) -> None:
        """Somebody looks at a recording; when they stop, nobody can tell. Raises sqlite3.Error."""
        with self._register.transaction():
            number = self.begin(opening._replace(way=PLAYBACK))
            self._register.change("UPDATE opening SET ended_ms = at_ms, ended = ? WHERE n = ?", PLAYBACK, number)

    def end(self, number: int, how: str, at_ms: int | None = None) -> None:
        """Harmless when it has ended already. Raises sqlite3.Error."""
        rows = self._register.ask("SELECT * FROM opening WHERE n = ? AND ended_ms IS NULL", number)
        for row in rows:
            ended_ms = max(row["at_ms"], self._now_ms() if at_ms is None else at_ms)
            detail = {"way": row["way"], "camera": row["camera"], "ms": ended_ms - row["at_ms"], "how": how}
            with self._register.transaction():
                self._register.change("UPDATE opening SET ended_ms = ?, ended = ? WHERE n = ?", ended_ms, how, number)
                self._enter(row["incident_id"], ended_ms, SHUT, row["by"], detail)
            self._notify(Change("incident", row["incident_id"]))

    def listed(
        self, *, device_id: str | None = None, from_ms: int = 0, to_ms: int | None = None, limit: int = LIST_MAX
    ) -> list[dict[str, Any]]:
        """The rows of the table, newest first, that were open within `from_ms` <= time < `to_ms`."""
        return self._register.ask(
            "SELECT * FROM opening WHERE (? IS NULL OR device_id = ?) AND (? IS NULL OR at_ms < ?)"
            " AND (ended_ms IS NULL OR ended_ms >= ?) ORDER BY n DESC LIMIT ?",
            *(device_id, device_id, to_ms, to_ms, from_ms, limit),
        )

    def _enter(self, incident_id: str, at_ms: int, kind: str, by: str, detail: dict[str, Any]) -> None:
        """A line of the timeline; of two in one millisecond neither is lost."""
        if not incident_id:
            return
        taken = 'SELECT 1 FROM entry WHERE incident_id = ? AND kind = ? AND at_ms = ? AND "by" = ?'
        while self._register.ask(taken, incident_id, kind, at_ms, by):
            at_ms += 1
        self._register.put_entry(incident_id, at_ms, kind, by, {key: one for key, one in detail.items() if one != ""})
