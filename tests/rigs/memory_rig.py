"""A column for the tests of its heap, as provisioning wrote it: each key, name and text takes heap."""

import json
import shutil
from pathlib import Path
from typing import Any

import fleet_rig

from sim.document import SSID
from sim.real.flash_image import PROJECT
from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto

DEVICE = "memory-01"
EXAMPLE = PROJECT / "examples/petropavl"
QUICK: dict[str, dict[str, Any]] = {
    "telemetry": {"heartbeat_s": 1},
    "incident": {"repeat_s": 1, "repeat_max_s": 2},
    "watchdog": {"healthy_s": 1, "timeout_s": 8},
}


def provisioned(folder: Path) -> dict[str, Any]:
    """The document of the example fleet's first column, a WT32-ETH01, which is called `DEVICE` here."""
    folder.mkdir(exist_ok=True)
    header, first = (EXAMPLE / "fleet.csv").read_text("utf-8").splitlines()[:2]
    table = folder / "fleet.csv"
    table.write_text(f"{header}\n{first.replace('petropavl-01', DEVICE)}\n", "utf-8")
    shutil.copy(EXAMPLE / "fleet.toml", folder)
    assert fleet_rig.make(table, folder / "out") == 0
    made = folder / "out/columns" / DEVICE
    document: dict[str, Any] = json.loads((made / "config.json").read_text("utf-8"))
    document["secrets"] = json.loads((made / "secrets.json").read_text("utf-8"))
    return document


def configuration(authority: Authority, broker: Mosquitto) -> dict[str, Any]:
    """That one, with the broker and the authority of this test, and impatient; `link` may be changed to Wi-Fi."""
    document = provisioned(authority.folder / "fleet")
    identity = authority.client(DEVICE)
    document["broker"] |= {"host": broker.host, "port": broker.port}
    document["broker"]["tls"] |= {"ca": identity.ca_pem, "cert": identity.cert_pem}
    document["secrets"] |= {"tls_key": identity.key_pem, "wifi_ssid": SSID}
    document["clock"]["server"] = broker.host  # where nobody tells the time, but the name is found
    for section, values in QUICK.items():
        document.setdefault(section, {}).update(values)
    return document
