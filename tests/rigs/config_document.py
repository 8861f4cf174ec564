# mypy: allow-untyped-calls
"""A valid configuration for tests, ways to change one key of it, and what is wrong with it then."""

import copy
from typing import Any

from firmware.startup.config import validate

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"
DOCUMENT: dict[str, Any] = {
    "v": 1,
    "device_id": "petropavl-01",
    "region": "nko",
    "location": {"geo": "geo:54.8753,69.1628;u=5", "address": "Петропавл, Конституция көшесі 1", "site": "public"},
    "stream": {"rtsp": "rtsp://cameras.example/1"},
    "broker": {"host": "broker.example", "tls": {"ca": CERTIFICATE, "cert": CERTIFICATE}},
    "secrets": {"wifi_ssid": "sos", "wifi_password": "12345678", "tls_key": KEY},
}


def document(**changes: Any) -> dict[str, Any]:
    """`DOCUMENT` with changes; `a__b=value` sets a.b, `...` takes a key away."""
    made = copy.deepcopy(DOCUMENT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return made


def errors(changed: dict[str, Any], chip: str = "esp32") -> list[str]:
    config, found = validate(changed, chip)
    assert (config is None) == bool(found)
    return list(found)
