"""Answers of a column as they were recorded, sound, and small changes to them: what the check-up is tried on."""

import base64
import copy
import datetime
import ssl
from typing import Any

from field import certificates
from field.diag.finding import Finding
from field.diag.interview import Answer, Build, Column
from field.diag.judge import judge

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


DIGEST = "0123456789abcdef" * 4
FILES = {"firmware/lamp.mpy": DIGEST, "firmware/__init__.mpy": DIGEST[::-1], "hal/esp32.mpy": DIGEST, "boot.py": DIGEST}
LIBRARIES = {"umqtt/simple.mpy": DIGEST}
BUILD = Build("1.0.0", FILES, LIBRARIES)
STREAMS = ("rtsp://cameras.example/petropavl-07", "sip:petropavl-07@intercom.example")


def text(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.125Z")


STATUS: dict[str, Any] = {
    "firmware": {"folder": "a", "boot": 25660700, "mode": "normal", "version": "1.0.0"},
    "configured": True,
    "config": {"source": "current", "digest": "874662fee8ab9e3c"},
    "names": {"server_name": "broker.example", "device_id": "petropavl-07", "region": "nko"},
    "limits": {"low_mv": 10500},
    "chip": {"chip": "esp32", "uid": "240ac4000000", "micropython": "1.25.0"},
    "reset": {"culprit": None, "traceback": False, "cause": "power-on"},
    "uptime_s": 3725,
    "supply_mv": 12100,
    "health": {"heap_free": 90064, "system_free": 79872, "flash_free": 704512},
    "journal": {"bytes": 262, "damaged": 0, "records": 4, "unsaved": 0, "quarantine_bytes": 0},
    "queue": {"open": 0, "outbox": 0, "waiting": 0},
    "faults": [],
    "clock": {"server": "time.example", "source": "ntp", "now": text(NOW)},
    "link": {
        "up": True, "status": 1010, "rssi_dbm": -61, "address": "192.168.4.20", "dns": "192.168.4.1",
        "gateway": "192.168.4.1", "kind": "wifi", "netmask": "255.255.255.0",
    },
    "broker": {
        "since_s": 3700, "error": "", "failed_in": None, "address": "192.0.2.1", "port": 8883,
        "host": "broker.example", "tls": True, "session": True,
    },
    "tamper_open": False,
    "wipe_after_s": None,
    "lamp": "ready",
    "button": {"closures": 0, "since_press_s": None, "stuck": False, "presses": 0, "closed": False},
}  # fmt: skip

_KEY = certificates.new_key()


def pieces(name: str, days: float, *, usage: Any = certificates.CLIENT) -> list[str]:
    """A certificate that ends in so many days, as a column tells it: base64 of its DER, a few characters a line."""
    end = NOW + datetime.timedelta(days=days)
    pem = certificates.certificate(name, _KEY, "CA", _KEY, end, usage)
    text = base64.b64encode(ssl.PEM_cert_to_DER_cert(pem.decode())).decode()
    return [text[at : at + 92] for at in range(0, len(text), 92)]


CERTS = {"ca": pieces("CA", 8000), "own": pieces("petropavl-07", 300), "broker": pieces("broker.example", 400)}


def lookup(what: str, host: str, address: str | None = "192.0.2.7") -> dict[str, Any]:
    error = "" if address else f"no address for {host}: -2"
    return {"lookup": {"what": what, "host": host, "address": address, "error": error, "ms": 11}}


def endpoint(uri: str, error: str = "") -> dict[str, Any]:
    return {"stream": {"uri": uri, "ok": not error, "error": error, "ms": 42}}


SOUND: dict[str, list[dict[str, Any]]] = {
    "status": [{key: value} for key, value in STATUS.items()],
    "files": [
        *({"files": {name: digest[:16]}} for name, digest in {**FILES, **LIBRARIES}.items()),
        {"sealed": {"config.json": True}},
        {"sealed": {"secrets.json": True}},
        {"folder": "a"},
    ],
    "certs": [{key: [piece]} for key, value in CERTS.items() for piece in value],
    "net": [
        lookup("broker", "broker.example"),
        lookup("stream", "cameras.example"),
        lookup("stream", "intercom.example"),
        lookup("clock", "time.example"),
        {"gateway": "192.168.4.1", "netmask": "255.255.255.0", "dns": "192.168.4.1"},
    ],
    "stream": [endpoint(uri) for uri in STREAMS],
    "access": [{"access": {"own_ack": False, "states": 0, "foreign": False}}],
    "test": [{"limit_s": 10}, {"id": "petropavl-07-1-1", "sent_ms": 1, "broker_ms": 3, "centre_ms": 5}],
    "logs": [{"reset": {"cause": "power-on", "culprit": None, "boot": 25660700}}],
}
UNKNOWN = "unknown command; type: help"


class Recorded:
    """Answers that a test changes: `refused` ends one with the column's reason, after what it said before."""

    def __init__(self) -> None:
        self.lines = copy.deepcopy(SOUND)
        self.refusals: dict[str, str] = {}
        self.build = BUILD

    def status(self, section: str, **values: Any) -> "Recorded":
        """Change keys of a section of `status`; of the section itself with `value`."""
        line = next(line for line in self.lines["status"] if section in line)
        if "value" in values:
            line[section] = values["value"]
        else:
            line[section] = {**line[section], **values}
        return self

    def clock_goes_on(self) -> None:
        """Its clock is right, also when it is asked long after the recording."""
        clock: dict[str, Any] = next((line["clock"] for line in self.lines["status"] if "clock" in line), {})
        if clock.get("now") == text(NOW):
            self.status("clock", now=text(datetime.datetime.now(datetime.UTC)))

    def fault(self, ident: str, detail: str = "detail") -> "Recorded":
        self.lines["logs"].append({"faults": [{"id": ident, "since": None, "detail": detail}]})
        line = next(line for line in self.lines["status"] if "faults" in line)
        line["faults"] = [*line["faults"], ident]
        return self

    def away(self, error: str, failed_in: str) -> "Recorded":
        """There is no session, and why; then nothing that needs one is answered."""
        self.status("broker", session=False, error=error, failed_in=failed_in)
        self.lines["certs"] = [line for line in self.lines["certs"] if "broker" not in line] + [{"broker": None}]
        self.refuse("access", "no session with the broker; see status; at a laptop: make watch")
        return self.refuse("test", "no session with the broker; see status; at a laptop: make watch")

    def says(self, word: str, *lines: dict[str, Any]) -> "Recorded":
        self.lines[word] = list(lines)
        return self

    def refuse(self, word: str, why: str, *lines: dict[str, Any]) -> "Recorded":
        self.lines[word] = list(lines)
        self.refusals[word] = why
        return self

    def column(self) -> Column:
        answers = {word: Answer(lines, self.refusals.get(word)) for word, lines in self.lines.items()}
        return Column("/dev/ttyUSB0", self.build, NOW, answers)

    def judged(self) -> dict[str, Finding]:
        return {finding.line: finding for finding in judge(self.column())}
