"""A simulated column's configuration document. Everybody who needs one makes it here."""

from copy import deepcopy
from typing import Any

from common.identity import Identity

REGION = "nko"
SSID = "sos-columns"
# A WT32-ETH01's (docs/wiring.md): Ethernet of an ESP32 without SPI.
RMII = {"type": "ethernet", "phy": "PHY_LAN8720", "phy_addr": 1, "mdc": 23, "mdio": 18, "power": 16, "ref_clk": 0}
LOCATION = {
    "geo": "geo:54.8753,69.1628;u=5",
    "address": "Петропавл, Конституция көшесі 1",
    "site": "public",
    "height_m": 1.0,
}


def document(
    device_id: str,
    host: str,
    port: int,
    tls: Identity | None = None,
    *,
    server_name: str | None = None,
    **sections: Any,
) -> dict[str, Any]:
    """For the broker at `host`:`port`, over mutual TLS with `tls`, else plain TCP.

    `sections` change it: document(..., incident={"open_s": 60}, location={"site": "school"}). What is not said has the
    firmware's defaults.
    """
    made: dict[str, Any] = {
        "v": 1,
        "device_id": device_id,
        "region": REGION,
        "location": dict(LOCATION),
        "stream": {"rtsp": f"rtsp://cameras.example/{device_id}"},
        "broker": {"host": host, "port": port, "tls": None, "insecure": tls is None},
        "link": {"type": "wifi"},
        "secrets": {"wifi_ssid": SSID},
    }
    if tls is not None:
        made["broker"]["tls"] = {"ca": tls.ca_pem, "cert": tls.cert_pem, "server_name": server_name}
        made["secrets"]["tls_key"] = tls.key_pem
    return changed(made, **sections)


def changed(made: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A copy with some keys of some sections replaced; a section that is no object is replaced whole."""
    made = deepcopy(made)
    for section, values in sections.items():
        if isinstance(values, dict) and isinstance(made.get(section, {}), dict):
            made.setdefault(section, {}).update(values)
        else:
            made[section] = values
    return made
