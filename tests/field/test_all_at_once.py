"""All mistakes of fleet.csv and fleet.toml in one run: also those of files and profiles that no row leads to."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from field import certificates, fleet
from field.rows import WIFI_PASSWORD
from field.telling import EXIT_FAILED
from field.words import Words

ETH = '[links.eth]\ntype = "ethernet"\nphy = "PHY_FOO"\nmdc = 23\nmdio = 18\n'
BAD_ROW = GOOD.replace("public", "prison")


def troubles(file: Path) -> list[str]:
    with pytest.raises(fleet.FleetError) as error:
        fleet.read(file)
    return error.value.troubles


def test_what_follows_from_a_default_of_a_wrong_value_is_not_told(table: Tables) -> None:
    """Red when the default PHY_LAN8720 is judged in its place, and when a PHY is offered that the chip has no pins
    for."""
    for chip, has_rmii in (("esp32s3", False), ("esp32", True)):
        eth = ETH if has_rmii else ETH.replace("23", "10").replace("18", "11")
        told, *rest = troubles(table(HEADER, GOOD.replace("wifi", "eth").replace("esp32", chip), toml=TOML + eth))
        assert not [one for one in rest if "link.phy" in one]
        assert told.startswith('fleet.toml:9:1: link.phy: found "PHY_FOO", must be one of ')
        assert ("PHY_LAN8720" in told) is has_rmii and "PHY_W5500" in told


def test_profiles_that_no_row_has_are_judged(table: Tables) -> None:
    """Red without `_of_profiles`. A good one is told nothing, whichever its chip; nor is one that a row has told
    twice."""
    good = '[links.rmii]\ntype = "ethernet"\nphy = "PHY_LAN8720"\nmdc = 23\nmdio = 18\n[links.spi]\ntype = "ethernet"\n'
    good += 'phy = "PHY_W5500"\nspi = 1\ncs = 14\nint = 10\n[pins.mine]\nchip = "esp32s3"\nbutton = 4\n'
    fleet.read(table(HEADER, GOOD, toml=TOML + good))
    bad = ETH + '[pins.a]\nchip = "esp32x"\n[pins.b]\nchip = "esp32"\nlamp_red = 34\n'
    found = troubles(table(HEADER, BAD_ROW, toml=TOML + good + bad))
    assert [one.split(", must")[0].split(", but")[0] for one in found] == [
        'fleet.csv:2:7 (site): location.site: found "prison"',
        'fleet.toml:23:1: link.phy: found "PHY_FOO"',
        "fleet.toml:26:1: profile 'a' of fleet.toml: chip is 'esp32x'",
        "fleet.toml:30:1: pins.lamp_red: found 34",
    ]
    assert len(troubles(table(HEADER, GOOD.replace("esp32", "b"), toml=TOML + bad))) == 3


def test_files_of_keys_are_judged_with_all_else(tmp_path: Path, table: Tables) -> None:
    """Red when they are read after the table: each wrong one cost a run of its own, and had no line."""
    key = certificates.new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "mine.pem").write_bytes(key)
    found = troubles(table(HEADER, BAD_ROW, toml=TOML + '[updates]\nkeys = ["gone.pem", "mine.pem"]\n'))
    begin = f"fleet.toml:8:1: [updates] keys: {tmp_path}"
    assert found[1:] == [
        f"{begin}/gone.pem: No such file or directory",
        f"{begin}/mine.pem: this is the private key, must be the public one that belongs to it",
    ]
    assert "закрытый ключ" in Words("ru").said(found[2]) and "такого файла" in Words("ru").said(found[1])


def test_a_row_of_another_length_is_judged_as_far_as_it_stands(table: Tables) -> None:
    """Red when nothing of it is: its reserved name was told in the next run only."""
    for name, why in (("centre", "'centre' is a name of the broker's own files"), ("One", 'device_id: found "One"')):
        found = troubles(table(HEADER, GOOD.replace("one", name, 1) + ",more"))
        assert [one.split(" ")[0] for one in found] == ["fleet.csv:2:", "fleet.csv:2:1"] and why in found[1]


def test_a_missing_password_is_told_with_all_else(
    tmp_path: Path, table: Tables, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when it is looked for only once the table is right."""
    monkeypatch.delenv(WIFI_PASSWORD, raising=False)
    closed = TOML.replace("open = true\n", "")
    for row in (BAD_ROW, GOOD):
        assert make(table(HEADER, row, toml=closed), tmp_path / "out") == EXIT_FAILED
        said = capsys.readouterr().err
        assert f"{WIFI_PASSWORD} is not set" in said and ("(site)" in said) == (row == BAD_ROW)
    monkeypatch.setenv(WIFI_PASSWORD, "long enough")
    assert make(table(HEADER, BAD_ROW, toml=closed), tmp_path / "out") == EXIT_FAILED
    assert WIFI_PASSWORD not in capsys.readouterr().err


def test_a_networks_name_is_told_at_its_own_line(table: Tables) -> None:
    """Red when the section's line is told."""
    (told,) = troubles(table(HEADER, GOOD, toml=TOML.replace('"sos"', "5")))
    assert told.startswith("fleet.toml:5:1: secrets.wifi_ssid: found")
