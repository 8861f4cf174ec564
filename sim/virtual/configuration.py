"""Who is where in the world's network, and the configuration of a column that stands there."""

from typing import Any

from sim.document import changed, document

BROKER, CAMERA, TIME = "10.0.0.2", "10.0.0.3", "10.0.0.4"
BROKER_NAME, CAMERA_NAME, TIME_NAME = "broker.example", "cameras.example", "time.example"
BROKER_PORT, TIME_PORT = 8883, 123
CAMERA_PORTS = (554, 80, 443, 5060)  # RTSP, HTTP, HTTPS, SIP (over UDP as well)

_PEM = "-----BEGIN {0}-----\nMIIB\n-----END {0}-----\n"

DEFAULT_CONFIG: dict[str, Any] = document(
    "petropavl-01",
    BROKER_NAME,
    BROKER_PORT,
    broker={
        "tls": {"ca": _PEM.format("CERTIFICATE"), "cert": _PEM.format("CERTIFICATE"), "server_name": None},
        "insecure": False,
    },
    clock={"server": TIME_NAME},
    secrets={"tls_key": _PEM.format("PRIVATE KEY")},
)


def config_with(**sections: dict[str, Any]) -> dict[str, Any]:
    """The default configuration with some keys of some sections replaced: config_with(incident={"open_s": 60})."""
    return changed(DEFAULT_CONFIG, **sections)
