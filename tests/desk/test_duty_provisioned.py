"""The desk at a broker that runs from the files that provisioning made: it may prove that it hears, and it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from column_probe import need
from duty_rig import until

from common.identity import Identity
from desk.broker_options import first_line
from desk.duty import Duty
from desk.register import Register
from field import provision
from sim.fleet.broker import ProvisionedBroker

FLEET = Path(__file__).resolve().parents[2] / "examples" / "petropavl" / "fleet.csv"


@pytest.mark.mosquitto
def test_both_lines_carry_the_desks_own_messages(tmp_path: Path) -> None:
    need("mosquitto")
    out = tmp_path / "provisioned"
    assert provision.main([str(FLEET), "--out", str(out)]) == 0
    centre = out / "centre"
    tls = Identity(cert=centre / "centre.pem", key=centre / "centre.key", ca=centre / "ca.pem")
    login = json.loads((centre / "centre.json").read_text())
    password = first_line(centre / "centre.password")
    with (
        ProvisionedBroker(out) as broker,
        Register(tmp_path / "register.sqlite") as register,
        Duty(register, "localhost", broker.centre_port, tls=tls, user=login["user"], password=password) as duty,
    ):
        duty.wait_connected(30)
        until(lambda: duty._calls._proof.ever and duty._telemetry._proof.ever, "what comes back on both lines")
        assert duty.connected and duty.trouble == ""
