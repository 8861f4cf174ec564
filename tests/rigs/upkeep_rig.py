"""A desk on duty in virtual time: its real duty, register and rules; the columns' messages come by hand, and whatever
it sends is kept. No broker, no thread, no clock but `now_ms`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_examples import example

from desk import export
from desk.upkeep import store
from desk.upkeep.life import Span
from desk.upkeep.roster import Roster, parse
from sim.virtual.desk import VirtualDesk

START_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
S, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
KEY = bytes(range(32))
PLACES = {"sos-01": (54.8753, 69.1628), "sos-02": (54.8722, 69.1510), "sos-03": (54.8533, 69.1497)}


def roster_document(names: dict[str, tuple[float, float]] | None = None, **changes: Any) -> dict[str, Any]:
    rows = [
        {
            "device_id": name, "region": "nko", "address": f"Street {number}", "geo": f"geo:{lat},{lon};u=5",
            "site": "public", "stream": ["rtsp"], "certificate_made": "2025-12-01T00:00:00.000Z",
            "certificate_ends": "2040-12-01T00:00:00.000Z", **changes,
        }
        for number, (name, (lat, lon)) in enumerate((names or PLACES).items(), 1)
    ]  # fmt: skip
    return {"v": 1, "centre": "nko-102", "columns": rows}


class Desk(VirtualDesk):
    """A context manager. `beat` lets time pass for columns that are heard, `run` for none."""

    def __init__(self, path: Path, roster: Roster | None = None) -> None:
        super().__init__(path, START_MS, parse(roster_document(), "x") if roster is None else roster, KEY)
        self.boots: dict[str, int] = {}
        self._seq = 0

    def beat(self, span_ms: int, *names: str, step_ms: int = S, every_ms: int = 10 * S) -> None:
        """Time passes, and these columns are heard of."""
        end_ms = self.now_ms + span_ms
        while self.now_ms < end_ms:
            for name in names:
                self.heartbeat(name)
            self.run(min(every_ms, end_ms - self.now_ms), step_ms)

    def hear(self, name: str, kind: str, document: dict[str, Any] | None, *, retain: bool = False) -> None:
        self.say("nko", name, kind, document, retain)

    def birth(self, name: str, cause: str = "power-on", **changes: Any) -> None:
        """It starts, and says so."""
        self.boots[name] = boot = self.boots.get(name, 0) + 1
        self.connect(name, cause, boot, **changes)

    def connect(self, name: str, cause: str = "power-on", boot: int | None = None, **changes: Any) -> None:
        """A session begins; with the boot number that it has, if none is given."""
        boot = self.boots[name] if boot is None else boot
        self.hear(name, "state", {"v": 1, "state": "online", "boot": boot, "at": None})
        entry = self.roster.entries.get(name)
        info = {**example("info")[1], "device_id": name, "boot": boot, "reset": reset(cause), "capabilities": ["relay"]}
        info["hw"] = {**info["hw"], "uid": f"uid-{name}"}
        if entry is not None:
            info["location"] = {**info["location"], "geo": entry.geo, "address": entry.address}
        self.hear(name, "info", {**info, **changes})
        self.heartbeat(name, cause)

    def heartbeat(self, name: str, cause: str = "power-on", **changes: Any) -> None:
        self._seq += 1
        beat = {**example("heartbeat")[1], "boot": self.boots.get(name, 1), "seq": self._seq, "faults": []}
        beat |= {"reset": cause, "uptime_s": self.now_ms // S % 10**8, "open_incidents": 0, "supply_mv": None}
        self.hear(name, "heartbeat", {**beat, **changes})

    def will(self, name: str) -> None:
        """The broker finds its connection dead."""
        self.hear(name, "state", {"v": 1, "state": "offline", "boot": self.boots[name], "at": None})

    def fault(self, name: str, fault: str, is_up: bool = True) -> None:
        document = {"v": 1, "id": fault, "since": None, "detail": "said by the column"}
        self.hear(name, f"fault/{fault}", document if is_up else None)

    def alarm(self, name: str, status: str = "actual", **changes: Any) -> str:
        self._seq += 1
        incident_id = f"{name}-{self.boots[name]}-{self._seq}"
        alarm = {**example("alarm")[1], "device_id": name, "id": incident_id, "status": status,
                 "event_type": "sos" if status == "actual" else "drill"}  # fmt: skip
        alarm["stream"] = {"rtsp": "rtsp://cameras.example/x", "ok_at": utc(self.now_ms)}
        self.hear(name, "alarm", {**alarm, **changes})
        return incident_id

    def drill(self, name: str, **detail: Any) -> dict[str, Any]:
        """A drill that is answered, and what the column says of it; the answer."""
        incident_id = self.alarm(name, "test")
        answer = self.answer(incident_id)
        assert answer is not None
        told = {"id": incident_id, "answered": True, "round_trip_ms": 40, "receiver": "right", "flash": "ok", **detail}
        self.hear(name, "event", {"v": 1, "event": "drill", "at": utc(self.now_ms), "detail": told})
        self.run(S)
        return answer

    def commands(self, name: str) -> list[dict[str, Any]]:
        return [document for topic, document in self.air.sent if topic == f"sos/v1/nko/{name}/cmd"]

    # What became of it

    def spans(self, name: str) -> list[Span]:
        return store.spans(self.register, 0, self.now_ms + 1).get(name, [])

    def state(self, name: str) -> tuple[str, str]:
        span = self.span(name)
        assert span is not None
        return span.state, span.cause

    def links(self, name: str) -> dict[str, str]:
        column = self.duty._ledger.columns.get(name)
        return {link.name: link.state for link in self.duty.keeper.chain(name, column, self.now_ms)}


def reset(cause: str) -> dict[str, Any]:
    return {"cause": cause, "culprit": None, "traceback": None}


def utc(at_ms: int) -> str:
    return export.utc(at_ms)
