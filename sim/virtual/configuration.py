"""Who is where in the world's network, and the configuration of a column that stands there."""

from copy import deepcopy
from typing import Any

BROKER, CAMERA, TIME = "10.0.0.2", "10.0.0.3", "10.0.0.4"
BROKER_NAME, CAMERA_NAME, TIME_NAME = "broker.example", "cameras.example", "time.example"
BROKER_PORT, TIME_PORT = 8883, 123
CAMERA_PORTS = (554, 80, 443, 5060)  # RTSP, HTTP, HTTPS, SIP (over UDP as well)

_PEM = "-----BEGIN {0}-----\nMIIB\n-----END {0}-----\n"

DEFAULT_CONFIG: dict[str, Any] = {
    "v": 1,
    "device_id": "petropavl-01",
    "region": "nko",
    "location": {
        "geo": "geo:54.8753,69.1628;u=5",
        "address": "Петропавл, Конституция көшесі 1",
        "site": "public",
        "height_m": 1.0,
    },
    "stream": {"rtsp": f"rtsp://{CAMERA_NAME}/petropavl-01"},
    "broker": {
        "host": BROKER_NAME,
        "port": BROKER_PORT,
        "tls": {"ca": _PEM.format("CERTIFICATE"), "cert": _PEM.format("CERTIFICATE"), "server_name": None},
    },
    "link": {"type": "wifi"},
    "clock": {"server": TIME_NAME},
    "secrets": {"wifi_ssid": "sos-columns", "tls_key": _PEM.format("PRIVATE KEY")},
}


def config_with(**sections: dict[str, Any]) -> dict[str, Any]:
    """The default configuration with some keys of some sections replaced: config_with(incident={"open_s": 60})."""
    config = deepcopy(DEFAULT_CONFIG)
    for section, values in sections.items():
        config.setdefault(section, {}).update(values)
    return config
