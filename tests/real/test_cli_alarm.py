"""The whole way through the command line: a press, mosquitto with mutual TLS, the control centre, and back."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_probe import BOOT_TIMEOUT_S, Column, column, run_sim
from column_probe import need

from sim.servers.authority import Authority
from sim.servers.broker import Mosquitto, Tls
from sim.servers.centre import Centre

DEVICE = "cli-alarm-01"
ONLINE_TIMEOUT_S = 20.0
ANSWER_S = 2

pytestmark = pytest.mark.mosquitto


class Site:
    """A broker with mutual TLS, and what a column needs to reach it."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "pki")
        self.broker = Mosquitto(tls=Tls(self.authority))
        self.config = folder / "column.json"
        self.image = str(folder / "flash.img")
        identity = self.authority.client(DEVICE)
        made = run_sim(
            *[
                "config",
                "--device-id",
                DEVICE,
                "--region",
                "nko",
                "--broker",
                f"127.0.0.1:{self.broker.port}",
            ],
            *["--ca", str(identity.ca), "--cert", str(identity.cert), "--key", str(identity.key)],
        )
        assert made.returncode == 0, made.stderr
        document = json.loads(made.stdout)
        document["incident"] = {"answer_s": ANSWER_S}
        self.config.write_text(json.dumps(document))

    def centre(self, auto: str | None = "received") -> Centre:
        return Centre(
            self.broker.host, self.broker.port, auto=auto, tls=self.authority.client("centre"), check_qos=True
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    need("mosquitto")
    site = Site(tmp_path)
    with site.broker:
        yield site


def test_the_lamp_tells_the_truth_all_the_way(site: Site, runtime: str) -> None:
    with (
        site.centre(auto=None) as centre,
        column("--config", str(site.config), "--runtime", runtime) as col,
    ):
        col.seen.wait("lamp", ONLINE_TIMEOUT_S, state="ready")
        col.say("press 120")
        assert states(col, until="sent") == ["calling", "sent"]
        incident = centre.wait_for(lambda ledger: next(iter(ledger.of(DEVICE)), None), 5)
        assert incident.alarm["late"] is False and incident.press == 1
        assert [e for e in col.seen.drain(0.5) if e["event"] == "lamp"] == [], "nobody has answered yet"
        centre.auto = "received"
        assert states(col, until="answered") in (["answered"], ["not-delivered", "answered"])
        centre.accept(incident.id)
        assert states(col, until="help-coming") == ["help-coming"]
        centre.close(incident.id)
        assert states(col, until="ready")[-1] == "ready"
        assert centre.violations == []


def test_an_outage_keeps_the_alarm_and_it_arrives_once(site: Site, runtime: str) -> None:
    with column("--config", str(site.config), "--runtime", runtime) as col:
        col.seen.wait("lamp", ONLINE_TIMEOUT_S, state="ready")
        site.broker.stop()
        col.say("press 120")
        col.seen.wait("lamp", state="calling")
        col.seen.wait("lamp", ANSWER_S + 3, state="not-delivered")
        site.broker.start()
        with site.centre() as centre:
            col.seen.wait("lamp", ONLINE_TIMEOUT_S, state="answered")
            assert [incident.press for incident in centre.ledger().of(DEVICE)] == [1]
            assert centre.violations == []


def test_a_power_cut_between_press_and_delivery_delivers_late(site: Site, runtime: str) -> None:
    with column("--config", str(site.config), "--runtime", runtime, "--flash", site.image) as col:
        col.seen.wait("lamp", ONLINE_TIMEOUT_S, state="ready")
        site.broker.stop()
        col.say("press 120")
        col.seen.wait("relay", closed=True)
        col.say("power off")
        col.seen.wait("lamp", state="dark")
        site.broker.start()
        with site.centre() as centre:
            col.say("power on")
            col.seen.wait("boot", BOOT_TIMEOUT_S)
            incident = centre.wait_for(lambda ledger: next(iter(ledger.of(DEVICE)), None), ONLINE_TIMEOUT_S)
            assert incident.alarm["late"] is True
            time.sleep(1)
            assert len(centre.ledger().of(DEVICE)) == 1 and centre.violations == []


def states(col: Column, until: str) -> list[str]:
    """The lamp's states from now on, up to `until`."""
    found: list[str] = []
    while until not in found:
        found.append(col.seen.wait("lamp", ONLINE_TIMEOUT_S)["state"])
    return found
