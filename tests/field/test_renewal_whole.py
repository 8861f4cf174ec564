"""Another authority for a column in the street, and nobody climbs a ladder: real mosquitto with the files as
provisioning makes them, the firmware on real MicroPython over mutual TLS, `make renew`'s file and
`python -m desk.rollout`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from column_probe import Recorder, need
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from common.ports import free_port
from field import authorities, renewal
from sim.fleet.broker import ProvisionedBroker
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT

PATIENCE_S = 120.0
QUICK = "[common.watchdog]\nhealthy_s = 5\n[common.telemetry]\nheartbeat_s = 1\n"


class City:
    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.port, self.centre_port = free_port(), free_port()
        toml = TOML.replace("8883", f"{self.port}\ncentre_port = {self.centre_port}") + QUICK
        self._table = Tables(folder)(HEADER, GOOD, toml=toml)
        self.provision()

    def provision(self) -> None:
        assert make(self._table, self.out) == 0

    def step(self, what: str) -> None:
        assert authorities.main([what, "--out", str(self.out)]) == 0
        self.provision()
        assert renewal.main(["--out", str(self.out)]) == 0

    def document(self) -> dict[str, Any]:
        folder = self.out / "columns" / "one"
        made: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        made["secrets"] = json.loads((folder / "secrets.json").read_text("utf-8"))
        return made

    def rollout(self, name: str) -> str:
        """What it printed, once it has ended well."""
        centre = self.out / "centre"
        command = [sys.executable, "-m", "desk.rollout", "start", "--folder", str(self.folder / name)]
        command += ["--renewals", str(centre / renewal.FILE), "--broker", f"127.0.0.1:{self.centre_port}"]
        command += ["--user", "centre", "--password-file", str(centre / "centre.password"), "--watch-s", "0"]
        command += ["--ca", str(centre / "ca.pem"), "--cert", str(centre / "centre.pem")]
        command += ["--key", str(centre / "centre.key"), "--column-keys", str(centre / "keys.json")]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.slow
@pytest.mark.mosquitto
@pytest.mark.micropython
def test_another_authority_without_a_ladder(tmp_path: Path) -> None:
    """Red when a column keeps what had no session, or loses what it had."""
    need("micropython")
    need("mosquitto")
    city, seen = City(tmp_path), Recorder()
    with RealColumn(city.document(), runtime="micropython", on_event=seen) as column:
        with ProvisionedBroker(city.out, city.port, city.centre_port):
            column.power_on()
            seen.wait("lamp", state="ready")
        city.step("add")
        with ProvisionedBroker(city.out, city.port, city.centre_port):
            assert "one told" in city.rollout("both")
        city.step("switch")  # the broker shows a certificate of the new one from here on
        with ProvisionedBroker(city.out, city.port, city.centre_port):
            assert "one told" in city.rollout("new")
            assert "told" not in city.rollout("again"), "who has them is passed over"
            events = seen.events + seen.drain(0.5)
    boots = {event["boot"] for event in events if event["event"] == "boot"}
    assert len(boots) == 3, "one restart for each"
