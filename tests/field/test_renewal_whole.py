"""The authority's key is stolen, and another authority takes its place, as docs/provisioning.md has it step by step:
real mosquitto with the files as provisioning makes them, columns on real MicroPython over mutual TLS, `make renew`'s
file and `python -m desk.rollout`. Nobody climbs a ladder."""

import contextlib
import datetime
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from column_probe import Recorder, need
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from common.identity import Identity
from common.ports import free_port
from field import authorities, certificates, renewal
from field.telling import EXIT_FAILED
from sim.fleet.broker import ProvisionedBroker
from sim.real.column import RealColumn
from sim.real.flash_image import PROJECT
from sim.servers.centre import Centre

COLUMNS = ("one", "two", "three")[: int(os.environ.get("COLUMNS", "1"))]  # each costs three seconds of a core
HOST = "127.0.0.1"
PATIENCE_S = 120.0
QUICK = "[common.watchdog]\nhealthy_s = 5\n[common.telemetry]\nheartbeat_s = 1\n"
CONNECT, CONNACK, CONNECT_BYTE = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x0a\x00\x05thief", b"\x20\x02\x00\x00", b"\x10"


class City:
    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.port, self.centre_port = free_port(), free_port()
        toml = TOML.replace("8883", f"{self.port}\ncentre_port = {self.centre_port}\nretry_max_s = 2") + QUICK
        self._table = Tables(folder)(HEADER, *(GOOD.replace("one", name) for name in COLUMNS), toml=toml)
        self.provision()

    def provision(self) -> None:
        assert make(self._table, self.out) == 0

    def step(self, what: str, rollout: str = "") -> None:
        """`rollout`: the one before, without whose status no column is known to have what it brought."""
        command = [what, "--out", str(self.out)]
        if rollout:
            assert authorities.main(command) == EXIT_FAILED
            command += ["--rollout", str(self._status(rollout))]
        assert authorities.main(command) == 0
        self.provision()
        assert renewal.main(["--out", str(self.out)]) == 0

    @contextlib.contextmanager
    def broker(self) -> Iterator[None]:
        """Started with the files as they are now."""
        with ProvisionedBroker(self.out, self.port, self.centre_port):
            yield

    @contextlib.contextmanager
    def columns(self) -> Iterator[dict[str, tuple[RealColumn, Recorder]]]:
        with contextlib.ExitStack() as held:
            found = {}
            for name in COLUMNS:
                seen = Recorder()
                column = RealColumn(self._document(name), runtime="micropython", on_event=seen)
                found[name] = held.enter_context(column), seen
            yield found

    def _document(self, name: str) -> dict[str, Any]:
        folder = self.out / "columns" / name
        made: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        made["secrets"] = json.loads((folder / "secrets.json").read_text("utf-8"))
        return made

    def rollout(self, name: str) -> str:
        """What it printed, once it has ended well."""
        centre = self.out / "centre"
        command = [sys.executable, "-m", "desk.rollout", "start", "--folder", str(self.folder / name)]
        command += ["--renewals", str(centre / renewal.FILE), "--broker", f"{HOST}:{self.centre_port}"]
        command += ["--user", "centre", "--password-file", str(centre / "centre.password"), "--watch-s", "0"]
        command += ["--ca", str(centre / "ca.pem"), "--cert", str(centre / "centre.pem")]
        command += ["--key", str(centre / "centre.key"), "--column-keys", str(centre / "keys.json")]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _status(self, name: str) -> Path:
        file = self.folder / f"{name}.json"
        command = [sys.executable, "-m", "desk.rollout", "status", "--json", "--folder", str(self.folder / name)]
        file.write_bytes(subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout)
        return file

    def centre(self) -> Centre:
        """Answers calls, as the desk does."""
        folder = self.out / "centre"
        identity = Identity(folder / "centre.pem", folder / "centre.key", folder / "ca.pem")
        password = (folder / "centre.password").read_text().strip()
        return Centre(HOST, self.centre_port, tls=identity, user="centre", password=password)


class Thief:
    """Has a copy of `ca.key`, and no other secret: what he makes with it."""

    def __init__(self, city: City) -> None:
        self._port, self._folder = city.port, city.folder / "stolen"
        shutil.copytree(city.out / "ca", self._folder)
        pem, key = ((self._folder / f"ca.{kind}").read_bytes() for kind in ("pem", "key"))
        own, end = certificates.new_key(), datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
        signer = certificates.common_name(pem), certificates.load_key(key)
        client = certificates.certificate("thief", own, *signer, end, certificates.CLIENT)
        server = certificates.certificate(HOST, own, *signer, end, certificates.SERVER, (HOST,))
        for name, one in (("client", client), ("server", server)):
            (self._folder / name).write_bytes(one + certificates.key_pem(own))

    def is_in(self) -> bool:
        """Whether the broker takes a column that he made."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self._folder / "client")
        try:
            with (
                socket.create_connection((HOST, self._port), 10) as plain,
                context.wrap_socket(plain) as connection,
            ):
                connection.sendall(CONNECT)
                return connection.recv(4) == CONNACK
        except (ssl.SSLError, ConnectionError):
            return False

    def fools_a_column(self) -> bool:
        """Whether a column that comes to a broker of his, in the place of the true one, tells it who it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / "server")
        with socket.create_server((HOST, self._port), reuse_port=False) as server:
            server.settimeout(PATIENCE_S)
            plain, _ = server.accept()
        plain.settimeout(PATIENCE_S)
        try:
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                return connection.recv(1) == CONNECT_BYTE
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.slow
@pytest.mark.mosquitto
@pytest.mark.micropython
def test_a_stolen_authority_is_replaced_without_a_ladder(tmp_path: Path) -> None:
    """Red when a column keeps what had no session, or loses what it had; when the broker's files go on trusting whom
    `drop` has dropped; and when a renewal does not take an authority away."""
    need("micropython")
    need("mosquitto")
    city = City(tmp_path)
    thief, began_s = Thief(city), time.monotonic()
    with city.columns() as columns:
        with city.broker():
            for column, seen in columns.values():
                column.power_on()
                seen.wait("lamp", state="ready")
            assert thief.is_in(), "else nothing is shown below"
        city.step("add")
        with city.broker():
            assert told(city.rollout("both")) == {*COLUMNS}
        city.step("switch", "both")  # the broker shows a certificate of the new one from here on
        with city.broker():
            assert told(city.rollout("new")) == {*COLUMNS}
            assert thief.is_in()
        assert thief.fools_a_column(), "they trust both"
        city.step("drop", "new")
        with city.broker(), city.centre():
            cut_off_s = time.monotonic() - began_s
            assert not thief.is_in(), "from here on"
            assert told(city.rollout("dropped")) == {*COLUMNS}
            took_s = time.monotonic() - began_s
            assert told(city.rollout("again")) == set(), "who has them is passed over"
            for column, seen in columns.values():
                column.press(80)
                seen.wait("lamp", state="answered")
        assert not thief.fools_a_column()
        boots = [boots_of(seen) for _, seen in columns.values()]
    print(f"the thief was out after {cut_off_s:.0f} s, his broker after {took_s:.0f} s")
    assert boots == [4] * len(COLUMNS), "one restart for each step"


def told(printed: str) -> set[str]:
    return {name for name in COLUMNS if f"{name} told" in printed}


def boots_of(seen: Recorder) -> int:
    return len({event["boot"] for event in seen.events + seen.drain(0.5) if event["event"] == "boot"})
