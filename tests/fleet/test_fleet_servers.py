"""A fleet's surroundings: what provisioning made, run as it is, and broken part by part."""

import io
import json
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from column_probe import need
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from common.beside import Hold
from common.mqtt import end
from desk.ledger import Ledger
from field import certificates, provision
from sim.fleet import FleetServers, FleetServersError, command, streams
from sim.fleet.streams import Streams, endpoint
from sim.fleet.surroundings import BREAKS
from sim.real.flash_image import PROJECT
from sim.serial_board.wiring import wired_for
from sim.servers.intercom import Intercom, IntercomError
from sim.servers.program import NotStarted
from sim.servers.rtsp import RtspCamera
from sim.servers.stand_ins import StreamServer

FLEET = PROJECT / "examples" / "petropavl" / "fleet.csv"
COLUMN, OTHER = "petropavl-01", "petropavl-02"
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fleet") / "provisioned"
    assert provision.main([str(FLEET), "--out", str(out)]) == 0
    return out


@pytest.fixture
def servers(provisioned: Path, tmp_path: Path) -> Iterator[FleetServers]:
    need("mosquitto")
    with FleetServers(provisioned, tmp_path / "servers") as made:
        yield made


@contextmanager
def party(servers: FleetServers, provisioned: Path, name: str = COLUMN) -> Iterator[Client]:
    """A client with that column's certificate and password."""
    folder = provisioned / "columns" / name
    login = json.loads((folder / "secrets.json").read_text())
    client = Client(CallbackAPIVersion.VERSION2, client_id=name)
    client.tls_set(str(provisioned / "ca" / "ca.pem"), str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    client.username_pw_set(login["mqtt_user"], login["mqtt_password"])
    client.connect("127.0.0.1", servers.broker.port)
    try:
        yield client
    finally:
        client.disconnect()


def accepted(servers: FleetServers, provisioned: Path) -> bool:
    """Does the broker take that column in?"""
    outcome: list[Any] = []
    with party(servers, provisioned) as client:
        client.on_connect = lambda _client, _data, _flags, reason, _properties: outcome.append(reason)
        while not outcome:
            client.loop(0.1)
    return not outcome[0].is_failure


def speaks_for_another(servers: FleetServers, provisioned: Path, mark: str) -> bool:
    """Does the centre hear what this column says in the name of another? What it says next tells when to look."""

    def has_heard(ledger: Ledger, name: str) -> bool:
        return name in ledger.columns and any(event["detail"] == mark for event in ledger.columns[name].events)

    document = json.dumps({"v": 1, "event": "press-in-stall", "at": None, "detail": mark}).encode()
    with party(servers, provisioned) as client:
        client.loop_start()
        for name in (OTHER, COLUMN):
            client.publish(f"sos/v1/nko/{name}/event", document, 1).wait_for_publish(PATIENCE_S)
        servers.centre.wait_for(lambda ledger: has_heard(ledger, COLUMN), PATIENCE_S, "the column's own event")
        end(client)
    return servers.centre.look(lambda ledger: has_heard(ledger, OTHER))


# -- every part


def test_the_table_leads_every_server_of_the_fleet_to_this_machine(servers: FleetServers) -> None:
    places = [line.rsplit(":", 2) for line in servers.table.read_text().splitlines()]
    streams = {"cameras.example:554", "intercom.example:5060", "cameras.example:443"}
    assert {place for place, _, _ in places} == {"broker.example:8883", "time.example:123"} | streams
    assert {host for _, host, _ in places} == {"127.0.0.1"}
    assert len({port for _, _, port in places}) == len(places)


def test_what_provisioning_made_is_not_changed(servers: FleetServers, provisioned: Path) -> None:
    before = {path: path.read_bytes() for path in provisioned.rglob("*") if path.is_file()}
    for what in ("certificate", f"password={COLUMN}", f"access={COLUMN}"):
        servers.break_(what)
    servers.expire(COLUMN)
    assert {path: path.read_bytes() for path in provisioned.rglob("*") if path.is_file()} == before


def test_a_site_that_starts_again_is_found_where_it_was(provisioned: Path, tmp_path: Path) -> None:
    need("mosquitto")
    tables = []
    for _ in range(2):
        with FleetServers(provisioned, tmp_path) as servers:
            tables.append(servers.table.read_text())
    assert tables[0] == tables[1]
    port = int(tables[0].splitlines()[0].rpartition(":")[2])
    with closing(socket.create_server(("127.0.0.1", port))), FleetServers(provisioned, tmp_path) as servers:
        assert servers.broker.port != port


def test_a_wrong_password_and_the_right_one_again(servers: FleetServers, provisioned: Path) -> None:
    assert accepted(servers, provisioned)
    servers.break_(f"password={COLUMN}")
    assert not accepted(servers, provisioned)
    servers.mend(f"password={OTHER}")
    assert not accepted(servers, provisioned)
    servers.mend("password")  # of all columns
    assert accepted(servers, provisioned)
    with pytest.raises(FleetServersError, match="no column is named"):
        servers.break_("password")


def test_a_broker_that_is_gone_stays_gone_whatever_else_is_broken_or_mended(
    servers: FleetServers, provisioned: Path
) -> None:
    """Each other word that restarts or signals it brought it back, without a word of that. Red where one does."""
    servers.break_("broker")
    for change in (servers.break_, servers.mend):
        for what in BREAKS:
            if what != "broker":
                change(what.replace("ID", COLUMN))
                assert not servers.broker.running, what
    servers.break_("certificate")
    servers.mend("broker")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        accepted(servers, provisioned)


def test_the_access_list_is_opened_for_one_column_and_closed_again(servers: FleetServers, provisioned: Path) -> None:
    assert not speaks_for_another(servers, provisioned, "as provisioned")
    servers.break_(f"access={OTHER}")
    assert not speaks_for_another(servers, provisioned, "open for the other")
    servers.break_(f"access={COLUMN}")
    assert speaks_for_another(servers, provisioned, "open")
    servers.mend(f"access={COLUMN}")
    assert not speaks_for_another(servers, provisioned, "closed again")


def test_the_brokers_certificate_has_ended_and_is_else_the_same(servers: FleetServers, provisioned: Path) -> None:
    assert accepted(servers, provisioned)
    servers.break_("certificate")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        accepted(servers, provisioned)
    servers.mend("certificate")
    assert accepted(servers, provisioned)


def test_a_columns_certificate_that_has_ended_is_refused(servers: FleetServers, provisioned: Path) -> None:
    folder = servers.expire(COLUMN)
    chip, made = wired_for(folder)
    assert chip == "esp32" and made["device_id"] == COLUMN
    pem = made["broker"]["tls"]["cert"].encode()
    good = (provisioned / "columns" / COLUMN / f"{COLUMN}.pem").read_bytes()
    assert certificates.expires(pem) < certificates.expires(good)
    assert certificates.common_name(pem) == COLUMN
    assert certificates.issued_by(pem, (provisioned / "ca" / "ca.pem").read_bytes())
    assert certificates.belongs(pem, certificates.load_key(made["secrets"]["tls_key"].encode()))


def test_the_clock_is_silent_and_the_streams_refuse(servers: FleetServers) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(0.5)

        def time_is_told() -> bool:
            asker.sendto(b"\x23" + bytes(47), ("127.0.0.1", servers.clock.port))
            try:
                return len(asker.recv(100)) == 48
            except TimeoutError:
                return False

        assert time_is_told()
        servers.break_("clock")
        assert not time_is_told()
        servers.mend("clock")
        assert time_is_told()
    ports = [server.port for server in servers.streams.servers.values()]
    servers.break_("stream")
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
    servers.mend("stream")
    for port in ports:
        socket.create_connection(("127.0.0.1", port)).close()


# -- its command line


def test_what_is_not_understood_is_told_with_what_would_be_right(
    provisioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """... in the language that was asked for; events and their keys are programs', and the same in each. Red when
    `help`, or a mistake, is told in English."""
    need("mosquitto")
    lines = ["break nothing", "break password=nobody", "break password", "frob", "close", "help", "quit", "close"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    asked = ["--state", str(tmp_path), "--stand-ins", "--break", "stream", "--lang", "ru"]
    assert command.main([str(provisioned), *asked]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    desk = events[0].pop("desk")
    assert events[0] == {"event": "ready", "servers": str(tmp_path / "connect-to"), "columns": 19}
    assert desk.startswith("localhost:"), "for which the example's broker has a certificate"
    assert events[1] == {"event": "broken", "what": "stream"}
    errors = [event["text"] for event in events if event["event"] == "error"]
    right = ["'nothing', а нужно: одно из: broker,", "одно из: petropavl-01", "колонна не указана; есть: petropavl-01",
             "команды 'frob' нет; есть: break NAME"]  # fmt: skip
    for text, wanted in zip(errors, right, strict=True):
        assert wanted in text
    helps = {event["command"]: event["text"] for event in events if event["event"] == "help"}
    assert helps["broker"] == "брокера нет" and all(re.search("[а-я]", text) for text in helps.values())
    assert [event for event in events if event["event"] == "closed"] == [{"event": "closed", "count": 0}]


def test_no_provisioned_fleet_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [str(tmp_path / "nothing"), "--state", str(tmp_path / "state"), "--lang", "kk"]
    assert command.main(asked) == command.EXIT_FAILED
    told = "онда бірде-бір баған жоқ; іске қосыңыз: make provision FLEET=... OUT=..."
    assert capsys.readouterr().err == f"қате: {tmp_path}/nothing/columns: {told}\n"
    with pytest.raises(FleetServersError):
        FleetServers(tmp_path / "nothing", tmp_path / "state")


def test_two_sites_do_not_share_a_folder(
    provisioned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one's ports used to stand in the first one's files, and to be dead when it ended. Red when it writes
    anything before it has looked."""
    first = Hold(tmp_path / "connect-to")
    (tmp_path / "connect-to").write_text("broker.example:8883:127.0.0.1:1\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr("common.typed.TARGET", "servers")
    assert command.main([str(provisioned), "--state", str(tmp_path), "--stand-ins", "--lang", "ru"]) == 1
    told = capsys.readouterr()
    assert (told.out, f"(процесс {os.getpid()})" in told.err, "папку: SERVERS\n" in told.err) == ("", True, True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    first.release()
    FleetServers(provisioned, tmp_path)  # the control: it is free now


@pytest.mark.parametrize("what", ["brokr", "password=nobody", "access", "clock=1"])
def test_nothing_starts_when_what_to_break_is_wrong(
    what: str, provisioned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ready` used to come first, and the error behind it."""
    asked = ["--state", str(tmp_path), "--stand-ins", "--break", "stream", "--break", what]
    assert command.main([str(provisioned), *asked]) == command.EXIT_FAILED
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: ") and not (tmp_path / "connect-to").exists()


def test_a_program_of_others_that_does_not_start_is_told_with_what_to_do(
    provisioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A camera whose port was taken said nothing, and an intercom ended in a traceback. Red when one of the two errors
    passes `Streams`, or the command, as it was raised, or when a start that failed keeps the folder."""
    monkeypatch.setattr("sim.servers.street.missing", lambda say: {})
    monkeypatch.setattr("tools.toolbox.require", lambda name: ["true"])  # which does not say that it is up
    assert command.main([str(provisioned), "--state", str(tmp_path), "--lang", "ru"]) == command.EXIT_FAILED
    first, then = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"ошибка: cameras\.example:554: камера .* не запустилась на порту \d+", first)
    Hold(tmp_path / "connect-to").release()
    assert then == "запустите ещё раз; с --stand-ins чужие программы не нужны"
    made = Streams({"one": {"sip": "sip:one@intercom.example"}}, {}, lambda event: None, real=True)
    monkeypatch.setattr(Intercom, "start", lambda self: raised(IntercomError("baresip did not start:\nin use")))
    with pytest.raises(NotStarted, match=r"^intercom\.example:5060: baresip did not start:\nin use\nstart again"):
        made.start()


def raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("rtsp://cameras.example/one", ("cameras.example", 554)),
        ("rtsp://cameras.example:8554/one", ("cameras.example", 8554)),
        ("sip:one@intercom.example", ("intercom.example", 5060)),
        ("sip:one@intercom.example:5070;transport=tcp?x=y", ("intercom.example", 5070)),
        ("https://cameras.example/whep/one", ("cameras.example", 443)),
        ("http://10.0.0.7:81/1.jpg", ("10.0.0.7", 81)),
    ],
)
def test_who_is_at_the_other_end_of_a_stream(uri: str, place: tuple[str, int]) -> None:
    assert endpoint(uri) == place


STREET = {
    "one": {"rtsp": "rtsp://cameras.example/one", "sip": "sip:one@intercom.example"},
    "two": {"rtsp": "rtsp://cameras.example/two?a=1", "sip": "sip:two@intercom.example;transport=tcp"},
    "three": {"rtsp": "rtsp://10.0.0.3/", "webrtc": "https://cameras.example/whep/three"},
    "four": {"sip": "sip:door@10.0.0.4"},
    "five": {"sip": "sip:door@10.0.0.4", "http": "http://10.0.0.3:554/still.jpg"},
}


def served(monkeypatch: pytest.MonkeyPatch, missing: dict[str, str], most: int) -> tuple[dict[str, str], list[str]]:
    """(by place, who would be there; what is told of stand-ins), without starting any."""
    told: list[str] = []
    monkeypatch.setattr("sim.servers.street.missing", lambda say: missing)
    monkeypatch.setattr(streams, "MOST", most)
    for kind in (RtspCamera, Intercom, StreamServer):
        monkeypatch.setattr(kind, "start", lambda self: None)
    made = Streams(STREET, {}, lambda event: told.append(f"{event['place']}: {event['why']}"), real=True)
    made.start()
    made.close()
    return {streams.text(place): type(server).__name__ for place, server in made.servers.items()}, told


def test_a_place_is_a_camera_an_intercom_or_a_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who share an intercom's name, or a port for two protocols, cannot be told apart: stand-ins."""
    others = {"cameras.example:443": "StreamServer", "10.0.0.3:554": "StreamServer", "10.0.0.4:5060": "StreamServer"}
    real = {"cameras.example:554": "RtspCamera", "intercom.example:5060": "Intercom"}
    assert served(monkeypatch, {}, 8) == (others | real, [])
    found, told = served(monkeypatch, {"rtsp": "no apt here"}, 8)
    assert found == others | real | {"cameras.example:554": "StreamServer"}
    assert told == ["cameras.example:554: no apt here"]
    found, told = served(monkeypatch, {}, 0)
    assert set(found.values()) == {"StreamServer"} and told[0] == "cameras.example:554: there are 0 already"


@pytest.mark.parametrize(("name", "chip"), [("01", "esp32"), ("03", "esp32s3"), ("school-1", "esp32s3")])
def test_a_board_is_wired_for_a_provisioned_column(provisioned: Path, name: str, chip: str) -> None:
    folder = provisioned / "columns" / f"petropavl-{name}"
    assert wired_for(folder)[0] == chip
    with pytest.raises(ValueError, match="no valid configuration for an esp32s2" if chip == "esp32" else "--chip"):
        wired_for(folder, "esp32s2" if chip == "esp32" else "esp32")
