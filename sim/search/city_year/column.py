"""A column as the desk sees it: what it says, and what it makes of answers. A model of the firmware's messages, not the
firmware: only who answered a drill is judged by the firmware's own code."""

from __future__ import annotations

from typing import Any

from common.receiver import key_of
from desk.mqtt_client import utc
from sim.virtual.desk import VirtualDesk

from firmware import drill  # isort: skip - after sim.virtual, which lets it find its own

REGION = "nko"
VOLTS_MV = 12_100


class Column:
    """`answers`: whose desk answers its alarms; another centre's, when somebody has set it up wrongly."""

    def __init__(self, name: str, address: str, geo: str, desk: VirtualDesk, centre: str, desks_key: bytes) -> None:
        self.name, self.centre, self.key = name, centre, key_of(desks_key, name)
        self.location = {"address": address, "geo": geo, "site": "public", "height_m": 1.0}
        self.desk = self.answers = desk
        self.boot = self.seq = self.alarms = 0
        self.cause = "power-on"
        self.is_there = False
        """Whether it runs and has a session."""
        self.faults: set[str] = set()

    def say(self, kind: str, document: dict[str, Any] | None) -> None:
        self.desk.say(REGION, self.name, kind, document)

    def start(self, cause: str = "power-on") -> None:
        """It boots and connects."""
        self.boot, self.cause, self.seq = self.boot + 1, cause, 0
        self.connect()
        self.event("boot", {"number": self.boot, "cause": cause})

    def connect(self) -> None:
        """A session begins."""
        self.is_there = True
        self.say("state", {"v": 1, "state": "online", "boot": self.boot, "at": self._now()})
        for fault in sorted(self.faults):
            self._tell(fault)
        self.say("info", self._info())
        self.beat()

    def lose(self) -> None:
        """The broker finds its connection dead, and publishes its will."""
        self.is_there = False
        self.say("state", {"v": 1, "state": "offline", "boot": self.boot, "at": None})

    def vanish(self) -> None:
        """Not even the will comes."""
        self.is_there = False

    def beat(self) -> None:
        if self.is_there:
            self.say("heartbeat", self._heartbeat())
            self.seq += 1

    def fault(self, ident: str, is_up: bool) -> None:
        """Raise or clear one; told at once, or with the next session."""
        if (ident in self.faults) == is_up:
            return
        (self.faults.add if is_up else self.faults.discard)(ident)
        if self.is_there:
            self._tell(ident)

    def event(self, name: str, detail: Any) -> None:
        self.say("event", {"v": 1, "event": name, "at": self._now(), "detail": detail})

    def press(self) -> str:
        """A hand presses."""
        return self._alarm("actual")

    def drill(self) -> str | None:
        """A drill and its end: `right`, `unproven` or `wrong`; None when nobody answered."""
        ident = self._alarm("test")
        if self.answers is not self.desk:
            self.answers.now_ms = self.desk.now_ms
            self.answers.say(REGION, self.name, "alarm", self._document(ident, "test"))
        self.desk.answer(ident)
        answer = self.answers.answer(ident)
        if answer is None:
            self.fault("drill-unanswered", True)
            self.event("drill", {"id": ident, "answered": False, "round_trip_ms": 10_000})
            return None
        self.fault("drill-unanswered", False)
        wanted = (self.centre, self.key)
        verdict, wrong_receiver, wrong_address = drill.judge(answer.get("receiver"), wanted, self.location, ident)
        self.fault("wrong-receiver", wrong_receiver is not None)
        self.fault("wrong-address", wrong_address is not None)
        said = {"id": ident, "answered": True, "round_trip_ms": 60, "receiver": verdict, "flash": "ok"}
        self.event("drill", said)
        return str(verdict)

    def _alarm(self, status: str) -> str:
        self.alarms += 1
        ident = f"{self.name}-{self.boot}-{self.alarms}"
        self.say("alarm", self._document(ident, status))
        return ident

    def _document(self, ident: str, status: str) -> dict[str, Any]:
        is_down = "stream-down" in self.faults
        return {
            "v": 1, "event_type": "sos" if status == "actual" else "drill", "id": ident, "device_id": self.name,
            "status": status, "press": 1, "raised_at": self._now(), "clock": "ntp", "age_ms": 40, "late": False,
            "location": self.location, "stream": self._stream(None if is_down else self._now()),
            "faults": sorted(self.faults), "fw": "1.2.0",
        }  # fmt: skip

    def _stream(self, ok_at: str | None) -> dict[str, Any]:
        return {"rtsp": f"rtsp://cameras.example/{self.name}", "ok_at": ok_at}

    def _info(self) -> dict[str, Any]:
        reset = {"cause": self.cause, "culprit": None, "traceback": None}
        return {
            "v": 1, "device_id": self.name, "fw": "1.2.0", "boot": self.boot,
            "hw": {"chip": "esp32", "uid": f"uid-{self.name}", "micropython": "1.26.1"}, "location": self.location,
            "stream": self._stream(None), "capabilities": ["edge-counter", "relay", "tamper", "supply"],
            "config": {"digest": "0123456789abcdef", "source": "current"}, "mode": "normal", "reset": reset,
            "at": self._now(),
        }  # fmt: skip

    def _heartbeat(self) -> dict[str, Any]:
        return {
            "v": 1, "seq": self.seq, "uptime_s": self.seq * 900, "boot": self.boot, "heap_free": 60_000,
            "heap_min": 50_000, "rssi_dbm": None, "link": "ethernet", "queue": 0, "clock": "ntp", "reset": self.cause,
            "open_incidents": 0, "supply_mv": VOLTS_MV, "faults": sorted(self.faults), "dropped": 0, "at": self._now(),
        }  # fmt: skip

    def _tell(self, ident: str) -> None:
        document = {"v": 1, "id": ident, "since": self._now(), "detail": "of the model"}
        self.say(f"fault/{ident}", document if ident in self.faults else None)

    def _now(self) -> str:
        return utc(self.desk.now_ms)
