"""Provisioning: a whole valid table or nothing, keys kept for ever, and a broker that confines each column."""

import html
import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables, make, snapshot

from common.receiver import key_of, label_key
from desk.upkeep import receiver, roster
from field import access, fleet, labels, rows
from field.provision import Provisioning
from field.telling import EXIT_FAILED
from firmware.startup import config

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "petropavl"
PATIENCE_S = 10.0
ALARM_BYTES = 1024  # at most: the contract
SECRETS = {"secrets.json", "passwords", "centre.json", "centre.password", "keys.json", "answer.key", "acl"}


# -- a good table


def test_the_example_fleet_has_15_columns_and_4_schools_and_each_configuration_is_valid(tmp_path: Path) -> None:
    assert make(EXAMPLE / "fleet.csv", tmp_path / "out") == 0
    found = fleet.read(EXAMPLE / "fleet.csv")
    sites = [document["location"]["site"] for document in found.columns.values()]
    assert sites.count("public") == 15
    assert sites.count("school") == 4
    for name in found.columns:
        folder = tmp_path / "out" / "columns" / name
        document = json.loads((folder / "config.json").read_text("utf-8"))
        assert "secrets" not in document
        document["secrets"] = json.loads((folder / "secrets.json").read_text("utf-8"))
        made, errors = config.validate(document, found.chips[name])
        assert errors == []
        assert made["device_id"] == name
        page = (tmp_path / "out" / "labels.html").read_text("utf-8")
        assert f'<div class="id">{name}</div>' in page
        assert f'title="sos/v1/nko/{name}"' in page
    assert page.count("<svg") == 19


def test_a_table_as_a_russian_spreadsheet_saves_it(table: Tables) -> None:
    row = GOOD.replace("Somewhere 1", '"Абай алаңы; 3\nкіреберіс"').replace(",", ";")
    file = table(HEADER.replace(",", ";"), row, ";;;;;;;;;;", encoding="utf-8-sig")
    assert fleet.read(file).columns["one"]["location"]["address"] == "Абай алаңы; 3\nкіреберіс"


def test_the_kinds_of_stream_are_told_by_the_uri_or_named(table: Tables) -> None:
    stream = "rtsp://c.example/1 sip:one@c.example webrtc=https://c.example/whep/1 https://c.example/1.m3u8"
    found = fleet.read(table(HEADER, GOOD.replace("rtsp://cameras.example/one", stream)))
    assert sorted(found.columns["one"]["stream"]) == ["http", "rtsp", "sip", "webrtc"]


def test_the_wifi_password_comes_from_the_environment(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rows.WIFI_PASSWORD, "a wifi password")
    assert make(table(HEADER, GOOD), tmp_path / "out") == 0
    secrets = json.loads((tmp_path / "out/columns/one/secrets.json").read_text())
    assert secrets["wifi_password"] == "a wifi password"
    with_it = [name for name, content in snapshot(tmp_path / "out").items() if b"a wifi password" in content]
    assert with_it == ["columns/one/secrets.json"]


# -- the second run


def test_a_second_run_changes_no_key_no_certificate_and_no_password(tmp_path: Path, table: Tables) -> None:
    file, out = table(HEADER, GOOD), tmp_path / "out"
    assert make(file, out) == 0
    before = snapshot(out)
    assert make(file, out) == 0
    after = snapshot(out)
    before.pop("broker/passwords"), after.pop("broker/passwords")  # salted anew
    assert after == before


def test_a_new_row_and_a_gone_row(tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str]) -> None:
    out, two = tmp_path / "out", GOOD.replace("one", "two")
    make(table(HEADER, GOOD), out)
    before = snapshot(out / "columns" / "one")
    assert make(table(HEADER, two), out) == 0
    assert "without access to the broker: one" in capsys.readouterr().out
    assert snapshot(out / "columns" / "one") == before
    assert "user one\n" not in (out / "broker" / "acl").read_text()


def test_the_brokers_certificate_follows_its_name(tmp_path: Path, table: Tables) -> None:
    out = tmp_path / "out"
    make(table(HEADER, GOOD), out)
    before = snapshot(out)
    assert make(table(HEADER, GOOD, toml=TOML.replace("127.0.0.1", "new.example")), out) == 0
    after = snapshot(out)
    assert after["broker/server.key"] == before["broker/server.key"]
    assert after["broker/server.pem"] != before["broker/server.pem"]
    assert after["columns/one/one.pem"] == before["columns/one/one.pem"]


@pytest.mark.parametrize(
    "file", ["ca/ca.key", "columns/one/one.key", "broker/server.key", "columns/one/secrets.json", "centre/centre.json"]
)
def test_a_damaged_key_or_password_is_named_and_nothing_is_replaced(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    """Red without `Provisioning._check`, or when `keep_key` makes a new key for one that it cannot read."""
    csv, out = table(HEADER, GOOD), tmp_path / "out"
    make(csv, out)
    (out / file).write_bytes(b"damaged")
    before = snapshot(out)
    assert make(csv, out) == EXIT_FAILED
    assert Path(file).name in capsys.readouterr().err
    assert snapshot(out) == before


def test_an_authority_without_its_key_is_not_replaced(tmp_path: Path, table: Tables) -> None:
    csv, out = table(HEADER, GOOD), tmp_path / "out"
    make(csv, out)
    (out / "ca" / "ca.key").unlink()
    before = snapshot(out)
    assert make(csv, out) == EXIT_FAILED
    assert snapshot(out) == before


def test_a_certificate_of_another_authority_is_made_anew(tmp_path: Path, table: Tables) -> None:
    csv, out, other = table(HEADER, GOOD), tmp_path / "out", tmp_path / "other"
    make(csv, out)
    make(csv, other)
    shutil.copytree(other / "ca", out / "ca", dirs_exist_ok=True)
    assert make(csv, out) == 0
    document = json.loads((out / "columns/one/config.json").read_text())
    assert document["broker"]["tls"]["ca"] == (other / "ca/ca.pem").read_text()
    assert document["broker"]["tls"]["cert"] == (out / "columns/one/one.pem").read_text()


@pytest.mark.parametrize("umask", [0, 0o077], ids=oct)
def test_what_is_secret_is_for_its_owner_only(tmp_path: Path, table: Tables, umask: int) -> None:
    """Whatever the shell forbids by itself. Red where a file or a folder is made without its mode; with a strict shell,
    where the broker's user cannot read the configuration that stands beside its secrets."""
    out = tmp_path / "out"
    before = os.umask(umask)
    try:
        make(table(HEADER, GOOD), out)
    finally:
        os.umask(before)
    for path in out.rglob("*"):
        content = b"" if path.is_dir() else path.read_bytes()
        is_secret = b"PRIVATE KEY" in content or path.name in SECRETS
        if path.is_dir() or is_secret:
            assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert "PRIVATE KEY" not in (out / "columns/one/config.json").read_text()
    public = ("broker/mosquitto.conf", "broker/ca.pem", "centre/roster.json", "labels.html")
    assert [name for name in public if stat.S_IMODE((out / name).stat().st_mode) != 0o644] == []


def named_by_the_desks_command(text: str) -> set[str]:
    """Files that a desk's command line wants of provisioning."""
    options = r"--(?:password-file|ca|cert|key|roster|answer-key|column-keys) (?:/\S*/|provisioned/centre/)?([\w.]+)"
    return set(re.findall(options, text))


def test_what_the_desks_commands_name_is_what_provisioning_makes(tmp_path: Path) -> None:
    """The command of the documentation and the systemd unit: every file is in `centre/`, the port is the centre's.
    Red when either names a file that nobody makes."""
    assert make(EXAMPLE / "fleet.csv", tmp_path / "out") == 0
    centre = tmp_path / "out" / "centre"
    login = json.loads((centre / "centre.json").read_text())
    assert (centre / "centre.password").read_text().splitlines() == [login["password"]]
    for text in ((ROOT / "docs" / "desk.md").read_text(), (ROOT / "examples/desk/sos-desk.service").read_text()):
        named = named_by_the_desks_command(text)
        assert len(named) >= 5 and sorted(name for name in named if not (centre / name).exists()) == []
        assert set(re.findall(r"broker\.example:(\d+)", text)) == {str(login["port"])}
    assert named_by_the_desks_command("--key /etc/x/gone.key --password-file gone") == {"gone.key", "gone"}


def test_column_and_centre_get_the_same_key_which_stays(tmp_path: Path, table: Tables) -> None:
    """A column of before there were keys gets one; each has its own. Red when a run makes new ones."""
    out, two = tmp_path / "out", GOOD.replace("one", "two")
    make(table(HEADER, GOOD, two), out)
    made = json.loads((out / "centre/keys.json").read_text())["columns"]
    secrets = {name: out / "columns" / name / "secrets.json" for name in ("one", "two")}
    assert made == {name: json.loads(file.read_text())["auth_key"] for name, file in secrets.items()}
    assert made["one"] != made["two"]
    old = json.loads(secrets["two"].read_text())
    del old["auth_key"]
    secrets["two"].write_text(json.dumps(old))
    make(table(HEADER, GOOD, two), out)
    again = json.loads((out / "centre/keys.json").read_text())["columns"]
    assert again["one"] == made["one"] and again["two"] != made["two"]


def test_a_fleet_can_be_told_not_to_believe_its_broker(tmp_path: Path, table: Tables) -> None:
    out = tmp_path / "out"
    assert make(table(HEADER, GOOD, toml=TOML.replace("[broker]", "[broker]\nbelieved = false")), out) == 0
    assert json.loads((out / "columns/one/config.json").read_text())["broker"]["believed"] is False


def conf_of(text: str) -> list[dict[str, str]]:
    """What holds for the broker, then what holds for each of its ports."""
    found: list[dict[str, str]] = [{}]
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name == "listener":
            found.append({})
        if name and name != "#":
            found[-1][name] = value
    return found


@pytest.mark.parametrize("columns", [1, 19, 5000])
def test_the_brokers_file_bounds_memory_queues_and_connections(columns: int) -> None:
    """What one column can fill is bounded, and a fleet of any size gets in. Red without a line of these limits; what
    they do is tried on mosquitto (test_provisioned_broker.py), with smaller numbers than 256 MiB and thousands."""
    broker, street, centre = conf_of(access.configuration(8883, 8884, columns))
    memory, packet = int(broker["memory_limit"]), int(broker["max_packet_size"])
    queue, queue_bytes = int(broker["max_queued_messages"]), int(broker["max_queued_bytes"])
    assert (
        packet >= 2 * ALARM_BYTES and 4 * queue_bytes < memory <= 512 << 20 and 0 < queue * ALARM_BYTES <= queue_bytes
    )
    assert int(street["max_connections"]) >= 2 * columns + 100, (
        "each comes again before the broker noticed that it left"
    )
    assert 10 <= int(centre["max_connections"]) <= 1000
    assert broker["allow_anonymous"] == "false" and broker["persistence"] == "true"
    for port in (street, centre):
        assert port["require_certificate"] == "true" and port["crlfile"] == "revoked.crl"
    assert street["use_identity_as_username"] == street["use_username_as_clientid"] == "true"
    assert not {"use_identity_as_username", "use_username_as_clientid"} & set(centre)


@pytest.mark.parametrize("language", ["", "ru", "kk"])
def test_documentation_tells_the_limits_of_the_brokers_file(language: str) -> None:
    broker, street, _ = conf_of(access.configuration(8883, 8884, 0))
    text = (ROOT / "docs" / language / "provisioning.md").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    told = re.search(r"(?m)^- \*\*(?:Limits|Пределы|Шектер)\.\*\*.*\n(?:  .*\n)*", text)
    assert told is not None
    numbers = [int(number) for number in re.findall(r"\d+", re.sub(r"(?<=\d)[, ](?=\d{3})", "", told[0]))]
    sizes = int(broker["max_packet_size"]) >> 10, int(broker["memory_limit"]) >> 20
    queue = int(broker["max_queued_messages"]), int(broker["max_queued_bytes"]) >> 20
    assert numbers == [*sizes, *queue, int(street["max_connections"])]


def test_labels_show_markup_as_text() -> None:
    document = {"region": "nko", "location": {"geo": "geo:1,2", "address": "<script>alert(1)</script>"}}
    assert "<script>" not in labels.page({"one": document})


def test_the_desk_reads_the_roster_that_provisioning_writes(tmp_path: Path) -> None:
    """And both make the same key of it: the column's, in its secrets, and the desk's."""
    out = tmp_path / "provisioned"
    Provisioning(out).make(fleet.read(EXAMPLE / "fleet.csv"))
    found = roster.read(out / "centre" / "roster.json")
    table = fleet.read(EXAMPLE / "fleet.csv").columns
    assert set(found.entries) == set(table) and found.centre == "centre"
    entry = found.entries["petropavl-school-1"]
    assert entry.links == ("picture", "voice") and entry.made_ms is not None and entry.ends_ms is not None
    assert (entry.address, entry.geo) == tuple(table[entry.device_id]["location"][key] for key in ("address", "geo"))
    key = receiver.read_key(out / "centre" / "answer.key")
    secrets = json.loads((out / "columns" / entry.device_id / "secrets.json").read_text())
    assert secrets["answer_key"] == key_of(key, entry.device_id).hex()
    assert (out / "centre" / "answer.key").stat().st_mode & 0o077 == 0
    Provisioning(out).make(fleet.read(EXAMPLE / "fleet.csv"))
    assert receiver.read_key(out / "centre" / "answer.key") == key, "else every column would call it wrong"


def test_labels_open_the_public_status_where_the_desk_has_a_public_address(tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    shutil.copytree(EXAMPLE, folder)
    with (folder / "fleet.toml").open("a") as file:
        file.write('\n[desk]\ncentre = "nko-102"\npublic = "https://sos.example/"\n')
    out = tmp_path / "provisioned"
    Provisioning(out).make(fleet.read(folder / "fleet.csv"))
    key = receiver.read_key(out / "centre" / "answer.key")
    wanted = f"https://sos.example/public/petropavl-01?key={label_key(key, 'petropavl-01')}"
    assert html.escape(wanted) in (out / "labels.html").read_text()
    config = json.loads((out / "columns" / "petropavl-01" / "config.json").read_text())
    assert config["receiver"] == {"name": "nko-102"}


@pytest.mark.parametrize(
    ("line", "wrong"), [('public = "sos.example"', "public"), ('centre = ""', "centre"), ("nobody = 1", "nobody")]
)
def test_a_wrong_section_about_the_desk_is_refused(tmp_path: Path, line: str, wrong: str) -> None:
    folder = tmp_path / "fleet"
    shutil.copytree(EXAMPLE, folder)
    with (folder / "fleet.toml").open("a") as file:
        file.write(f"\n[desk]\n{line}\n")
    with pytest.raises(fleet.FleetError, match=wrong):
        fleet.read(folder / "fleet.csv")
