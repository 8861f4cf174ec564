"""Every message of the contract (docs/contract.md), and the topics they go to."""

from firmware import VERSION, encoding

V = 1
ALARM_MAX_BYTES = 1024


class Messages:
    """Builds payloads from the configuration and what the caller knows."""

    def __init__(self, config, clock, boot: int, authentic=None):
        """`authentic`: proves what is proven, if this column has a key (firmware/authentic.py)."""
        self.device_id = config["device_id"]
        self.uris = config["stream"]
        self.clock = clock
        self.boot = boot
        self.authentic = authentic
        self.root = "sos/v1/%s/%s/" % (config["region"], config["device_id"])
        self.location = {key: config["location"][key] for key in ("geo", "address", "site", "height_m")}
        self.stream_ok_at = None  # Unix ms of the last time that the stream endpoint was reached

    def topic(self, kind: str) -> bytes:
        return (self.root + kind).encode()

    def alarm(self, incident, faults: list) -> bytearray:
        body = {
            "v": V,
            "event_type": "sos" if incident.status == "actual" else "drill",
            "id": incident.id,
            "device_id": self.device_id,
            "status": incident.status,
            "press": incident.press,
            "raised_at": self.clock.text(incident.raised_at),
            "clock": incident.clock,
            "age_ms": incident.age.ms(),
            "late": incident.late,
            "location": self.location,
            "stream": self.stream(),
            "faults": faults,
            "fw": VERSION,
        }
        room = ALARM_MAX_BYTES - (self.authentic.room_bytes if self.authentic else 0)
        payload = encoding.encode(body)
        while len(payload) > room and body["faults"]:
            body["faults"] = body["faults"][:-1]  # the place and the stream matter more
            payload = encoding.encode(body)
        return self.sealed("alarm", payload)

    def state(self, online: bool) -> bytearray:
        at = self.clock.now_text() if online else None
        payload = encoding.encode({"v": V, "state": "online" if online else "offline", "boot": self.boot, "at": at})
        return self.sealed("state", payload) if online else payload  # a last will is the broker's word

    def heartbeat(self, figures: dict) -> bytearray:
        body = {"v": V, "boot": self.boot, "clock": self.clock.source, "at": self.clock.now_text()}
        body.update(figures)
        return self.sealed("heartbeat", encoding.encode(body))

    def fault(self, ident: str, since_ms, detail: str) -> bytearray:
        return encoding.encode({"v": V, "id": ident, "since": self.clock.text(since_ms), "detail": detail})

    def event(self, name: str, detail) -> bytearray:
        return encoding.encode({"v": V, "event": name, "at": self.clock.now_text(), "detail": detail})

    def result(self, ident: str, error, detail) -> bytearray:
        body = {"v": V, "id": ident, "ok": error is None, "error": error, "detail": detail}
        return self.sealed("result", encoding.encode(body))

    def sealed(self, kind: str, payload: bytearray) -> bytearray:
        return self.authentic.seal(self.topic(kind), payload) if self.authentic else payload

    def stream(self):
        stream = dict(self.uris)
        stream["ok_at"] = self.clock.text(self.stream_ok_at)
        return stream
