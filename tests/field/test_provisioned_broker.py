"""The broker's files as provisioning writes them, started as documentation says: by root and by their owner, on
mosquitto 2.0 and 2.1; and what a thief, who holds one column's flash, can do there."""

import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import shown
from column_probe import need
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from common.mqtt import end
from common.ports import free_port
from field import access, keeping, provision, revocation
from sim.fleet.broker import broker_user, give_to_broker
from tools import toolbox

HEADER = "device_id,region,address,lat,lon,uncertainty_m,site,height_m,stream,link,pins"
ROW = "{},nko,Somewhere 1,54.8753,69.1628,5,public,1.0,rtsp://cameras.example/one,wifi,esp32"
PATIENCE_S = 10.0
SHORT_S = 1.0
IS_ROOT = os.geteuid() == 0
VERSIONS = ["mosquitto", "mosquitto-newest"]
ALARM, RETAINED_MB, MB = "sos/v1/nko/{}/alarm", 10, 1 << 20

pytestmark = pytest.mark.mosquitto


class Fleet:
    """Two columns, provisioned, and their broker's ports."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.port, self.centre_port = free_port(), free_port()
        self.table = folder / "fleet.csv"
        self.write("one", "two")
        self.make()

    def write(self, *names: str) -> None:
        ports = f"port = {self.port}\ncentre_port = {self.centre_port}\n"
        wifi = '[wifi]\nssid = "sos"\nopen = true\n'
        (self.folder / "fleet.toml").write_text(f'[broker]\nhost = "127.0.0.1"\n{ports}{wifi}')
        self.table.write_text("\n".join([HEADER, *map(ROW.format, names), ""]))

    def make(self) -> None:
        assert provision.main([str(self.table), "--out", str(self.out)]) == 0

    @property
    def broker(self) -> Path:
        return self.out / "broker"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def documented() -> list[list[str]]:
    """The page's lines. On a machine without mosquitto's user, whom it becomes there instead."""
    gives, *rest = map(shlex.split, shown.block("provisioning.md", "chown ").splitlines())
    return [[word.replace(access.BROKER_USER, broker_user().pw_name) for word in gives], *rest]


@contextmanager
def started(fleet: Fleet, by_root: bool = False, version: str = "mosquitto") -> Iterator[subprocess.Popen[bytes]]:
    """By the very lines of docs/provisioning.md, where provisioning's OUT is."""
    need(version)
    gives, goes, (program, *words) = documented()
    folder = fleet.out / goes[1]
    command = [*toolbox.require({"mosquitto": version}[program]), *words]
    if IS_ROOT:
        subprocess.run(gives, cwd=fleet.out, check=True)
    if IS_ROOT and not by_root:
        owner = fleet.broker.stat()
        command = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", *command]
    log_file = fleet.folder / "mosquitto.log"
    with (
        log_file.open("ab") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            deadline_s = time.monotonic() + PATIENCE_S
            while not all(answers(port) for port in (fleet.port, fleet.centre_port)):
                assert process.poll() is None and time.monotonic() < deadline_s, log_file.read_text()
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Party:
    """A client with the certificate of one provisioned party, and whatever else it says of itself."""

    def __init__(
        self,
        fleet: Fleet,
        name: str,
        *,
        port: int | None = None,
        client_id: str | None = None,
        user: str | None = None,
        password: str | None = None,
        certificate: str | None = None,
        keeps: bool = False,
    ) -> None:
        self.heard: list[str] = []
        self.outcome: Any = None
        self.lost = 0
        file = identity(fleet, certificate or name)
        is_centre = name == access.CENTRE
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id or name, clean_session=not keeps)
        self.client.tls_set(str(fleet.out / "ca/ca.pem"), f"{file}.pem", f"{file}.key")
        self.client.username_pw_set(user or name, password or secret(fleet, name))
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_message = lambda _client, _data, message: self.heard.append(message.topic)
        self.client.max_queued_messages_set(0)
        self.client.reconnect_delay_set(60, 60)
        self.client.connect("127.0.0.1", port or (fleet.centre_port if is_centre else fleet.port))
        self.client.loop_start()
        wait_for(lambda: self.outcome is not None or self.lost > 0)

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.outcome = reason

    def _disconnected(self, *_: Any) -> None:
        self.lost += 1

    @property
    def is_in(self) -> bool:
        return self.outcome is not None and not self.outcome.is_failure

    def subscribe(self, topic: str) -> None:
        done: list[Any] = []
        self.client.on_subscribe = lambda *_arguments: done.append(1)
        self.client.subscribe(topic, 1)
        wait_for(lambda: bool(done))

    def publish(self, topic: str, payload: bytes = b"{}") -> None:
        self.client.publish(topic, payload, 1).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        end(self.client)


def identity(fleet: Fleet, name: str) -> Path:
    return fleet.out / ("centre" if name == access.CENTRE else f"columns/{name}") / name


def secret(fleet: Fleet, name: str) -> str:
    folder = identity(fleet, name).parent
    if name == access.CENTRE:
        return str(json.loads((folder / "centre.json").read_text())["password"])
    return str(json.loads((folder / "secrets.json").read_text())["mqtt_password"])


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def join(fleet: Fleet) -> Iterator[Callable[..., Party]]:
    with ExitStack() as stack:

        def made(name: str, **options: Any) -> Party:
            party = Party(fleet, name, **options)
            stack.callback(party.close)
            return party

        yield made


def delivers(join: Callable[..., Party]) -> None:
    centre, one = join(access.CENTRE), join("one")
    centre.subscribe("sos/v1/+/+/#")
    one.publish(ALARM.format("one"))
    wait_for(lambda: ALARM.format("one") in centre.heard)


# -- it starts, as it is


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("by_root", [False, True], ids=["by its owner", "by root"])
def test_it_starts_as_documented_and_carries_an_alarm(
    fleet: Fleet, join: Callable[..., Party], version: str, by_root: bool
) -> None:
    """Red with another user, folder or file on the page; where no root runs this, the user's name is held against the
    one to whom provisioning gives the folder."""
    assert shown.block("provisioning.md", "chown ").startswith(f"chown -R {access.BROKER_USER}: ")
    if by_root and not IS_ROOT:
        pytest.skip("!!! NOT TESTED: only root can start the broker as root")
    before = {path.name: path.read_bytes() for path in fleet.broker.iterdir()}
    with started(fleet, by_root, version):
        delivers(join)
    after = {path.name: path.read_bytes() for path in fleet.broker.iterdir()}
    after.pop("mosquitto.db", None)  # its memory
    assert after == before, "and nothing had to be changed for that"


@pytest.mark.skipif(not IS_ROOT, reason="!!! NOT TESTED: only root can start the broker as root")
def test_files_that_stay_roots_are_noticed(fleet: Fleet) -> None:
    """Negative control: what root starts becomes another user, who cannot read them."""
    for path in (fleet.broker, *fleet.broker.iterdir()):  # given away already where there is such a user
        os.chown(path, 0, 0)
    command = [*toolbox.require("mosquitto"), "-c", "mosquitto.conf"]
    done = subprocess.run(command, cwd=fleet.broker, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode and "Unable to open pwfile" in done.stderr + done.stdout


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_run_and_a_sighup_change_nothing_for_those_who_are_in(
    fleet: Fleet, join: Callable[..., Party], version: str
) -> None:
    with started(fleet, version=version) as process:
        delivers(join)
        fleet.write("one", "two", "three")
        fleet.make()
        process.send_signal(signal.SIGHUP)
        three = join("three")
        three.subscribe("sos/v1/nko/three/cmd")
        join(access.CENTRE, client_id="second").publish("sos/v1/nko/three/cmd")
        wait_for(lambda: bool(three.heard))


# -- a run again keeps owner, group and mode


def owners(fleet: Fleet) -> dict[str, tuple[int, int, int]]:
    found = {path.name: path.stat() for path in (fleet.broker, *fleet.broker.iterdir())}
    return {name: (one.st_uid, one.st_gid, one.st_mode & 0o7777) for name, one in found.items()}


@pytest.mark.skipif(not IS_ROOT, reason="!!! NOT TESTED: only root can give files away")
def test_root_writes_into_the_brokers_folder_what_stays_the_brokers(fleet: Fleet) -> None:
    give_to_broker(fleet.broker)
    (fleet.broker / "acl").chmod(0o640)
    fleet.broker.chmod(0o750)
    before = owners(fleet)
    (fleet.broker / "mosquitto.conf").unlink()
    fleet.write("one")
    fleet.make()
    uid, gid, _ = before["broker"]
    assert owners(fleet) == before | {"mosquitto.conf": (uid, gid, 0o644)} and uid


@pytest.mark.skipif(not IS_ROOT, reason="!!! NOT TESTED: only root can give files away")
def test_root_gives_a_new_folder_to_the_user_of_the_broker(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(access, "BROKER_USER", "nobody")
    shutil.rmtree(fleet.out)
    fleet.make()
    assert {one[:2] for one in owners(fleet).values()} == {(nobody.pw_uid, nobody.pw_gid)}
    monkeypatch.setattr(access, "BROKER_USER", "no-such-user")
    shutil.rmtree(fleet.out)
    capsys.readouterr()
    fleet.make()
    assert f"chown -R no-such-user: {fleet.broker}" in capsys.readouterr().out
    monkeypatch.setattr(access, "BROKER_USER", "nobody")  # installed meanwhile; red where this is not told
    fleet.make()
    assert f"chown -R nobody: {fleet.broker}" in capsys.readouterr().out


@pytest.mark.skipif(not IS_ROOT, reason="!!! NOT TESTED: only root can give files away")
def test_who_may_not_keep_the_owner_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    file = tmp_path / "acl"
    file.write_text("old")
    nobody = pwd.getpwnam("nobody")
    os.chown(file, nobody.pw_uid, nobody.pw_gid)
    monkeypatch.setattr("os.chown", refuse)
    with pytest.raises(
        keeping.KeepError,
        match=f"acl: what is there belongs to user {nobody.pw_uid}, .* run this as that user, or as root",
    ):
        keeping.write(file, "new", is_secret=True)
    assert file.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["acl"]


# -- who may do what


@pytest.mark.parametrize("version", VERSIONS)
def test_it_confines_each_column_to_its_own_prefix(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """Red when the access list gives a column more: `topic write sos/v1/#` lets the foreign alarm through."""
    with started(fleet, version=version):
        centre, one, two = join(access.CENTRE), join("one"), join("two")
        centre.subscribe("sos/v1/+/+/#")
        one.subscribe("sos/v1/nko/one/cmd")
        one.subscribe("sos/v1/nko/two/cmd")
        for topic in ("sos/v1/nko/two/alarm", "sos/v1/nko/one/ack", "sos/v1/nko/one/cmd", "other"):
            one.publish(topic)
        kinds = ["alarm", "state", "info", "heartbeat", "fault/clock", "event", "result"]
        for kind in kinds:
            one.publish(f"sos/v1/nko/one/{kind}")
        two.publish("sos/v1/nko/two/alarm")
        wait_for(lambda: "sos/v1/nko/two/alarm" in centre.heard)
        assert [topic.removeprefix("sos/v1/nko/one/") for topic in centre.heard if "/one/" in topic] == kinds
        assert centre.heard.count("sos/v1/nko/two/alarm") == 1
        centre.publish("sos/v1/nko/two/cmd")
        centre.publish("sos/v1/nko/one/cmd")
        wait_for(lambda: bool(one.heard))
        assert one.heard == ["sos/v1/nko/one/cmd"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_thief_takes_nobodys_session_and_speaks_in_nobodys_name(
    fleet: Fleet, join: Callable[..., Party], version: str
) -> None:
    """He has the certificate, key and password of `two`, and says that he is `one`, or the centre."""
    with started(fleet, version=version):
        centre, victim = join(access.CENTRE), join("one")
        centre.subscribe("sos/v1/+/+/#")
        for lie in ({"client_id": "one"}, {"client_id": "one", "user": "one"}, {"user": access.CENTRE},
                    {"client_id": access.CENTRE, "user": access.CENTRE}):  # fmt: skip
            thief = join("two", **lie)
            thief.publish(ALARM.format("one"))
            thief.publish("sos/v1/nko/one/ack")
        at_the_centres = join("two", port=fleet.centre_port, client_id="one")
        assert not at_the_centres.is_in
        assert not join("two", port=fleet.centre_port, user=access.CENTRE, client_id=access.CENTRE).is_in
        victim.publish(ALARM.format("one"))
        wait_for(lambda: bool(centre.heard))
        assert centre.heard == [ALARM.format("one")] and victim.lost == 0 and centre.lost == 0


def test_without_the_binding_the_victim_is_thrown_out(fleet: Fleet, join: Callable[..., Party]) -> None:
    """Negative control."""
    settings = fleet.broker / "mosquitto.conf"
    settings.write_text(settings.read_text().replace("use_username_as_clientid true\n", ""))
    with started(fleet):
        victim = join("one")
        join("two", client_id="one")
        wait_for(lambda: victim.lost > 0)


def test_the_centre_needs_its_password_and_may_have_several_sessions(fleet: Fleet, join: Callable[..., Party]) -> None:
    with started(fleet):
        assert not join(access.CENTRE, password="wrong").is_in
        first, second = join(access.CENTRE, client_id="desk-1"), join(access.CENTRE, client_id="desk-2")
        second.subscribe("sos/v1/+/+/#")
        first.publish("sos/v1/nko/one/cmd")
        wait_for(lambda: bool(second.heard))
        assert first.lost == 0


# -- what it takes


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


@pytest.mark.parametrize("version", VERSIONS)
def test_large_retained_messages_are_refused(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """S4: thirty of 10 MB took the broker to 440 MB."""
    with started(fleet, version=version) as process:
        before_mb = resident_mb(process)
        for number in range(30):
            with tls(fleet, "two") as stream:
                body = f"sos/v1/nko/two/fault/f{number}".encode()
                size = 2 + len(body) + RETAINED_MB * MB
                try:
                    stream.sendall(b"\x31" + length(size) + struct.pack("!H", len(body)) + body)
                    for _ in range(RETAINED_MB):
                        stream.sendall(bytes(MB))
                except OSError:
                    pass  # it hangs up
        assert resident_mb(process) - before_mb < 2 * RETAINED_MB
        delivers(join)


@pytest.mark.parametrize("version", VERSIONS)
def test_one_certificate_is_one_session(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """S4: 200 sessions of one identity."""
    with started(fleet, version=version), ExitStack() as stack:
        streams = [stack.enter_context(tls(fleet, "two", f"id-{number}")) for number in range(60)]
        time.sleep(SHORT_S)
        alive = 0
        for stream in streams:
            stream.settimeout(SHORT_S / 10)
            try:
                stream.sendall(b"\xc0\x00")
                alive += stream.recv(2) == b"\xd0\x00"
            except OSError:
                continue
        assert alive == 1
        delivers(join)


def with_limits(fleet: Fleet, **limits: int) -> None:
    """Small ones in the place of the first line of each, where its own take too long to fill."""
    settings = fleet.broker / "mosquitto.conf"
    text = settings.read_text()
    for name, value in limits.items():
        text, found = re.subn(rf"(?m)^{name} \d+$", f"{name} {value}", text, count=1)
        assert found, f"no {name}"
    settings.write_text(text)


def has_room_for(port: int, connections: int) -> None:
    """So many more, that say nothing, and no further one."""
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(connections + 3)]
        wait_for(lambda: all(map(is_closed, idle[connections:])))
        assert not any(map(is_closed, idle[:connections]))


def is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("version", VERSIONS)
def test_connections_are_bounded(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """The control centre's by its file's own number. Red without either `max_connections`."""
    with_limits(fleet, max_connections=5)
    with started(fleet, version=version):
        parties = join("one"), join(access.CENTRE)
        has_room_for(fleet.port, 5 - 1)
        has_room_for(fleet.centre_port, access.CENTRE_CONNECTIONS - 1)
        for party in parties:
            assert party.is_in and not party.lost
            party.close()


def waiting(fleet: Fleet, join: Callable[..., Party], size: int) -> int:
    """How many of nine messages the broker keeps while the centre is away."""
    one, centre = join("one"), join(access.CENTRE, keeps=True)
    centre.subscribe("sos/v1/+/+/#")
    centre.close()
    wait_for(lambda: not is_connected(fleet, access.CENTRE))
    for _ in range(9):
        one.publish(ALARM.format("one"), bytes(size))
    centre = join(access.CENTRE, keeps=True)
    one.publish("sos/v1/nko/one/event")
    wait_for(lambda: "sos/v1/nko/one/event" in centre.heard)
    for party in (one, centre):
        party.close()
    return centre.heard.count(ALARM.format("one"))


def is_connected(fleet: Fleet, name: str) -> bool:
    """By the broker's log."""
    said = [line for line in (fleet.folder / "mosquitto.log").read_text().splitlines() if f" {name} " in line]
    return "disconnected" not in said[-1]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_waits_for_a_desk_that_is_away_is_bounded(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """By number, and by bytes. Red without `max_queued_messages` (mosquitto's own are 1,000), or `max_queued_bytes`."""
    with_limits(fleet, max_queued_messages=5, max_queued_bytes=20_000)
    with started(fleet, version=version):
        assert waiting(fleet, join, 2) == 5
        assert waiting(fleet, join, 9_000) == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_its_memory_is_bounded(fleet: Fleet, join: Callable[..., Party], version: str) -> None:
    """Who fills it is thrown out. Red without `memory_limit`."""
    with_limits(fleet, memory_limit=2 * MB)
    with started(fleet, version=version):
        thief, centre = join("two"), join(access.CENTRE)
        for number in range(2 * MB // access.PACKET_MAX_BYTES * 2):
            thief.client.publish(f"sos/v1/nko/two/fault/f{number}", bytes(access.PACKET_MAX_BYTES - 100), retain=True)
        wait_for(lambda: thief.lost > 0)
        assert centre.lost == 0 and "out of memory" in (fleet.folder / "mosquitto.log").read_text()
        thief.close()
        centre.close()


def test_what_is_retained_survives_the_broker(fleet: Fleet, join: Callable[..., Party]) -> None:
    with started(fleet) as process:
        one = join("one")
        one.client.publish("sos/v1/nko/one/state", b"{}", 1, retain=True).wait_for_publish(PATIENCE_S)
        process.terminate()
        process.wait(PATIENCE_S)
    with started(fleet):
        centre = join(access.CENTRE, client_id="later")
        centre.subscribe("sos/v1/+/+/#")
        wait_for(lambda: centre.heard == ["sos/v1/nko/one/state"])


@contextmanager
def tls(fleet: Fleet, name: str, client_id: str = "x") -> Iterator[ssl.SSLSocket]:
    """Connected, and told CONNACK 0."""
    context = ssl.create_default_context(cafile=str(fleet.out / "ca/ca.pem"))
    context.check_hostname = False
    file = identity(fleet, name)
    context.load_cert_chain(f"{file}.pem", f"{file}.key")
    with (
        socket.create_connection(("127.0.0.1", fleet.port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
    ):
        ident = client_id.encode()
        body = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack("!H", len(ident)) + ident
        stream.sendall(bytes([0x10, len(body)]) + body)
        assert stream.recv(4) == b"\x20\x02\x00\x00"
        yield stream


def length(size: int) -> bytes:
    made = bytearray()
    while True:
        size, digit = divmod(size, 128)
        made.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(made)


def test_mosquitto_cuts_a_stolen_column_off(tmp_path: Path) -> None:
    """A live session of the thief: after the SIGHUP it speaks and hears no more; after the restart it does not get in.
    The others stay. Red without the access list's change, or without `crlfile`."""
    fleet = Fleet(tmp_path)
    stolen = tmp_path / "thief"
    shutil.copytree(fleet.out, stolen)  # what he holds
    with started(fleet) as broker:
        thief, other, centre = (Party(fleet, name) for name in ("one", "two", access.CENTRE))
        centre.subscribe("sos/v1/+/+/#")
        thief.publish("sos/v1/nko/one/event")
        wait_for(lambda: "sos/v1/nko/one/event" in centre.heard)
        assert revocation.main(["one", "--out", str(fleet.out)]) == 0
        broker.send_signal(signal.SIGHUP)
        other.publish("sos/v1/nko/two/event")
        wait_for(lambda: "sos/v1/nko/two/event" in centre.heard)
        thief.client.publish("sos/v1/nko/one/alarm", b"{}", 1)
        other.publish("sos/v1/nko/two/alarm")
        wait_for(lambda: "sos/v1/nko/two/alarm" in centre.heard)
        assert "sos/v1/nko/one/alarm" not in centre.heard
        for party in (thief, other, centre):
            party.close()
    with started(fleet):
        other, centre = Party(fleet, "two"), Party(fleet, access.CENTRE)
        assert other.is_in and centre.is_in
        shutil.copytree(stolen / "columns/one", fleet.out / "columns/one")
        thief = Party(fleet, "one")
        assert not thief.is_in and thief.lost
        for party in (thief, other, centre):
            party.close()
        shutil.rmtree(fleet.out / "columns/one")
    fleet.make()  # the row is in the table still: a new board
    with started(fleet):
        thief, replacement = Party(fleet, "two"), Party(fleet, "one")
        assert replacement.is_in
        replacement.close()
        thief.close()
