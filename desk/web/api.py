"""What the server's requests are about: one desk with its register and its duty, as the API shows them.

Whatever reads or writes here may wait for the disk: call it in a worker thread.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from desk import answer_times, misuse, statistics
from desk.cameras import Camera, nearest
from desk.duty import COMMANDS, Duty
from desk.exercises import DISGUISE_S
from desk.ledger import OUTCOMES
from desk.register import Register, row_of
from desk.shifts import Shift, Shifts, together
from desk.web import views
from desk.web.refusal import Refusal

MANY = 1_000_000  # incidents: all of them
EVENTS = 100
FLOODING_SHOWN = 5
LANGUAGES = ("en", "ru", "kk")
Document = dict[str, Any]


def now_ms() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


class Desk:
    """`tiles`: address of the map's tiles, with {z}, {x} and {y}. `cameras`: the city's own."""

    def __init__(
        self,
        name: str,
        register: Register,
        duty: Duty,
        tiles: str | None = None,
        cameras: Sequence[Camera] = (),
        disguise_s: int = DISGUISE_S,
    ) -> None:
        self.disguise_s = disguise_s
        self.name, self.register, self.duty, self.tiles = name, register, duty, tiles
        self.cameras = tuple(cameras)
        self.recorded: Callable[[], Mapping[str, int]] = dict
        """By incident, how many files there are of it."""
        self.recording_trouble: Callable[[], str] = str
        """Why calls are not recorded as they should be; "": they are, or nobody asked for it."""

    def config(self) -> Document:
        """What a page needs to know before anything else."""
        return {
            "languages": LANGUAGES,
            "tiles": self.tiles,
            "cameras": len(self.cameras),
            "outcomes": OUTCOMES,
            "misuses": misuse.MISUSES,
            "commands": COMMANDS,
            "now_ms": now_ms(),
            "name": self.name,
            "broker": self.duty.connected,
            "trouble": self.duty.trouble,
            "why": self.duty.why.code,
            "nobody": self.duty.attendance.nobody,
            "recording": self.recording_trouble(),
            "flooding": self.duty.flooding[:FLOODING_SHOWN],
            "silence": asdict(self.duty.limits),
            "disguise_s": self.disguise_s,
        }

    def status(self) -> Document:
        """The feed's message of every tick. `trouble`: what is wrong, in words; `why`: the same as a code."""
        return {
            "kind": "desk",
            "broker": self.duty.connected,
            "trouble": self.duty.trouble,
            "why": self.duty.why.code,
            "nobody": self.duty.attendance.nobody,
            "recording": self.recording_trouble(),
            "flooding": self.duty.flooding[:FLOODING_SHOWN],
            "now_ms": now_ms(),
        }

    def health(self) -> Document:
        """For whoever watches over this process: `ok` means that calls reach this desk and its answers the columns;
        `nobody` is a matter for people: to start the process again would not help."""
        connected, why = self.duty.connected, self.duty.why
        nobody = self.duty.attendance.nobody
        return {"ok": connected and not why.code, "broker": connected, "why": why.code, "nobody": nobody}

    def columns(self) -> list[Document]:
        """All columns, by device id."""
        waiting: dict[str, list[str]] = defaultdict(list)
        for row in [*self._held(), *self.register.incidents(state="open", status="actual", limit=MANY)]:
            waiting[row["device_id"]].append(row["id"])
        muted, origin = self.duty.muted(now_ms()), self.duty.origin
        return [
            {
                **views.column(row, waiting[row["device_id"]], origin(row["device_id"])),
                "muted_until_ms": muted.get(row["device_id"]),
            }
            for row in self.register.columns()
        ]

    def events(self, device_id: str) -> list[Document]:
        """What happened to one column of late, commands and their results too: {at_ms, event, detail}, newest first."""
        return self.register.events(device_id, EVENTS)

    def incidents(self, wanted: Mapping[str, Any]) -> list[Document]:
        """Those that the filter wants, newest first. No limit cuts off open calls, and none is behind a drill: who asks
        what is open must hear of every call, however many drills somebody makes up."""
        files = self.recorded()
        return [self._shown(row, files) for row in self._rows(wanted)]

    def _rows(self, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
        if wanted.get("state") != "open" or "status" in wanted:
            return self.register.incidents(**wanted)
        calls = self._held(wanted.get("device_id"))
        calls += self.register.incidents(**{**wanted, "status": "actual", "limit": MANY})
        return calls + self.register.incidents(**{**wanted, "status": "drill"})

    def _held(self, device_id: str | None = None) -> list[dict[str, Any]]:
        """Calls that are in no register, for its disk is full: an operator sees them all the same."""
        held = [one for one in self.duty.held() if device_id in (None, one.device_id) and one.state != "closed"]
        return [row_of(one) for one in sorted(held, key=lambda one: -one.first_s)]

    def _found(self, incident_id: str) -> dict[str, Any] | None:
        held = (row for row in self._held() if row["id"] == incident_id)
        return self.register.incident(incident_id) or next(({**row, "timeline": []} for row in held), None)

    def _shown(self, row: Mapping[str, Any], files: Mapping[str, int]) -> Document:
        """An incident, with the roster's place where that is not what the column says; `files`: what was recorded."""
        expected = self.duty.expected(row["device_id"], row["alarm"]["location"])
        shown = {**views.incident(row), "expected": expected, "recorded": files.get(row["id"], 0)}
        if shown["state"] == "received":
            shown["unanswered_s"] = shown["unanswered_s"] or self.duty.unanswered_s(row["id"])
        return shown

    def incident(self, incident_id: str) -> Document:
        """One with its timeline. Raises Refusal."""
        row = self._found(incident_id)
        if row is None:
            raise Refusal(404, f"no incident {incident_id[:80]!r} in the register", code="no-incident")
        return {**self._shown(row, self.recorded()), "timeline": row["timeline"]}

    def nearest(self, incident_id: str) -> list[tuple[Camera, float]]:
        """The city's cameras that are nearest to the place, with their distances in metres. Raises Refusal."""
        location = self.incident(incident_id)["location"]
        return nearest(self.cameras, location["lat"], location["lon"])

    def with_timelines(self, wanted: Mapping[str, Any]) -> list[Document]:
        """As `incidents`, each with its timeline. A drill may be dropped while they are read."""
        rows, files = [self.register.incident(row["id"]) for row in self._rows(wanted)], self.recorded()
        return [{**self._shown(row, files), "timeline": row["timeline"]} for row in rows if row is not None]

    def statistics(self, wanted: Mapping[str, Any], sees: Callable[[str], bool] = lambda name: True) -> Document:
        """Counts, times and availability; `wanted` narrows the incidents, availability is as of now. `sees`: whose
        figures are shown by name."""
        at_ms = now_ms()
        since_ms = at_ms - max(statistics.WINDOWS_MS.values())
        presence = {
            row["device_id"]: self.register.presence(row["device_id"], since_ms) for row in self.register.columns()
        }
        rows = self.register.incidents(**wanted)
        known = {row["id"] for row in rows if row["status"] == "exercise"}
        readings = {name: entries for name, entries in self.register.exercised().items() if name in known}
        return {
            **statistics.summary(rows, presence, at_ms),
            **answer_times.summary(rows, readings, self._shifts(rows, at_ms), sees),
            "misuse": misuse.summary(row for row in rows if row["status"] == "actual"),
        }

    def _shifts(self, rows: Sequence[Mapping[str, Any]], at_ms: int) -> list[Shift]:
        """Those in which these incidents came."""
        times = [row["received_ms"] for row in rows]
        return together(Shifts(self.register).within(min(times), max(times)), at_ms) if times else []

    def misuse(self, wanted: Mapping[str, Any]) -> list[Document]:
        """False calls by column; `wanted` narrows the incidents."""
        return misuse.summary(self.register.incidents(**{**wanted, "status": "actual"}))

    def messages(self, changes: Iterable[tuple[str, str]]) -> list[Document]:
        """What the feed says of these changes. An incident changes its column's status, too."""
        incidents, columns, messages = [], set(), []
        changes = list(changes)
        files = self.recorded() if any(kind == "incident" for kind, _ in changes) else {}
        for kind, name in changes:
            if kind == "incident":
                row = self._found(name)
                if row is not None:
                    incidents.append(self._shown(row, files))
                    columns.add(row["device_id"])
            elif kind == "column":
                columns.add(name)
            else:
                messages.append(self.status())
        messages += [{"kind": "incident", "incident": incident} for incident in incidents]
        if columns:
            found = [column for column in self.columns() if column["device_id"] in columns]
            messages += [{"kind": "column", "column": column} for column in found]
        return messages
