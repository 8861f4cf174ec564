"""A file that is given in the place of another: one error, which says what it is or what should be there; and a number
with a comma, as Russian and Kazakh write it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet_rig import GOOD, HEADER, TOML, Tables, make

from common.numbers import must_be
from common.release import ReleaseError, load_public_keys
from common.sentences import LANGUAGES
from desk import cameras, command
from desk.broker_options import SetupError, first_line
from desk.cameras import CamerasError
from desk.column_keys import ColumnKeys
from desk.private_file import PrivateFileError
from desk.spoken import spoken
from desk.upkeep import receiver, roster
from field import documents, flash, fleet
from field.documents import DocumentError
from field.fleet import FleetError
from field.telling import EXIT_FAILED
from field.words import Words


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet's two files, and in out/ what provisioning made of them."""
    folder = tmp_path_factory.mktemp("place")
    assert make(Tables(folder)(HEADER, GOOD, toml=TOML), folder / "out") == 0
    return folder


def made(place: Path, *names: str) -> list[Path]:
    """All files of provisioning but those of these names."""
    found = [file for file in (place / "out").rglob("*") if file.is_file() and file.name not in names]
    assert len(found) > 15
    return found


def test_whatever_else_is_given_as_the_table_is_one_error(place: Path) -> None:
    """The settings in its place were twelve. Red without the look at the first line as a whole."""
    with pytest.raises(FleetError) as raised:
        fleet.read(place / "fleet.toml")
    assert raised.value.troubles == [
        f"fleet.toml: these are the settings; the table is another file: FLEET={place / 'fleet.csv'}"
    ]
    for file in made(place):
        with pytest.raises(FleetError) as raised:
            fleet.read(file)
        (told,) = raised.value.troubles
        assert "no table of columns" in told and "device_id" in told, file


def test_a_slip_in_the_first_line_is_still_told_by_its_name(place: Path, tmp_path: Path) -> None:
    table = Tables(tmp_path)(HEADER.replace("height_m", "hight_m"), GOOD)
    with pytest.raises(FleetError) as raised:
        fleet.read(table)
    assert [told.partition(": ")[2][:24] for told in raised.value.troubles] == [
        "no column height_m", "unknown column 'hight_m'"
    ]  # fmt: skip


def test_whatever_else_is_given_as_a_configuration_is_one_error(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """JSON of another kind was seven, and a folder without columns was told when the board was asked already."""
    for file in [*made(place, "config.json"), place / "fleet.csv", place / "fleet.toml"]:
        with pytest.raises(DocumentError) as raised:
            documents.read_document(file)
        assert "must be a configuration document" in str(raised.value), file
    columns = place / "out" / "columns"
    for folder, what in (
        (place / "out", f"is the folder of everything that provisioning wrote; its columns: CONFIG={columns}"),
        (place / "out" / "centre", "holds no column; make provision writes one folder for each"),
    ):
        argument = f"/dev/null={folder}"
        assert flash.main([argument, "--log", str(tmp_path / "log.csv"), "--lang", "en"]) == EXIT_FAILED
        assert capsys.readouterr().err == f"error: {folder} {what}\n"


DESK: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "roster.json": (roster.read, roster.RosterError, "give the roster.json"),
    "answer.key": (receiver.read_key, receiver.KeyFileError, "give the answer.key"),
    "cameras.csv": (cameras.read, CamerasError, "no table of cameras"),
}


@pytest.mark.parametrize("name", DESK)
def test_whatever_else_is_given_to_the_desk_is_one_error(place: Path, name: str) -> None:
    """Red where it is told name by name, or nothing says which file was meant."""
    read, error, why = DESK[name]
    for file in [*made(place, name), place / "fleet.toml"]:
        with pytest.raises(error) as raised:
            read(file)
        told = str(raised.value)
        assert "\n" not in told and told.startswith(str(file)) and (why in told or "UTF-8" in told), told


def test_a_key_is_no_password_and_no_list_of_keys(place: Path) -> None:
    """`--password-file centre.key` was taken: the broker then refused its first line. Red without the look at it."""
    for file in made(place):
        if file.suffix in (".key", ".pem", ".crl", ".json") and file.name != "answer.key":
            with pytest.raises(SetupError, match=r"--password-file .*: that is (JSON|a key or a certificate)"):
                first_line(file)
        if file.name != "keys.json":
            with pytest.raises(PrivateFileError):
                ColumnKeys(file)
            with pytest.raises(ReleaseError, match=f"^{file}: "):  # of several, which one
                load_public_keys([file])
    assert first_line(place / "out" / "centre" / "centre.password")


# -- a comma for a point


def test_a_decimal_comma_is_told_as_one(tmp_path: Path) -> None:
    """In a cell, in a row that it splits, in the settings. Red when the hint is only that a number is wanted."""
    write, found = Tables(tmp_path), []
    for lines, toml in (
        ((HEADER.replace(",", ";"), GOOD.replace(",", ";").replace("54.8753", "54,8753")), TOML),
        ((HEADER, GOOD.replace("54.8753", "54,8753")), TOML),
        ((HEADER, GOOD), TOML + "[common.supply]\nlow_v = 10,5\n"),
    ):
        with pytest.raises(FleetError) as raised:
            fleet.read(write(*lines, toml=toml))
        found += raised.value.troubles
    assert "found '54,8753', must be a number with a point and not a comma: 54.8753" in found[0]
    assert "comma without quotes in one, or in a number?" in found[1]
    assert "must be a number with a point and not a comma: 10.5" in found[2] and len(found) == 3


def test_a_decimal_comma_on_a_command_line_and_of_a_camera(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a comma: 1.5"):
        command.RATE("1,5")
    (tmp_path / "cameras.csv").write_text("id;name;lat;lon;stream\na;A;54,87;69.1;rtsp://c/1\n")
    with pytest.raises(CamerasError, match="not a comma: 54.87"):
        cameras.read(tmp_path / "cameras.csv")
    assert must_be("1,5x", "otherwise") == must_be("1.5", "otherwise") == "otherwise"


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_all_of_it_is_said_in_the_language(place: Path, language: str) -> None:
    with pytest.raises(FleetError) as raised:
        fleet.read(place / "fleet.toml")
    said = Words(language).said(f"  {raised.value.troubles[0]}")
    assert "settings" not in said and f"FLEET={place}" in said
    comma = f"x.csv:2:4 (lat): found '54,87', must be {must_be('54,87', '')}"
    assert "comma" not in Words(language).said(comma) and "54.87" in Words(language).said(comma)
    assert "comma" not in spoken(["--lang", language]).said(comma)
