"""A column for the tests of its heap, over mutual TLS, with all that provisioning gives one: each key takes heap."""

import json
from typing import Any

from cli_probe import run_sim

from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto

DEVICE = "memory-01"
PROVISIONED = {"auth_key": "5a" * 32, "answer_key": "a5" * 32, "mqtt_user": DEVICE, "mqtt_password": "q" * 24}
QUICK: dict[str, dict[str, Any]] = {
    "telemetry": {"heartbeat_s": 1},
    "incident": {"repeat_s": 1, "repeat_max_s": 2},
    "watchdog": {"healthy_s": 1, "timeout_s": 8},
}


def configuration(authority: Authority, broker: Mosquitto) -> dict[str, Any]:
    identity = authority.client(DEVICE)
    files = ["--ca", str(identity.ca), "--cert", str(identity.cert), "--key", str(identity.key)]
    address = f"{broker.host}:{broker.port}"
    made = run_sim("config", "--device-id", DEVICE, "--region", "nko", "--broker", address, *files)
    assert made.returncode == 0, made.stderr
    document: dict[str, Any] = json.loads(made.stdout)
    document.setdefault("secrets", {}).update(PROVISIONED)
    document["receiver"] = {"name": "nko-102"}
    for section, values in QUICK.items():
        document.setdefault(section, {}).update(values)
    return document
