"""The fleet's table and fleet.toml: every trouble of both in one run, each with its place, and nothing is written."""

import json
import unicodedata
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from field import certificates, fleet
from field.telling import EXIT_FAILED

# -- bad tables: every trouble with its line and column, and nothing is written


@pytest.mark.parametrize(
    ("row", "where"),
    [
        (GOOD.replace("54.8753", "95.1"), "fleet.csv:3:4 (lat)"),
        (GOOD.replace("69.1628", "190"), "fleet.csv:3:5 (lon)"),
        (GOOD.replace("54.8753", "north"), "fleet.csv:3:4 (lat): found 'north'"),
        (GOOD.replace("one,", "One!,", 1), "fleet.csv:3:1 (device_id)"),
        (GOOD.replace("nko", "N K O"), "fleet.csv:3:2 (region)"),
        (GOOD.replace("Somewhere 1", ""), "fleet.csv:3:3 (address)"),
        (GOOD.replace("public", "prison"), "fleet.csv:3:7 (site)"),
        (GOOD.replace("1.0", "50"), "fleet.csv:3:8 (height_m)"),
        (GOOD.replace("1.0", ""), "fleet.csv:3:8 (height_m)"),
        (GOOD.replace("rtsp://cameras.example/one", "cameras"), "fleet.csv:3:9 (stream)"),
        (GOOD.replace("rtsp://cameras.example/one", "rtsp://u:p@c.example/1"), "fleet.csv:3:9 (stream)"),
        (GOOD.replace("wifi", "carrier-pigeon"), "fleet.csv:3:10 (link): found 'carrier-pigeon'"),
        (GOOD.replace("esp32", "z80"), "fleet.csv:3:11 (pins): found 'z80'"),
        (GOOD.rsplit(",", 1)[0], "fleet.csv:3: found 10 cells, must be 11"),
        (GOOD.replace("one,", "first,", 1), "fleet.csv:3:1 (device_id): first stands in line 2 too"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], row: str, where: str
) -> None:
    first = GOOD.replace("one,", "first,", 1)
    assert make(table(HEADER, first, row), tmp_path / "out") == EXIT_FAILED
    assert f"  {where}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_all_troubles_are_told_at_once(table: Tables) -> None:
    bad = GOOD.replace("54.8753", "95").replace("public", "prison")
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, bad, GOOD.replace("one,", "t_w_o,", 1)))
    assert len(error.value.troubles) == 3


SPI_LINK = """
[links.spi]
type = "ethernet"
phy = "PHY_W5500"
phy_addr = 0
spi = 1
sck = 13
mosi = 11
miso = 12
cs = 14
int = 10
reset = 9
"""


@pytest.mark.parametrize(
    ("link", "pins", "where"),
    [
        ("spii", "esp32s3", "fleet.csv:2:10 (link): found 'spii', must be one of wifi, spi"),
        ("carrier-pigeon", "esp32", "fleet.csv:2:10 (link): found 'carrier-pigeon'"),
        ("spi", "esp32s33", "fleet.csv:2:11 (pins): found 'esp32s33'"),
    ],
)
def test_a_mistyped_profile_is_one_mistake(table: Tables, link: str, pins: str, where: str) -> None:
    """A name with a wrong letter is told as that, and nothing that only follows from it: no Wi-Fi that has no name, no
    pins of a chip that nobody chose. Goes red if `rows.document` judges the link without `blind`."""
    row = GOOD.replace("wifi", link).replace("esp32", pins)
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, row, toml=TOML + SPI_LINK))
    assert len(error.value.troubles) == 1 and error.value.troubles[0].startswith(where)


def test_where_a_region_stands_is_told(table: Tables) -> None:
    """All of a table's latitudes and longitudes exchanged: each column is near the others, in the Arctic. Nothing
    could tell but a person who is shown the figures. Red without `fleet.places`."""
    swapped = HEADER.replace("lat,lon", "lon,lat")
    found = fleet.read(table(swapped, GOOD, GOOD.replace("one", "two")))
    assert found.warnings == []
    told = "region nko: 2 columns around latitude 69.16, longitude 54.88; is that the place?"
    assert fleet.places(found.columns) == [told]


def test_addresses_of_their_own(table: Tables) -> None:
    toml = TOML + 'country = "KZ"\nnetmask = "255.255.255.0"\ngateway = "10.0.0.1"\ndns = "10.0.0.2"\n'
    wide, rest = HEADER + ",ip,hostname", GOOD.replace("one", "two")
    found = fleet.read(table(wide, GOOD + ",10.0.0.7,sos-one", rest + ",10.0.0.8,", toml=toml)).columns
    assert found["one"]["link"] == {
        "type": "wifi", "country": "KZ", "address": "10.0.0.7", "netmask": "255.255.255.0", "gateway": "10.0.0.1",
        "dns": "10.0.0.2", "hostname": "sos-one"}  # fmt: skip
    assert found["two"]["link"]["address"] == "10.0.0.8" and "hostname" not in found["two"]["link"]
    for cell, text in (
        ("10.0.0.7", "fleet.csv:3:12 (ip): 10.0.0.7: line 2 has it too; give each its own"),
        ("10.0.9.7", "fleet.csv:3:10 (link): link.gateway: found 10.0.0.1, must be another host in the network"),
        ("10.0.0.1/24", "fleet.csv:3:12 (ip): link.address: found"),
    ):
        with pytest.raises(fleet.FleetError) as error:
            fleet.read(table(wide, GOOD + ",10.0.0.7,sos-one", f"{rest},{cell},", toml=toml))
        assert text in str(error.value)


def test_a_fleets_pins_are_held_against_all_that_claims_them(table: Tables) -> None:
    """As on the board: the same check. A W5500 on the pins that SPI 1 has by itself, under the lamp."""
    toml = TOML + '[links.spi]\ntype = "ethernet"\nphy = "PHY_W5500"\nspi = 1\ncs = 5\n'
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, GOOD.replace("wifi", "spi"), toml=toml))
    text = str(error.value)
    assert "fleet.toml:7:1: link.int: missing" in text
    assert "pins.lamp_green and link.sck (SPI's own, unless set): GPIO14 is used twice" in text


FOUR_MISTAKES = "One!,nko,Somewhere 1,north,269,5,prison,1.0,cameras,wifi,crossed"


def test_a_row_with_many_mistakes_tells_them_all_in_one_run(table: Tables) -> None:
    """Numbers, names, kinds, streams and pins are judged by different hands. Red when the first of them ends it."""
    toml = TOML + '[pins.crossed]\nchip = "esp32"\nlamp_red = 34\nlamp_green = 35\n'
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, FOUR_MISTAKES, toml=toml))
    found = "\n".join(error.value.troubles)
    for place in (":2:1 (device_id)", ":2:4 (lat)", ":2:5 (lon)", ":2:7 (site)", ":2:9 (stream)"):
        assert f"fleet.csv{place}" in found, found
    assert "found 269, must be degrees from -180 to 180" in found and "RFC 5870" not in found
    assert "fleet.toml:9:1: pins.lamp_red" in found and "fleet.toml:10:1: pins.lamp_green" in found, "both at once"


def test_both_files_troubles_are_told_in_one_run(table: Tables) -> None:
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, GOOD.replace("public", "prison"), toml=TOML + "[brokre]\n[common]\nbutton = 3\n"))
    found = "\n".join(error.value.troubles)
    assert "fleet.csv:2:7 (site)" in found and "fleet.toml:7:1: unknown section [brokre]" in found
    assert "fleet.toml:9:1: button: found 3" in found


def test_what_all_rows_share_is_told_once(table: Tables) -> None:
    rest = [GOOD.replace("one", name) for name in ("two", "three")]
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, GOOD, *rest, toml=TOML + "[common.telemetry]\nheartbeat_s = 0\n"))
    assert len(error.value.troubles) == 1 and error.value.troubles[0].startswith(
        "fleet.toml:8:1: telemetry.heartbeat_s"
    )


HOSTS = [
    "mqtts://broker.example",
    "broker.example:8883",
    "broker.example ",
    "300.1.1.1",
    "a..b",
    "-a.example",
    "a/b",
    "",
]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("where", ["host", "hosts", "server_name", "server"])
def test_what_is_no_host_is_refused_with_its_place(table: Tables, host: str, where: str) -> None:
    """One validator for all of them: the firmware's."""
    lines = {
        "host": TOML.replace("127.0.0.1", host),
        "hosts": TOML.replace("port", f'hosts = ["good.example", "{host}"]\nport'),
        "server_name": TOML.replace("port", f'server_name = "{host}"\nport'),
        "server": TOML + f'[clock]\nserver = "{host}"\n',
    }
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER, GOOD, toml=lines[where]))
    (told,) = error.value.troubles
    assert told.startswith("fleet.toml:") and "without scheme, port and blanks" in told


@pytest.mark.parametrize(
    "host", ["broker.example", "10.0.0.1", "BROKER", "xn--80ak6aa92e.example", "under_score.example", "::1"]
)
def test_a_host_is_taken(table: Tables, host: str) -> None:
    assert fleet.read(table(HEADER, GOOD, toml=TOML.replace("127.0.0.1", host))).columns


@pytest.mark.parametrize(
    "uri", ["rtsp:///1", "rtsp://300.1.1.1/1", "https://a b.example/x", "rtsp://c.example:99999/1"]
)
def test_a_stream_without_a_host_is_refused(table: Tables, uri: str) -> None:
    with pytest.raises(fleet.FleetError, match=r"fleet\.csv:2:9 \(stream\)"):
        fleet.read(table(HEADER, GOOD.replace("rtsp://cameras.example/one", f'"{uri}"')))


@pytest.mark.parametrize(
    ("toml", "place"),
    [
        (TOML + 'password = "x"\n', "fleet.toml:7:1: [wifi] password: nobody reads it"),
        (TOML + "[centre]\n", "fleet.toml:7:1: unknown section [centre]"),
        (TOML.replace("port", "prot"), "fleet.toml:3:1: [broker] prot: nobody reads it"),
        (TOML + '[common]\ndevice_id = "x"\n', "fleet.toml:8:1: [common] device_id: nobody reads it"),
        (TOML + '[links.fibre]\ntype = "ethernet"\nphi = 1\n', "fleet.toml:9:1: [links.fibre] phi: nobody reads it"),
        (TOML + '[pins.x]\nchip = "esp32"\nlapm = 1\n', "fleet.toml:9:1: [pins.x] lapm: nobody reads it"),
        (TOML + f'[authority]\nname = "{"x" * 65}"\n', "fleet.toml:8:1: [authority] name"),
    ],
)
def test_a_key_that_nobody_reads_is_refused_with_its_place(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str], toml: str, place: str
) -> None:
    assert make(table(HEADER, GOOD, toml=toml), tmp_path / "out") == EXIT_FAILED
    assert place in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_every_key_that_is_read_is_accepted(tmp_path: Path, table: Tables) -> None:
    toml = TOML.replace(
        "port = 8883", 'port = 8883\nserver_name = "in.example"\nhosts = ["a.example"]\nkeepalive_s = 20'
    )
    toml += (
        '[clock]\nserver = "time.example"\nport = 124\n[authority]\nname = "City"\n[common.supply]\nlow_mv = 10000\n'
    )
    assert make(table(HEADER, GOOD, toml=toml), tmp_path / "out") == 0
    made = json.loads((tmp_path / "out/columns/one/config.json").read_text())
    assert made["broker"]["tls"]["server_name"] == "in.example" and made["broker"]["keepalive_s"] == 20
    pem = (tmp_path / "out/broker/server.pem").read_bytes()
    assert certificates.hosts(pem) == ("in.example", "a.example")


def test_a_name_too_long_for_a_common_name_is_beside_it(tmp_path: Path, table: Tables) -> None:
    host = ".".join(["broker"] * 12)
    assert make(table(HEADER, GOOD, toml=TOML.replace("127.0.0.1", host)), tmp_path / "out") == 0
    assert certificates.hosts((tmp_path / "out/broker/server.pem").read_bytes()) == (host,)


def test_a_name_of_the_brokers_own_files_is_no_column(table: Tables) -> None:
    with pytest.raises(fleet.FleetError, match=r"fleet\.csv:2:1 \(device_id\): 'centre'"):
        fleet.read(table(HEADER, GOOD.replace("one,", "centre,", 1)))


def test_a_table_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the file beside it is read first: then that one is complained of."""
    assert make(tmp_path / "flete.csv", tmp_path / "out") == EXIT_FAILED
    assert "flete.csv: there is no such file" in capsys.readouterr().err
    (tmp_path / "fleet.csv").write_text(HEADER)
    assert make(tmp_path / "fleet.csv", tmp_path / "out") == EXIT_FAILED
    assert "fleet.toml: there is no such file" in capsys.readouterr().err


def test_a_column_far_from_its_regions_others_is_pointed_out(
    tmp_path: Path, table: Tables, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = GOOD.replace("one", "two").replace("54.8753,69.1628", "69.1628,54.8753")
    elsewhere = GOOD.replace("one", "four").replace("54.8753", "34.8753")
    near = GOOD.replace("one", "three").replace("54.8753", "54.9")
    assert make(table(HEADER, GOOD, swapped, near, elsewhere), tmp_path / "out") == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "fleet.csv:3:4 (lat): two stands 1742 km" in warnings[0] and "swapped?" in warnings[0]
    assert "fleet.csv:5:4 (lat): four stands 2224 km" in warnings[1] and "swapped" not in warnings[1]


@pytest.mark.parametrize(
    ("lines", "toml", "text"),
    [
        ([HEADER], TOML, "fleet.csv:1: no columns"),
        ([HEADER.replace("lat,", "")], TOML, "fleet.csv:1: no column lat"),
        ([HEADER + ",colour"], TOML, "fleet.csv:1:12: unknown column 'colour'"),
        ([HEADER + ",lat"], TOML, "fleet.csv:1:12: column lat stands there twice"),
        ([HEADER, GOOD], "[broker\n", "fleet.toml:1:8"),
        ([HEADER, GOOD], "[wifi]\nssid = 'x'\n", "[broker] host is missing"),
        ([HEADER, GOOD], TOML + "[brokre]\n", "unknown section [brokre]"),
        ([HEADER, GOOD], TOML + "[links]\nwifi = 3\n", "[links.wifi] must be a section"),
        ([HEADER, GOOD], TOML + "[common.telemetry]\nheartbeat_s = 0\n", "telemetry.heartbeat_s: found 0"),
        ([HEADER, GOOD], TOML.replace('ssid = "sos"', ""), "secrets.wifi_ssid"),
    ],
)
def test_a_bad_header_or_shared_file_is_named(table: Tables, lines: list[str], toml: str, text: str) -> None:
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(*lines, toml=toml))
    assert text in str(error.value)


def test_a_trouble_is_told_where_it_is_in_the_letters_that_were_written(
    table: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red where a column too many hides the rows' mistakes, where letters come as json's escapes, where a wrong
    uncertainty is told of the latitude, and the environment's password of fleet.toml."""
    monkeypatch.setenv("SOS_WIFI_PASSWORD", "short")
    bad = GOOD.replace(",5,public,", ",-5,улица,")
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(table(HEADER + ",colour", bad + ",red"))
    header, uncertainty, site, password = error.value.troubles
    assert header.startswith("fleet.csv:1:12: unknown column 'colour'")
    assert uncertainty.startswith("fleet.csv:2:6 (uncertainty_m): found '-5'")
    assert site.startswith('fleet.csv:2:7 (site): location.site: found "улица", must be')
    assert password.startswith("SOS_WIFI_PASSWORD: secrets.wifi_password: ")


# -- files as spreadsheets and editors save them

ADDRESS = "Петропавл, Абай көшесі 1"
SHEET = f"{HEADER}\n{GOOD}\n".replace("Somewhere 1", f'"{ADDRESS}"')


def delimited(delimiter: str) -> str:
    return SHEET.replace(f'"{ADDRESS}"', "@").replace(",", delimiter).replace("@", f'"{ADDRESS}"')


SAVED = {
    "byte order mark": SHEET.encode("utf-8-sig"),
    "semicolons": delimited(";").encode(),
    "tabs": delimited("\t").encode(),
    "CR LF": SHEET.replace("\n", "\r\n").encode(),
    "CR": SHEET.replace("\n", "\r").encode(),
    "no-break spaces": SHEET.replace(",nko,", ",\u00a0nko\u00a0,").replace(",5,", ",5\u00a0,").encode(),
    "letters in two parts": unicodedata.normalize("NFD", SHEET).encode(),
    "empty lines": f"\n{SHEET}\n\n,,,,,,,,,,\n".encode(),
}


@pytest.mark.parametrize("saved", SAVED.values(), ids=list(SAVED))
def test_a_table_is_read_however_it_was_saved(table: Tables, saved: bytes) -> None:
    """Red without the look for a delimiter, with line feeds alone, or where a cell keeps its blanks."""
    file = table(HEADER, GOOD)
    wanted = fleet.read(file).columns["one"]
    file.write_bytes(saved)
    found = fleet.read(file).columns["one"]
    assert unicodedata.normalize("NFC", found["location"].pop("address")) == ADDRESS
    assert wanted["location"].pop("address") and found == wanted


RUSSIAN = SHEET.replace("көшесі", "көшесi").replace("ө", "о")
REFUSED = {
    "CP1251": (RUSSIAN.encode("cp1251"), "fleet.csv:2:3: not UTF-8"),
    "CP1251, other signs": (RUSSIAN.replace(",", ";").replace("\n", "\r").encode("cp1251"), "fleet.csv:2:3: not UTF-8"),
    "UTF-16": (SHEET.encode("utf-16"), "fleet.csv:1:1: not UTF-8"),
    "UTF-16 without its mark": (f"{HEADER}\n{GOOD}\n".encode("utf-16-le"), "fleet.csv:1:1: not UTF-8"),
}  # fmt: skip
ALIKE = {
    "device_id": ("\none,", "\n\u043ene,", "fleet.csv:2:1 (device_id)"),
    "region": (",nko,", ",nk\u043e,", "fleet.csv:2:2 (region)"),
    "site": (",public,", ",\u0440ublic,", "fleet.csv:2:7 (site)"),
    "link": (",wifi,", ",w\u0456fi,", "fleet.csv:2:10 (link)"),
    "pins": (",esp32", ",\u0435sp32", "fleet.csv:2:11 (pins)"),
    "a host": ("cameras.", "c\u0430meras.", "fleet.csv:2:9 (stream)"),
    "a header": ("region", "r\u0435gion", "fleet.csv:1:2: unknown column"),
    "a wide digit": ("54.8753", "\uff154.8753", "fleet.csv:2:4 (lat): found '\uff154.8753', must be a number"),
    "a digit of another script": (",1.0,", ",\u0661.0,", "fleet.csv:2:8 (height_m): found '\u0661.0', must be"),
    "a letter O": (",5,", ",O,", "fleet.csv:2:6 (uncertainty_m): found 'O', must be a number"),
}


@pytest.mark.parametrize(("saved", "told"), REFUSED.values(), ids=list(REFUSED))
def test_a_table_in_another_encoding_is_named_by_line_and_column(table: Tables, saved: bytes, told: str) -> None:
    """Red when the line alone is told, or when UTF-16 of plain letters passes for a table with strange names."""
    file = table(HEADER, GOOD)
    file.write_bytes(saved)
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(file)
    (one,) = error.value.troubles
    assert one.startswith(told)


def test_the_shared_file_in_another_encoding_is_named_by_line_and_column(table: Tables) -> None:
    file = table(HEADER, GOOD)
    file.with_name("fleet.toml").write_bytes('[wifi]\nssid = "Абай"\n'.encode("cp1251"))
    with pytest.raises(fleet.FleetError, match=r"^fleet\.toml:2:9: not UTF-8 \(byte 15\); save it as UTF-8$"):
        fleet.read(file)


@pytest.mark.parametrize(("right", "alike", "told"), ALIKE.values(), ids=list(ALIKE))
def test_a_letter_that_only_looks_right_is_refused_with_line_and_column(
    table: Tables, right: str, alike: str, told: str
) -> None:
    """Red where `\\d` or `isdigit` take the digits of all scripts: the figure is then called no RFC 5870 URI, twice."""
    file = table(HEADER, GOOD)
    assert SHEET.count(right) == 1
    file.write_text(SHEET.replace(right, alike), "utf-8")
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(file)
    assert len(error.value.troubles) == (2 if right == "region" else 1)
    assert error.value.troubles[-1].startswith(told)
