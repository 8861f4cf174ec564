"""Another authority takes the place of the one that is there: at a real mosquitto from the files as they are made, with
a column on real MicroPython, and nobody is left out in between."""

import datetime
import hashlib
import json
import os
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from column_probe import Recorder, need
from fleet_rig import GOOD, HEADER, TOML, Tables, make, snapshot
from whole_rig import succeeds

from common.ports import free_port
from field import authorities, certificates, flashed, reached, renewal, revocation
from field.authorities import Authorities
from field.keeping import KeepError, write
from field.telling import EXIT_FAILED
from sim.fleet.broker import ProvisionedBroker
from sim.real.column import RealColumn

CONNECT = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x0a\x00\x03one"
CONNACK = b"\x20\x02\x00\x00"


class Identity(NamedTuple):
    """Of the column, as it was at some time."""

    ca: bytes
    cert: bytes
    key: bytes
    document: dict[str, Any]


class Fleet:
    def __init__(self, folder: Path) -> None:
        self.folder, self.out, self.port = folder, folder / "out", free_port()
        toml = TOML.replace("8883", f"{self.port}\ncentre_port = {free_port()}")
        self._table = Tables(folder)(HEADER, GOOD, GOOD.replace("one", "two"), toml=toml)
        self.provision()

    def provision(self) -> Identity:
        assert make(self._table, self.out) == 0
        column = self.out / "columns" / "one"
        document = json.loads((column / "config.json").read_text("utf-8"))
        document["secrets"] = json.loads((column / "secrets.json").read_text("utf-8"))
        tls = document["broker"]["tls"]
        return Identity(tls["ca"].encode(), tls["cert"].encode(), (column / "one.key").read_bytes(), document)

    def step(self, what: str, *more: str) -> Identity:
        """And every column is flashed, as far as the log says."""
        assert authorities.main([what, "--out", str(self.out), *more]) == 0
        made = self.provision()
        self.flashed("one", "two")
        return made

    def flashed(self, *names: str, after_s: float = 1.0, result: str = flashed.OK) -> None:
        """So long after its configuration was written."""
        for name in names:
            written_s = self._config(name).stat().st_mtime
            at = datetime.datetime.fromtimestamp(written_s + after_s, datetime.UTC).isoformat(timespec="seconds")
            entry = flashed.Entry(at, f"board of {name}", name, "1.0.0", "/dev/x", result)
            flashed.note(self.out / reached.LOG, entry)

    def an_hour_later(self) -> None:
        """It was provisioned so long after everything else."""
        for name in ("one", "two"):
            written_s = self._config(name).stat().st_mtime + 3600
            os.utime(self._config(name), (written_s, written_s))

    def _config(self, name: str) -> Path:
        return self.out / "columns" / name / "config.json"

    def rolled_out(self, states: dict[str, str]) -> Path:
        """What `desk.rollout status --json` says of the rollout of `make renew`'s file."""
        assert renewal.main(["--out", str(self.out)]) == 0
        digest = hashlib.sha256((self.out / "centre" / renewal.FILE).read_bytes()).hexdigest()
        columns = {name: {"state": state, "why": ""} for name, state in states.items()}
        (self.folder / "status.json").write_text(json.dumps({"release": digest, "columns": columns}))
        return self.folder / "status.json"

    def is_in(self, who: Identity) -> bool:
        """Does a session begin with that identity?"""
        for name in ("ca", "cert", "key"):
            (self.folder / name).write_bytes(getattr(who, name))
        try:
            context = ssl.create_default_context(cafile=str(self.folder / "ca"))
            context.load_cert_chain(self.folder / "cert", self.folder / "key")
            with (
                socket.create_connection(("127.0.0.1", self.port), 10) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(CONNECT)
                return connection.recv(4) == CONNACK
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def is_ready(who: Identity) -> None:
    """The firmware on real MicroPython gets its session."""
    seen = Recorder()
    with RealColumn(who.document, runtime="micropython", on_event=seen) as column:
        column.power_on()
        seen.wait("lamp", state="ready")


@pytest.mark.mosquitto
@pytest.mark.micropython
def test_nobody_is_left_out_in_between(fleet: Fleet) -> None:
    """Red when a column loads the first authority alone (hal/esp32_start.py), and when the broker has a list of revoked
    certificates of one authority only: mosquitto lets nobody of the other in then."""
    need("micropython")
    need("mosquitto")
    first = fleet.provision()
    both = fleet.step("add")
    assert both.cert == first.cert and both.ca.startswith(first.ca) and both.ca.count(b"BEGIN") == 2
    with ProvisionedBroker(fleet.out, port=fleet.port):
        assert [fleet.is_in(who) for who in (first, both)] == [True, True]
    switched = fleet.step("switch")
    assert switched.cert != first.cert and switched.key == first.key
    with ProvisionedBroker(fleet.out, port=fleet.port):
        # "Not before every column trusts both": this is why.
        assert [fleet.is_in(who) for who in (first, both, switched)] == [False, True, True]
        is_ready(both)  # an old certificate, and the broker's is of the authority that stands second in its file
    dropped = fleet.step("drop")
    assert dropped.ca.count(b"BEGIN") == 1 and dropped.cert == switched.cert
    with ProvisionedBroker(fleet.out, port=fleet.port):
        assert [fleet.is_in(who) for who in (both, switched, dropped)] == [False, True, True]
        is_ready(dropped)


@pytest.mark.mosquitto
def test_who_was_revoked_stays_out_whoever_signs(fleet: Fleet) -> None:
    need("mosquitto")
    before = fleet.step("add")
    stolen = fleet.step("switch")
    succeeds("revoke", DEVICE="one", OUT=fleet.out)
    fresh = fleet.provision()
    pems = [one.pem for one in Authorities(fleet.out).read()]
    lists = certificates.lists((fleet.out / "broker" / revocation.LIST).read_bytes())
    numbers = {certificates.serial(one.cert) for one in (before, stolen)}
    assert [certificates.revokes(one, pem) for one, pem in zip(lists, pems, strict=True)] == [numbers, numbers]
    with ProvisionedBroker(fleet.out, port=fleet.port):
        assert [fleet.is_in(who) for who in (before, stolen, fresh)] == [False, False, True]


def test_no_step_out_of_turn_and_no_step_half(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the last authority may be dropped, or one whose certificates are in use."""

    def refused(what: str, why: str, *more: str) -> None:
        before = snapshot(fleet.out)
        assert authorities.main([what, "--out", str(fleet.out), *more]) == EXIT_FAILED
        assert why in capsys.readouterr().err and snapshot(fleet.out) == before

    refused("switch", "one authority only")
    refused("drop", "one authority only")
    refused("add", "has the name", "--name", authorities.NAME)
    assert "offline" in succeeds("authority", DO="add", OUT=fleet.out)
    refused("add", "two already")
    refused("switch", "one is to trust both first: make provision")
    fleet.provision()
    fleet.flashed("one", "two")
    assert authorities.main(["switch", "--out", str(fleet.out)]) == 0
    refused("drop", "make provision first")  # nobody has a certificate of the new one yet
    fleet.provision()
    fleet.step("drop")
    assert list(Authorities(fleet.out).stems) == ["ca-2"]
    fleet.step("add")
    assert list(Authorities(fleet.out).stems) == ["ca-2", "ca-3"]


def test_no_column_is_left_behind_unawares(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """`DO=drop` right behind `DO=switch` left columns without a session for good. Red when a step believes that what
    was made was also brought there: without the look at the log of flashes, at the rollout, at how old each is."""

    def refused(what: str, why: str, *more: str) -> None:
        before = snapshot(fleet.out)
        assert authorities.main([what, "--out", str(fleet.out), *more]) == EXIT_FAILED
        assert why in capsys.readouterr().err and snapshot(fleet.out) == before

    assert authorities.main(["add", "--out", str(fleet.out)]) == 0
    fleet.provision()
    fleet.flashed("one", "two", after_s=-60)  # with what was there before
    refused("switch", "2 of 2 columns are not known to have what make provision made last (one, two)")
    fleet.flashed("one", "two")
    fleet.flashed("two", result="it does not answer")
    assert authorities.main(["switch", "--out", str(fleet.out)]) == 0, "a good flash counts until a newer good one"
    old = fleet.rolled_out({"one": "kept", "two": "kept"})  # before provision: certificates of the old authority
    fleet.provision()
    fleet.an_hour_later()
    refused("drop", "2 of 2 columns are not known")
    refused("drop", "2 of 2 columns are not known", "--rollout", str(old))
    status = fleet.rolled_out({"one": "kept", "two": "returned", "stranger": "kept"})
    refused(
        "drop", "1 of 2 columns are not known to have what make provision made last (two)", "--rollout", str(status)
    )
    refused("drop", "FORCE=1")
    fleet.flashed("two")
    assert authorities.main(["drop", "--out", str(fleet.out), "--rollout", str(status)]) == 0


def test_a_status_that_is_none_is_no_proof(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the status of another rollout, or a text in its place, counts."""
    assert authorities.main(["add", "--out", str(fleet.out)]) == 0
    fleet.provision()
    status = fleet.rolled_out({"one": "kept", "two": "kept"})
    for text, why in (("[]", "not what"), ("kept", "not what"), ('{"release": "0", "columns": {}}', "another rollout")):
        status.write_text(text)
        assert authorities.main(["switch", "--out", str(fleet.out), "--rollout", str(status)]) == EXIT_FAILED
        assert why in capsys.readouterr().err
    assert authorities.main(["switch", "--out", str(fleet.out), "--force"]) == 0, "who knows better may"
    assert authorities.main(["switch", "--out", str(fleet.out)]) == 0, "back again leaves nobody out"


def test_a_name_in_the_table_is_the_first_authoritys(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when provisioning says at every run that the second one keeps its name."""
    table = Tables(fleet.folder)(HEADER, GOOD, toml=f'{TOML}[authority]\nname = "Ours"\n')
    for step, told in (("", True), ("add", True), ("switch", False)):
        assert not step or authorities.main([step, "--force", "--out", str(fleet.out)]) == 0
        capsys.readouterr()
        assert make(table, fleet.out) == 0
        assert ("keeps its name" in capsys.readouterr().out) == told, step


def test_a_second_authority_that_nobody_wants_is_dropped_again(fleet: Fleet) -> None:
    before = fleet.provision()
    fleet.step("add", "--name", "Another")
    assert fleet.step("drop") == before


def test_a_list_that_was_put_back_trusts_nobody_again(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    """authorities.json of before the drop, or none: the next run trusted the stolen authority again, or made a new one
    of its key. Red without the certificate that stays behind."""
    fleet.provision()
    file, lists = fleet.out / "ca" / authorities.FILE, []
    for step in ("add", "switch"):
        fleet.step(step)
        lists.append(file.read_text())
    fleet.step("drop")
    newest = file.read_text()
    table = fleet._table
    for older in (*lists, None):
        file.unlink() if older is None else file.write_text(older)
        before = snapshot(fleet.out)
        assert make(table, fleet.out) == EXIT_FAILED and snapshot(fleet.out) == before
        assert "trusts ca again, which was dropped" in capsys.readouterr().err
        write(file, newest, is_secret=True)
    assert make(table, fleet.out) == 0


def test_what_says_who_is_trusted_is_not_guessed(fleet: Fleet) -> None:
    fleet.step("add")
    file = fleet.out / "ca" / authorities.FILE
    for text in ("", "{}", '{"trusted": []}', '{"trusted": ["../elsewhere"]}'):
        file.write_text(text)
        with pytest.raises(KeepError, match="damaged"):
            Authorities(fleet.out)
